"""The core ledger: fresh reads that are kept, and commands that are sent once.

A command is a row with its own key, lease and UNKNOWN; it is asked about before it is ever repeated.
DONE is the ledger's claim: the step that wanted it reads the account back.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.actors import Actor
from accounts.bulk import create_many
from accounts.models import CreditAccount
from accounts.tracking import move, save_as
from closures import jobs
from closures.failpoints import reach
from closures.gateways import ledger
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.gateways.ledger import LedgerFacts
from closures.jobs import Job
from closures.models import ClosureTicket, LedgerCommand
from closures.rules import retry
from closures.rules.deliveries import (
    CommandAnswer,
    CommandState,
    CommandVerdict,
    command_after_ask,
    command_after_send,
)
from closures.rules.outcomes import Heard, Wait

logger = logging.getLogger(__name__)

ACTOR = Actor.job("ledger")
Verb = LedgerCommand.Verb
OPPOSITE: dict[str, str] = {Verb.FREEZE: Verb.UNFREEZE, Verb.UNFREEZE: Verb.FREEZE}


def record(account: CreditAccount, facts: LedgerFacts, *, now: datetime) -> bool:
    """Keep a fresh read as our copy, if it is newer than what we have; returns whether balances changed.

    The caller holds the account's lock. History is written only when a balance differs. A read dated in
    our future is dated `now`: a ledger's fast clock must not make every later read look old.
    """
    as_of = min(facts.as_of, now)
    if as_of < min(account.ledger_as_of, now):  # an extract may be dated ahead; a read of today still counts
        return False
    changed = [f for f in CreditAccount.LEDGER_FIELDS if getattr(account, f) != getattr(facts, f)]
    account.ledger_as_of = as_of
    if not changed:
        account.save(update_fields=["ledger_as_of"])
        return False
    for field in changed:
        setattr(account, field, getattr(facts, field))
    save_as(account, actor=ACTOR, reason="fresh ledger read", now=now)
    return True


def hear(ticket: ClosureTicket, read: LedgerFacts, *, now: datetime) -> None:
    """A usable answer about the ticket's account: kept, and whatever trouble there was is over.

    The caller holds the locks of account and ticket.
    """
    record(ticket.account, read, now=now)
    if ticket.ledger_trouble:
        ticket.ledger_trouble = ""
        ClosureTicket.objects.filter(pk=ticket.pk).update(ledger_trouble="")


def put_off(claimed: ClosureTicket, *, trouble: Unreachable | Unclear | Refused, now: datetime) -> None:
    """The ledger gave no usable answer: the ticket says so and is looked at again after a growing pause.

    Its claim is given back; nothing else changes.
    """
    with transaction.atomic(durable=True):
        ticket = ClosureTicket.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
        if not ticket.held(claimed):
            return
        pause = retry.delay(
            attempt=ticket.attempts, base=settings.RETRY_BASE, cap=settings.RETRY_CAP, random=random.random
        )
        ticket.release(due_at=now + pause)
        ticket.ledger_trouble = str(getattr(trouble, "code", "") or type(trouble).__name__.upper())[:40]
        ticket.save(update_fields=["lease_token", "lease_until", "due_at", "ledger_trouble"])
    logger.warning("ticket %s: the ledger's answer was of no use: %s", ticket.number, ticket.ledger_trouble)


def queue(
    *,
    account: CreditAccount,
    ticket: ClosureTicket | None,
    verb: LedgerCommand.Verb,
    actor: Actor,
    now: datetime,
    amount: Decimal | None = None,
    reference: str = "",
) -> LedgerCommand:
    """A command to the ledger waits to be sent; one of the same verb that is still open is returned instead.

    The key is made once, here, and names reference, ticket or account, verb and its ordinal. RETURN has the
    `amount` and, as `reference`, the number of the item it pays. The caller holds the account's lock, so two
    of a kind cannot be queued at once.
    """
    same = LedgerCommand.objects.filter(account=account, ticket=ticket, verb=verb, reference=reference)
    waiting = same.filter(state__in=LedgerCommand.OPEN).order_by("pk").last()
    if waiting is not None and not _undone_after(waiting):
        return waiting
    subject = reference or (ticket.number if ticket is not None else account.account_no)
    ordinal = same.count() + 1
    command = LedgerCommand(
        account=account,
        ticket=ticket,
        verb=verb,
        amount=amount,
        reference=reference,
        state_since=now,
        due_at=now,
        key=f"ledger:{subject}:{verb.lower()}:{ordinal}",
    )
    save_as(command, actor=actor, reason=f"{verb} {account.account_no}", now=now)
    jobs.enqueue(Job.COMMAND_LEDGER)
    return command


def _undone_after(waiting: LedgerCommand) -> bool:
    """Whether the opposite waits behind it: they go out in their order, so the line would end as it was."""
    behind = LedgerCommand.objects.filter(account_id=waiting.account_id, pk__gt=waiting.pk)
    return behind.filter(verb=OPPOSITE.get(waiting.verb, ""), state__in=LedgerCommand.OPEN).exists()


def queue_many(
    wanted: Mapping[int, ClosureTicket | None], *, verb: LedgerCommand.Verb, actor: Actor, now: datetime
) -> list[LedgerCommand]:
    """`queue` for a set of accounts (by pk, each with its ticket or None); returns the new commands.

    A few statements, however many accounts. The caller holds the accounts' locks and bounds their number.
    """
    before: Counter[int] = Counter()
    waiting = set()
    verbs = (verb, OPPOSITE.get(verb, verb))
    there = LedgerCommand.objects.filter(account_id__among=sorted(wanted), verb__in=verbs, reference="")
    told = there.order_by("pk").values_list("account_id", "ticket_id", "verb", "state")
    for account_id, ticket_id, what, state in told:
        ticket = wanted[account_id]
        if what == verb and ticket_id == (ticket.pk if ticket else None):
            before[account_id] += 1
            if state in LedgerCommand.OPEN:
                waiting.add(account_id)
        elif what != verb and state in LedgerCommand.OPEN:  # as `_undone_after`
            waiting.discard(account_id)
    accounts = CreditAccount.objects.filter(pk__among=sorted(wanted.keys() - waiting)).order_by("pk")
    rows = []
    for account_id, account_no in accounts.values_list("pk", "account_no"):
        ticket = wanted[account_id]
        subject = ticket.number if ticket else account_no
        rows.append(
            LedgerCommand(
                account_id=account_id,
                ticket=ticket,
                verb=verb,
                state_since=now,
                due_at=now,
                key=f"ledger:{subject}:{verb.lower()}:{before[account_id] + 1}",
            )
        )
    if not rows:
        return []
    jobs.enqueue(Job.COMMAND_LEDGER)
    return create_many(rows, actor=actor, reason=str(verb), now=now)


def run(*, clock: Callable[[], datetime]) -> int:
    """Every command that is due is sent, or asked about; returns how many. Safe to run anywhere, twice."""
    due = LedgerCommand.objects.filter(state__in=LedgerCommand.OPEN)
    return due.drain(clock=clock, handle=lambda command: _handle(command, clock=clock))


def _handle(claimed: LedgerCommand, *, clock: Callable[[], datetime]) -> None:
    if claimed.state == LedgerCommand.State.PENDING:
        if _older_is_open(claimed):
            _postpone(claimed, due_at=clock() + settings.RETRY_BASE)
            return
        if not _begin(claimed, now=clock()):
            return
        reach("ledger.after_claim")
        heard, code = _send(claimed)
        reach("ledger.after_call")
        verdict = _after_send(claimed, heard, code)
    elif claimed.state == LedgerCommand.State.SENDING:  # its lease lapsed in mid-call: nobody knows
        verdict = _after_send(claimed, Heard.UNCLEAR, "")
    else:
        verdict = command_after_ask(
            state=CommandState.UNKNOWN,
            answer=_ask(claimed),
            settle_window_over=clock() >= claimed.state_since + settings.LATE_EFFECT_WINDOW,
        )
    _settle(claimed, verdict, now=clock())


def _after_send(claimed: LedgerCommand, heard: Heard, code: str) -> CommandVerdict:
    return command_after_send(state=CommandState.SENDING, heard=heard, partner_code=code)


def _postpone(claimed: LedgerCommand, *, due_at: datetime) -> None:
    """Nothing was tried: the row goes back without having used an attempt."""
    mine = LedgerCommand.objects.filter(pk=claimed.pk, lease_token=claimed.lease_token)
    mine.update(lease_token="", lease_until=None, due_at=due_at, attempts=F("attempts") - 1)


def _older_is_open(command: LedgerCommand) -> bool:
    """Commands on one account go out in the order they were given: an unfreeze never overtakes a freeze."""
    return LedgerCommand.objects.filter(
        account=command.account_id, pk__lt=command.pk, state__in=LedgerCommand.OPEN
    ).exists()


@transaction.atomic(durable=True)
def _begin(claimed: LedgerCommand, *, now: datetime) -> bool:
    """The intent is on record before the call. The ticket is locked first: what came meanwhile wins.

    Source: SPEC §3, "an open hold stops every irreversible step"; §6, so does a paused campaign.
    """
    ticket = _locked_ticket(claimed)
    row = LedgerCommand.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if not row.held(claimed) or row.state != LedgerCommand.State.PENDING:
        return False
    if ticket is not None and not still_wanted(row, ticket):
        row.release(due_at=None)
        move(row, "give_up", actor=ACTOR, reason=MOVED_ON, now=now, reason_code=MOVED_ON)
        return False
    final = ticket is not None and row.verb in FINAL
    if final and ticket and ClosureTicket.objects.stands_still(ticket.pk, now=now):
        _postpone(claimed, due_at=now + settings.RETRY_BASE)
        return False
    move(row, "send", actor=ACTOR, reason=f"attempt {row.attempts}", now=now)
    return True


def still_wanted(command: LedgerCommand, ticket: ClosureTicket) -> bool:
    """Whether the ticket is still where it gave this command; the caller holds its lock.

    A freeze that is overtaken goes out all the same: the unfreeze behind it is sent after it.
    """
    wanted_in = FINAL.get(LedgerCommand.Verb(command.verb))
    return wanted_in is None or ticket.state == wanted_in


def _send(command: LedgerCommand) -> tuple[Heard, str]:
    try:
        ledger.command(
            account_no=command.account.account_no,
            verb=command.verb,
            key=command.key,
            **_particulars(command),
        )
    except Unreachable:
        return Heard.UNREACHABLE, ""
    except Refused as refused:
        return Heard.REFUSED, refused.code
    except Unclear:
        return Heard.UNCLEAR, ""
    return Heard.ACCEPTED, ""


def _particulars(command: LedgerCommand) -> dict[str, str]:
    """What the verb says beside account and key; it follows from the row, so a repeat says the same."""
    replaced = command.account.reopened_from
    if command.verb == LedgerCommand.Verb.OPEN and replaced is not None:
        return {"reopens": replaced.account_no}
    if command.verb == LedgerCommand.Verb.RETURN:
        return {"amount": f"{command.amount:.2f}", "ref": command.reference}
    return {}


def _ask(command: LedgerCommand) -> CommandAnswer:
    try:
        done = ledger.ask(key=command.key)
    except (Unreachable, Unclear, Refused):
        return CommandAnswer.UNREADABLE
    return CommandAnswer.EXECUTED if done else CommandAnswer.NOT_KNOWN


# What cannot be taken back, and the state of the ticket in which it is wanted.
FINAL = {
    LedgerCommand.Verb.PAY_OUT: ClosureTicket.State.SETTLING,
    LedgerCommand.Verb.CLOSE: ClosureTicket.State.CLOSING,
}
MOVED_ON = "TICKET_MOVED_ON"
MOVES = {"DONE": "finish", "UNKNOWN": "lose_sight", "PENDING": "put_back", "DEAD": "give_up"}
FOLLOW_UPS = {
    ClosureTicket.State.SETTLING: Job.SETTLE,
    ClosureTicket.State.CLOSING: Job.CLOSE,
}
READ_BACK = {
    LedgerCommand.Verb.OPEN: Job.FINISH_REVERSALS,
    LedgerCommand.Verb.RETURN: Job.PROVE_PAYOUTS,
}


@transaction.atomic(durable=True)
def _settle(claimed: LedgerCommand, verdict: CommandVerdict, *, now: datetime) -> None:
    ticket = _locked_ticket(claimed)
    row = LedgerCommand.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if not row.held(claimed):
        return  # somebody else has taken over; what we heard he will hear by asking
    row.release(due_at=due_after(verdict.wait, attempts=row.attempts, now=now))
    if verdict.next_state == row.state:
        row.save(update_fields=["lease_token", "lease_until", "due_at"])
        return
    code = verdict.partner_code or verdict.dead_reason
    values = {"reason_code": str(code)} if verdict.next_state == LedgerCommand.State.DEAD else {}
    move(row, MOVES[verdict.next_state], actor=ACTOR, reason=str(code or "answered"), now=now, **values)
    if ticket is not None and ticket.state in FOLLOW_UPS:
        ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=now)
        jobs.enqueue(FOLLOW_UPS[ClosureTicket.State(ticket.state)])
    if row.verb in READ_BACK:
        jobs.enqueue(READ_BACK[LedgerCommand.Verb(row.verb)])


def due_after(wait: Wait, *, attempts: int, now: datetime) -> datetime | None:
    """When a row is looked at again after such a verdict; None for the end or a person's turn."""
    match wait:
        case Wait.NONE:
            return None
        case Wait.NOW:
            return now
        case Wait.SETTLE_WINDOW:
            return now + min(settings.LATE_EFFECT_WINDOW, settings.RETRY_BASE)
        case Wait.RECEIPT_DEADLINE:
            return now + settings.RECEIPT_WAIT
    return now + retry.delay(
        attempt=attempts, base=settings.RETRY_BASE, cap=settings.RETRY_CAP, random=random.random
    )


def _locked_ticket(command: LedgerCommand) -> ClosureTicket | None:
    if command.ticket_id is None:
        return None
    return ClosureTicket.objects.select_for_update(of=("self",)).get(pk=command.ticket_id)
