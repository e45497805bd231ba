"""How money after a closing is heard of: once, whichever way it comes, and a refund against its clawback.

# Note [A balance is no posting]
A message names one posting, an extract shows a balance. So an extract is held against all that was in the
ledger at its moment (`rules.later_money`), and only the difference becomes an item. A message that comes
after the extract which already showed its money names that item and makes no second one.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.models import ClosedAccountMovement, CreditAccount
from accounts.tracking import move, save_as
from closures.models import ClosureTicket, PostClosureItem
from closures.models.numbers import new_number
from closures.rules import later_money as rules

ACTOR = Actor.job("later_money")
Direction = PostClosureItem.Direction
Kind = PostClosureItem.Kind
Source = PostClosureItem.Source
State = PostClosureItem.State
OPPOSITE = {Direction.TO_CUSTOMER: Direction.BY_CUSTOMER, Direction.BY_CUSTOMER: Direction.TO_CUSTOMER}
BATCH = 200  # movements of one sweep


def take_posting(
    *,
    account_no: str,
    ref: str,
    kind: str,
    amount: Decimal,
    direction: str,
    takes_back: str,
    occurred_at: datetime,
    now: datetime,
) -> str:
    """The ledger has told of one posting on a closed account; it is in suspense once, however often told.

    Returns what became of it: NEW, REPEATED, NAMED (an extract had shown it before), or why nothing was
    kept: NO_ACCOUNT, NOT_CLOSED (its balance speaks for itself), REF_REUSED (for something else). Safe twice
    and out of order. The caller holds a transaction.
    """
    account = CreditAccount.objects.select_for_update(of=("self",)).filter(account_no=account_no).first()
    if account is None:
        return "NO_ACCOUNT"
    told = PostClosureItem.objects.filter(source=Source.LEDGER, external_ref=ref).first()
    if told is not None:
        same = (told.account_id, told.kind, told.direction, told.amount)
        if same != (account.pk, kind, direction, amount):
            return "REF_REUSED"
        PostClosureItem.objects.filter(pk=told.pk).update(repeats=told.repeats + 1)
        return "REPEATED"
    if account.line_state != CreditAccount.LineState.CLOSED:
        return "NOT_CLOSED"
    heard = _named(account, ref=ref, direction=direction, amount=amount, occurred_at=occurred_at, now=now)
    if heard:
        return heard
    item = _add(
        account,
        kind=kind,
        direction=direction,
        amount=amount,
        source=Source.LEDGER,
        external_ref=ref,
        takes_back=takes_back,
        occurred_at=min(occurred_at, now),
        now=now,
    )
    _offset(item, now=now)
    return "NEW"


def _named(
    account: CreditAccount, *, ref: str, direction: str, amount: Decimal, occurred_at: datetime, now: datetime
) -> str:
    """Whether an extract younger than the posting has shown this money already; then its item is named."""
    shown = account.later_money.select_for_update(of=("self",)).filter(
        source=Source.IMPORT, direction=direction
    )
    for item in shown.order_by("pk"):
        if ref in item.named:
            PostClosureItem.objects.filter(pk=item.pk).update(repeats=item.repeats + 1)
            return "REPEATED"
        free = item.amount - sum(map(Decimal, item.named.values()), Decimal(0))
        if item.occurred_at >= occurred_at and free >= amount:
            item.named = {**item.named, ref: f"{amount:.2f}"}
            save_as(item, actor=ACTOR, reason="named by the ledger", now=now)
            return "NAMED"
    return ""


def take_movements(*, now: datetime) -> int:
    """What the import has seen on closed accounts is in suspense, as far as it is news; returns how many.

    Safe to repeat and beside itself. While a payout of the account is under way its balance proves nothing;
    such a movement waits.
    """
    waiting = ClosedAccountMovement.objects.filter(taken_at__isnull=True)
    busy = PostClosureItem.objects.filter(state=State.PAYING).values("account")
    found = waiting.exclude(account__in=busy).order_by("ledger_as_of", "pk").values_list("pk", "account_id")
    return sum(_take_movement(pk, account_id=account_id, now=now) for pk, account_id in found[:BATCH])


@transaction.atomic
def _take_movement(pk: int, *, account_id: int, now: datetime) -> int:
    account = CreditAccount.objects.select_for_update(of=("self",)).get(pk=account_id)
    movement = ClosedAccountMovement.objects.get(pk=pk)
    items = list(account.later_money.select_for_update(of=("self",)).order_by("pk"))
    if movement.taken_at is not None or any(item.state == State.PAYING for item in items):
        return 0
    ClosedAccountMovement.objects.filter(pk=pk).update(taken_at=now)
    newer = account.movements.filter(ledger_as_of__gt=movement.ledger_as_of, taken_at__isnull=False)
    difference = rules.unexplained(
        shown=movement.owed_to_customer - movement.owed_by_customer,
        items=map(_booked, items),
        moment=movement.ledger_as_of,
    )
    if newer.exists() or not difference:
        return 1  # an older balance than one that was judged, or nothing that is not known
    refund_waits = any(i.state == State.SUSPENSE and i.direction == Direction.TO_CUSTOMER for i in items)
    item = _add(
        account,
        kind=str(rules.kind_of(difference, refund_waits=refund_waits)),
        direction=Direction.TO_CUSTOMER if difference > 0 else Direction.BY_CUSTOMER,
        amount=abs(difference),
        source=Source.IMPORT,
        external_ref=f"{account.account_no}:{movement.digest[:16]}",
        takes_back="",
        occurred_at=movement.ledger_as_of,
        now=now,
    )
    _offset(item, now=now)
    return 1


def _booked(item: PostClosureItem) -> rules.Booked:
    signed = item.amount if item.direction == Direction.TO_CUSTOMER else -item.amount
    return rules.Booked(amount=signed, since=item.occurred_at, ended=item.ended_at)


def _add(account: CreditAccount, *, now: datetime, **values: Any) -> PostClosureItem:
    closings = account.tickets.filter(state__in=ClosureTicket.WAS_CLOSED)
    item = PostClosureItem(
        number=new_number(now, prefix="PM"),
        account=account,
        ticket=closings.order_by("-ended_at", "-pk").first(),
        found_at=now,
        state_since=now,
        **values,
    )
    return save_as(item, actor=ACTOR, reason="found", now=now)


def _offset(item: PostClosureItem, *, now: datetime) -> None:
    """A refund and a clawback of it that both still wait cancel each other; what is over waits alone.

    Whichever of the two comes first waits for the other. The caller holds the account's lock.
    """
    other = _counterpart(item)
    if other is None:
        return
    at = max(item.occurred_at, other.occurred_at)
    for one, with_whom in ((item, other), (other, item)):
        move(one, "offset", actor=ACTOR, reason="offset", now=now, offset_with=with_whom, offset_at=at)
    larger = item if item.amount > other.amount else other
    rest = abs(item.amount - other.amount)
    if rest:
        _add(
            CreditAccount.objects.get(pk=item.account_id),
            kind=larger.kind,
            direction=larger.direction,
            amount=rest,
            source=larger.source,
            external_ref=f"{larger.external_ref[:70]}#rest",
            takes_back="",
            occurred_at=at,
            now=now,
        )


def _counterpart(item: PostClosureItem) -> PostClosureItem | None:
    """The refund that this clawback takes back, or the clawback that takes back this refund."""
    waiting = PostClosureItem.objects.select_for_update(of=("self",)).filter(
        account=item.account_id, state=State.SUSPENSE, direction=OPPOSITE[Direction(item.direction)]
    )
    if item.kind == Kind.CLAWBACK:
        refunds = list(waiting.filter(kind=Kind.REFUND).order_by("pk"))
        if item.takes_back:
            known = (r for r in refunds if item.takes_back == r.external_ref or item.takes_back in r.named)
            return next(known, None)
        # Nobody says which: a single refund that waits, or the oldest of the same amount.
        same = [row for row in refunds if row.amount == item.amount] or refunds * (len(refunds) == 1)
        return same[0] if same else None
    if item.kind != Kind.REFUND:
        return None
    clawbacks = waiting.filter(kind=Kind.CLAWBACK).order_by("pk")
    named = clawbacks.filter(takes_back=item.external_ref).first()
    return named or clawbacks.filter(takes_back="", amount=item.amount).first()
