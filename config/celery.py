"""The Celery application. Tasks live in closures.tasks; when they run is in config.schedule."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

app = Celery("closures")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule_filename = os.environ.get("CELERY_BEAT_FILE", "var/celerybeat-schedule")
app.autodiscover_tasks(["closures"])
