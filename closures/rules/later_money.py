"""Money after a closing: what an extract shows that nobody has told us of, and what it is.

An extract shows a balance, a message names a posting: the same money may come both ways. A balance is
therefore held against everything that was in the ledger at its moment, and only the difference is news.
Amounts are signed: above zero owed to the customer, below zero owed by him.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class MoneyKind(StrEnum):
    """What a posting after the closing is. Source: SPEC §2 `PostClosureItem`."""

    REFUND = "REFUND"
    CLAWBACK = "CLAWBACK"
    CORRECTION = "CORRECTION"


@dataclass(frozen=True, kw_only=True)
class Booked:
    """One item as the ledger's balance contains it: from `since` on, until it `ended`."""

    amount: Decimal
    since: datetime
    ended: datetime | None


def balance_at(items: Iterable[Booked], *, moment: datetime) -> Decimal:
    """Give what the ledger's balance was at that moment, by the items we know."""
    there = (
        item.amount for item in items if item.since <= moment and (item.ended is None or item.ended > moment)
    )
    return sum(there, Decimal("0.00"))


def unexplained(*, shown: Decimal, items: Iterable[Booked], moment: datetime) -> Decimal:
    """Give what a balance shows beyond the items we know; zero when nothing is new. Source: our choice."""
    return shown - balance_at(items, moment=moment)


def kind_of(difference: Decimal, *, refund_waits: bool) -> MoneyKind:
    """Give the likeliest name of a difference that no message explains. Source: our choice.

    Money for the customer is a refund; money that goes while a refund of his waits takes it back.
    """
    if difference > 0:
        return MoneyKind.REFUND
    return MoneyKind.CLAWBACK if refund_waits else MoneyKind.CORRECTION
