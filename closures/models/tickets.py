"""The closure ticket, its states and its legal moves (SPEC §3)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.actors import ActorKind
from accounts.models import CreditAccount, Regulation
from accounts.tracking import NOW, QUEUE_FIELDS, Tracked, sets, tracked
from closures.models.conditions import (
    ALL_UNBOUND,
    CONSTRAINTS,
    NOT_YET_UNBINDING,
    OWN_REQUEST,
    PERIOD_OVER_OWING,
    PERIOD_OVER_SETTLED,
    SETTLED,
    may_decide,
)
from closures.models.people import by_staff
from closures.models.queue import QueueRow
from closures.models.ticket_queries import TicketQuerySet


class Reason(models.TextChoices):
    CUSTOMER_REQUEST = "CUSTOMER_REQUEST", _("customer's request")
    RISK_CONTROL = "RISK_CONTROL", _("risk control")
    POLICY = "POLICY", _("policy change")


class ClosureTicket(Tracked, QueueRow):
    """关闭工单: one request to close one account; its state says where the case is, not the machine."""

    class State(models.TextChoices):
        SUBMITTED = "SUBMITTED", _("submitted")
        BLOCKED = "BLOCKED", _("blocked")
        IN_REVIEW = "IN_REVIEW", _("in review")
        NOTICE_PERIOD = "NOTICE_PERIOD", _("notice period")
        SETTLING = "SETTLING", _("settling")
        UNBINDING = "UNBINDING", _("unbinding")
        CLOSING = "CLOSING", _("closing")
        CLOSED = "CLOSED", _("closed")
        REVERSED = "REVERSED", _("reversed")
        REJECTED = "REJECTED", _("rejected")
        WITHDRAWN = "WITHDRAWN", _("withdrawn")
        CANCELLED = "CANCELLED", _("cancelled")

    OPEN = (
        State.SUBMITTED,
        State.BLOCKED,
        State.IN_REVIEW,
        State.NOTICE_PERIOD,
        State.SETTLING,
        State.UNBINDING,
        State.CLOSING,
    )
    CLAIMED_WITH = ("account",)
    BEFORE_DECISION = (State.SUBMITTED, State.BLOCKED, State.IN_REVIEW)
    WAS_CLOSED = (State.CLOSED, State.REVERSED)  # whatever came of it later
    DECIDED_FOR = (State.NOTICE_PERIOD, State.SETTLING, State.UNBINDING, State.CLOSING, *WAS_CLOSED)

    class Channel(models.TextChoices):
        API = "API", _("customer, by app")
        STATUS_PAGE = "STATUS_PAGE", _("customer, status page")
        AGENT = "AGENT", _("agent for the customer")
        RISK = "RISK", _("risk decision")
        CAMPAIGN = "CAMPAIGN", _("campaign")

    class IdentityLevel(models.TextChoices):
        NONE = "NONE", _("not proved")
        AGENT = "AGENT", _("checked by an agent")
        ASSERTED = "ASSERTED", _("asserted by the app")
        CODE = "CODE", _("one-time code")
        NOT_NEEDED = "NOT_NEEDED", _("not needed")

    number = models.CharField(_("number"), max_length=20, unique=True)
    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="tickets"
    )
    reason = models.CharField(_("reason"), max_length=20, choices=Reason.choices)
    channel = models.CharField(_("channel"), max_length=12, choices=Channel.choices)
    ground = models.CharField(_("ground"), max_length=500, blank=True)
    state = FSMField(_("state"), default=State.SUBMITTED, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))

    # Who asked, and what the customer was told and accepted
    requested_at = models.DateTimeField(_("requested at"))
    requested_by = by_staff(_("requested by"))
    last_edited_by = by_staff(_("last edited by"))
    idempotency_key = models.CharField(
        _("idempotency key"), max_length=80, null=True, blank=True, unique=True
    )
    request_digest = models.CharField(max_length=64, blank=True)
    identity_level = models.CharField(
        _("identity"), max_length=12, choices=IdentityLevel.choices, default=IdentityLevel.NONE
    )
    disclosure_version = models.CharField(_("disclosure version"), max_length=60, blank=True)
    disclosure_accepted_at = models.DateTimeField(_("effects accepted at"), null=True, blank=True)
    policy = models.JSONField(_("closing policy at intake"), default=dict)

    # The demand for payment that came before a closing over arrears, and the last day of its period
    demanded_on = models.DateField(_("payment demanded on"), null=True, blank=True)
    demand_until = models.DateField(_("period of the demand ends on"), null=True, blank=True)

    # The answer date, with the rule and the calendar it was counted by
    answer_due_on = models.DateField(_("answer due"), null=True, blank=True)
    answer_rule = models.ForeignKey(
        Regulation,
        verbose_name=_("answer rule"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    answer_calendar = models.CharField(_("calendar version"), max_length=80, blank=True)

    # Why the last read of the core ledger gave nothing; empty once one did
    ledger_trouble = models.CharField(_("trouble with the ledger"), max_length=40, blank=True)

    # What was examined, what was approved, and what has changed since
    examined_as_of = models.DateTimeField(_("examined ledger of"), null=True, blank=True)
    examined_agreement_id = models.BigIntegerField(default=0)
    examined = models.JSONField(_("examined"), default=dict, blank=True)
    examined_hash = models.CharField(max_length=64, blank=True)
    approved = models.JSONField(_("approved"), default=dict, blank=True)
    approved_hash = models.CharField(max_length=64, blank=True)
    changes = models.JSONField(_("changed since the approval"), default=list, blank=True)

    # The decision
    decided_by = by_staff(_("decided by"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    straight_through = models.BooleanField(_("straight through"), default=False)

    period_ends_at = models.DateTimeField(_("period ends"), null=True, blank=True)
    notice_arrived_at = models.DateTimeField(_("notice arrived at"), null=True, blank=True)
    notice_waiver_asked_by = by_staff(_("notice waiver asked by"))
    notice_waived_by = by_staff(_("notice waived by"))

    unbinding_started_at = models.DateTimeField(_("unbinding started at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    end_codes = models.JSONField(_("reasons of the end"), default=list, blank=True)
    cancel_asked_by = by_staff(_("cancellation asked by"))
    cancelled_by = by_staff(_("cancelled by"))
    certificate_no = models.CharField(_("certificate"), max_length=30, null=True, blank=True, unique=True)
    certificate = models.JSONField(_("certified facts"), default=dict, blank=True)
    certificate_hash = models.CharField(max_length=64, blank=True)
    link_generation = models.PositiveSmallIntegerField(_("status link, generation"), default=1)

    objects = TicketQuerySet.as_manager()
    history = tracked(excluded=(*QUEUE_FIELDS, "examined_as_of", "ledger_trouble"))

    class Meta:
        verbose_name = _("closure ticket")
        verbose_name_plural = _("closure tickets")
        permissions = [
            ("search_customer", _("Can find a customer by ID number or phone")),
            ("request_closure", _("Can request a closing for a customer")),
            ("request_risk_closure", _("Can request a closing for risk control")),
            ("request_policy_closure", _("Can request a closing for policy")),
            ("withdraw_closure", _("Can withdraw a request for the customer")),
            ("decide_closure", _("Can decide customers' requests")),
            ("decide_adverse_closure", _("Can decide risk and policy closings")),
            ("cancel_closure", _("Can cancel a closing")),
        ]
        constraints = CONSTRAINTS
        indexes = [
            models.Index(name="ticket_state_due", fields=["state", "due_at"]),
            models.Index(name="ticket_period", fields=["period_ends_at"], condition=Q(state="NOTICE_PERIOD")),
            models.Index(
                name="ticket_answer",
                fields=["answer_due_on"],
                condition=Q(state__in=["SUBMITTED", "BLOCKED"]),
            ),
            models.Index(name="ticket_state_since", fields=["state", "state_since"]),
        ]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(state, source=[State.SUBMITTED, State.IN_REVIEW], target=State.BLOCKED, custom=sets())
    def block(self) -> None:
        """Something stands in the way; the blockers say what."""

    @transition(state, source=[State.SUBMITTED, State.BLOCKED], target=State.IN_REVIEW, custom=sets())
    def send_to_review(self) -> None: ...

    @transition(
        state,
        source=[State.SUBMITTED, State.BLOCKED],
        target=State.NOTICE_PERIOD,
        custom=sets(straight_through=True),
    )
    def pass_straight_through(self, *, period_ends_at: datetime) -> None:
        """A spotless request the product lets through without a person."""
        self.period_ends_at = period_ends_at

    @transition(
        state,
        source=[State.SUBMITTED, State.BLOCKED],
        target=State.NOTICE_PERIOD,
        custom=sets(straight_through=True),
    )
    def approve_by_campaign(self, *, decided_by: Any, decided_at: datetime) -> None:
        """Its facts are those of its row in a population that a named person approved as a whole."""
        self.decided_by, self.decided_at = decided_by, decided_at
        self.approved, self.approved_hash, self.changes = self.examined, self.examined_hash, []

    @transition(
        state,
        source=State.IN_REVIEW,
        target=State.NOTICE_PERIOD,
        permission=may_decide,
        custom=sets(label=_("Approve")),
    )
    def approve(self, *, decided_by: Any, decided_at: datetime, period_ends_at: datetime | None) -> None:
        self.decided_by, self.decided_at, self.period_ends_at = decided_by, decided_at, period_ends_at
        self.approved, self.approved_hash, self.changes = self.examined, self.examined_hash, []

    @transition(
        state,
        source=[State.IN_REVIEW, State.BLOCKED],
        target=State.REJECTED,
        permission=may_decide,
        custom=sets(label=_("Reject"), ended_at=NOW),
    )
    def reject(self, *, decided_by: Any, decided_at: datetime, end_codes: list[str]) -> None:
        self.decided_by, self.decided_at, self.end_codes = decided_by, decided_at, end_codes

    @transition(
        state, source=[State.SUBMITTED, State.BLOCKED], target=State.REJECTED, custom=sets(ended_at=NOW)
    )
    def refuse_overdue(self, *, end_codes: list[str]) -> None:
        """The answer date has come and the case is not ready; refused with itemised reasons."""
        self.end_codes = end_codes

    @transition(
        state,
        source=[State.NOTICE_PERIOD, State.SETTLING],
        target=State.IN_REVIEW,
        conditions=[NOT_YET_UNBINDING],
    )
    def return_to_review(self, *, changes: list[dict[str, Any]]) -> None:
        """What was approved is no longer what is there; the approval is void."""
        self.changes = changes
        self.decided_by = self.decided_at = self.period_ends_at = self.notice_arrived_at = None
        self.notice_waiver_asked_by = self.notice_waived_by = None
        self.approved, self.approved_hash, self.straight_through = {}, "", False

    @transition(
        state,
        source=State.NOTICE_PERIOD,
        target=State.SETTLING,
        conditions=[PERIOD_OVER_OWING],
        custom=sets(due_at=NOW),
    )
    def start_settling(self) -> None: ...

    @transition(
        state,
        source=State.NOTICE_PERIOD,
        target=State.UNBINDING,
        conditions=[PERIOD_OVER_SETTLED],
        custom=sets(unbinding_started_at=NOW, due_at=None),
    )
    def start_unbinding(self) -> None: ...

    @transition(
        state,
        source=State.SETTLING,
        target=State.UNBINDING,
        conditions=[SETTLED, NOT_YET_UNBINDING],
        custom=sets(unbinding_started_at=NOW, due_at=None),
    )
    def unbind_settled(self) -> None: ...

    @transition(
        state,
        source=[State.SETTLING, State.CLOSING],
        target=State.UNBINDING,
        conditions=[SETTLED],
        custom=sets(due_at=None),
    )
    def resume_unbinding(self) -> None:
        """Money or a new agreement had interrupted it; the first start keeps its date."""

    @transition(
        state, source=[State.UNBINDING, State.CLOSING], target=State.SETTLING, custom=sets(due_at=NOW)
    )
    def settle_again(self) -> None:
        """A fresh read found money."""

    @transition(
        state, source=State.UNBINDING, target=State.CLOSING, conditions=[ALL_UNBOUND], custom=sets(due_at=NOW)
    )
    def start_closing(self) -> None: ...

    @transition(state, source=State.CLOSING, target=State.CLOSED, custom=sets(ended_at=NOW, due_at=None))
    def close(self, *, certificate_no: str, certificate: dict[str, Any], certificate_hash: str) -> None:
        """The ledger was told to close and was read back closed."""
        self.certificate_no, self.certificate = certificate_no, certificate
        self.certificate_hash = certificate_hash

    @transition(
        state,
        source=[*BEFORE_DECISION, State.NOTICE_PERIOD, State.SETTLING],
        target=State.WITHDRAWN,
        permission="closures.withdraw_closure",
        conditions=[NOT_YET_UNBINDING, OWN_REQUEST],
        custom=sets(
            label=_("Withdraw for the customer"), also=[ActorKind.CUSTOMER], ended_at=NOW, due_at=None
        ),
    )
    def withdraw(self) -> None: ...

    @transition(
        state,
        source=list(OPEN),
        target=State.CANCELLED,
        permission="closures.cancel_closure",
        custom=sets(label=_("Cancel the ticket"), ended_at=NOW, due_at=None),
    )
    def cancel(self, *, cancelled_by: Any, end_codes: list[str]) -> None:
        self.cancelled_by, self.end_codes = cancelled_by, end_codes

    @transition(
        state,
        source=[*BEFORE_DECISION, State.NOTICE_PERIOD, State.SETTLING],
        target=State.CANCELLED,
        conditions=[NOT_YET_UNBINDING],
        custom=sets(ended_at=NOW, due_at=None, lease_token="", lease_until=None),
    )
    def call_off(self) -> None:
        """The campaign that opened it was aborted by a named person."""

    @transition(
        state,
        source=State.CLOSED,
        target=State.REVERSED,
        permission="closures.approve_reversal",
        custom=sets(label=_("Reverse the closing")),
    )
    def reverse(self) -> None:
        """The closing was wrong. It keeps its day and its certificate; a new account takes its place."""

    # Properties

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    @property
    def is_customers_own(self) -> bool:
        return self.reason == Reason.CUSTOMER_REQUEST
