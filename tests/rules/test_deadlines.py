"""The law's clocks, on its own worked dates and on the real calendar of 2026."""

from datetime import UTC, date, datetime, time, timedelta

import chinese_calendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closures.rules import deadlines
from closures.rules.deadlines import CHINA_TIME, CalendarMissing

NEW_YEAR = date(2026, 1, 1)
CALENDAR = {
    day: chinese_calendar.is_workday(day) for day in (NEW_YEAR + timedelta(days=n) for n in range(365))
}
DAYS = st.dates(NEW_YEAR, date(2026, 9, 30))
law = settings(deadline=None)


def test_a_request_on_a_day_off_has_the_next_working_day_as_day_one():
    saturday = date(2026, 2, 7)

    assert deadlines.add_working_days(received_on=saturday, n=1, is_working=CALENDAR) == date(2026, 2, 9)


def test_fifteen_working_days_from_a_saturday_before_spring_festival_end_on_5_march():
    answer_by = deadlines.add_working_days(received_on=date(2026, 2, 7), n=15, is_working=CALENDAR)

    assert answer_by == date(2026, 3, 5)  # the package's own find_workday says 6 March: a day too late


def test_a_make_up_saturday_is_a_working_day():
    internal = deadlines.add_working_days(received_on=date(2026, 2, 2), n=10, is_working=CALENDAR)

    assert internal == date(2026, 2, 14)
    assert internal.isoweekday() == 6


@pytest.mark.parametrize(
    ("n", "due"),
    [(15, date(2026, 2, 24)), (30, date(2026, 3, 4)), (60, date(2026, 4, 3))],
    ids=["simple-moved-past-spring-festival", "complex", "special"],
)
def test_a_complaint_of_2_february_is_due_on(n, due):
    assert deadlines.add_calendar_days(received_on=date(2026, 2, 2), n=n, is_working=CALENDAR) == due


def test_a_clock_that_runs_into_an_unknown_year_says_so_and_guesses_nothing():
    last_safe, first_blind = date(2026, 12, 10), date(2026, 12, 11)

    assert deadlines.add_working_days(received_on=last_safe, n=15, is_working=CALENDAR) == date(2026, 12, 31)
    with pytest.raises(CalendarMissing, match="2027-01-01") as missing:
        deadlines.add_working_days(received_on=first_blind, n=15, is_working=CALENDAR)
    assert missing.value.day == date(2027, 1, 1)
    with pytest.raises(CalendarMissing):
        deadlines.add_calendar_days(received_on=first_blind, n=60, is_working=CALENDAR)


def test_a_calendar_may_be_a_function_as_well_as_a_table():
    by_table = deadlines.add_working_days(received_on=date(2026, 2, 7), n=15, is_working=CALENDAR)

    assert by_table == deadlines.add_working_days(
        received_on=date(2026, 2, 7), n=15, is_working=CALENDAR.__getitem__
    )
    with pytest.raises(CalendarMissing):
        deadlines.add_calendar_days(received_on=date(2026, 12, 31), n=1, is_working=CALENDAR.__getitem__)


def test_a_calendar_without_a_working_day_ends_in_an_error_and_not_in_a_loop():
    with pytest.raises(ValueError, match="not a calendar"):
        deadlines.add_working_days(received_on=NEW_YEAR, n=1, is_working=lambda day: False)


@pytest.mark.parametrize("clock", [deadlines.add_working_days, deadlines.add_calendar_days])
@pytest.mark.parametrize("n", [0, -1])
def test_a_clock_of_no_days_is_refused(clock, n):
    with pytest.raises(ValueError, match="a clock of"):
        clock(received_on=NEW_YEAR, n=n, is_working=CALENDAR)


@law
@given(received_on=DAYS, n=st.integers(1, 40))
def test_a_working_day_deadline_is_worked_and_exactly_n_worked_days_away(received_on, n):
    due = deadlines.add_working_days(received_on=received_on, n=n, is_working=CALENDAR)

    passed = [received_on + timedelta(days=k) for k in range(1, (due - received_on).days + 1)]
    assert CALENDAR[due]
    assert sum(CALENDAR[day] for day in passed) == n


@law
@given(received_on=DAYS, n=st.integers(1, 60))
def test_a_calendar_day_deadline_moves_only_over_days_off(received_on, n):
    due = deadlines.add_calendar_days(received_on=received_on, n=n, is_working=CALENDAR)

    nominal = received_on + timedelta(days=n)
    assert due >= nominal
    assert CALENDAR[due]
    assert not any(CALENDAR[nominal + timedelta(days=k)] for k in range((due - nominal).days))


