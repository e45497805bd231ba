"""A complaint's dates, counted over the calendar. Reads only; one query for rules, one for days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from accounts.models import Regulation
from accounts.selectors import calendar, regulations
from closures.models import Complaint, ComplaintPause
from closures.rules import complaints as rules
from closures.rules.complaints import Due
from closures.rules.deadlines import CalendarMissing, china_date

FIRST = {Complaint.Kind.COMPLAINT: "COMPLAINT_SIMPLE", Complaint.Kind.BUREAU_DISPUTE: "BUREAU_DISPUTE"}
TARGET = "COMPLAINT_TARGET"
LONGEST_WAY = timedelta(days=30)  # beyond the last day, over any holiday
SOON = timedelta(days=3)  # left of a due date, and less: it shows red


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A due date with the rule and the calendar version it was counted by ("": the calendar ends before)."""

    due_on: date
    rule: Regulation
    calendar: str


def first_due(*, kind: str, started_on: date) -> Counted:
    """When a complaint whose clock starts on this day is to be decided. Raises NoRegulation."""
    rule = regulations.in_force(FIRST[Complaint.Kind(kind)], on=started_on)
    return count(started_on=started_on, days=int(rule.value), rule=rule)


def extended_due(complaint: Complaint, *, level: str) -> Counted:
    """To which date an extension of this level moves the clock that stands. Raises NoRegulation."""
    on = complaint.clock_started_on
    first = regulations.in_force("COMPLAINT_COMPLEX", on=on)
    more = regulations.in_force("COMPLAINT_EXTENSION", on=on)
    days = rules.extended_days(level=level, first=int(first.value), more=int(more.value))
    return count(started_on=on, days=days, rule=first if level == "COMPLEX" else more)


def by_rule(code: str, *, started_on: date) -> Counted:
    """The last day of another clock of calendar days, such as that of a review. Raises NoRegulation."""
    rule = regulations.in_force(code, on=started_on)
    return count(started_on=started_on, days=int(rule.value), rule=rule)


def count(*, started_on: date, days: int, rule: Regulation) -> Counted:
    last = started_on + timedelta(days=days)
    span = calendar.working_days(started_on, last + LONGEST_WAY)
    found: Due = rules.due(started_on=started_on, days=days, is_working=span.is_working)
    return Counted(due_on=found.on, rule=rule, calendar=span.up_to(found.on).version if found.known else "")


def targets(complaints: Iterable[Complaint], *, now: datetime) -> dict[int, date | None]:
    """Our own target for each complaint by pk; None where the calendar does not say. Three queries."""
    rows = list(complaints)
    if not rows:
        return {}
    today = china_date(moment=now)
    pauses: dict[int, list[Any]] = defaultdict(list)
    for pause in ComplaintPause.objects.filter(complaint__in=[row.pk for row in rows]):
        pauses[pause.complaint_id].append(pause.span)
    known = list(
        Regulation.objects.filter(code=TARGET, state=Regulation.State.IN_FORCE).order_by("valid_from")
    )
    first = min(row.clock_started_on for row in rows)
    latest = max(today, *(row.clock_started_on for row in rows))
    days = calendar.working_days(first, latest + timedelta(days=90)).is_working
    found: dict[int, date | None] = {}
    for row in rows:
        valid = [rule for rule in known if rule.valid_from <= row.clock_started_on]
        try:
            found[row.pk] = rules.target(
                received_on=row.clock_started_on,
                days=int(valid[-1].value),
                pauses=pauses[row.pk],
                is_working=days,
                today=today,
            )
        except (CalendarMissing, IndexError, ValueError):
            found[row.pk] = None
    return found


def target_of(complaint: Complaint, *, now: datetime) -> date | None:
    return targets([complaint], now=now)[complaint.pk]


def current_due(complaint: Complaint) -> date | None:
    """The date that runs now: of the decision, or of the review; None once nothing has a date any more."""
    if complaint.is_undecided:
        return complaint.due_on
    return complaint.review_due_on if complaint.state == Complaint.State.REVIEW_REQUESTED else None


def is_late(complaint: Complaint, *, now: datetime) -> bool:
    """Whether the date that runs now has passed, or the decision came after its own."""
    running = current_due(complaint)
    if running is not None:
        return china_date(moment=now) > running
    decided = complaint.decided_at
    return decided is not None and china_date(moment=decided) > complaint.due_on
