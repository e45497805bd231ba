"""The project: settings, URLs, the schedule. Business code lives in accounts and closures."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
