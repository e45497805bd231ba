"""Undoing a closing that should not have been: asked for by one person, granted by another (SPEC §3)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.models import CreditAccount, Regulation
from accounts.models.lines import Money
from accounts.tracking import QUEUE_FIELDS, Tracked, sets, tracked
from closures.models.people import by_staff
from closures.models.queue import QueueQuerySet, QueueRow
from closures.models.tickets import ClosureTicket


class Reversal(Tracked, QueueRow):
    """撤销: the closed account stays closed, a new one takes its place, the credit report is corrected."""

    class State(models.TextChoices):
        PROPOSED = "PROPOSED", _("proposed")
        OPENING = "OPENING", _("opening the new account")
        DONE = "DONE", _("done")
        REJECTED = "REJECTED", _("rejected")

    class Source(models.TextChoices):
        COMPLAINT = "COMPLAINT", _("upheld complaint")
        OWN_FINDING = "OWN_FINDING", _("own finding")

    class RootCause(models.TextChoices):
        WRONG_PERSON = "WRONG_PERSON", _("wrong person or account")
        NOT_ASKED_FOR = "NOT_ASKED_FOR", _("the customer had not asked")
        NO_GROUND = "NO_GROUND", _("the ground did not hold")
        NOTICE_DEFECT = "NOTICE_DEFECT", _("the customer was not told in time")
        WRONG_FACTS = "WRONG_FACTS", _("wrong or stale facts")
        RULE_DEFECT = "RULE_DEFECT", _("a risk rule or campaign went wrong")
        SYSTEM_FAULT = "SYSTEM_FAULT", _("system fault")
        PROCESS = "PROCESS", _("the procedure was not kept")

    STANDING = (State.PROPOSED, State.OPENING, State.DONE)
    GRANTED = (State.OPENING, State.DONE)
    CLAIMED_WITH = ("new_account",)

    number = models.CharField(_("number"), max_length=20, unique=True)
    ticket = models.ForeignKey(
        ClosureTicket, verbose_name=_("ticket"), on_delete=models.PROTECT, related_name="reversals"
    )
    source = models.CharField(_("source"), max_length=12, choices=Source.choices)
    complaint_number = models.CharField(_("complaint number"), max_length=24, blank=True)
    root_cause = models.CharField(_("root cause"), max_length=16, choices=RootCause.choices)
    ground = models.CharField(_("ground"), max_length=300)
    compensation_amount = Money(_("compensation"))
    state = FSMField(_("state"), default=State.PROPOSED, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    asked_by = by_staff(_("proposed by"))
    asked_at = models.DateTimeField(_("proposed at"))
    approved_by = by_staff(_("approved by"))
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    new_account = models.OneToOneField(
        CreditAccount,
        verbose_name=_("new account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reversal",
    )

    # When the credit report must be right again, with the rule and the calendar it was counted by
    bureau_due_on = models.DateField(_("credit report due"), null=True, blank=True)
    bureau_rule = models.ForeignKey(
        Regulation,
        verbose_name=_("rule of the correction"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    bureau_calendar = models.CharField(_("calendar version"), max_length=80, blank=True)
    bureau_corrected_at = models.DateTimeField(_("credit report corrected at"), null=True, blank=True)
    bureau_corrected_by = by_staff(_("corrected by"))
    bureau_proof = models.CharField(_("proof of the correction"), max_length=80, blank=True)

    objects = QueueQuerySet.as_manager()
    history = tracked(excluded=QUEUE_FIELDS)

    class Meta:
        verbose_name = _("reversal")
        verbose_name_plural = _("reversals")
        permissions = [
            ("propose_reversal", _("Can propose to reverse a closing")),
            ("approve_reversal", _("Can approve or reject a reversal")),
            ("correct_bureau", _("Can record that the credit report is corrected")),
        ]
        constraints = [
            models.CheckConstraint(
                name="reversal_state_is_legal",
                condition=Q(state__in=["PROPOSED", "OPENING", "DONE", "REJECTED"]),
            ),
            models.UniqueConstraint(
                name="reversal_one_per_ticket", fields=["ticket"], condition=~Q(state="REJECTED")
            ),
            # A CHECK passes NULL: every branch says what must not be null.
            models.CheckConstraint(
                name="reversal_names_two_people",
                condition=(Q(approved_by__isnull=True) & ~Q(state__in=["OPENING", "DONE"]))
                | (Q(approved_by__isnull=False, asked_by__isnull=False) & ~Q(asked_by=F("approved_by"))),
            ),
            models.CheckConstraint(
                name="reversal_granted_has_account_and_clock",
                condition=~Q(state__in=["OPENING", "DONE"])
                | Q(new_account__isnull=False, bureau_due_on__isnull=False, bureau_rule__isnull=False),
            ),
            models.CheckConstraint(
                name="reversal_complaint_is_named",
                condition=Q(source="OWN_FINDING", complaint_number="")
                | (Q(source="COMPLAINT") & ~Q(complaint_number="")),
            ),
            models.CheckConstraint(
                name="reversal_compensation_not_negative", condition=Q(compensation_amount__gte=0)
            ),
            models.CheckConstraint(
                name="reversal_correction_has_its_proof",
                condition=Q(bureau_corrected_at__isnull=True)
                | (Q(bureau_corrected_by__isnull=False) & ~Q(bureau_proof="")),
            ),
        ]
        indexes = [
            models.Index(name="reversal_due", fields=["due_at"], condition=Q(state="OPENING")),
            models.Index(
                name="reversal_bureau_due",
                fields=["bureau_due_on"],
                condition=Q(bureau_corrected_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(
        state,
        source=State.PROPOSED,
        target=State.OPENING,
        permission="closures.approve_reversal",
        custom=sets(label=_("Approve the reversal")),
    )
    def approve(
        self,
        *,
        approved_by: Any,
        approved_at: datetime,
        new_account: CreditAccount,
        bureau_due_on: date,
        bureau_rule: Regulation,
        bureau_calendar: str,
    ) -> None:
        self.approved_by, self.approved_at, self.new_account = approved_by, approved_at, new_account
        self.bureau_due_on, self.bureau_rule = bureau_due_on, bureau_rule
        self.bureau_calendar = bureau_calendar

    @transition(
        state,
        source=State.PROPOSED,
        target=State.REJECTED,
        permission="closures.approve_reversal",
        custom=sets(label=_("Reject the reversal")),
    )
    def reject(self) -> None:
        """The closing stands."""

    @transition(state, source=State.OPENING, target=State.DONE, custom=sets())
    def finish(self) -> None:
        """The ledger was read and shows the new account open."""

    # Properties

    @classmethod
    def under_way(cls) -> Q:
        """Asked for, being done, or done with the credit report still wrong."""
        return Q(state__in=[cls.State.PROPOSED, cls.State.OPENING]) | Q(
            state=cls.State.DONE, bureau_corrected_at__isnull=True
        )

    @property
    def awaits_bureau(self) -> bool:
        return self.state in self.GRANTED and self.bureau_corrected_at is None
