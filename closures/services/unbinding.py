"""Ending agreements at partners, proved by the partner's own status (SPEC §4).

`start` makes the tasks, `run` works one step on each that is due, `finish` lets tickets go on. Every call
follows claim (lease, fence, attempt row: committed) → call (no transaction, no lock) → settle (fenced).
What people do about tasks the machine gave up is in `rescue`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from accounts.actors import Actor
from accounts.bulk import create_many, transition_many
from accounts.models import AgreementEffect, CreditAccount, PartnerAgreement, RestrictionCause
from accounts.services import lines
from accounts.tracking import move
from closures import jobs
from closures.failpoints import reach
from closures.gateways import ledger
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.gateways.partners import registry
from closures.gateways.partners.base import Partner
from closures.jobs import Job
from closures.models import ClosureTicket, Hold, UnbindAttempt, UnbindTask
from closures.models.conditions import all_unbound, untouched_agreement
from closures.models.notices import NoticeKind
from closures.rules.outcomes import (
    Heard,
    Memory,
    Reading,
    TaskState,
    Verdict,
    Wait,
    after_callback,
    after_enquiry,
    after_send,
    may_have_arrived,
)
from closures.selectors import facts
from closures.services import commands, notices, partner_calls
from closures.services.commands import due_after

ACTOR = Actor.job("unbinding")
State = UnbindTask.State
Ticket = ClosureTicket.State


# --- Starting and finishing: sets --------------------------------------------------------------------


def start(*, now: datetime) -> int:
    """Tickets in UNBINDING have a task for every agreement that closing ends; returns how many were made.

    The line is CLOSING and each agreement UNBINDING from here on. One key per task, made now and kept.
    Safe to repeat and to run beside itself: a task is unique per agreement, ticket and generation.
    """
    unprepared = ~Q(account__line_state=CreditAccount.LineState.CLOSING) | Q(untouched_agreement())
    with transaction.atomic():
        waiting = ClosureTicket.objects.filter(unprepared, state=Ticket.UNBINDING)
        tickets = ClosureTicket.objects.lock_many(waiting, limit=settings.BATCH_SIZE)
        if not tickets:
            return 0
        lines.restrict_many(
            {ticket.account_id: ticket.number for ticket in tickets},
            cause=RestrictionCause.CLOSING,
            actor=ACTOR,
            reason="unbinding begins",
            now=now,
        )
        made = _make_tasks({ticket.account_id: ticket for ticket in tickets}, now=now)
        jobs.enqueue(Job.RETRY_UNBINDING if made else Job.FINISH_UNBINDING)
    return made


def _make_tasks(tickets: dict[int, ClosureTicket], *, now: datetime) -> int:
    agreements = list(
        PartnerAgreement.objects.select_for_update(of=("self",))
        .filter(account__in=tickets, state=PartnerAgreement.State.BOUND, effect=AgreementEffect.UNBIND)
        .order_by("pk")
    )
    known = set(
        UnbindTask.objects.filter(ticket__in=tickets.values()).values_list("ticket_id", "agreement_id")
    )
    tasks = []
    for agreement in agreements:
        ticket = tickets[agreement.account_id]
        if (ticket.pk, agreement.pk) not in known:
            key = f"unbind:{ticket.number}:{agreement.partner}:{agreement.pk}:1"
            tasks.append(UnbindTask(ticket=ticket, agreement=agreement, key=key, state_since=now, due_at=now))
    create_many(tasks, actor=ACTOR, reason="unbinding begins", now=now)
    taken = PartnerAgreement.objects.filter(pk__in=[task.agreement_id for task in tasks])
    transition_many(taken, PartnerAgreement.start_unbinding, actor=ACTOR, reason="unbinding begins", now=now)
    return len(tasks)


def finish(*, now: datetime) -> int:
    """Tickets whose every agreement is ended, absent or waived go on to closing; returns how many.

    Safe to repeat and to run beside itself.
    """
    done = ClosureTicket.objects.filter(all_unbound(), state=Ticket.UNBINDING)
    with transaction.atomic():
        result = transition_many(
            done,
            ClosureTicket.start_closing,
            actor=ACTOR,
            reason="all unbound",
            now=now,
            limit=settings.BATCH_SIZE,
        )
        if result.moved:
            jobs.enqueue(Job.CLOSE)
    return len(result.moved)


def tell_delays(*, now: datetime) -> int:
    """Customers whose unbinding takes long are told so, once; returns how many. Safe to repeat."""
    late = ClosureTicket.objects.filter(
        state=Ticket.UNBINDING, state_since__lte=now - settings.DELAY_NOTICE_AFTER
    ).exclude(notices__kind=NoticeKind.UNBINDING_DELAYED)
    keys = list(late.order_by("state_since").values_list("pk", flat=True)[: settings.BATCH_SIZE])
    for key in keys:
        with transaction.atomic():
            ticket = ClosureTicket.objects.lock(key)
            told = ticket.notices.filter(kind=NoticeKind.UNBINDING_DELAYED).exists()
            if ticket.state == Ticket.UNBINDING and not told:
                notices.queue(ticket=ticket, kind=NoticeKind.UNBINDING_DELAYED, actor=ACTOR, now=now)
    return len(keys)


# --- One task, one step ------------------------------------------------------------------------------


def run(*, clock: Callable[[], datetime]) -> int:
    """Every task that is due is worked one step further; returns how many. Safe to run anywhere, twice."""
    due = UnbindTask.objects.filter(state__in=UnbindTask.MACHINE)
    return due.drain(clock=clock, handle=lambda task: work(task, clock=clock))


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
    """No hold is open and a fresh ledger read finds no money; else the task waits or the ticket settles.

    Source: SPEC §4 UNBINDING → SETTLING, §8 invariant 7.
    """
    ticket = claimed.ticket
    if ticket.state != Ticket.UNBINDING or ticket.holds.filter(state=Hold.State.OPEN).exists():
        _postpone(claimed, due_at=clock() + settings.RETRY_BASE)
        return False
    if clock() - ticket.account.ledger_as_of <= settings.LEDGER_FRESH:
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

    The ticket is locked first: a cancellation or a hold that came meanwhile wins.
    """
    ticket = ClosureTicket.objects.lock(claimed.ticket_id, account_id=claimed.ticket.account_id)
    row = UnbindTask.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    held_up = ticket.state != Ticket.UNBINDING or ticket.holds.filter(state=Hold.State.OPEN).exists()
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
        limit=settings.UNBIND_ATTEMPT_LIMIT,
    )


