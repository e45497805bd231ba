"""Which days are worked, and from which version of the calendar that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from accounts.models import WorkCalendarDay


@dataclass(frozen=True)
class CalendarSpan:
    """The known days of a stretch of time, oldest first. A day that is missing is unknown, not free."""

    days: Mapping[date, WorkCalendarDay]

    @cached_property
    def is_working(self) -> Mapping[date, bool]:
        return {date: day.is_working for date, day in self.days.items()}

    @property
    def version(self) -> str:
        """The calendar's version; over the turn of a year both, as `cn-2026.1+cn-2027.0`."""
        return "+".join(dict.fromkeys(day.calendar_version for day in self.days.values()))

    @property
    def provisional(self) -> bool:
        """Whether any of its days awaits the State Council's notice."""
        return any(day.provisional for day in self.days.values())

    def up_to(self, last: date) -> CalendarSpan:
        """The same span without the days after `last`: what a due date on that day really stands on."""
        return CalendarSpan({date: day for date, day in self.days.items() if date <= last})


def working_days(first: date, last: date) -> CalendarSpan:
    """What the calendar says of the days from `first` to `last`, both included. One query."""
    rows = WorkCalendarDay.objects.filter(date__range=(first, last)).order_by("date")
    return CalendarSpan({row.date: row for row in rows})
