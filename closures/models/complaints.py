"""The complaint, its states and its legal moves (SPEC §6). Its words and CHECKs are in `complaint_terms`."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django_fsm import FSMField, transition

from accounts.actors import ActorKind
from accounts.models import CreditAccount, Customer, Regulation, User
from accounts.models.lines import Money
from accounts.tracking import NOW, Tracked, sets, tracked
from closures.models import complaint_terms as terms
from closures.models.holds import Hold
from closures.models.people import by_staff
from closures.models.tickets import ClosureTicket

HANDLE, DECIDE = "closures.handle_complaint", "closures.decide_complaint"


class Complaint(Tracked):
    """投诉: one matter of one customer. What he and we wrote is sealed in `ComplaintText`."""

    Kind, Channel, Topic = terms.Kind, terms.Channel, terms.Topic
    Outcome, RootCause, Remedy, ScopeReason = terms.Outcome, terms.RootCause, terms.Remedy, terms.ScopeReason

    class State(models.TextChoices):
        RECEIVED = "RECEIVED", pgettext_lazy("complaint", "received")
        REGISTERED = "REGISTERED", pgettext_lazy("complaint", "registered")
        OUT_OF_SCOPE = "OUT_OF_SCOPE", pgettext_lazy("complaint", "out of scope")
        INVESTIGATING = "INVESTIGATING", pgettext_lazy("complaint", "under investigation")
        DECIDED = "DECIDED", pgettext_lazy("complaint", "decided")
        REPLIED = "REPLIED", pgettext_lazy("complaint", "replied")
        CLOSED = "CLOSED", pgettext_lazy("complaint", "closed")
        REVIEW_REQUESTED = "REVIEW_REQUESTED", pgettext_lazy("complaint", "review requested")
        REVIEWED = "REVIEWED", pgettext_lazy("complaint", "reviewed")
        WITHDRAWN = "WITHDRAWN", pgettext_lazy("complaint", "withdrawn")
        MERGED = "MERGED", pgettext_lazy("complaint", "merged")

    UNDECIDED = (State.RECEIVED, State.REGISTERED, State.INVESTIGATING)
    UNANSWERED = (*UNDECIDED, State.DECIDED, State.REVIEW_REQUESTED)
    RUNNING = (*UNDECIDED, State.DECIDED, State.REPLIED, State.REVIEW_REQUESTED, State.REVIEWED)
    ENDED = (State.OUT_OF_SCOPE, State.CLOSED, State.WITHDRAWN, State.MERGED)

    number = models.CharField(_("number"), max_length=20, unique=True)
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.PROTECT, related_name="complaints"
    )
    account = models.ForeignKey(
        CreditAccount,
        verbose_name=_("account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="complaints",
    )
    # The closing it is about, whether it disputes it or asks for it.
    ticket = models.ForeignKey(
        ClosureTicket,
        verbose_name=_("ticket"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="complaints",
    )
    kind = models.CharField(_("kind"), max_length=16, choices=terms.Kind.choices)
    channel = models.CharField(_("came by"), max_length=16, choices=terms.Channel.choices)
    topic = models.CharField(_("topic"), max_length=24, choices=terms.Topic.choices)
    regulator_number = models.CharField(_("regulator's number"), max_length=60, blank=True)
    regulator_deadline = models.DateField(_("regulator's deadline"), null=True, blank=True)
    about_staff = by_staff(_("complained about"))
    hold = models.ForeignKey(
        Hold,
        verbose_name=_("hold"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="complaints",
    )
    state = FSMField(_("state"), default=State.RECEIVED, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    received_on = models.DateField(_("received on"))
    registered_at = models.DateTimeField(_("entered at"))
    registered_by = by_staff(_("entered by"))
    handler = by_staff(_("handler"))
    scope_reason = models.CharField(
        _("why out of scope"), max_length=16, choices=terms.ScopeReason.choices, blank=True, default=""
    )

    # The statutory clock, with the rule and the calendar it was counted by; China dates
    clock = models.PositiveSmallIntegerField(_("clock"), default=1)
    clock_started_on = models.DateField(_("clock started on"))
    due_on = models.DateField(_("due on"))
    due_rule = models.ForeignKey(
        Regulation, verbose_name=_("due by rule"), on_delete=models.PROTECT, related_name="+"
    )
    due_calendar = models.CharField(_("calendar version"), max_length=80, blank=True)
    # After a merger the earlier clock stands; it is this complaint's whose clock that was.
    clock_of = models.ForeignKey(
        "self",
        verbose_name=_("clock taken from"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )

    # The decision
    decided_by = by_staff(_("decided by"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=16, choices=terms.Outcome.choices, blank=True)
    root_cause = models.CharField(_("root cause"), max_length=16, choices=terms.RootCause.choices, blank=True)
    remedy = models.CharField(_("remedy"), max_length=10, choices=terms.Remedy.choices, blank=True)
    compensation = Money(_("compensation"), default=Decimal("0.00"))
    marked_on = models.DateField(_("marked at the bureau on"), null=True, blank=True)
    replied_at = models.DateTimeField(_("replied at"), null=True, blank=True)

    # The review
    review_until = models.DateField(_("review may be requested until"), null=True, blank=True)
    review_requested_on = models.DateField(_("review requested on"), null=True, blank=True)
    review_due_on = models.DateField(_("review due on"), null=True, blank=True)
    review_rule = models.ForeignKey(
        Regulation,
        verbose_name=_("review due by rule"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    review_calendar = models.CharField(_("calendar version of the review"), max_length=80, blank=True)
    reviewed_by = by_staff(_("reviewed by"))
    reviewed_at = models.DateTimeField(_("reviewed at"), null=True, blank=True)
    review_outcome = models.CharField(
        _("outcome of the review"), max_length=16, choices=terms.Outcome.choices, blank=True
    )

    merged_into = models.ForeignKey(
        "self",
        verbose_name=_("merged into"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="merged",
    )
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("complaint")
        verbose_name_plural = _("complaints")
        permissions = [
            ("register_complaint", _("Can register a complaint")),
            ("handle_complaint", _("Can handle complaints")),
            ("decide_complaint", _("Can decide and review complaints")),
            ("extend_complaint", _("Can approve a complaint's special extension")),
        ]
        constraints = terms.CONSTRAINTS
        indexes = [
            models.Index(
                name="complaint_due",
                fields=["due_on"],
                condition=Q(state__in=["RECEIVED", "REGISTERED", "INVESTIGATING"]),
            ),
            models.Index(name="complaint_state_since", fields=["state", "state_since"]),
            models.Index(name="complaint_received_on", fields=["received_on"]),
        ]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(
        state,
        source=State.RECEIVED,
        target=State.REGISTERED,
        permission=HANDLE,
        custom=sets(label=_("Accept the complaint")),
    )
    def accept(self) -> None:
        """It is ours to handle."""

    @transition(
        state,
        source=State.RECEIVED,
        target=State.OUT_OF_SCOPE,
        permission=HANDLE,
        custom=sets(label=_("Declare out of scope"), ended_at=NOW),
    )
    def declare_out_of_scope(self, *, scope_reason: str) -> None:
        self.scope_reason = scope_reason

    @transition(
        state,
        source=State.REGISTERED,
        target=State.INVESTIGATING,
        permission=HANDLE,
        custom=sets(label=_("Begin the investigation")),
    )
    def investigate(self, *, handler: User) -> None:
        self.handler = handler

    @transition(
        state,
        source=State.INVESTIGATING,
        target=State.DECIDED,
        permission=DECIDE,
        custom=sets(label=_("Decide the complaint")),
    )
    def decide(
        self,
        *,
        decided_by: User,
        decided_at: datetime,
        outcome: str,
        root_cause: str,
        remedy: str,
        compensation: Decimal,
    ) -> None:
        self.decided_by, self.decided_at = decided_by, decided_at
        self.outcome, self.root_cause, self.remedy = outcome, root_cause, remedy
        self.compensation = compensation

    @transition(
        state,
        source=State.DECIDED,
        target=State.REPLIED,
        permission=HANDLE,
        custom=sets(label=_("Reply to the complainant"), replied_at=NOW),
    )
    def reply(self, *, review_until: date) -> None:
        self.review_until = review_until

    @transition(
        state,
        source=[State.REPLIED, State.REVIEWED],
        target=State.CLOSED,
        permission=HANDLE,
        custom=sets(label=_("Close the complaint"), ended_at=NOW),
    )
    def close(self) -> None: ...

    @transition(
        state,
        source=[State.REPLIED, State.CLOSED],
        target=State.REVIEW_REQUESTED,
        permission=HANDLE,
        custom=sets(label=_("Take the request for a review"), also=[ActorKind.CUSTOMER], ended_at=None),
    )
    def request_review(
        self, *, review_requested_on: date, review_due_on: date, review_rule: Regulation, review_calendar: str
    ) -> None:
        self.review_requested_on, self.review_due_on = review_requested_on, review_due_on
        self.review_rule, self.review_calendar = review_rule, review_calendar

    @transition(
        state,
        source=State.REVIEW_REQUESTED,
        target=State.REVIEWED,
        permission=DECIDE,
        custom=sets(label=_("Decide the review"), reviewed_at=NOW),
    )
    def decide_review(
        self, *, reviewed_by: User, outcome: str, root_cause: str, remedy: str, compensation: Decimal
    ) -> None:
        self.reviewed_by, self.review_outcome = reviewed_by, outcome
        self.root_cause, self.remedy, self.compensation = root_cause, remedy, compensation

    @transition(
        state,
        source=list(UNDECIDED),
        target=State.WITHDRAWN,
        permission=HANDLE,
        custom=sets(label=_("Withdraw the complaint"), also=[ActorKind.CUSTOMER], ended_at=NOW),
    )
    def withdraw(self) -> None:
        """The complainant has taken it back; the procedure ends the same day. Source: 投诉办法 15."""

    @transition(
        state,
        source=list(UNDECIDED),
        target=State.MERGED,
        permission=HANDLE,
        custom=sets(label=_("Merge into another"), ended_at=NOW),
    )
    def merge(self, *, merged_into: Complaint) -> None:
        self.merged_into = merged_into

    # Properties

    @property
    def is_undecided(self) -> bool:
        return self.state in self.UNDECIDED

    @property
    def disputes_closing(self) -> bool:
        """Whether it says that the closing it is about must not happen."""
        return self.kind == terms.Kind.BUREAU_DISPUTE or self.topic in terms.DISPUTES_CLOSING

    @property
    def final_outcome(self) -> str:
        """What stands: the review's word, where there was one."""
        return self.review_outcome or self.outcome
