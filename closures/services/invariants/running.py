"""Which invariants there are, and one run of them: a row each, kept for the operator's home."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from closures.models import InvariantCheck
from closures.services.invariants import (
    clocks,
    complaints,
    effects,
    keeping,
    money,
    people,
    personal,
    records,
)
from closures.services.invariants.finding import Finding

EVERY = timedelta(hours=20)  # nightly: the sweep comes by every hour


class NoSuchInvariant(ValueError):
    """There is no invariant with this number, or nothing here that could break it yet."""


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """One promise of SPEC §8: its number there, its words, and the look that finds what breaks it."""

    number: int
    what: Any
    look: Callable[..., Finding]
    by_the_clock: bool = False  # what it promises depends on the moment; `look` is told it


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
    Invariant(
        number=9,
        what=_("complaints are decided by their due date or an unbroken chain of extensions"),
        look=complaints.decided_in_time,
        by_the_clock=True,
    ),
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


def check_next(*, now: datetime) -> int:
    """The invariant that was looked at longest ago, if not within the day, is looked at; 1 if one was.

    One at a time, because each reads whole tables and a task's time is bounded. Safe to repeat.
    """
    newest = dict(InvariantCheck.objects.order_by("checked_at").values_list("number", "checked_at"))
    due = [number for number in INVARIANTS if number not in newest or now - newest[number] >= EVERY]
    if not due:
        return 0
    run(now=now, only=[min(due, key=lambda number: (number in newest, newest.get(number, now), number))])
    return 1


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
    found = invariant.look(now=now) if invariant.by_the_clock else invariant.look()
    return InvariantCheck.objects.create(
        number=invariant.number,
        checked_at=now,
        examined=found.examined,
        violations=found.violations,
        examples=list(found.examples),
    )
