"""What must be true of a ticket: conditions of its moves as Qs, and constraints of its row.

Each condition is stated once, for the single path and for sets (accounts.tracking.Rule). Reads that need
holds and tasks name those models late: they know tickets, not the other way round.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from accounts.models import AgreementEffect, CreditAccount, PartnerAgreement
from accounts.tracking import Rule
from closures.rules.codes import Reason
from closures.rules.deadlines import china_date


def facts_changed() -> Q:
    """The ledger copy or the list of agreements has moved on since the ticket was examined."""
    signed_since = PartnerAgreement.objects.filter(
        account=OuterRef("account"),
        pk__gt=OuterRef("examined_agreement_id"),
        state=PartnerAgreement.State.BOUND,
    )
    return Q(account__ledger_as_of__gt=F("examined_as_of")) | Q(Exists(signed_since))


def open_hold() -> Exists:
    from closures.models.holds import Hold  # noqa: PLC0415 - holds know tickets, not the other way round

    return Exists(Hold.objects.filter(ticket=OuterRef("pk"), state=Hold.State.OPEN))


def campaign_stops(now: datetime) -> Exists:
    """The campaign that opened the ticket is paused, or not yet effective, or was aborted before unbinding.

    Source: SPEC §6: a pause takes effect at once; nothing irreversible happens before the effective day.
    """
    from closures.models.campaign_members import CampaignMember  # noqa: PLC0415 - members know tickets

    stopped = Q(campaign__state="PAUSED") | Q(campaign__effective_on__gt=china_date(moment=now))
    killed = Q(campaign__state="ABORTED", ticket__unbinding_started_at__isnull=True)
    return Exists(CampaignMember.objects.filter(stopped | killed, ticket=OuterRef("pk")))


def stands_still(now: datetime) -> Q:
    """Nothing irreversible may happen to the ticket: somebody holds it, or its campaign stands still."""
    return Q(open_hold()) | Q(campaign_stops(now))


def nothing_owed(prefix: str = "account__") -> Q:
    """Nothing owed either way, on our copy of the ledger."""
    fields = (*CreditAccount.OWED_MONEY, *CreditAccount.OWED_COUNTS, "credit_balance")
    return Q(**{f"{prefix}{field}": 0 for field in fields})


def period_over(now: datetime) -> Q:
    """The waiting time is over, nothing stops the ticket, and what was approved is still what is there.

    Source: SPEC §3, edges out of NOTICE_PERIOD; 民法典 565 for the arrival of a notice.
    """
    told = (
        Q(reason=Reason.CUSTOMER_REQUEST)
        | Q(notice_arrived_at__isnull=False)
        | Q(notice_waived_by__isnull=False)
    )
    return Q(period_ends_at__lte=now) & told & ~stands_still(now) & ~facts_changed()


PERIOD_OVER_SETTLED = Rule(
    lambda now: period_over(now) & nothing_owed(), name="period over", locks=("account",)
)
PERIOD_OVER_OWING = Rule(
    lambda now: period_over(now) & ~nothing_owed(), name="period over", locks=("account",)
)
SETTLED = Rule(lambda now: ~stands_still(now) & nothing_owed(), name="settled", locks=("account",))


def untouched_agreement() -> Exists:
    """An agreement that closing ends is still bound and the ticket has no task for it."""
    return Exists(
        PartnerAgreement.objects.filter(
            account=OuterRef("account"), state=PartnerAgreement.State.BOUND, effect=AgreementEffect.UNBIND
        ).exclude(tasks__ticket=OuterRef("pk"))
    )


def all_unbound(now: datetime) -> Q:
    """Every task of the ticket is done, no agreement is left without one, and nobody holds the ticket.

    Nor is an agreement still on its way out for an earlier, cancelled ticket, whose task is asked to its end.
    """
    from closures.models.unbinding import UnbindTask  # noqa: PLC0415 - tasks know tickets

    undone = UnbindTask.objects.filter(ticket=OuterRef("pk")).exclude(state__in=UnbindTask.DONE)
    ready = Q(account__line_state=CreditAccount.LineState.CLOSING)
    under_way = PartnerAgreement.objects.filter(
        account=OuterRef("account"), state=PartnerAgreement.State.UNBINDING
    )
    free = ~Q(Exists(undone)) & ~Q(Exists(under_way)) & ~Q(untouched_agreement()) & ~stands_still(now)
    return ready & free


ALL_UNBOUND = Rule(all_unbound, name="all unbound")
NOT_YET_UNBINDING = Rule(Q(unbinding_started_at__isnull=True), name="unbinding has not begun")
OWN_REQUEST = Rule(Q(reason=Reason.CUSTOMER_REQUEST), name="the customer's own request")


def may_decide(ticket: Any, user: Any) -> bool:
    """Reviewers decide customers' requests, the compliance lead decides against a customer (SPEC §7)."""
    own = ticket.reason == Reason.CUSTOMER_REQUEST
    return bool(user.has_perm("closures.decide_closure" if own else "closures.decide_adverse_closure"))


