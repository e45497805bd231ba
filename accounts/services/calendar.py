"""The State Council's notice turns a provisional year into a known one; a correction is a new version."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.bulk import create_many, update_many
from accounts.decisions import decision
from accounts.errors import Refusal
from accounts.models import WorkCalendarDay
from accounts.services.rights import require

EDIT = "accounts.edit_calendar"
ALERTS_FROM = (11, 1)  # month, day; the notice usually comes in late October or November (FACTS §5)
# Worked days of a year: 248 to 251 in every year from 2008 to 2026. Without its days off 2027 would have 254.
PLAUSIBLE = range(246, 254)
# Off in every year. Source: 全国年节及纪念日放假办法 (2024-11-10) art. 2.
ALWAYS_OFF = ((1, 1), (5, 1), (10, 1), (10, 2), (10, 3))
WORKING = {
    "1": True,
    "true": True,
    "work": True,
    "班": True,
    "0": False,
    "false": False,
    "off": False,
    "休": False,
}


class NotACalendar(Refusal):
    """A line of the file cannot be read, or says something twice."""

    code = "not_a_calendar"
    template = _("Line {line}: {why}. The calendar was not changed.")


class OtherYear(Refusal):
    """A day of another year is among the days."""

    code = "other_year"
    template = _("{day} is no day of {year}. The calendar was not changed.")


class Implausible(Refusal):
    """The year that comes out cannot be a Chinese working year; the file is incomplete."""

    code = "implausible_calendar"
    template = _("{year} would have {worked} working days, or work on a fixed holiday. Nothing was changed.")


@dataclass(frozen=True, kw_only=True)
class CalendarAlert:
    """A year whose working days are not known for sure."""

    code: str  # CALENDAR_MISSING or CALENDAR_PROVISIONAL
    year: int


def read_days(text: str) -> dict[date, bool]:
    """The days of a CSV text with the columns `date` (2027-02-05) and `working` (1/0, work/off, 班/休).

    Raises:
        NotACalendar: a column is missing, a line cannot be read, or a date comes twice.
    """
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")))
    if not {"date", "working"} <= set(rows.fieldnames or ()):
        raise NotACalendar(line=1, why=_("the columns date and working are missing"))
    days: dict[date, bool] = {}
    for row in rows:
        try:
            day = date.fromisoformat((row["date"] or "").strip())
            working = WORKING[(row["working"] or "").strip().lower()]
        except (ValueError, KeyError):
            raise NotACalendar(line=rows.line_num, why=_("not a date and 1 or 0")) from None
        if day in days:
            raise NotACalendar(line=rows.line_num, why=_("the date comes twice"))
        days[day] = working
    return days


@decision
def load_year(
    *, year: int, days: dict[date, bool], source: str, actor: Actor, reason: str, now: datetime
) -> str:
    """The year is known, under a new calendar version, from what the notice says; returns the version.

    `days` are the days that the notice names; every other day is Monday to Friday, as the notice means it.
    A due date that was already given keeps the version it names; recounting is the caller's. Safe to
    repeat: a year that is known and equal keeps its version and its source.

    Raises:
        NotPermitted: the actor may not edit the calendar.
        OtherYear: a day lies outside the year.
        Implausible: too many or too few working days, or work on 1 January, 1 May or 1-3 October.
    """
    require(actor=actor, right=EDIT, move=_("Load the work calendar"))
    outside = sorted(day for day in days if day.year != year)
    if outside:
        raise OtherYear(day=outside[0], year=year)
    whole = {day: days.get(day, day.weekday() < 5) for day in days_of(year)}
    worked = sum(whole.values())
    if worked not in PLAUSIBLE or any(whole[date(year, *fixed)] for fixed in ALWAYS_OFF):
        raise Implausible(year=year, worked=worked)
    known = {
        row.date: row
        for row in WorkCalendarDay.objects.select_for_update(of=("self",))
        .filter(date__year=year)
        .order_by("date")
    }
    if whole == {day: row.is_working for day, row in known.items() if not row.provisional}:
        return known[date(year, 1, 1)].calendar_version
    version = next_version(year, known.values())
    said = {"source": source, "calendar_version": version, "provisional": False}
    update_many(
        WorkCalendarDay,
        [{"date": day, "is_working": whole[day], **said} for day in known],
        key="date",
        fields=["is_working", *said],
        actor=actor,
        reason=reason,
        now=now,
    )
    missing = (WorkCalendarDay(date=day, is_working=whole[day], **said) for day in whole if day not in known)
    create_many(missing, actor=actor, reason=reason, now=now)
    return version


def alerts(*, now: datetime) -> list[CalendarAlert]:
    """Years without a sure calendar that somebody has to see to: this one, from 1 November also the next."""
    today = localdate(now)
    years = [today.year]
    if (today.month, today.day) >= ALERTS_FROM:
        years.append(today.year + 1)
    found = []
    for year in years:
        flags = list(WorkCalendarDay.objects.filter(date__year=year).values_list("provisional", flat=True))
        if len(flags) < len(days_of(year)):
            found.append(CalendarAlert(code="CALENDAR_MISSING", year=year))
        elif any(flags):
            found.append(CalendarAlert(code="CALENDAR_PROVISIONAL", year=year))
    return found


def days_of(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]


def next_version(year: int, rows: Iterable[WorkCalendarDay]) -> str:
    """`cn-2027.1` after the provisional `cn-2027.0`, and so on."""
    numbers = [int(tail) for row in rows if (tail := row.calendar_version.rpartition(".")[2]).isdigit()]
    return f"cn-{year}.{max(numbers, default=0) + 1}"
