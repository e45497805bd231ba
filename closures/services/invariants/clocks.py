"""Invariant of the dates: each due date can be counted again (SPEC §8, 5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count
from django.db.models.functions import TruncDate

from accounts.models import Regulation, WorkCalendarDay
from closures.models import ClosureTicket, Reversal
from closures.models.tickets import Reason
from closures.rules.deadlines import CalendarMissing, add_calendar_days, add_working_days, china_date
from closures.services.invariants.finding import EXAMPLES, Finding

RULE, CORRECTION = "ANSWER_DUE", "BUREAU_CORRECTION"
CHINA = ZoneInfo("Asia/Shanghai")


def dates_recount() -> Finding:
    """5. Every due date is what the regulation row and the calendar version it names give."""
    return answers_recount() + corrections_recount()


def corrections_recount() -> Finding:
    """Each date by which a reversed closing must be off the credit report; there are few."""
    found = Finding(examined=0)
    rows = Reversal.objects.filter(state__in=Reversal.GRANTED).select_related("bureau_rule")
    for row in rows.iterator():
        granted_on = china_date(moment=row.approved_at) if row.approved_at else None
        rule, days = row.bureau_rule, days_as_of(row.bureau_calendar)
        in_force = rule is not None and rule.code == CORRECTION and rule.state == Regulation.State.IN_FORCE
        holds = False
        if granted_on and rule and in_force and rule.valid_from <= granted_on:
            try:
                due_on = add_calendar_days(received_on=granted_on, n=int(rule.value), is_working=days)
                holds = due_on == row.bureau_due_on
            except (CalendarMissing, ValueError):
                holds = False
        broken = () if holds else (row.number,)
        found += Finding(examined=1, violations=len(broken), examples=broken)
    return found


def answers_recount() -> Finding:
    """Every answer date is what the regulation row and the calendar version it names give.

    A later calendar never moves a date, so the days are taken as they were in the named version, from
    history. Tickets of one day share a count: the work grows with days, not with tickets.
    """
    tickets = ClosureTicket.objects.filter(reason=Reason.CUSTOMER_REQUEST).annotate(
        received_on=TruncDate("requested_at", tzinfo=CHINA)
    )
    alike = tickets.order_by().values("received_on", "answer_due_on", "answer_rule", "answer_calendar")
    rules = {rule.pk: rule for rule in Regulation.objects.filter(code=RULE)}
    calendars: dict[str, dict[date, bool]] = {}
    found = Finding(examined=0)
    for group in alike.annotate(tickets=Count("pk")).iterator():
        count = group.pop("tickets")
        versions = group["answer_calendar"]
        if versions not in calendars:
            calendars[versions] = days_as_of(versions)
        if _holds(group, rules=rules, days=calendars[versions]):
            found += Finding(examined=count)
        else:
            named = tickets.filter(**_same(group)).order_by("pk").values_list("number", flat=True)
            found += Finding(examined=count, violations=count, examples=tuple(named[:EXAMPLES]))
    return found


def _holds(group: Mapping[str, Any], *, rules: Mapping[int, Regulation], days: Mapping[date, bool]) -> bool:
    rule = rules.get(group["answer_rule"])
    if rule is None or rule.state != Regulation.State.IN_FORCE or rule.valid_from > group["received_on"]:
        return False
    try:
        due_on = add_working_days(received_on=group["received_on"], n=int(rule.value), is_working=days)
    except (CalendarMissing, ValueError):  # a version that does not reach so far gave no such date
        return False
    return due_on == group["answer_due_on"]


def days_as_of(versions: str) -> dict[date, bool]:
    """The days of `cn-2026.1+cn-2027.0`, as they were then; of two rows the later counts."""
    rows = WorkCalendarDay.history.filter(calendar_version__in=versions.split("+")).order_by("history_id")
    return dict(rows.values_list("date", "is_working"))


def _same(group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        (f"{name}__isnull" if value is None else name): (True if value is None else value)
        for name, value in group.items()
    }
