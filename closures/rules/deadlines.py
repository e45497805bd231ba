"""Legal clocks: which day is the last one, and when a message may go out.

Days and times come in, days and times go out; nobody here knows what day it is. A calendar is a mapping
or a function from a date to "is it worked?", so that every due date can name the calendar version it came
from. An unknown date raises: a guessed deadline is a missed one.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone

IsWorking = Mapping[date, bool] | Callable[[date], bool]

# China has had one zone and no summer time since 1991. Source: FACTS §5 (receipt in Asia/Shanghai).
CHINA_TIME = timezone(timedelta(hours=8), "Asia/Shanghai")

ONE_DAY = timedelta(days=1)


class CalendarMissing(LookupError):
    """The calendar does not say whether `day` is worked, so the clock cannot be read."""

    def __init__(self, day: date) -> None:
        super().__init__(f"the work calendar does not know {day.isoformat()}")
        self.day = day


def china_date(*, moment: datetime) -> date:
    """Give the day on which `moment` fell in China: the day that clocks start from.

    Raises:
        ValueError: `moment` has no zone; half of all naive dates near midnight are wrong ones.
    Source: FACTS §5 "never use naive UTC date".
    """
    return _in_china(moment).date()


def day_began(*, moment: datetime) -> datetime:
    """Midnight in China, at which the day of the moment began."""
    return _in_china(moment).replace(hour=0, minute=0, second=0, microsecond=0)


def add_working_days(*, received_on: date, n: int, is_working: IsWorking) -> date:
    """Give the n-th working day after receipt; the day after receipt is the first that can count.

    What is received on a day off has the next working day as day 1, not the one after it.

    Raises:
        CalendarMissing: a day on the way is unknown.
        ValueError: n is less than 1, or the calendar has no working day within a year.
    Source: 民法典 201 (the first day is not counted); FACTS §5, where `find_workday` gets this wrong.
    """
    _count(n)
    day = received_on
    for _ in range(n):
        day = _next_worked(day + ONE_DAY, is_working)
    return day


def add_calendar_days(*, received_on: date, n: int, is_working: IsWorking) -> date:
    """Give the n-th calendar day after receipt, moved to the next working day if it is a day off.

    Raises:
        CalendarMissing: the last day, or one it would move over, is unknown.
        ValueError: n is less than 1, or the calendar has no working day within a year.
    Source: 民法典 201 (day after is day 1), 203 (a last day that is a holiday moves on).
    """
    _count(n)
    return _next_worked(received_on + timedelta(days=n), is_working)


def add_years(*, day: date, n: int) -> date:
    """Give the same day n years later; 29 February becomes 1 March where there is none.

    1 March and not 28 February: the use is retention, which must be *at least* n years, and one day too
    early is a breach while one day too late is not.
    Source: 反洗钱法 34 (≥ 10 years); the choice of day is ours.
    """
    try:
        return day.replace(year=day.year + n)
    except ValueError:
        return date(day.year + n, 3, 1)


def earliest(*, stands: date | None, candidate: date) -> date:
    """Give the answer date that stands after a calendar said `candidate`: the earlier of the two.

    A later calendar may add a date and never moves one: what was promised is kept.
    Source: SPEC §3 "Answer date".
    """
    return candidate if stands is None else min(stands, candidate)


def in_quiet_hours(*, local_time: time, start: time | None, end: time | None) -> bool:
    """Say whether `local_time` (China) lies in [start, end), which may pass midnight.

    Start equal to end, or both absent, is the empty window, as in the demo: never quiet.

    Raises:
        ValueError: only one end is given.
    Source: SPEC §5; FACTS §4 (22:00–08:00). That 08:00 itself is free is our choice.
    """
    if (start is None) != (end is None):
        raise ValueError("quiet hours need both ends or neither")
    if start is None or end is None or start == end:
        return False
    if start < end:
        return start <= local_time < end
    return local_time >= start or local_time < end


def quiet_end(*, moment: datetime, start: time | None, end: time | None) -> datetime:
    """Give the first moment, from `moment` on, at which a message may go out; in China time.

    Outside quiet hours that is `moment` itself.

    Raises:
        ValueError: `moment` has no zone, or only one end is given.
    """
    local = _in_china(moment)
    quiet = in_quiet_hours(local_time=local.time(), start=start, end=end)
    if not quiet or end is None:
        return local
    opens = datetime.combine(local.date(), end, CHINA_TIME)
    return opens if opens > local else opens + ONE_DAY


def _in_china(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone has no day in China")
    return moment.astimezone(CHINA_TIME)


def _count(n: int) -> None:
    if n < 1:
        raise ValueError(f"a clock of {n} days")


def _next_worked(day: date, is_working: IsWorking) -> date:
    for ahead in range(366):
        if _works(day + ahead * ONE_DAY, is_working):
            return day + ahead * ONE_DAY
    raise ValueError(f"no working day in the year from {day.isoformat()}: not a calendar")


def _works(day: date, is_working: IsWorking) -> bool:
    try:
        return is_working[day] if isinstance(is_working, Mapping) else is_working(day)
    except KeyError:
        raise CalendarMissing(day) from None
