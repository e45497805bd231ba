"""The work calendar: the State Council's notices of 2024-2026, and 2027 until its notice is loaded."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import Any

from accounts.models import WorkCalendarDay

KNOWN_YEARS = (2024, 2025, 2026)
PROVISIONAL_YEAR = 2027
# Legal days off of 2027: New Year 1, Spring Festival 4 (with the eve), Qingming 1, Labour Day 2,
# Dragon Boat 1, Mid-Autumn 1, National Day 3. Source: 全国年节及纪念日放假办法 (2024-11-10) art. 2; the
# solar dates are the decree's, the others are computed from the lunar calendar (1st of the 1st month =
# 02-06, 5th of the 5th = 06-09, 15th of the 8th = 09-15) and from the solar term Qingming (04-05).
DECREED = ("2027-01-01", "2027-05-01", "2027-05-02", "2027-10-01", "2027-10-02", "2027-10-03")
COMPUTED = ("2027-02-05", "2027-02-06", "2027-02-07", "2027-02-08", "2027-04-05", "2027-06-09", "2027-09-15")

PROVISIONAL_SOURCES = {
    "decree": "全国年节及纪念日放假办法 (2024-11-10) art. 2",
    "computed": "computed from 全国年节及纪念日放假办法 (2024-11-10) art. 2 and the lunar calendar",
    "weekday": "computed: Monday to Friday, until the State Council's notice",
}

FIRST_DAY = date(KNOWN_YEARS[0], 1, 1)
LAST_DAY = date(PROVISIONAL_YEAR, 12, 31)
DAYS = (LAST_DAY - FIRST_DAY).days + 1


def days() -> list[WorkCalendarDay]:
    """One unsaved row per day from 2024 to 2027.

    2027 is Monday to Friday minus the legal days off: days moved by the coming notice are not known, so
    every row is provisional. Source: FACTS §5.
    """
    return [WorkCalendarDay(**day) for day in calendar()]


@cache
def calendar() -> tuple[dict[str, Any], ...]:
    # Cached: the test suite installs it again after every test that flushes the database.
    every = (FIRST_DAY + timedelta(days=n) for n in range(DAYS))
    return tuple(known(day) if day.year in KNOWN_YEARS else provisional(day) for day in every)


def known(day: date) -> dict[str, Any]:
    from chinese_calendar import is_workday  # noqa: PLC0415 - its tables are needed once, not at every start

    return {
        "date": day,
        "is_working": is_workday(day),
        "source": f"国务院办公厅关于{day.year}年部分节假日安排的通知 (chinesecalendar 1.11)",
        "calendar_version": f"cn-{day.year}.1",
        "provisional": False,
    }


def provisional(day: date) -> dict[str, Any]:
    written = day.isoformat()
    kind = "decree" if written in DECREED else "computed" if written in COMPUTED else "weekday"
    return {
        "date": day,
        "is_working": kind == "weekday" and day.weekday() < 5,
        "source": PROVISIONAL_SOURCES[kind],
        "calendar_version": f"cn-{day.year}.0",
        "provisional": True,
    }
