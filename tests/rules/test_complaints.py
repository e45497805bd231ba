"""The clocks of a complaint, by worked dates of 2026 and by laws that hold for every date."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closures.rules import complaints as rules
from closures.rules.complaints import Step
from closures.rules.deadlines import CalendarMissing

DAY = timedelta(days=1)
YEAR = [date(2026, 1, 1) + n * DAY for n in range(365)]
# 国办 2025-11-04: working Saturdays and Sundays, and the holidays that matter here.
WORKED = {date(2026, 1, 4), date(2026, 2, 14), date(2026, 2, 28), date(2026, 5, 9)}
FREE = {date(2026, 2, 15) + n * DAY for n in range(9)} | {date(2026, 4, 4) + n * DAY for n in range(3)}
CALENDAR = {day: day in WORKED or (day.weekday() < 5 and day not in FREE) for day in YEAR}
RECEIVED = date(2026, 2, 2)


@pytest.mark.parametrize(
    ("days", "due_on"),
    [(15, date(2026, 2, 24)), (30, date(2026, 3, 4)), (60, date(2026, 4, 3)), (20, date(2026, 2, 24))],
)
def test_a_last_day_off_moves_to_the_next_working_day(days: int, due_on: date) -> None:
    found = rules.due(started_on=RECEIVED, days=days, is_working=CALENDAR)
    assert (found.on, found.known) == (due_on, True)


def test_where_the_calendar_ends_the_day_itself_stands_unmoved() -> None:
    found = rules.due(started_on=date(2026, 12, 20), days=15, is_working=CALENDAR)
    assert (found.on, found.known) == (date(2027, 1, 4), False)


@given(st.sampled_from(YEAR[:200]), st.integers(1, 60))
def test_a_due_date_is_a_working_day_and_never_before_its_days_are_over(start: date, days: int) -> None:
    found = rules.due(started_on=start, days=days, is_working=CALENDAR)
    assert found.on >= start + days * DAY
    assert CALENDAR[found.on]


def target(pauses: list[tuple[date, date | None]], today: date = RECEIVED) -> date:
    return rules.target(received_on=RECEIVED, days=10, pauses=pauses, is_working=CALENDAR, today=today)


def test_ten_working_days_end_on_a_make_up_saturday() -> None:
    assert target([]) == date(2026, 2, 14)


def test_the_days_that_we_waited_are_left_out() -> None:
    waited = (date(2026, 2, 4), date(2026, 2, 6))  # Thursday and Friday do not count, Wednesday does
    assert target([waited]) == date(2026, 2, 25)
    assert target([waited, (date(2026, 2, 5), date(2026, 2, 6))]) == date(2026, 2, 25)


def test_an_open_wait_moves_the_target_with_every_day() -> None:
    wait = (date(2026, 2, 4), None)
    assert target([wait], today=date(2026, 2, 4)) == date(2026, 2, 14)
    assert target([wait], today=date(2026, 2, 6)) == date(2026, 2, 25)


def test_a_wait_over_days_off_costs_nothing() -> None:
    assert target([(date(2026, 2, 6), date(2026, 2, 8))]) == date(2026, 2, 14)


def test_an_unknown_day_is_not_guessed() -> None:
    with pytest.raises(CalendarMissing):
        rules.target(received_on=date(2026, 12, 30), days=10, pauses=[], is_working=CALENDAR, today=RECEIVED)


# --- The chain --------------------------------------------------------------------------------------

FIRST = Step(from_on=date(2026, 2, 24), to_on=date(2026, 3, 4), level="COMPLEX", told_on=date(2026, 2, 23))
SECOND = Step(from_on=date(2026, 3, 4), to_on=date(2026, 4, 3), level="SPECIAL", told_on=date(2026, 3, 3))


def chained(*steps: Step, due_on: date) -> bool:
    return rules.unbroken(first_due_on=date(2026, 2, 24), chain=steps, due_on=due_on)


def test_a_chain_holds_from_the_first_date_to_the_one_that_stands() -> None:
    assert chained(due_on=date(2026, 2, 24))
    assert chained(FIRST, due_on=date(2026, 3, 4))
    assert chained(FIRST, SECOND, due_on=date(2026, 4, 3))


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (SECOND,),
        (FIRST,),
        (SECOND, FIRST),
        (FIRST, FIRST),
        (FIRST, SECOND, SECOND),
    ],
)
def test_a_chain_with_a_gap_is_broken(steps: tuple[Step, ...]) -> None:
    assert not chained(*steps, due_on=date(2026, 4, 3))


def test_on_the_day_itself_it_is_too_late_to_tell() -> None:
    assert rules.told_in_time(told_on=date(2026, 2, 23), due_on=date(2026, 2, 24))
    late = Step(from_on=date(2026, 2, 24), to_on=date(2026, 3, 4), level="COMPLEX", told_on=date(2026, 2, 24))
    assert not chained(late, due_on=date(2026, 3, 4))
