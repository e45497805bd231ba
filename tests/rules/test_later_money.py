"""A balance is held against what is known; only the difference is news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closures.rules.later_money import Booked, MoneyKind, balance_at, kind_of, unexplained

DAY = timedelta(days=1)
T0 = datetime(2026, 1, 12, 10, tzinfo=UTC)


def booked(amount: str, since: int, ended: int | None = None) -> Booked:
    return Booked(
        amount=Decimal(amount), since=T0 + since * DAY, ended=None if ended is None else T0 + ended * DAY
    )


@pytest.mark.parametrize(
    ("day", "balance"),
    [(-1, "0.00"), (0, "66.00"), (1, "66.00"), (2, "36.00"), (3, "36.00"), (4, "0.00"), (9, "0.00")],
)
def test_an_item_is_in_the_balance_from_its_posting_to_its_end(day: int, balance: str) -> None:
    """66 came in, 30 of it were taken back on day 2, the rest was paid out on day 4."""
    items = [booked("66.00", 0, 2), booked("-30.00", 2, 2), booked("36.00", 2, 4)]
    assert balance_at(items, moment=T0 + day * DAY) == Decimal(balance)
    assert not unexplained(shown=Decimal(balance), items=items, moment=T0 + day * DAY)


def test_the_difference_is_what_nobody_has_told() -> None:
    items = [booked("66.00", 0)]
    assert unexplained(shown=Decimal("76.50"), items=items, moment=T0) == Decimal("10.50")
    assert unexplained(shown=Decimal("-3.00"), items=items, moment=T0) == Decimal("-69.00")


def test_a_difference_is_called_by_its_likeliest_name() -> None:
    assert kind_of(Decimal("0.01"), refund_waits=False) is MoneyKind.REFUND
    assert kind_of(Decimal("0.01"), refund_waits=True) is MoneyKind.REFUND
    assert kind_of(Decimal("-0.01"), refund_waits=True) is MoneyKind.CLAWBACK
    assert kind_of(Decimal("-0.01"), refund_waits=False) is MoneyKind.CORRECTION


amounts = st.decimals(min_value="-999.99", max_value="999.99", places=2, allow_nan=False)


@given(shown=amounts, known=st.lists(amounts, max_size=6))
def test_booking_the_difference_leaves_none(shown: Decimal, known: list[Decimal]) -> None:
    items = [Booked(amount=amount, since=T0, ended=None) for amount in known]
    rest = unexplained(shown=shown, items=items, moment=T0)
    items.append(Booked(amount=rest, since=T0, ended=None))
    assert unexplained(shown=shown, items=items, moment=T0) == 0
