"""Alerts that rules raise about accounts, and the customer's objection to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django_fsm import FSMField, transition

from accounts.models import CreditAccount, User
from accounts.tracking import NOW, Tracked, sets, tracked
from closures.models.people import by_staff
from closures.models.risk import RiskRule, Severity
from closures.models.tickets import ClosureTicket

HANDLE = "closures.handle_risk_alert"
DECIDE = "closures.request_risk_closure"
APPEAL = "closures.raise_risk_appeal"
DECIDE_APPEAL = "closures.decide_risk_appeal"


class RiskAlert(Tracked):
    """预警: one rule is true of one account. It keeps what fired, and the sentence the customer may hear.

    Matches of later scans are folded into it (`folded`, `last_seen_at`); history leaves these two out.
    """

    class State(models.TextChoices):
        NEW = "NEW", pgettext_lazy("alert", "new")
        TRIAGED = "TRIAGED", _("looked at")
        PROPOSED = "PROPOSED", _("closing proposed")
        TICKETED = "TICKETED", _("closing asked for")
        DISMISSED = "DISMISSED", _("dismissed")

    class Dismissal(models.TextChoices):
        FALSE_ALARM = "FALSE_ALARM", _("false alarm")
        PAID = "PAID", _("the customer has paid")
        HARDSHIP = "HARDSHIP", _("hardship, another way was agreed")
        EXPLAINED = "EXPLAINED", _("explained by the facts")
        APPEAL_GRANTED = "APPEAL_GRANTED", _("the customer's appeal was granted")
        OTHER = "OTHER", _("other reason")

    UNENDED = (State.NEW, State.TRIAGED, State.PROPOSED)

    number = models.CharField(_("number"), max_length=20, unique=True)
    rule = models.ForeignKey(
        RiskRule, verbose_name=_("risk rule"), on_delete=models.PROTECT, related_name="alerts"
    )
    code = models.SlugField(_("rule's code"), max_length=40)
    severity = models.CharField(_("severity"), max_length=8, choices=Severity.choices)
    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="alerts"
    )
    values = models.JSONField(_("values that fired"), default=dict)
    sentence = models.CharField(_("sentence for the customer"), max_length=300)
    sentence_en = models.CharField(_("sentence for the customer, English"), max_length=400)
    state = FSMField(_("state"), default=State.NEW, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    raised_at = models.DateTimeField(_("raised at"))
    folded = models.PositiveIntegerField(_("seen again, times"), default=0)
    last_seen_at = models.DateTimeField(_("last seen at"))
    frozen_until = models.DateTimeField(_("frozen until"), null=True, blank=True)
    frozen_by = by_staff(_("frozen by"))  # nobody: by the rule
    triaged_by = by_staff(_("looked at by"))
    proposed_by = by_staff(_("proposed by"))
    decided_by = by_staff(_("decided by"))
    dismiss_code = models.CharField(
        _("dismissed because"), max_length=16, choices=Dismissal.choices, blank=True, default=""
    )
    dismiss_text = models.CharField(_("in words"), max_length=500, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    ticket = models.OneToOneField(
        ClosureTicket,
        verbose_name=_("ticket"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="risk_alert",
    )

    history = tracked(excluded=("folded", "last_seen_at"))

    class Meta:
        verbose_name = _("risk alert")
        verbose_name_plural = _("risk alerts")
        permissions = [
            ("handle_risk_alert", _("Can look at, propose on and dismiss risk alerts")),
        ]
        constraints = [
            models.CheckConstraint(
                name="alert_state_is_legal",
                condition=Q(state__in=["NEW", "TRIAGED", "PROPOSED", "TICKETED", "DISMISSED"]),
            ),
            models.UniqueConstraint(
                name="alert_one_unended_per_account_and_rule",
                fields=["account", "code"],
                condition=Q(state__in=["NEW", "TRIAGED", "PROPOSED"]),
            ),
            models.CheckConstraint(
                name="alert_proposer_does_not_decide",
                condition=Q(decided_by__isnull=True)
                | Q(proposed_by__isnull=True)
                | (Q(decided_by__isnull=False, proposed_by__isnull=False) & ~Q(decided_by=F("proposed_by"))),
            ),
            models.CheckConstraint(
                name="alert_ticket_needs_a_named_person",
                condition=~Q(state="TICKETED") | Q(decided_by__isnull=False, ticket__isnull=False),
            ),
            models.CheckConstraint(
                name="alert_dismissal_says_why", condition=~Q(state="DISMISSED") | ~Q(dismiss_code="")
            ),
            models.CheckConstraint(
                name="alert_ended_has_its_moment",
                condition=Q(state__in=["NEW", "TRIAGED", "PROPOSED"]) | Q(ended_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="alert_of_account", fields=["account", "code"]),
            models.Index(name="alert_state_since", fields=["state", "state_since"]),
            models.Index(name="alert_by_day", fields=["code", "raised_at"]),
        ]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(
        state,
        source=State.NEW,
        target=State.TRIAGED,
        permission=HANDLE,
        custom=sets(label=_("Take it on")),
    )
    def triage(self, *, triaged_by: User) -> None:
        self.triaged_by = triaged_by

    @transition(
        state,
        source=State.TRIAGED,
        target=State.PROPOSED,
        permission=HANDLE,
        custom=sets(label=_("Propose a closing")),
    )
    def propose(self, *, proposed_by: User) -> None:
        self.proposed_by = proposed_by

    @transition(state, source=State.NEW, target=State.PROPOSED, custom=sets())
    def propose_by_rule(self) -> None: ...

    @transition(
        state,
        source=State.PROPOSED,
        target=State.TICKETED,
        permission=DECIDE,
        custom=sets(label=_("Ask for the closing"), ended_at=NOW),
    )
    def ask_closing(self, *, decided_by: User, ticket: ClosureTicket) -> None:
        """A named person decides. Source: 个人信息保护法 24; SPEC §6."""
        self.decided_by, self.ticket = decided_by, ticket

    @transition(
        state,
        source=list(UNENDED),
        target=State.DISMISSED,
        permission=HANDLE,
        custom=sets(label=_("Dismiss"), ended_at=NOW),
    )
    def dismiss(self, *, dismiss_code: str, dismiss_text: str) -> None:
        self.dismiss_code, self.dismiss_text = dismiss_code, dismiss_text

    @transition(
        state,
        source=list(UNENDED),
        target=State.DISMISSED,
        permission=DECIDE_APPEAL,
        custom=sets(label=_("Grant the appeal"), ended_at=NOW, dismiss_code=Dismissal.APPEAL_GRANTED),
    )
    def uphold_appeal(self, *, dismiss_text: str) -> None:
        self.dismiss_text = dismiss_text

    # Properties

    @property
    def is_unended(self) -> bool:
        return self.state in self.UNENDED

    def is_frozen(self, now: datetime) -> bool:
        return self.frozen_until is not None and self.frozen_until > now

    def parties(self) -> set[Any]:
        """Who has had a hand in it: none of them decides the customer's appeal."""
        return {self.frozen_by_id, self.triaged_by_id, self.proposed_by_id, self.decided_by_id} - {None}


