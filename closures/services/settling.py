"""Waiting until nothing is owed either way. Debt never disappears; a credit balance is paid out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts.actors import Actor
from accounts.tracking import move
from closures import jobs
from closures.gateways import ledger
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.jobs import Job
from closures.models import ClosureTicket, LedgerCommand
from closures.rules import eligibility
from closures.selectors.facts import Examination
from closures.services import commands, examination

ACTOR = Actor.job("settling")
State = ClosureTicket.State


def run(*, clock: Callable[[], datetime]) -> int:
    """Every settling ticket that is due is read afresh and goes on if it can; returns how many were read."""
    due = ClosureTicket.objects.filter(state=State.SETTLING)
    return due.drain(clock=clock, handle=lambda ticket: settle(ticket, clock=clock))


def settle(claimed: ClosureTicket, *, clock: Callable[[], datetime]) -> None:
    """One ticket, claimed by the caller: paid out, moved on, sent back to review, or left to wait."""
    asked_at = clock()
    try:
        read = ledger.read(claimed.account.account_no)
    except (Unreachable, Unclear, Refused) as trouble:
        commands.put_off(claimed, trouble=trouble, now=clock())
        return
    with transaction.atomic(durable=True):
        now = clock()
        ticket = ClosureTicket.objects.lock(claimed.pk)
        if not ticket.held(claimed) or ticket.state != State.SETTLING:
            return
        commands.hear(ticket, read, now=now)
        ticket.attempts = 0
        ticket.release(due_at=now + settings.SETTLE_POLL)
        seen = examination.examine(ticket, now=now)
        if not examination.void_if_changed(ticket, seen, now=now):
            _go_on(ticket, seen, asked_at=asked_at, now=now)


def _go_on(ticket: ClosureTicket, seen: Examination, *, asked_at: datetime, now: datetime) -> None:
    if ClosureTicket.objects.stands_still(ticket.pk, now=now):
        return
    if seen.settled:
        begun = ticket.unbinding_started_at is not None
        name = "resume_unbinding" if begun else "unbind_settled"
        move(ticket, name, actor=ACTOR, reason="nothing is owed either way", now=now)
        jobs.enqueue(Job.START_UNBINDING)
    elif _may_be_paid_out(ticket, seen, asked_at=asked_at):
        commands.queue(
            account=ticket.account, ticket=ticket, verb=LedgerCommand.Verb.PAY_OUT, actor=ACTOR, now=now
        )


def _may_be_paid_out(ticket: ClosureTicket, seen: Examination, *, asked_at: datetime) -> bool:
    """Only a credit balance is left. A pay-out refused in this settling waits for a person: no new key.

    A balance that was read before the last pay-out was done is the one that was paid out.
    """
    if not seen.account.credit_balance or not eligibility.owes_nothing(seen.account):
        return False
    refused = Q(state=LedgerCommand.State.DEAD, state_since__gte=ticket.state_since)
    just_done = Q(state=LedgerCommand.State.DONE, state_since__gt=asked_at)
    pay_outs = ticket.commands.filter(verb=LedgerCommand.Verb.PAY_OUT)
    return not pay_outs.filter(refused | just_done).exists()