PAST_REVIEW = ["NOTICE_PERIOD", "SETTLING", "UNBINDING", "CLOSING", "CLOSED", "REVERSED"]

CONSTRAINTS = [
    models.CheckConstraint(
        name="ticket_state_is_legal",
        condition=Q(
            state__in=[
                "SUBMITTED",
                "BLOCKED",
                "IN_REVIEW",
                "NOTICE_PERIOD",
                "SETTLING",
                "UNBINDING",
                "CLOSING",
                "CLOSED",
                "REVERSED",
                "REJECTED",
                "WITHDRAWN",
                "CANCELLED",
            ]
        ),
    ),
    models.UniqueConstraint(
        name="ticket_one_open_per_account",
        fields=["account"],
        condition=Q(
            state__in=[
                "SUBMITTED",
                "BLOCKED",
                "IN_REVIEW",
                "NOTICE_PERIOD",
                "SETTLING",
                "UNBINDING",
                "CLOSING",
            ]
        ),
    ),
    # Four eyes. A CHECK passes NULL: every branch says what must not be null.
    models.CheckConstraint(
        name="ticket_requester_does_not_decide",
        condition=Q(decided_by__isnull=True)
        | Q(requested_by__isnull=True)
        | (Q(decided_by__isnull=False, requested_by__isnull=False) & ~Q(requested_by=F("decided_by"))),
    ),
    models.CheckConstraint(
        name="ticket_last_editor_does_not_decide",
        condition=Q(decided_by__isnull=True)
        | Q(last_edited_by__isnull=True)
        | (Q(decided_by__isnull=False, last_edited_by__isnull=False) & ~Q(last_edited_by=F("decided_by"))),
    ),
    models.CheckConstraint(
        name="ticket_past_review_was_decided",
        condition=~Q(state__in=PAST_REVIEW) | Q(straight_through=True) | Q(decided_by__isnull=False),
    ),
    models.CheckConstraint(
        name="ticket_adverse_needs_a_named_person",
        condition=~Q(state__in=PAST_REVIEW) | Q(reason="CUSTOMER_REQUEST") | Q(decided_by__isnull=False),
    ),
    models.CheckConstraint(
        name="ticket_notice_waiver_names_two",
        condition=Q(notice_waived_by__isnull=True)
        | (
            Q(notice_waiver_asked_by__isnull=False, notice_waived_by__isnull=False)
            & ~Q(notice_waiver_asked_by=F("notice_waived_by"))
        ),
    ),
    models.CheckConstraint(
        name="ticket_late_cancellation_names_two",
        condition=~Q(state="CANCELLED")
        | Q(unbinding_started_at__isnull=True)
        | (
            Q(cancel_asked_by__isnull=False, cancelled_by__isnull=False)
            & ~Q(cancel_asked_by=F("cancelled_by"))
        ),
    ),
    models.CheckConstraint(
        name="ticket_adverse_waits_for_the_notice",
        condition=Q(unbinding_started_at__isnull=True)
        | Q(reason="CUSTOMER_REQUEST")
        | Q(notice_arrived_at__isnull=False, notice_arrived_at__lte=F("unbinding_started_at"))
        | Q(notice_waived_by__isnull=False),
    ),
    # Whether it was needed the account knows, and a CHECK cannot ask it: `intake` does. Source: 民法典 563.
    models.CheckConstraint(
        name="ticket_demand_is_whole",
        condition=Q(demanded_on__isnull=True, demand_until__isnull=True)
        | Q(demanded_on__isnull=False, demand_until__isnull=False, demand_until__gte=F("demanded_on")),
    ),
]