class RiskAppeal(Tracked):
    """申诉: the customer refuses a decision made by a machine. A person without a part in it decides anew.

    Source: 个人信息保护法 24.
    """

    class State(models.TextChoices):
        OPEN = "OPEN", _("open")
        GRANTED = "GRANTED", pgettext_lazy("appeal", "granted")
        DENIED = "DENIED", pgettext_lazy("appeal", "denied")

    number = models.CharField(_("number"), max_length=20, unique=True)
    alert = models.ForeignKey(
        RiskAlert, verbose_name=_("risk alert"), on_delete=models.PROTECT, related_name="appeals"
    )
    ground = models.CharField(_("what the customer says"), max_length=500)
    raised_at = models.DateTimeField(_("raised at"))
    entered_by = by_staff(_("entered by"))
    state = FSMField(_("state"), default=State.OPEN, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    decided_by = by_staff(_("decided by"))
    answer = models.CharField(_("answer"), max_length=500, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("appeal against an alert")
        verbose_name_plural = _("appeals against alerts")
        permissions = [
            ("raise_risk_appeal", _("Can enter a customer's appeal against a risk alert")),
            ("decide_risk_appeal", _("Can decide appeals against risk alerts")),
        ]
        constraints = [
            models.CheckConstraint(
                name="appeal_state_is_legal", condition=Q(state__in=["OPEN", "GRANTED", "DENIED"])
            ),
            models.UniqueConstraint(
                name="appeal_one_open_per_alert", fields=["alert"], condition=Q(state="OPEN")
            ),
            models.CheckConstraint(
                name="appeal_decision_is_whole",
                condition=Q(state="OPEN") | (Q(decided_by__isnull=False) & ~Q(answer="")),
            ),
            models.CheckConstraint(
                name="appeal_enterer_does_not_decide",
                condition=Q(decided_by__isnull=True)
                | Q(entered_by__isnull=True)
                | (Q(decided_by__isnull=False, entered_by__isnull=False) & ~Q(decided_by=F("entered_by"))),
            ),
        ]
        indexes = [models.Index(name="appeal_state_since", fields=["state", "state_since"])]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(
        state,
        source=State.OPEN,
        target=State.GRANTED,
        permission=DECIDE_APPEAL,
        custom=sets(label=_("Grant the appeal")),
    )
    def grant(self, *, decided_by: User, answer: str) -> None:
        self.decided_by, self.answer = decided_by, answer

    @transition(
        state,
        source=State.OPEN,
        target=State.DENIED,
        permission=DECIDE_APPEAL,
        custom=sets(label=_("Deny the appeal")),
    )
    def deny(self, *, decided_by: User, answer: str) -> None:
        self.decided_by, self.answer = decided_by, answer
