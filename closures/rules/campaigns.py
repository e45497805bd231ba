"""Campaigns as numbers: the facts of a member that count, sizes of waves, forecast, guard-rails."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from closures.rules.approval import fingerprint
from closures.rules.eligibility import AccountFacts, AgreementFact

DAYS_TOLD = 60  # days that a forecast lists one by one


class Guard(StrEnum):
    """What a campaign stops itself for. Source: SPEC §6."""

    UNBIND_FAILURES = "UNBIND_FAILURES"
    UNDELIVERED = "UNDELIVERED"
    COMPLAINTS = "COMPLAINTS"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One guard-rail at one moment: `failures` of `sample` cases, and the greatest share it bears, in %.

    `accepted` failures cannot be cured and somebody has answered for them: only more of them stop it.
    """

    guard: Guard
    failures: int
    sample: int
    most: int
    accepted: int = 0

    @property
    def percent(self) -> float:
        return round(self.failures * 100 / self.sample, 1) if self.sample else 0.0

    def trips(self, *, minimum_sample: int) -> bool:
        """Whether it stops the campaign; below the minimum sample one case would be a percentage."""
        too_many = self.failures * 100 > self.most * self.sample and self.failures > self.accepted
        return self.sample >= minimum_sample and too_many


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """When a plan that begins on a day would be through; `load` is openings a day, its first days."""

    sizes: tuple[int, ...]
    opening_days: int
    last_opened_on: date
    finish_on: date
    load: tuple[tuple[date, int], ...]


def facts_hash(*, account: AccountFacts, agreements: Iterable[AgreementFact]) -> str:
    """What was approved of a member as one of a population: SHA-256 in hex; equal facts, equal hash.

    Interest and fees are left out: they grow by the day on a debt that was there, and nobody approves them.
    Source: SPEC §3 "facts equal its member row" and "Not material: interest and fees on the approved debt".
    """
    facts = {
        "debt": f"{account.principal + account.unbilled:.2f}",
        "instalments": account.instalments_remaining,
        "orders": account.pending_orders,
        "refunds": f"{account.refunds_in_flight:.2f}",
        "disputed": f"{account.disputed:.2f}",
        "credit_balance": f"{account.credit_balance:.2f}",
        "agreements": [[a.id, a.effect.value] for a in sorted(agreements, key=lambda a: a.id)],
    }
    return fingerprint(facts)


def drawn(*, campaign: str, account_no: str) -> int:
    """The place of an account in the draw: the same for ever, and nobody's choice."""
    return int.from_bytes(hashlib.sha256(f"{campaign}:{account_no}".encode()).digest()[:8], "big")


def waves_are_sound(*, pilot: int, waves: Sequence[int]) -> bool:
    """Cumulative percentages rise from the pilot's to 100."""
    rising = sorted(set(waves)) == list(waves)
    return bool(waves) and rising and 1 <= pilot <= waves[0] and waves[-1] == 100


def ends_of_waves(*, members: int, pilot: int, waves: Sequence[int]) -> tuple[int, ...]:
    """How many members are in the pilot and the waves up to each, rounded up: a pilot of one has one."""
    return tuple(-(-members * share // 100) for share in (pilot, *waves))


def forecast(
    *,
    members: int,
    pilot: int,
    waves: Sequence[int],
    daily_cap: int,
    start_on: date,
    effective_on: date,
    notice_lead: timedelta,
) -> Forecast:
    """Openings a day up to the cap, then the notice's lead time, and nothing closed before the plan's day.

    Debt and undelivered notices take longer than any plan knows; they are not in it. Source: our choice.
    """
    ends = ends_of_waves(members=members, pilot=pilot, waves=waves)
    sizes = tuple(end - before for end, before in zip(ends, (0, *ends[:-1]), strict=True))
    days = max(1, -(-members // daily_cap))
    last = start_on + timedelta(days=days - 1)
    load = tuple(
        (start_on + timedelta(days=n), min(daily_cap, members - n * daily_cap))
        for n in range(min(days, DAYS_TOLD))
    )
    lead = timedelta(days=-(-notice_lead // timedelta(days=1)))
    return Forecast(
        sizes=sizes,
        opening_days=days,
        last_opened_on=last,
        finish_on=max(last + lead, effective_on),
        load=load,
    )
