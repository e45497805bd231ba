"""Invariants of the process: tasks, notice, two people, one ticket (SPEC §8, 1-4)."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q

from accounts.models import Regulation
from closures.models import Campaign, ClosureTicket, Notice, PostClosureItem, Reversal, UnbindTask
from closures.models.notices import NoticeKind
from closures.models.tickets import Reason
from closures.services.invariants.finding import EXAMPLES, Finding, judge, unless

FIRST = 1  # the generation of a ticket's own tasks; a later one is a repair by reconciliation


def closed() -> models.QuerySet[ClosureTicket]:
    """Every ticket that was closed; a reversal later does not undo what had to be true on that day."""
    return ClosureTicket.objects.filter(state__in=ClosureTicket.WAS_CLOSED)


def tasks_done() -> Finding:
    """1. Every task of its own of a closed ticket is unbound, absent or waived."""
    undone = UnbindTask.objects.filter(ticket=OuterRef("pk"), generation=FIRST)
    undone = undone.exclude(state__in=UnbindTask.DONE)
    return judge(examined=closed(), broken=closed().filter(Exists(undone)))


def notice_arrived() -> Finding:
    """2. A closed risk or policy ticket has a notice that arrived before unbinding, or two waived it.

    The ticket's own date is believed only if a delivered notice of closing bears it out.
    """
    adverse = closed().exclude(reason=Reason.CUSTOMER_REQUEST)
    delivered = Notice.objects.filter(
        ticket=OuterRef("pk"),
        kind=NoticeKind.NOTICE_OF_CLOSING,
        state=Notice.State.DELIVERED,
        delivered_at__lte=OuterRef("unbinding_started_at"),
    )
    arrived = Q(notice_arrived_at__lte=F("unbinding_started_at")) & Q(Exists(delivered))
    waived = two_named("notice_waiver_asked_by", "notice_waived_by")
    return judge(examined=adverse, broken=adverse.filter(unless(arrived | waived)))


def two_people() -> Finding:
    """3. Whoever asked has not decided; waivers, evidence, late cancellations, reversals … name two.

    Constraints forbid the opposite; the history, which has none, is read as well.
    """
    return (
        _ever(ClosureTicket, _ticket_by_one(), show="number")
        + _ever(UnbindTask, _task_by_one(), show="key")
        + _ever(Regulation, _regulation_by_one(), show="code")
        + _ever(Reversal, _reversal_by_one(), show="number")
        + _ever(PostClosureItem, _write_off_by_one(), show="number")
        + _ever(Campaign, _campaign_by_one(), show="number")
    )


def one_open_ticket() -> Finding:
    """4. No account has two open tickets."""
    waiting = ClosureTicket.objects.filter(state__in=ClosureTicket.OPEN)
    twice = waiting.values("account__account_no").annotate(tickets=Count("pk")).filter(tickets__gt=1)
    accounts = twice.order_by("account__account_no").values_list("account__account_no", flat=True)
    violations = twice.count()
    return Finding(
        examined=waiting.count(),
        violations=violations,
        examples=tuple(accounts[:EXAMPLES]) if violations else (),
    )


def two_named(first: str, second: str) -> Q:
    """Both are named, and they are not the same person."""
    return Q(**{f"{first}__isnull": False, f"{second}__isnull": False}) & ~Q(**{first: F(second)})


def _ever(model: Any, by_one: Q, *, show: str) -> Finding:
    """Rows that break it now, or did in any of their history rows."""
    once = model.history.filter(by_one).values("id")
    return judge(
        examined=model.objects.all(), broken=model.objects.filter(by_one | Q(pk__in=once)), show=show
    )


def _ticket_by_one() -> Q:
    past_review = Q(state__in=ClosureTicket.DECIDED_FOR)
    own = Q(reason=Reason.CUSTOMER_REQUEST)
    nobody = Q(decided_by__isnull=True)
    waived = Q(notice_waived_by__isnull=False)
    late = Q(state=ClosureTicket.State.CANCELLED, unbinding_started_at__isnull=False)
    return (
        Q(decided_by=F("requested_by"))
        | Q(decided_by=F("last_edited_by"))
        | past_review & nobody & (Q(straight_through=False) | ~own)
        | waived & Q(unless(two_named("notice_waiver_asked_by", "notice_waived_by")))
        | late & Q(unless(two_named("cancel_asked_by", "cancelled_by")))
    )


def _task_by_one() -> Q:
    evidence = two_named("evidence_by", "confirmed_by")
    waiver = two_named("waiver_asked_by", "waived_by")
    waived = Q(waived_by__isnull=False) | Q(state=UnbindTask.State.WAIVED)
    return Q(confirmed_by__isnull=False) & Q(unless(evidence)) | waived & Q(unless(waiver))


def _regulation_by_one() -> Q:
    decided = Q(state=Regulation.State.IN_FORCE, shipped=False) | Q(approved_by__isnull=False)
    return decided & Q(unless(two_named("proposed_by", "approved_by")))


def _reversal_by_one() -> Q:
    granted = Q(state__in=Reversal.GRANTED) | Q(approved_by__isnull=False)
    return granted & Q(unless(two_named("asked_by", "approved_by")))


def _campaign_by_one() -> Q:
    approved = Q(approver__isnull=False) | ~Q(state__in=(Campaign.State.DRAFT, Campaign.State.ABORTED))
    return approved & Q(unless(two_named("author", "approver") & two_named("drafted_by", "approver")))


def _write_off_by_one() -> Q:
    gone = Q(state=PostClosureItem.State.WRITTEN_OFF) | Q(written_off_by__isnull=False)
    return gone & Q(unless(two_named("write_off_asked_by", "written_off_by")))