@law
@given(first=DAYS, second=DAYS, n=st.integers(1, 40))
def test_who_comes_later_is_never_answered_earlier(first, second, n):
    first, second = sorted((first, second))

    for clock in (deadlines.add_working_days, deadlines.add_calendar_days):
        assert clock(received_on=first, n=n, is_working=CALENDAR) <= clock(
            received_on=second, n=n, is_working=CALENDAR
        )


def test_retention_that_began_on_29_february_never_ends_a_day_early():
    assert deadlines.add_years(day=date(2024, 2, 29), n=10) == date(2034, 3, 1)
    assert deadlines.add_years(day=date(2024, 2, 29), n=4) == date(2028, 2, 29)
    assert deadlines.add_years(day=date(2026, 11, 23), n=10) == date(2036, 11, 23)


def test_a_later_calendar_may_bring_an_answer_date_forward_and_never_moves_it_back():
    stands = date(2027, 1, 8)

    assert deadlines.earliest(stands=None, candidate=stands) == stands
    assert deadlines.earliest(stands=stands, candidate=date(2027, 1, 5)) == date(2027, 1, 5)
    assert deadlines.earliest(stands=stands, candidate=date(2027, 1, 11)) == stands


def test_a_request_late_in_the_utc_day_belongs_to_the_next_day_in_china():
    assert deadlines.china_date(moment=datetime(2026, 11, 23, 16, 0, tzinfo=UTC)) == date(2026, 11, 24)
    assert deadlines.china_date(moment=datetime(2026, 11, 23, 15, 59, tzinfo=UTC)) == date(2026, 11, 23)
    with pytest.raises(ValueError, match="without a zone"):
        deadlines.china_date(moment=datetime(2026, 11, 23, 16, 0))


@pytest.mark.parametrize(
    ("at", "quiet"),
    [
        (time(21, 59, 59), False),
        (time(22, 0), True),
        (time(0, 0), True),
        (time(7, 59, 59), True),
        (time(8, 0), False),
        (time(12, 0), False),
    ],
)
def test_quiet_hours_pass_midnight(at, quiet):
    assert deadlines.in_quiet_hours(local_time=at, start=time(22), end=time(8)) is quiet


def test_quiet_hours_within_one_day_and_empty_ones():
    assert deadlines.in_quiet_hours(local_time=time(13), start=time(12), end=time(14))
    assert not deadlines.in_quiet_hours(local_time=time(14), start=time(12), end=time(14))
    assert not deadlines.in_quiet_hours(local_time=time(0), start=time(0), end=time(0))
    assert not deadlines.in_quiet_hours(local_time=time(0), start=None, end=None)


@pytest.mark.parametrize(("start", "end"), [(time(22), None), (None, time(8))])
def test_half_a_window_of_quiet_hours_is_refused(start, end):
    with pytest.raises(ValueError, match="both ends"):
        deadlines.in_quiet_hours(local_time=time(12), start=start, end=end)
    with pytest.raises(ValueError, match="both ends"):
        deadlines.quiet_end(moment=datetime(2026, 11, 23, tzinfo=UTC), start=start, end=end)


@pytest.mark.parametrize(
    ("moment", "free"),
    [
        (datetime(2026, 11, 23, 23, 30), datetime(2026, 11, 24, 8, 0)),
        (datetime(2026, 11, 23, 0, 0), datetime(2026, 11, 23, 8, 0)),
        (datetime(2026, 11, 23, 8, 0), datetime(2026, 11, 23, 8, 0)),
        (datetime(2026, 11, 23, 10, 15), datetime(2026, 11, 23, 10, 15)),
    ],
)
def test_a_message_of_the_night_goes_out_at_eight(moment, free):
    answer = deadlines.quiet_end(
        moment=moment.replace(tzinfo=CHINA_TIME).astimezone(UTC), start=time(22), end=time(8)
    )

    assert answer == free.replace(tzinfo=CHINA_TIME)


@law
@given(
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    start=st.times(),
    end=st.times(),
)
def test_the_end_of_quiet_is_free_not_past_and_within_a_day(moment, start, end):
    free = deadlines.quiet_end(moment=moment, start=start, end=end)

    assert moment <= free <= moment + timedelta(days=1)
    assert not deadlines.in_quiet_hours(local_time=free.astimezone(CHINA_TIME).time(), start=start, end=end)
