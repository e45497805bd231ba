"""The one mover of a line's state: it always follows from the open restrictions of the account.

A restriction has a cause and a reference (a ticket, an order); putting or lifting one leaves every other
alone. Who may put which is the caller's question, and so is the command with which the core ledger
follows: `LineChange` says whether one is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.bulk import create_many, transition_many, update_many
from accounts.decisions import decision
from accounts.errors import Refusal
from accounts.models import CreditAccount, LineRestriction, RestrictionCause
from accounts.tracking import move, save_as

LineState = CreditAccount.LineState

# The state that each cause asks for; of several open ones the state named last here wins.
# Source: SPEC §2 (the states); the precedence is our choice: the more final, the stronger.
ASKS_FOR = {
    RestrictionCause.CUSTOMER_LOCK: LineState.LOCKED,
    RestrictionCause.COOLING_OFF: LineState.FROZEN,
    RestrictionCause.RISK: LineState.FROZEN,
    RestrictionCause.POLICY: LineState.FROZEN,
    RestrictionCause.JUDICIAL: LineState.FROZEN,
    RestrictionCause.CLOSING: LineState.CLOSING,
}
STRENGTH = (LineState.ACTIVE, LineState.LOCKED, LineState.FROZEN, LineState.CLOSING)
REACHED_BY = {
    LineState.ACTIVE: "thaw",
    LineState.LOCKED: "lock",
    LineState.FROZEN: "freeze",
    LineState.CLOSING: "start_closing",
}
STOPPED = frozenset({LineState.FROZEN, LineState.CLOSING, LineState.CLOSED})


class LineClosed(Refusal):
    """The account is closed; there is nothing left to restrict."""

    code = "line_closed"
    template = _("Account {account} is closed. Its line cannot be restricted.")


@dataclass(frozen=True, kw_only=True)
class LineChange:
    """What became of one line; equal states mean that nothing moved."""

    account_id: int
    before: str
    after: str

    @property
    def froze(self) -> bool:
        """The line has stopped: the core ledger has to freeze it."""
        return self.before not in STOPPED and self.after in STOPPED

    @property
    def thawed(self) -> bool:
        """The line may be used again: the core ledger has to unfreeze it."""
        return self.before in STOPPED and self.after not in STOPPED


def state_for(causes: Iterable[str]) -> str:
    """The line state that these open causes add up to; ACTIVE when there is none."""
    return max(
        (ASKS_FOR[RestrictionCause(cause)] for cause in causes), key=STRENGTH.index, default=LineState.ACTIVE
    )


# --- One account --------------------------------------------------------------------------------------


@decision
def restrict(
    *,
    account_id: int,
    cause: str,
    reference: str,
    actor: Actor,
    reason: str,
    now: datetime,
    until: datetime | None = None,
) -> LineChange:
    """The account has an open restriction of this cause and reference, until `until` or until it is lifted.

    Safe to repeat: there is one row, and the latest `until` counts.

    Raises:
        LineClosed: the account is closed.
    """
    account = locked(account_id)
    if account.line_state == LineState.CLOSED:
        raise LineClosed(account=account)
    row = account.restrictions.filter(cause=cause, reference=reference, lifted_at__isnull=True).first()
    if row is None:
        row = LineRestriction(account=account, cause=cause, reference=reference, since=now, until=until)
        save_as(row, actor=actor, reason=reason, now=now)
    elif row.until != until:
        row.until = until
        save_as(row, actor=actor, reason=reason, now=now)
    return follow(account, actor=actor, reason=reason, now=now)


@decision
def lift(
    *, account_id: int, cause: str, reference: str, actor: Actor, reason: str, now: datetime
) -> LineChange:
    """No restriction of this cause and reference is open; every other stays. Safe to repeat."""
    account = locked(account_id)
    for row in account.restrictions.filter(cause=cause, reference=reference, lifted_at__isnull=True):
        row.lifted_at = now
        save_as(row, actor=actor, reason=reason, now=now)
    return follow(account, actor=actor, reason=reason, now=now)


@decision
def close(*, account_id: int, actor: Actor, reason: str, now: datetime) -> LineChange:
    """The line is CLOSED for ever and no restriction is open. Safe to repeat.

    Raises:
        NotPossible: the line is not CLOSING.
    """
    account = locked(account_id)
    before = account.line_state
    if before != LineState.CLOSED:
        move(account, "close", actor=actor, reason=reason, now=now, closed_at=now)
    for row in account.restrictions.filter(lifted_at__isnull=True).order_by("pk"):
        row.lifted_at = now
        save_as(row, actor=actor, reason=reason, now=now)
    return LineChange(account_id=account_id, before=before, after=account.line_state)


@decision
def recompute(*, account_id: int, actor: Actor, reason: str, now: datetime) -> LineChange:
    """The line is in the state that its open restrictions add up to: a repair, safe to repeat."""
    return follow(locked(account_id), actor=actor, reason=reason, now=now)


def locked(account_id: int) -> CreditAccount:
    return CreditAccount.objects.select_for_update(of=("self",), no_key=True).get(pk=account_id)


def follow(account: CreditAccount, *, actor: Actor, reason: str, now: datetime) -> LineChange:
    """The locked account's line is where its open restrictions put it; CLOSED stays CLOSED."""
    before = account.line_state
    open_causes = account.restrictions.filter(lifted_at__isnull=True).values_list("cause", flat=True)
    if before != LineState.CLOSED and (wanted := state_for(open_causes)) != before:
        move(account, REACHED_BY[LineState(wanted)], actor=actor, reason=reason, now=now)
    return LineChange(account_id=account.pk, before=before, after=account.line_state)


