"""When to try again, and when to stop trying."""

from collections.abc import Callable
from datetime import timedelta


def delay(*, attempt: int, base: timedelta, cap: timedelta, random: Callable[[], float]) -> timedelta:
    """Give the pause after the `attempt`-th try: anywhere from nothing to min(cap, base · 2^(attempt−1)).

    Full jitter: the whole pause is drawn, so that a thousand tasks that failed in one second do not come
    back in one second. `random` gives a number in [0, 1); it is passed in, so a test can choose it.

    Raises:
        ValueError: attempt is less than 1, or base or cap is not positive.
    Source: SPEC §4 "Backoff with full jitter".
    """
    if attempt < 1 or base <= timedelta(0) or cap <= timedelta(0):
        raise ValueError(f"attempt {attempt}, base {base}, cap {cap}")
    # The exponent is bounded because a float overflows past 2^1023; any cap is reached long before.
    ceiling = min(cap.total_seconds(), base.total_seconds() * 2.0 ** min(attempt - 1, 900))
    return timedelta(seconds=ceiling * random())


def exhausted(*, attempts: int, limit: int) -> bool:
    """Say whether `attempts` made so far, the present one included, use up the limit."""
    return attempts >= limit
