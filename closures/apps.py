"""Starts the app: tasks are known to every process, notice templates are shipped after migrate."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ClosuresConfig(AppConfig):
    name = "closures"
    verbose_name = _("Closures")

    def ready(self) -> None:
        # A web process that has not imported the tasks could not name them (PITFALLS: empty registry).
        from closures import tasks  # noqa: F401, PLC0415

        post_migrate.connect(ship_templates, sender=self)
        post_migrate.connect(ship_rules, sender=self)
        release_work_of_leavers()


def release_work_of_leavers() -> None:
    """Who leaves owns no hold and no risk rule, and nothing he asked for waits for a second person."""
    from accounts.services import staff  # noqa: PLC0415 - models are ready only now
    from closures.services import holds, rescue, review  # noqa: PLC0415
    from closures.services.risk import rules  # noqa: PLC0415

    for release in (
        holds.release_owned,
        rescue.release_asked,
        review.release_asked,
        rules.release_owned,
    ):
        if release not in staff.on_leave:
            staff.on_leave.append(release)


def ship_templates(**kwargs: Any) -> None:
    """Templates on disk that are newer than what the database has become new versions."""
    from closures.services import templates  # noqa: PLC0415 - models are ready only now

    templates.ship(using=kwargs["using"])


def ship_rules(**kwargs: Any) -> None:
    """The shipped risk rules and the switch of all rules exist."""
    from closures.services.risk import shipped  # noqa: PLC0415 - models are ready only now

    shipped.after_migrate(using=kwargs["using"], apps=kwargs.get("apps"), now=timezone.now())