# --- Sets ---------------------------------------------------------------------------------------------


@transaction.atomic
def restrict_many(
    references: Mapping[int, str],
    *,
    cause: str,
    actor: Actor,
    reason: str,
    now: datetime,
    until: datetime | None = None,
) -> list[LineChange]:
    """Each account (by pk) has an open restriction of this cause under its reference, as by `restrict`.

    Closed accounts are left out of what is done and of what is returned. The caller bounds the number.
    Safe to repeat: a row that is open stays as it is.
    """
    accounts = locked_many(references)
    open_rows = LineRestriction.objects.filter(
        account__in=accounts, cause=cause, lifted_at__isnull=True
    ).values_list("account_id", "reference")
    there = set(open_rows)
    missing = [
        LineRestriction(account_id=pk, cause=cause, reference=references[pk], since=now, until=until)
        for pk in accounts
        if (pk, references[pk]) not in there
    ]
    create_many(missing, actor=actor, reason=reason, now=now)
    return follow_many(accounts, actor=actor, reason=reason, now=now)


@transaction.atomic
def lift_many(
    references: Mapping[int, str], *, causes: Collection[str], actor: Actor, reason: str, now: datetime
) -> list[LineChange]:
    """No account (by pk) has an open restriction of these causes under its reference, as by `lift`.

    Closed accounts are left out. The caller bounds the number. Safe to repeat.
    """
    accounts = locked_many(references)
    rows = [
        row
        for row in LineRestriction.objects.filter(
            account__in=accounts, cause__in=causes, lifted_at__isnull=True
        ).order_by("pk")
        if row.reference == references[row.account_id]
    ]
    for row in rows:
        row.lifted_at = now
    update_many(LineRestriction, rows, key="pk", fields=["lifted_at"], actor=actor, reason=reason, now=now)
    return follow_many(accounts, actor=actor, reason=reason, now=now)


@transaction.atomic
def expire(*, now: datetime, actor: Actor, limit: int | None = None) -> list[int]:
    """Restrictions whose time is over are lifted; returns the accounts that lost one, sorted.

    One batch of `limit` rows (default `settings.BATCH_SIZE`), oldest first: call again while something
    comes back. What the core ledger has to be told belongs in the caller's transaction. Safe to repeat
    and to run beside itself.
    """
    over = LineRestriction.objects.filter(lifted_at__isnull=True, until__lte=now)
    batch = dict(over.order_by("until", "pk").values_list("pk", "account_id")[: limit or settings.BATCH_SIZE])
    accounts = locked_many(set(batch.values()))
    # Read again under the locks: meanwhile another sweep may have lifted some, or a clerk prolonged one.
    rows = list(over.filter(pk__in=batch).order_by("pk"))
    for row in rows:
        row.lifted_at = now
    update_many(
        LineRestriction, rows, key="pk", fields=["lifted_at"], actor=actor, reason="time is over", now=now
    )
    freed = {row.account_id for row in rows}
    follow_many(
        {pk: accounts[pk] for pk in freed & accounts.keys()}, actor=actor, reason="time is over", now=now
    )
    return sorted(freed)


def locked_many(account_ids: Collection[int]) -> dict[int, str]:
    """The line state of each account that is not closed, by pk; locked, lowest pk first."""
    rows = (
        CreditAccount.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk__in=account_ids)
        .order_by("pk")
    )
    return {row.pk: row.line_state for row in rows.only("line_state") if row.line_state != LineState.CLOSED}


def follow_many(accounts: Mapping[int, str], *, actor: Actor, reason: str, now: datetime) -> list[LineChange]:
    """`follow` for locked accounts, given with their present state; one statement per state they go to."""
    causes: dict[int, list[str]] = defaultdict(list)
    open_rows = LineRestriction.objects.filter(account__in=accounts, lifted_at__isnull=True)
    for pk, cause in open_rows.values_list("account_id", "cause"):
        causes[pk].append(cause)
    changes = [
        LineChange(account_id=pk, before=before, after=state_for(causes[pk]))
        for pk, before in accounts.items()
    ]
    for state, name in REACHED_BY.items():
        going = [change.account_id for change in changes if change.after == state != change.before]
        if going:
            transition_many(
                CreditAccount.objects.filter(pk__in=going),
                getattr(CreditAccount, name),
                actor=actor,
                reason=reason,
                now=now,
            )
    return changes
