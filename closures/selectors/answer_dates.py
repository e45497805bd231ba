"""Which answer dates are near, counted in working days. One query."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from accounts.selectors import calendar
from closures.rules.deadlines import CalendarMissing, add_working_days, china_date

SOON = 2  # working days left, and less, show red


def soon_until(*, now: datetime, days: int = SOON) -> date:
    """The last day that counts as near. Where the calendar is unknown, calendar days count: red sooner."""
    today = china_date(moment=now)
    span = calendar.working_days(today, today + timedelta(days=30))
    try:
        return add_working_days(received_on=today, n=days, is_working=span.is_working)
    except CalendarMissing:
        return today + timedelta(days=days)
