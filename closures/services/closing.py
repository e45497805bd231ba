"""The last step: look once more, tell the ledger to close, read it back closed, certify."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import localtime

from accounts.actors import Actor
from accounts.services import lines, relationships
from accounts.tracking import move
from closures import jobs
from closures.gateways import ledger
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.gateways.ledger import LedgerFacts, LineState
from closures.jobs import Job
from closures.models import ClosureTicket, LedgerCommand
from closures.models.conditions import untouched_agreement
from closures.models.notices import NoticeKind
from closures.rules import retry
from closures.selectors import facts
from closures.services import commands, evidence, notices

ACTOR = Actor.job("closing")
State = ClosureTicket.State


def run(*, clock: Callable[[], datetime]) -> int:
    """Every ticket in CLOSING that is due goes one step on; returns how many. Safe to run anywhere, twice."""
    due = ClosureTicket.objects.filter(state=State.CLOSING)
    return due.drain(clock=clock, handle=lambda ticket: close(ticket, clock=clock))


def close(claimed: ClosureTicket, *, clock: Callable[[], datetime]) -> None:
    """One ticket, claimed by the caller. CLOSED needs a read of the ledger that says closed, and zeros."""
    try:
        read = ledger.read(claimed.account.account_no)
    except (Unreachable, Unclear, Refused) as trouble:
        commands.put_off(claimed, trouble=trouble, now=clock())
        return
    with transaction.atomic(durable=True):
        now = clock()
        relationships.locked(claimed.account.customer_id)  # before the account, as the import does
        ticket = ClosureTicket.objects.lock(claimed.pk, account_id=claimed.account_id)
        if not ticket.held(claimed) or ticket.state != State.CLOSING:
            return
        commands.hear(ticket, read, now=now)
        ticket.release(due_at=_pause(ticket, now=now))
        _go_on(ticket, read, now=now)


def _go_on(ticket: ClosureTicket, read: LedgerFacts, *, now: datetime) -> None:
    if ClosureTicket.objects.stands_still(ticket.pk, now=now):
        ticket.save(update_fields=["lease_token", "lease_until", "due_at"])
        return
    if not facts.settled(ticket.account, now=now):
        ticket.release(due_at=now)
        move(ticket, "settle_again", actor=ACTOR, reason="the last check found money", now=now)
        jobs.enqueue(Job.SETTLE)
    elif ClosureTicket.objects.filter(untouched_agreement(), pk=ticket.pk).exists():
        move(ticket, "resume_unbinding", actor=ACTOR, reason="the last check found a new agreement", now=now)
        jobs.enqueue(Job.START_UNBINDING)
    elif read.state is LineState.CLOSED:
        _certify(ticket, now=now)
    else:
        ticket.save(update_fields=["lease_token", "lease_until", "due_at"])
        _tell_ledger(ticket, now=now)


def _tell_ledger(ticket: ClosureTicket, *, now: datetime) -> None:
    """One command to close. One that was done is read back; one refused since CLOSING began is a person's.

    What came of one before that (new money, settled meanwhile) is history: the ledger has just been read
    and is not closed, so a new key is safe.
    """
    told = ticket.commands.filter(verb=LedgerCommand.Verb.CLOSE)
    if not told.filter(Q(state__in=LedgerCommand.OPEN) | Q(state_since__gte=ticket.state_since)).exists():
        commands.queue(
            account=ticket.account, ticket=ticket, verb=LedgerCommand.Verb.CLOSE, actor=ACTOR, now=now
        )


def _certify(ticket: ClosureTicket, *, now: datetime) -> None:
    lines.close(account_id=ticket.account_id, actor=ACTOR, reason=f"closing {ticket.number}", now=now)
    _end_relationship(ticket, now=now)
    certified = evidence.certificate_facts(ticket, now=now)
    ticket.release(due_at=None)
    move(
        ticket,
        "close",
        actor=ACTOR,
        reason="read back closed",
        now=now,
        certificate_no=certified["certificate_no"],
        certificate=certified,
        certificate_hash=evidence.fingerprint(certified),
    )
    notices.cancel_pending(ticket, actor=ACTOR, now=now)
    notices.queue(
        ticket=ticket,
        kind=NoticeKind.CLOSED,
        actor=ACTOR,
        now=now,
        certificate_no=certified["certificate_no"],
    )


def _end_relationship(ticket: ClosureTicket, *, now: datetime) -> None:
    """The retention clock starts when the last account with this lender is closed. Source: FACTS §2.2(2)."""
    relationships.end_if_last(
        customer_id=ticket.account.customer_id,
        lender_id=ticket.account.product.lender_id,
        ended_on=localtime(now).date(),
        actor=ACTOR,
        reason=f"closing {ticket.number}",
        now=now,
    )


def _pause(ticket: ClosureTicket, *, now: datetime) -> datetime:
    return now + retry.delay(
        attempt=ticket.attempts, base=settings.RETRY_BASE, cap=settings.RETRY_CAP, random=random.random
    )
