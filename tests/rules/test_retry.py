"""Pauses between tries: bounded, spread out, and at some point no more."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closures.rules.retry import delay, exhausted

BASE, CAP = timedelta(seconds=2), timedelta(minutes=10)
law = settings(deadline=None)


def test_the_ceiling_doubles_until_the_cap():
    almost_one = [
        delay(attempt=n, base=BASE, cap=CAP, random=lambda: 0.5) * 2 for n in (1, 2, 3, 9, 10, 10_000)
    ]

    assert almost_one == [timedelta(seconds=s) for s in (2, 4, 8, 512, 600, 600)]


@law
@given(
    attempt=st.integers(1, 10**6),
    drawn=st.floats(0, 1, exclude_max=True),
    base=st.timedeltas(timedelta(milliseconds=1), timedelta(days=400)),
    cap=st.timedeltas(timedelta(milliseconds=1), timedelta(days=4000)),
)
def test_no_pause_is_negative_or_above_the_cap_whatever_the_attempt(attempt, drawn, base, cap):
    assert timedelta(0) <= delay(attempt=attempt, base=base, cap=cap, random=lambda: drawn) <= cap


def test_the_whole_pause_is_drawn_so_that_failures_of_one_second_spread_out():
    pauses = {delay(attempt=9, base=BASE, cap=CAP, random=lambda d=d: d / 100) for d in range(100)}

    assert len(pauses) == 100
    assert min(pauses) == timedelta(0)


@pytest.mark.parametrize("wrong", [{"attempt": 0}, {"base": timedelta(0)}, {"cap": timedelta(seconds=-1)}])
def test_a_pause_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="attempt"):
        delay(**({"attempt": 1, "base": BASE, "cap": CAP, "random": lambda: 0.0} | wrong))


def test_the_limit_itself_is_the_last_try():
    assert not exhausted(attempts=4, limit=5)
    assert exhausted(attempts=5, limit=5)
    assert exhausted(attempts=6, limit=5)