MOVES = {
    "CONFIRMING": "await_confirmation",
    "UNKNOWN": "lose_sight",
    "PENDING": "put_back",
    "UNBOUND": "prove",
    "ABSENT": "find_absent",
    "DEAD": "give_up",
}


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
    apply(row, agreement, verdict, actor=ACTOR, now=now)


def apply(
    row: UnbindTask, agreement: PartnerAgreement, verdict: Verdict, *, actor: Actor, now: datetime
) -> None:
    """Move a locked task, and its locked agreement with it, where the verdict says."""
    row.release(due_at=_due(row, verdict, now=now))
    if verdict.next_state == row.state:
        row.save(update_fields=["lease_token", "lease_until", "due_at"])
        return
    code = verdict.partner_code or verdict.dead_reason
    values = {"reason_code": str(code)} if verdict.next_state == TaskState.DEAD else {}
    move(row, MOVES[verdict.next_state], actor=actor, reason=str(verdict.reason), now=now, **values)
    if verdict.next_state == TaskState.UNBOUND:
        _end(agreement, "unbind", actor=actor, now=now)
    elif verdict.next_state == TaskState.ABSENT:
        _end(agreement, "lapse", actor=actor, now=now)
    if verdict.next_state in (TaskState.UNBOUND, TaskState.ABSENT):
        jobs.enqueue(Job.FINISH_UNBINDING)


def _due(row: UnbindTask, verdict: Verdict, *, now: datetime) -> datetime | None:
    if verdict.next_state == TaskState.CONFIRMING and row.state == State.SENDING:
        return now + settings.FIRST_LOOK
    if verdict.wait is Wait.SETTLE_WINDOW and row.settles_at is not None:
        return min(row.settles_at, now + settings.RETRY_BASE) if row.settles_at > now else now
    return due_after(verdict.wait, attempts=row.attempts, now=now)


def _end(agreement: PartnerAgreement, name: str, *, actor: Actor, now: datetime) -> None:
    live = (PartnerAgreement.State.BOUND, PartnerAgreement.State.UNBINDING)
    if agreement.state in live:
        move(agreement, name, actor=actor, reason="proved at the partner", now=now)


def was_ended(*, partner: str, agreement_no: str) -> bool:
    """The partner's agreement of this number was ended in a closing. Changes nothing."""
    ended = UnbindTask.objects.filter(state__in=(State.UNBOUND, State.ABSENT))
    return ended.filter(agreement__partner=partner, agreement__agreement_no=agreement_no).exists()


def hear_ended(*, partner: str, agreement_no: str, now: datetime) -> str:
    """A verified callback says that an agreement has ended; returns what came of it.

    Proof for a task that is confirming, a reason to look now for one that waits, nothing for the rest.
    Safe twice and out of order.
    """
    task = (
        UnbindTask.objects.filter(agreement__partner=partner, agreement__agreement_no=agreement_no)
        .order_by("-pk")
        .first()
    )
    if task is None:
        return "NO_TASK"
    agreement = PartnerAgreement.objects.select_for_update(of=("self",)).get(pk=task.agreement_id)
    row = UnbindTask.objects.select_for_update(of=("self",)).get(pk=task.pk)
    verdict = after_callback(state=TaskState(row.state))
    if verdict.next_state != row.state:
        row.fence += 1  # whoever holds the lease now finds that he has lost it
        apply(row, agreement, verdict, actor=Actor.partner(partner), now=now)
    elif verdict.wait is Wait.NOW and not row.lease_token:
        UnbindTask.objects.filter(pk=row.pk).update(due_at=now)
        jobs.enqueue(Job.RETRY_UNBINDING)
    return str(verdict.reason)
