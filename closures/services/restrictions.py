"""Limits on the line that a closing puts and lifts, here and at the core ledger.

`accounts.services.lines` owns the rows and the line's state; this module adds the command that makes the
core ledger follow. Lifting one cause never lifts another (SPEC §2).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from accounts.actors import Actor
from accounts.models import CreditAccount, RestrictionCause
from accounts.services import lines
from closures.models import ClosureTicket, LedgerCommand
from closures.models.tickets import Reason
from closures.services import commands

CAUSES = {
    Reason.CUSTOMER_REQUEST: RestrictionCause.COOLING_OFF,
    Reason.RISK_CONTROL: RestrictionCause.RISK,
    Reason.POLICY: RestrictionCause.POLICY,
}
# The customer's own lock is ours to keep; the core ledger knows only "frozen" and "open".
THAWED = (CreditAccount.LineState.ACTIVE, CreditAccount.LineState.LOCKED)


def limit_for(ticket: ClosureTicket, *, actor: Actor, now: datetime) -> None:
    """The line is repay-only for this ticket's cause, and the ledger is told. Safe to repeat.

    The caller holds the locks of account and ticket and an open transaction.
    """
    lines.restrict(
        account_id=ticket.account_id,
        cause=CAUSES[Reason(ticket.reason)],
        reference=ticket.number,
        actor=actor,
        reason=f"closing {ticket.number}",
        now=now,
    )
    commands.queue(
        account=ticket.account, ticket=ticket, verb=LedgerCommand.Verb.FREEZE, actor=actor, now=now
    )


def lift_for(ticket: ClosureTicket, *, actor: Actor, now: datetime) -> None:
    """Every limit that this ticket had put is lifted; the ledger thaws the line if no other limit is left.

    Safe to repeat; the caller holds the locks of account and ticket and an open transaction.
    """
    changes = [
        lines.lift(
            account_id=ticket.account_id,
            cause=cause,
            reference=ticket.number,
            actor=actor,
            reason=f"closing {ticket.number} ended",
            now=now,
        )
        for cause in (CAUSES[Reason(ticket.reason)], RestrictionCause.CLOSING)
    ]
    ticket.account.refresh_from_db()
    if any(change.thawed for change in changes):
        commands.queue(
            account=ticket.account, ticket=ticket, verb=LedgerCommand.Verb.UNFREEZE, actor=actor, now=now
        )


def lift_many(tickets: Sequence[ClosureTicket], *, actor: Actor, now: datetime) -> None:
    """Every limit that these tickets had put is lifted, as by `lift_for`; thawed lines reach the ledger.

    The tickets are of one reason. Safe to repeat; the caller holds the locks and an open transaction.
    """
    if not tickets:
        return
    changes = lines.lift_many(
        {ticket.account_id: ticket.number for ticket in tickets},
        causes=(CAUSES[Reason(tickets[0].reason)], RestrictionCause.CLOSING),
        actor=actor,
        reason="the closings ended",
        now=now,
    )
    thawed = {change.account_id for change in changes if change.thawed}
    commands.queue_many(
        {ticket.account_id: ticket for ticket in tickets if ticket.account_id in thawed},
        verb=LedgerCommand.Verb.UNFREEZE,
        actor=actor,
        now=now,
    )


@transaction.atomic
def expire(*, now: datetime) -> int:
    """Limits whose time is over are lifted, and the ledger is told; returns how many. Safe to repeat."""
    freed = lines.expire(now=now, actor=Actor.job("expire_restrictions"))
    thawed = CreditAccount.objects.filter(pk__among=freed, line_state__in=THAWED)
    commands.queue_many(
        dict.fromkeys(thawed.values_list("pk", flat=True)),
        verb=LedgerCommand.Verb.UNFREEZE,
        actor=Actor.job("expire_restrictions"),
        now=now,
    )
    return len(freed)
