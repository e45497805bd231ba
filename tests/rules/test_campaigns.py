"""The numbers of a campaign: waves, forecast, guard-rails, and which facts of a member count."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from closures.rules import campaigns
from closures.rules.campaigns import Guard, Reading
from closures.rules.codes import AgreementEffect, AgreementKind
from closures.rules.eligibility import AccountFacts, AgreementFact

ZERO = Decimal(0)


def an_account(**facts: Any) -> AccountFacts:
    values: dict[str, Any] = {
        "principal": ZERO, "interest": ZERO, "fees": ZERO, "unbilled": ZERO, "instalments_remaining": 0,
        "pending_orders": 0, "refunds_in_flight": ZERO, "disputed": ZERO, "credit_balance": ZERO,
        "ledger_age": timedelta(0), "other_lender_lines": 0, **facts,
    }  # fmt: skip
    return AccountFacts(**values)


@pytest.mark.parametrize(
    ("pilot", "waves", "sound"),
    [
        (1, [10, 50, 100], True), (100, [100], True), (1, [], False), (1, [50], False),
        (1, [50, 50, 100], False),
        (1, [100, 50], False), (60, [50, 100], False), (0, [100], False), (1, [50, 120], False),
    ],
)  # fmt: skip
def test_waves_rise_from_the_pilots_share_to_a_hundred(pilot: int, waves: list[int], sound: bool) -> None:
    assert campaigns.waves_are_sound(pilot=pilot, waves=waves) is sound


def test_a_pilot_of_one_per_cent_of_three_is_one() -> None:
    assert campaigns.ends_of_waves(members=3, pilot=1, waves=[50, 100]) == (1, 2, 3)
    assert campaigns.ends_of_waves(members=200_000, pilot=1, waves=[10, 100]) == (2_000, 20_000, 200_000)
    assert campaigns.ends_of_waves(members=0, pilot=1, waves=[100]) == (0, 0)


def test_the_forecast_keeps_the_cap_and_the_effective_day() -> None:
    plan: dict[str, Any] = {
        "members": 2_500, "pilot": 1, "waves": [100], "daily_cap": 1_000, "start_on": date(2026, 1, 12),
        "notice_lead": timedelta(days=30),
    }  # fmt: skip
    told = campaigns.forecast(**plan, effective_on=date(2026, 1, 1))
    assert (told.sizes, told.opening_days, told.last_opened_on) == ((25, 2_475), 3, date(2026, 1, 14))
    assert told.finish_on == date(2026, 2, 13)
    assert [number for _day, number in told.load] == [1_000, 1_000, 500]
    assert campaigns.forecast(**plan, effective_on=date(2026, 6, 30)).finish_on == date(2026, 6, 30)


def test_a_guard_rail_trips_above_its_share_and_never_below_its_sample() -> None:
    def reading(failures: int, sample: int) -> Reading:
        return Reading(guard=Guard.COMPLAINTS, failures=failures, sample=sample, most=5)

    assert not reading(1, 20).trips(minimum_sample=20), "exactly its share"
    assert reading(2, 20).trips(minimum_sample=20)
    assert not reading(19, 19).trips(minimum_sample=20)
    assert not reading(0, 0).trips(minimum_sample=1) and reading(0, 0).percent == 0


def test_the_facts_that_count_are_those_somebody_approves() -> None:
    agreement = AgreementFact(
        id=7, kind=AgreementKind.AUTO_REPAY, effect=AgreementEffect.UNBIND, repayment_depends=True, label="x"
    )
    other = AgreementFact(
        id=8, kind=AgreementKind.AUTO_REPAY, effect=AgreementEffect.UNBIND, repayment_depends=True, label="x"
    )

    def told(*agreements: AgreementFact, **facts: Any) -> str:
        return campaigns.facts_hash(account=an_account(**facts), agreements=agreements)

    same = told(agreement, other, principal=Decimal("10"))
    assert told(other, agreement, principal=Decimal("4.00"), unbilled=Decimal("6.00")) == same, "billed since"
    assert told(agreement, other, principal=Decimal("10"), interest=Decimal("1")) == same, "interest grows"
    changed = [
        told(agreement, principal=Decimal("10")),
        told(agreement, other, principal=Decimal("10.01")),
        told(agreement, other, principal=Decimal("10"), credit_balance=Decimal("1")),
        told(agreement, other, principal=Decimal("10"), pending_orders=1),
    ]
    assert same not in changed and len(set(changed)) == 4
