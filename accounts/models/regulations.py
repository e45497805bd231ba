"""Numbers the law gives, and the calendar they are counted over: dated rows with their source."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.models.staff import User
from accounts.tracking import Tracked, sets, tracked

EDIT = "accounts.edit_regulation"


class Certainty(models.TextChoices):
    """How sure a shipped fact is (FACTS, labels)."""

    CONFIRMED = "C", _("confirmed")
    WEAK = "C-", _("weak source")
    GENERAL = "GK", _("general knowledge, not confirmed")
    EXECUTED = "RUN", _("executed and seen")
    OURS = "OURS", _("our choice")


class Regulation(Tracked):
    """法定参数: one value of one rule from one day on. A new value is a new row, decided by two people."""

    class State(models.TextChoices):
        PROPOSED = "PROPOSED", _("proposed")
        IN_FORCE = "IN_FORCE", _("in force")
        REJECTED = "REJECTED", _("rejected")

    code = models.CharField(_("code"), max_length=60)
    title = models.JSONField(_("title"), default=dict)
    value = models.CharField(_("value"), max_length=60)
    unit = models.CharField(_("unit"), max_length=30)
    source = models.CharField(_("source"), max_length=300)
    certainty = models.CharField(_("how sure"), max_length=4, choices=Certainty.choices)
    valid_from = models.DateField(_("valid from"))
    state = FSMField(_("state"), default=State.PROPOSED, choices=State.choices, protected=True)
    shipped = models.BooleanField(_("shipped with the product"), default=False)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("proposed by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("approved by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )

    history = tracked()

    class Meta:
        verbose_name = _("regulation")
        verbose_name_plural = _("regulations")
        permissions = [("edit_regulation", _("Can propose and approve regulations"))]
        constraints = [
            models.UniqueConstraint(
                name="regulation_one_in_force_per_day",
                fields=["code", "valid_from"],
                condition=Q(state="IN_FORCE"),
            ),
            # A CHECK passes NULL, so every branch says what must not be null.
            models.CheckConstraint(
                name="regulation_four_eyes",
                condition=Q(state="PROPOSED", approved_by__isnull=True, proposed_by__isnull=False)
                | Q(shipped=True, proposed_by__isnull=True, approved_by__isnull=True)
                | (
                    Q(proposed_by__isnull=False, approved_by__isnull=False) & ~Q(proposed_by=F("approved_by"))
                ),
            ),
        ]

    def __str__(self) -> str:
        text = translate("%(code)s = %(value)s from %(day)s")
        return text % {"code": self.code, "value": self.value, "day": self.valid_from}

    # Transitions

    @transition(
        state, source=State.PROPOSED, target=State.IN_FORCE, permission=EDIT, custom=sets(label=_("Approve"))
    )
    def approve(self, *, approved_by: User) -> None:
        self.approved_by = approved_by

    @transition(
        state, source=State.PROPOSED, target=State.REJECTED, permission=EDIT, custom=sets(label=_("Reject"))
    )
    def reject(self, *, approved_by: User) -> None:
        self.approved_by = approved_by


class WorkCalendarDay(Tracked):
    """工作日历: whether one day is worked. Provisional until the State Council's notice is loaded."""

    date = models.DateField(_("date"), unique=True)
    is_working = models.BooleanField(_("working day"))
    source = models.CharField(_("source"), max_length=120)
    calendar_version = models.CharField(_("calendar version"), max_length=40)
    provisional = models.BooleanField(_("provisional"), default=False)

    history = tracked()

    class Meta:
        verbose_name = _("calendar day")
        verbose_name_plural = _("work calendar")
        permissions = [("edit_calendar", _("Can load and correct the work calendar"))]

    def __str__(self) -> str:
        text = translate("%(day)s works") if self.is_working else translate("%(day)s rests")
        return text % {"day": self.date}
