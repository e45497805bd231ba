"""One task, one step: claim (lease, fence, attempt row: committed) → call (no transaction, no lock) → settle.

What the answers mean is `rules/outcomes`; what they move is `verdicts`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.actors import Actor
from accounts.models import CreditAccount, PartnerAgreement
from accounts.tracking import move
from closures import jobs
from closures.failpoints import reach
from closures.gateways import ledger
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.gateways.partners import registry
from closures.gateways.partners.base import Partner
from closures.jobs import Job
from closures.models import ClosureTicket, UnbindAttempt, UnbindTask
from closures.rules.outcomes import (
    Heard,
    Memory,
    Reading,
    TaskState,
    Verdict,
    after_enquiry,
    after_send,
    may_have_arrived,
)
from closures.selectors import facts
from closures.services import commands, partner_calls
from closures.services.unbinding import verdicts

ACTOR = Actor.job("unbinding")
State = UnbindTask.State
Ticket = ClosureTicket.State


def run(*, clock: Callable[[], datetime]) -> int:
    """Every task that is due is worked one step further; returns how many. Safe to run anywhere, twice.

    Each partner has its share of the time: one that hangs slows no other (SPEC §4).
    """
    tasks = UnbindTask.objects.filter(state__in=UnbindTask.MACHINE)
    partners = list(tasks.due(clock()).order_by().values_list("agreement__partner", flat=True).distinct())
    random.shuffle(partners)
    return sum(
        tasks.filter(agreement__partner=partner).drain(
            clock=clock,
            handle=lambda task: work(task, clock=clock),
            budget=settings.DRAIN_BUDGET / len(partners),
        )
        for partner in partners
    )


def work(claimed: UnbindTask, *, clock: Callable[[], datetime]) -> None:
    """One step of one task, claimed by the caller."""
    partner = registry.get(claimed.agreement.partner)
    if claimed.state == State.SENDING:  # its lease lapsed in mid-call: nobody knows what arrived
        heard = after_send(state=TaskState.SENDING, heard=Heard.UNCLEAR, memory=_memory(claimed, clock()))
        _settle(claimed, heard, now=clock(), arrived=True)
    elif claimed.state != State.PENDING:
        _enquire(claimed, partner, clock=clock)
    elif not claimed.ticket.is_open:
        _call_off(claimed, partner, clock=clock)
    elif not _may_be_sent(claimed, clock=clock):
        return
    elif not partner.has_api:
        _hand_over(claimed, now=clock())
    elif _enquire(claimed, partner, clock=clock):
        _send(claimed, partner, clock=clock)


def _call_off(claimed: UnbindTask, partner: Partner, *, clock: Callable[[], datetime]) -> None:
    """The ticket was cancelled while a call was under way, and it did not take: never resent, all stays.

    Source: SPEC §4, "asked to their end, never resent".
    """
    verdict = _enquire(claimed, partner, clock=clock) if partner.has_api else None
    if partner.has_api and (verdict is None or verdict.reading not in (Reading.BOUND, Reading.GONE)):
        if verdict is not None:
            _postpone(claimed, due_at=clock() + settings.RETRY_BASE)
        return
    with transaction.atomic(durable=True):
        agreement = PartnerAgreement.objects.select_for_update(of=("self",)).get(pk=claimed.agreement_id)
        row = UnbindTask.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
        if not row.held(claimed):
            return
        row.release(due_at=None)
        move(row, "cancel", actor=ACTOR, reason="the ticket was cancelled", now=clock())
        if agreement.state == PartnerAgreement.State.UNBINDING:
            move(agreement, "keep", actor=ACTOR, reason="the ticket was cancelled", now=clock())


def _may_be_sent(claimed: UnbindTask, *, clock: Callable[[], datetime]) -> bool:
    """Nothing stops the ticket and a fresh ledger read finds no money; else the task waits or it settles.

    Source: SPEC §4 UNBINDING → SETTLING, §8 invariant 7.
    """
    ticket = claimed.ticket
    if ticket.state != Ticket.UNBINDING or ClosureTicket.objects.stands_still(ticket.pk, now=clock()):
        _postpone(claimed, due_at=clock() + settings.RETRY_BASE)
        return False
    if timedelta(0) <= clock() - ticket.account.ledger_as_of <= settings.LEDGER_FRESH:
        return facts.settled(ticket.account, now=clock()) or _nothing_owed(claimed, now=clock())
    try:
        read = ledger.read(ticket.account.account_no)
    except (Unreachable, Unclear, Refused):
        _postpone(claimed, due_at=clock() + settings.RETRY_BASE)
        return False
    with transaction.atomic(durable=True):
        account = CreditAccount.objects.select_for_update(of=("self",)).get(pk=ticket.account_id)
        commands.record(account, read, now=clock())
    return facts.settled(account, now=clock()) or _nothing_owed(claimed, now=clock())


@transaction.atomic(durable=True)
def _nothing_owed(claimed: UnbindTask, *, now: datetime) -> bool:
    """Looked at again under the locks: if money is owed, the ticket settles first and the task waits."""
    ticket = ClosureTicket.objects.lock(claimed.ticket_id, account_id=claimed.ticket.account_id)
    if facts.settled(ticket.account, now=now):
        return True
    if ticket.state == Ticket.UNBINDING:
        move(ticket, "settle_again", actor=ACTOR, reason="a fresh read found money", now=now)
        jobs.enqueue(Job.SETTLE)
    _give_back(claimed, due_at=now + settings.RETRY_BASE)
    return False


def _postpone(claimed: UnbindTask, *, due_at: datetime) -> None:
    with transaction.atomic(durable=True):
        _give_back(claimed, due_at=due_at)


def _give_back(claimed: UnbindTask, *, due_at: datetime) -> None:
    """Nobody was called: the row goes back without having used an attempt."""
    mine = UnbindTask.objects.filter(pk=claimed.pk, lease_token=claimed.lease_token)
    mine.update(lease_token="", lease_until=None, due_at=due_at, attempts=F("attempts") - 1)


@transaction.atomic(durable=True)
def _hand_over(claimed: UnbindTask, *, now: datetime) -> None:
    row = UnbindTask.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if row.held(claimed):
        row.release(due_at=None)
        move(row, "hand_over", actor=ACTOR, reason="the partner has no API", now=now)


def _enquire(claimed: UnbindTask, partner: Partner, *, clock: Callable[[], datetime]) -> Verdict | None:
    """Ask the partner and settle what was heard; the verdict if that leaves a PENDING task to be sent."""
    attempt = partner_calls.begin(claimed, UnbindAttempt.Verb.ENQUIRE, now=clock())
    reach("unbind.before_enquiry")
    enquiry = partner_calls.enquire(claimed, partner)
    reach("unbind.after_enquiry")
    verdict = after_enquiry(state=TaskState(claimed.state), enquiry=enquiry, memory=_memory(claimed, clock()))
    partner_calls.hear(attempt, heard=partner_calls.words(enquiry), now=clock())
    if claimed.state == State.PENDING and verdict.next_state == TaskState.PENDING:
        partner_calls.keep(attempt)
        if verdict.saw_bound and not claimed.seen_bound:
            claimed.seen_bound = True
        return verdict
    _settle(claimed, verdict, now=clock(), attempt=attempt)
    return None


def _send(claimed: UnbindTask, partner: Partner, *, clock: Callable[[], datetime]) -> None:
    attempt = _begin(claimed, now=clock())
    if attempt is None:
        return
    reach("unbind.after_claim")
    heard, code, raw = partner_calls.unsign(claimed, partner)
    reach("unbind.after_call")
    partner_calls.hear(attempt, heard=str(heard), detail=code, raw=raw, now=clock())
    verdict = after_send(
        state=TaskState.SENDING, heard=heard, memory=_memory(claimed, clock()), partner_code=code
    )
    _settle(claimed, verdict, now=clock(), attempt=attempt, arrived=may_have_arrived(heard))
    reach("unbind.after_settle")


@transaction.atomic(durable=True)
def _begin(claimed: UnbindTask, *, now: datetime) -> UnbindAttempt | None:
    """The intent is on record before the call; the settle window starts here.

    The ticket is locked first: a cancellation, a hold or a pause that came meanwhile wins.
    """
    ticket = ClosureTicket.objects.lock(claimed.ticket_id, account_id=claimed.ticket.account_id)
    row = UnbindTask.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    held_up = ticket.state != Ticket.UNBINDING or ClosureTicket.objects.stands_still(ticket.pk, now=now)
    if not row.held(claimed) or row.state != State.PENDING:
        return None
    if held_up or not facts.settled(ticket.account, now=now):
        _give_back(claimed, due_at=now + settings.RETRY_BASE)
        return None
    row.seen_bound = claimed.seen_bound
    row.settles_at = now + timedelta(seconds=ticket.policy["settle_window_seconds"])
    move(row, "send", actor=ACTOR, reason=f"attempt {row.attempts}", now=now)
    return partner_calls.begin(row, UnbindAttempt.Verb.UNSIGN, now=now)


def _memory(task: UnbindTask, now: datetime) -> Memory:
    return Memory(
        seen_bound=task.seen_bound,
        call_may_have_arrived=task.call_may_have_arrived,
        settle_window_over=task.settles_at is None or now >= task.settles_at,
        attempts=task.attempts,
        sends=partner_calls.sends(task),
        limit=settings.UNBIND_ATTEMPT_LIMIT,
    )


@transaction.atomic(durable=True)
def _settle(
    claimed: UnbindTask,
    verdict: Verdict,
    *,
    now: datetime,
    attempt: UnbindAttempt | None = None,
    arrived: bool = False,
) -> None:
    """The verdict is applied if the lease is still ours; otherwise it stays on record and changes nothing."""
    agreement = PartnerAgreement.objects.select_for_update(of=("self",)).get(pk=claimed.agreement_id)
    row = UnbindTask.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    held = row.held(claimed)
    if attempt is not None:
        partner_calls.keep(attempt, applied=held)
    if not held:
        return
    row.seen_bound = row.seen_bound or claimed.seen_bound or verdict.saw_bound
    row.call_may_have_arrived = row.call_may_have_arrived or arrived
    if arrived:  # from here on it is asked about, and the asking has attempts of its own
        row.attempts = 1
    verdicts.apply(row, agreement, verdict, actor=ACTOR, now=now)
