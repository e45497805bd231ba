"""Starts the app: tasks are known to every process, notice templates are shipped after migrate."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class ClosuresConfig(AppConfig):
    name = "closures"
    verbose_name = _("Closures")

    def ready(self) -> None:
        # A web process that has not imported the tasks could not name them (PITFALLS: empty registry).
        from closures import tasks  # noqa: F401, PLC0415

        post_migrate.connect(ship_templates, sender=self)


def ship_templates(**kwargs: Any) -> None:
    """Templates on disk that are newer than what the database has become new versions."""
    from closures.services import templates  # noqa: PLC0415 - models are ready only now

    templates.ship(using=kwargs["using"])
