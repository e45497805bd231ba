"""When a customer must have an answer, and which answer dates are near, counted in working days."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.selectors import calendar, regulations
from closures.errors import ClosureError
from closures.rules.deadlines import CalendarMissing, add_working_days, china_date

ANSWER_RULE = "ANSWER_DUE"
LONGEST_WAY = timedelta(days=120)  # far beyond 15 working days over any holiday
SOON = 2  # working days left, and less, show red


class CalendarIncomplete(ClosureError):
    code = "calendar_incomplete"
    template = _("The work calendar does not know {day}. Have the calendar loaded; no due date is guessed.")


def answer_date(now: datetime) -> dict[str, Any]:
    """When a customer must have an answer, with the rule and the calendar it was counted by."""
    received_on = china_date(moment=now)
    rule = regulations.in_force(ANSWER_RULE, on=received_on)
    days = int(rule.value)
    span = calendar.working_days(received_on, received_on + LONGEST_WAY)
    try:
        due_on = add_working_days(received_on=received_on, n=days, is_working=span.is_working)
    except CalendarMissing as missing:
        raise CalendarIncomplete(day=missing.day) from missing
    return {"answer_due_on": due_on, "answer_rule": rule, "answer_calendar": span.up_to(due_on).version}


def soon_until(*, now: datetime, days: int = SOON) -> date:
    """The last day that counts as near. Where the calendar is unknown, calendar days count: red sooner."""
    today = china_date(moment=now)
    span = calendar.working_days(today, today + timedelta(days=30))
    try:
        return add_working_days(received_on=today, n=days, is_working=span.is_working)
    except CalendarMissing:
        return today + timedelta(days=days)
