"""The work calendar says what it knows, from which version, and when somebody has to see to it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from django.utils.timezone import make_aware

from accounts.actors import Actor
from accounts.models import RefusedAction, WorkCalendarDay
from accounts.roles import Role
from accounts.selectors.calendar import working_days
from accounts.services import calendar as service
from accounts.tracking import NotPermitted
from tests.factories import staff

pytestmark = pytest.mark.django_db

# What a notice for 2027 could say: invented, but with the thirteen legal days and the days moved for them.
FREE_DAYS = {
    1: (1,),
    2: (5, 6, 7, 8, 9, 10, 11, 12),
    4: (5,),
    5: (1, 2, 3, 4, 5),
    6: (9,),
    9: (15,),
    10: range(1, 8),
}
WORKED_WEEKENDS = {1: (30,), 2: (14,), 4: (25,), 5: (8,), 9: (26,), 10: (9,)}
NOTICE = {date(2027, month, day): False for month, days in FREE_DAYS.items() for day in days} | {
    date(2027, month, day): True for month, days in WORKED_WEEKENDS.items() for day in days
}
SOURCE = "国务院办公厅关于2027年部分节假日安排的通知"


def load(actor: Actor, now: datetime, days: dict[date, bool] | None = None, year: int = 2027) -> str:
    return service.load_year(
        year=year, days=NOTICE if days is None else days, source=SOURCE, actor=actor, reason="notice", now=now
    )


# --- Reading ------------------------------------------------------------------------------------------


def test_a_span_names_its_days_and_their_version() -> None:
    span = working_days(date(2026, 2, 13), date(2026, 2, 24))
    worked = [day.day for day, works in span.is_working.items() if works]
    assert worked == [13, 14, 24], "14 February is a Saturday that is worked"
    assert (span.version, span.provisional) == ("cn-2026.1", False)


def test_over_the_turn_of_a_year_both_versions_are_named() -> None:
    span = working_days(date(2026, 12, 25), date(2027, 1, 5))
    assert (span.version, span.provisional) == ("cn-2026.1+cn-2027.0", True)
    used = span.up_to(date(2026, 12, 31))
    assert (used.version, used.provisional, len(used.is_working)) == ("cn-2026.1", False, 7)


def test_a_day_that_nobody_knows_is_missing_and_not_free() -> None:
    span = working_days(date(2027, 12, 30), date(2028, 1, 2))
    assert list(span.is_working) == [date(2027, 12, 30), date(2027, 12, 31)]
    assert working_days(date(2030, 1, 1), date(2030, 2, 1)).version == ""


# --- Loading ------------------------------------------------------------------------------------------


def test_a_notice_makes_the_year_known(now: datetime) -> None:
    lead = staff(Role.LEAD)
    assert load(lead, now) == "cn-2027.1"
    days = {row.date: row for row in WorkCalendarDay.objects.filter(date__year=2027)}
    assert len(days) == 365 and not any(row.provisional for row in days.values())
    assert {row.calendar_version for row in days.values()} == {"cn-2027.1"}
    assert all(days[day].is_working == works for day, works in NOTICE.items())
    newest = days[date(2027, 2, 9)].history.latest("history_id")
    assert (newest.history_actor, newest.source, newest.is_working) == (str(lead), SOURCE, False)


def test_loading_the_same_notice_again_writes_nothing(now: datetime) -> None:
    load(staff(Role.LEAD), now)
    rows = WorkCalendarDay.history.count()
    assert load(staff(Role.LEAD), now) == "cn-2027.1"
    assert WorkCalendarDay.history.count() == rows


def test_a_notice_that_confirms_what_was_guessed_ends_the_guess(now: datetime) -> None:
    load(staff(Role.LEAD), now)
    WorkCalendarDay.objects.filter(date__year=2027).update(provisional=True)
    assert load(staff(Role.LEAD), now) == "cn-2027.2"
    assert not WorkCalendarDay.objects.filter(date__year=2027, provisional=True).exists()


def test_a_correction_is_a_new_version(now: datetime) -> None:
    load(staff(Role.LEAD), now)
    corrected = NOTICE | {date(2027, 9, 16): False, date(2027, 9, 19): True}
    assert load(staff(Role.LEAD), now, corrected) == "cn-2027.2"
    assert WorkCalendarDay.objects.get(date=date(2027, 9, 19)).is_working


def test_a_year_that_nobody_had_is_made(now: datetime) -> None:
    days = {
        date(2028, *fixed): False for fixed in ((1, 3), (1, 25), (1, 26), (1, 27), (1, 28), (4, 4), (5, 1))
    }
    days |= {date(2028, 5, 2): False, date(2028, 5, 29): False, date(2028, 10, 2): False}
    days |= {date(2028, 10, 3): False, date(2028, 10, 4): False, date(2028, 10, 5): False}
    assert load(staff(Role.LEAD), now, days, year=2028) == "cn-2028.1"
    assert WorkCalendarDay.objects.filter(date__year=2028).count() == 366


@pytest.mark.parametrize(
    "days",
    [{}, {date(2027, 10, 2): True, **NOTICE, date(2027, 10, 1): True}, dict.fromkeys(NOTICE, False)],
    ids=["nothing", "work on National Day", "no day worked for another"],
)
def test_a_year_that_cannot_be_is_refused_whole(days: dict[date, bool], now: datetime) -> None:
    rows = WorkCalendarDay.history.count()
    with pytest.raises(service.Implausible):
        load(staff(Role.LEAD), now, days)
    assert WorkCalendarDay.history.count() == rows
    assert RefusedAction.objects.get().action == "calendar.load_year"


def test_a_day_of_another_year_is_refused(now: datetime) -> None:
    with pytest.raises(service.OtherYear):
        load(staff(Role.LEAD), now, NOTICE | {date(2026, 12, 31): False})
    assert WorkCalendarDay.objects.filter(date__year=2027, provisional=False).count() == 0


@pytest.mark.parametrize("role", [r for r in Role if r not in (Role.LEAD, Role.ADMINISTRATOR)])
def test_only_those_with_the_right_load_a_year(role: Role, now: datetime) -> None:
    with pytest.raises(NotPermitted):
        load(staff(role), now)
    with pytest.raises(NotPermitted):
        load(Actor.job("crawler"), now)
    assert WorkCalendarDay.objects.filter(date__year=2027, provisional=True).count() == 365


# --- The file -----------------------------------------------------------------------------------------


def test_a_file_is_read_in_any_of_its_spellings() -> None:
    lines = [
        "\ufeffdate,working",
        "2027-01-01,0",
        "2027-01-30,1",
        "2027-02-05,休",
        "2027-02-14,班",
        "2027-04-05,Off",
    ]
    assert service.read_days("\r\n".join(lines)) == {
        date(2027, 1, 1): False,
        date(2027, 1, 30): True,
        date(2027, 2, 5): False,
        date(2027, 2, 14): True,
        date(2027, 4, 5): False,
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("day,works\n2027-01-01,0\n", 1),
        ("date,working\n2027-13-01,0\n", 2),
        ("date,working\n2027-01-01,perhaps\n", 2),
        ("date,working\n2027-01-01\n", 2),
        ("date,working\n2027-01-01,0\n2027-01-01,1\n", 3),
    ],
)
def test_a_file_that_cannot_be_read_names_the_line(text: str, line: int) -> None:
    with pytest.raises(service.NotACalendar) as refused:
        service.read_days(text)
    assert refused.value.facts["line"] == line


# --- Alerts -------------------------------------------------------------------------------------------


def on(year: int, month: int, day: int, hour: int = 12) -> datetime:
    return make_aware(datetime(year, month, day, hour))


def asked(now: datetime) -> list[tuple[str, int]]:
    return [(alert.code, alert.year) for alert in service.alerts(now=now)]


def test_from_november_a_provisional_next_year_is_an_alert(now: datetime) -> None:
    assert asked(on(2026, 10, 31, 23)) == []
    assert asked(on(2026, 11, 1, 0)) == [("CALENDAR_PROVISIONAL", 2027)]
    load(staff(Role.LEAD), now)
    assert asked(on(2026, 11, 1)) == []


def test_the_day_of_an_alert_is_the_day_in_china() -> None:
    start = on(2026, 11, 1, 0)
    assert asked(start - timedelta(seconds=1)) == []


def test_a_missing_next_year_is_an_alert_and_so_is_an_unsure_present_one() -> None:
    assert asked(on(2027, 3, 1)) == [("CALENDAR_PROVISIONAL", 2027)]
    assert asked(on(2027, 12, 1)) == [("CALENDAR_PROVISIONAL", 2027), ("CALENDAR_MISSING", 2028)]
    assert asked(on(2030, 1, 1)) == [("CALENDAR_MISSING", 2030)]
