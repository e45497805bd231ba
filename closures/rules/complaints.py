"""The clocks of a complaint: the statutory one, which nothing stops, and our own target, which waits.

Dates and numbers come in, dates and yes or no go out. Both clocks are replayed from rows over a calendar
whenever somebody asks; nothing counts days from one night to the next.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from closures.rules.deadlines import ONE_DAY, CalendarMissing, IsWorking, add_calendar_days

Pause = tuple[date, date | None]  # waiting for the customer since, until (None: still waiting)


@dataclass(frozen=True, kw_only=True)
class Due:
    """A last day, and whether the calendar could say that it is one that is worked."""

    on: date
    known: bool


def due(*, started_on: date, days: int, is_working: IsWorking) -> Due:
    """Give the last day of a statutory clock of calendar days; the day after its start is day 1.

    A last day off moves to the next working day. Where the calendar does not reach so far, the day itself
    stands, unmoved: it is never later than the law's, and no complaint is turned away for want of a calendar.
    Source: 投诉办法 (FACTS L11); 民法典 201, 203. The unmoved day is our choice (FACTS §5, "earliest safe").
    """
    try:
        return Due(on=add_calendar_days(received_on=started_on, n=days, is_working=is_working), known=True)
    except CalendarMissing:
        return Due(on=started_on + days * ONE_DAY, known=False)


def target(
    *, received_on: date, days: int, pauses: Sequence[Pause], is_working: IsWorking, today: date
) -> date:
    """Give the day by which we want to have decided: so many working days, those that we waited left out.

    The day on which we asked the customer still counts, the day of his answer does not; while he has not
    answered, the target moves on with every day.

    Raises:
        CalendarMissing: a day on the way is unknown.
        ValueError: no such day within two years: not a calendar, or a wait without end.
    Source: SPEC §6 ("waiting for the customer pauses only the internal target"); which end counts is ours.
    """
    day, counted = received_on, 0
    for _ in range(731):
        day += ONE_DAY
        if _works(day, is_working) and not _waited(day, pauses, today):
            counted += 1
        if counted == days:
            return day
    raise ValueError(f"no target within two years of {received_on.isoformat()}")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One approved extension of a clock: from which date to which, and when the complainant was told."""

    from_on: date
    to_on: date
    level: str  # COMPLEX or SPECIAL
    told_on: date


LEVELS = ("COMPLEX", "SPECIAL")


def extended_days(*, level: str, first: int, more: int) -> int:
    """Give how many days from its start a clock has at a level: 30, and 30 more with senior approval.

    Counted from the start and not from the date before, so that a day that moved over a holiday does not
    add up. Source: 投诉办法 (FACTS L11, at most 60 days in all).
    """
    return first if level == "COMPLEX" else first + more


def told_in_time(*, told_on: date, due_on: date) -> bool:
    """Say whether the complainant was told before the date that was moved: on that day it is too late.

    Source: SPEC §6 ("told *before* the current due date").
    """
    return told_on < due_on


def unbroken(*, first_due_on: date, chain: Sequence[Step], due_on: date) -> bool:
    """Say whether the extensions lead from the first date to the one that stands, without a gap.

    Each begins where the last one ended, the levels come in their order and once, and each was told in time.
    Source: SPEC §8, 9.
    """
    stands = first_due_on
    for step, level in zip(chain, LEVELS, strict=False):
        if step.level != level or step.from_on != stands:
            return False
        if not told_in_time(told_on=step.told_on, due_on=step.from_on):
            return False
        stands = step.to_on
    return len(chain) <= len(LEVELS) and stands == due_on


def _waited(day: date, pauses: Sequence[Pause], today: date) -> bool:
    return any(since < day <= (today if until is None else until) for since, until in pauses)


def _works(day: date, is_working: Mapping[date, bool] | Callable[[date], bool]) -> bool:
    try:
        return is_working[day] if isinstance(is_working, Mapping) else is_working(day)
    except KeyError:
        raise CalendarMissing(day) from None
