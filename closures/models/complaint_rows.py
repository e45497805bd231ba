"""What hangs on a complaint: extensions of its time, waits for the customer, sealed texts, canned replies."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django_fsm import FSMField, transition

from accounts import pii
from accounts.models import Regulation, User
from accounts.tracking import EVERYBODY, Tracked, sets, tracked
from closures.models.complaint_terms import Outcome, Topic, apart
from closures.models.complaints import DECIDE, Complaint
from closures.models.people import by_staff

EDIT = "closures.edit_canned_reply"


class Level(models.TextChoices):
    COMPLEX = "COMPLEX", _("complex case")
    SPECIAL = "SPECIAL", _("special circumstances")


APPROVE_RIGHT = {Level.COMPLEX: DECIDE, Level.SPECIAL: "closures.extend_complaint"}


def may_approve(extension: Any, user: Any) -> bool:
    """A reviewer for a complex case, senior management for the second time. Source: 投诉办法; FACTS L11."""
    return bool(user.has_perm(APPROVE_RIGHT[Level(extension.level)]))


class ComplaintExtension(Tracked):
    """延期: more time for one complaint, asked by one person and approved by another before it is over."""

    Level = Level

    class State(models.TextChoices):
        ASKED = "ASKED", _("asked for")
        APPROVED = "APPROVED", pgettext_lazy("extension", "approved")
        REFUSED = "REFUSED", pgettext_lazy("extension", "refused")
        LAPSED = "LAPSED", pgettext_lazy("extension", "lapsed")

    complaint = models.ForeignKey(
        Complaint, verbose_name=_("complaint"), on_delete=models.PROTECT, related_name="extensions"
    )
    clock = models.PositiveSmallIntegerField(_("clock"))
    level = models.CharField(_("level"), max_length=8, choices=Level.choices)
    state = FSMField(_("state"), default=State.ASKED, choices=State.choices, protected=True)
    # From which date to which, each with the rule and the calendar it was counted by
    from_due_on = models.DateField(_("due until now"))
    from_rule = models.ForeignKey(
        Regulation, verbose_name=_("due by rule"), on_delete=models.PROTECT, related_name="+"
    )
    from_calendar = models.CharField(_("calendar version"), max_length=80, blank=True)
    to_due_on = models.DateField(_("due then"))
    to_rule = models.ForeignKey(
        Regulation, verbose_name=_("extended by rule"), on_delete=models.PROTECT, related_name="+"
    )
    to_calendar = models.CharField(_("calendar version of the extension"), max_length=80, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("asked by"), on_delete=models.PROTECT, related_name="+"
    )
    asked_at = models.DateTimeField(_("asked at"))
    approved_by = by_staff(_("decided by"))
    told_at = models.DateTimeField(_("complainant told at"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("extension of a complaint")
        verbose_name_plural = _("extensions of complaints")
        constraints = [
            models.CheckConstraint(
                name="extension_state_is_legal",
                condition=Q(state__in=["ASKED", "APPROVED", "REFUSED", "LAPSED"]),
            ),
            models.CheckConstraint(
                name="extension_names_two_people", condition=apart("asked_by", "approved_by")
            ),
            models.CheckConstraint(
                name="extension_approved_and_told",
                condition=~Q(state="APPROVED") | Q(approved_by__isnull=False, told_at__isnull=False),
            ),
            models.CheckConstraint(name="extension_gives_time", condition=Q(to_due_on__gt=F("from_due_on"))),
            models.UniqueConstraint(
                name="extension_one_asked", fields=["complaint"], condition=Q(state="ASKED")
            ),
            models.UniqueConstraint(
                name="extension_level_once",
                fields=["complaint", "clock", "level"],
                condition=Q(state="APPROVED"),
            ),
        ]

    def __str__(self) -> str:
        text = translate("extension of complaint %(complaint)s to %(day)s")
        return text % {"complaint": self.complaint_id, "day": self.to_due_on}

    # Transitions

    @transition(
        state,
        source=State.ASKED,
        target=State.APPROVED,
        permission=may_approve,
        custom=sets(label=_("Approve the extension")),
    )
    def approve(self, *, approved_by: User, told_at: datetime) -> None:
        self.approved_by, self.told_at = approved_by, told_at

    @transition(
        state,
        source=State.ASKED,
        target=State.REFUSED,
        permission=may_approve,
        custom=sets(label=_("Refuse the extension")),
    )
    def refuse(self, *, approved_by: User) -> None:
        self.approved_by = approved_by

    @transition(state, source=State.ASKED, target=State.LAPSED, custom=sets(also=EVERYBODY))
    def lapse(self) -> None:
        """The clock it was asked for runs no more: decided, ended, or begun anew."""


class ComplaintPause(Tracked):
    """等待客户: while it is open only the internal target stands still; the statutory clock never does."""

    complaint = models.ForeignKey(
        Complaint, verbose_name=_("complaint"), on_delete=models.PROTECT, related_name="pauses"
    )
    started_on = models.DateField(_("waiting since"))
    ended_on = models.DateField(_("waiting until"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("wait for the complainant")
        verbose_name_plural = _("waits for complainants")
        constraints = [
            models.UniqueConstraint(
                name="pause_one_open", fields=["complaint"], condition=Q(ended_on__isnull=True)
            ),
            models.CheckConstraint(
                name="pause_ends_after_it_began",
                condition=Q(ended_on__isnull=True) | Q(ended_on__isnull=False, ended_on__gte=F("started_on")),
            ),
        ]

    def __str__(self) -> str:
        text = translate("wait of complaint %(complaint)s since %(day)s")
        return text % {"complaint": self.complaint_id, "day": self.started_on}

    # Properties

    @property
    def span(self) -> tuple[date, date | None]:
        return self.started_on, self.ended_on


class ComplaintText(models.Model):
    """What was written about a complaint, as it was typed, sealed. Untracked: erasing deletes it."""

    class Kind(models.TextChoices):
        COMPLAINT = "COMPLAINT", _("complaint")
        NEW_FACTS = "NEW_FACTS", _("new facts")
        NOTE = "NOTE", _("internal note")
        QUESTION = "QUESTION", _("question to the complainant")
        ANSWER = "ANSWER", _("the complainant's answer")
        DECISION = "DECISION", _("decision and its grounds")
        REMEDY = "REMEDY", _("description of the remedy")
        REPLY = "REPLY", _("written reply")
        REVIEW_REQUEST = "REVIEW_REQUEST", _("request for a review")
        REVIEW_DECISION = "REVIEW_DECISION", _("decision of the review")

    # What the complainant wrote or is sent; everything else is ours alone.
    SHARED = (
        Kind.COMPLAINT,
        Kind.NEW_FACTS,
        Kind.QUESTION,
        Kind.ANSWER,
        Kind.REPLY,
        Kind.REVIEW_REQUEST,
        Kind.REVIEW_DECISION,
    )

    complaint = models.ForeignKey(
        Complaint, verbose_name=_("complaint"), on_delete=models.PROTECT, related_name="texts"
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    key = models.CharField(_("key"), max_length=80, unique=True)
    written_at = models.DateTimeField(_("written at"))
    written_by = models.CharField(_("written by"), max_length=80)
    text_sealed = models.TextField()

    class Meta:
        verbose_name = _("text of a complaint")
        verbose_name_plural = _("texts of complaints")

    def __str__(self) -> str:
        return f"{self.kind} of complaint {self.complaint_id}"


pii.register_sealed(ComplaintText, "text", "key", customer_path="complaint__customer", row_goes=True)


class CannedReply(Tracked):
    """A reply written before it is needed, with fields that are filled for the case at hand."""

    class State(models.TextChoices):
        ACTIVE = "ACTIVE", _("in use")
        RETIRED = "RETIRED", _("out of use")

    title = models.CharField(_("title"), max_length=80, unique=True)
    topic = models.CharField(_("for the topic"), max_length=24, choices=Topic.choices, blank=True)
    outcome = models.CharField(_("for the outcome"), max_length=16, choices=Outcome.choices, blank=True)
    body = models.TextField(_("text"), max_length=4000)
    version = models.PositiveIntegerField(_("version"), default=1)
    state = FSMField(_("state"), default=State.ACTIVE, choices=State.choices, protected=True)

    history = tracked()

    class Meta:
        verbose_name = _("canned reply")
        verbose_name_plural = _("canned replies")
        permissions = [("edit_canned_reply", _("Can write canned replies"))]
        constraints = [
            models.CheckConstraint(
                name="canned_reply_state_is_legal", condition=Q(state__in=["ACTIVE", "RETIRED"])
            ),
        ]

    def __str__(self) -> str:
        return self.title

    # Transitions

    @transition(
        state,
        source=State.ACTIVE,
        target=State.RETIRED,
        permission=EDIT,
        custom=sets(label=_("Take out of use")),
    )
    def retire(self) -> None: ...

    @transition(
        state, source=State.RETIRED, target=State.ACTIVE, permission=EDIT, custom=sets(label=_("Use again"))
    )
    def revive(self) -> None: ...
