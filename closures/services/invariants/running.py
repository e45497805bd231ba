"""Which invariants there are, and one run of them: a row each, kept for the operator's home."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from closures.models import InvariantCheck
from closures.services.invariants import clocks, effects, keeping, money, people, personal, records
from closures.services.invariants.finding import Finding


class NoSuchInvariant(ValueError):
    """There is no invariant with this number, or nothing here that could break it yet."""


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """One promise of SPEC §8: its number there, its words, and the look that finds what breaks it."""

    number: int
    what: Any
    look: Callable[[], Finding]


ALL = (
    Invariant(
        number=1,
        what=_("closed tickets have every task unbound, absent or waived"),
        look=people.tasks_done,
    ),
    Invariant(
        number=2,
        what=_("risk and policy closings had their notice in time, or two waived it"),
        look=people.notice_arrived,
    ),
    Invariant(
        number=3,
        what=_("whoever asks does not decide; waivers and evidence name two"),
        look=people.two_people,
    ),
    Invariant(number=4, what=_("an account has at most one open ticket"), look=people.one_open_ticket),
    Invariant(
        number=5,
        what=_("answer dates follow from the rule and the calendar they name"),
        look=clocks.dates_recount,
    ),
    Invariant(
        number=6,
        what=_("at the moment of closing nothing was owed either way"),
        look=money.nothing_owed_at_closing,
    ),
    Invariant(
        number=7,
        what=_("we ended no repayment agreement while money was owed"),
        look=money.mandates_outlive_debt,
    ),
    Invariant(number=8, what=_("a task had at most one effect at its partner"), look=effects.one_effect),
    # 9 (complaints) comes with the tables it is about.
    Invariant(
        number=10,
        what=_("data is kept long enough, and nobody was erased who had to be kept"),
        look=keeping.kept_long_enough,
    ),
    Invariant(
        number=11, what=_("every tracked row equals its newest history row"), look=records.history_agrees
    ),
    Invariant(
        number=12,
        what=_("no personal data in open texts, history included"),
        look=personal.nothing_personal,
    ),
)
INVARIANTS = {invariant.number: invariant for invariant in ALL}


def check(*, now: datetime) -> int:
    """Every invariant was looked at and its result kept; returns the number of violations. Safe to repeat."""
    return sum(result.violations for result in run(now=now))


def run(*, now: datetime, only: Iterable[int] | None = None) -> list[InvariantCheck]:
    """The invariants with the numbers in `only` (default: all) were looked at; one kept result for each.

    Each looks at the rows of one moment, not all at the same moment. Changes nothing else. Safe to repeat.

    Raises: NoSuchInvariant, before any is looked at.
    """
    numbers = list(INVARIANTS) if only is None else sorted(set(only))
    unknown = [number for number in numbers if number not in INVARIANTS]
    if unknown:
        raise NoSuchInvariant(f"no invariant {unknown[0]}; there are {', '.join(map(str, INVARIANTS))}")
    return [_keep(INVARIANTS[number], now=now) for number in numbers]


def _keep(invariant: Invariant, *, now: datetime) -> InvariantCheck:
    found = invariant.look()
    return InvariantCheck.objects.create(
        number=invariant.number,
        checked_at=now,
        examined=found.examined,
        violations=found.violations,
        examples=list(found.examples),
    )
