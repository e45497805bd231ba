"""What partners tell us unasked: verified, stored before it is answered, applied by a job."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.models import Customer
from closures.models.queue import QueueQuerySet, QueueRow


class PartnerCallback(QueueRow):
    """One event of one partner. The body is sealed; the event id folds repeats into one row."""

    class Outcome(models.TextChoices):
        WAITING = "WAITING", _("waiting")
        APPLIED = "APPLIED", _("applied")
        NO_EFFECT = "NO_EFFECT", _("no effect")
        ALARM = "ALARM", _("alarm")

    partner = models.CharField(_("partner"), max_length=20)
    event_id = models.CharField(_("event"), max_length=80)
    kind = models.CharField(_("kind"), max_length=40)
    body_sealed = models.TextField()
    received_at = models.DateTimeField(_("received at"))
    repeats = models.PositiveIntegerField(_("times repeated"), default=0)
    outcome = models.CharField(_("outcome"), max_length=12, choices=Outcome.choices, default=Outcome.WAITING)
    detail = models.CharField(_("detail"), max_length=200, blank=True)
    # What it turned out to be about when it was applied: an agreement's number or a notice's key, and whose.
    about = models.CharField(_("about"), max_length=80, blank=True)
    customer = models.ForeignKey(
        Customer,
        verbose_name=_("customer"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )

    objects = QueueQuerySet.as_manager()

    class Meta:
        verbose_name = _("partner callback")
        verbose_name_plural = _("partner callbacks")
        constraints = [models.UniqueConstraint(name="callback_once", fields=["partner", "event_id"])]
        indexes = [
            models.Index(name="callback_due", fields=["due_at"], condition=Q(outcome="WAITING")),
            models.Index(name="callback_about", fields=["about"], condition=~Q(about="")),
        ]

    def __str__(self) -> str:
        return f"{self.partner} {self.event_id}"


pii.register_sealed(PartnerCallback, "body", "event_id", customer_path="customer")
