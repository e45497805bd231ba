"""What the law says on a given day: the row in force, and its value in the form its unit means."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, time
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.errors import Refusal
from accounts.models import Regulation


class NoRegulation(Refusal):
    """Nothing with this code is in force on that day; a clock without its rule is not guessed."""

    code = "no_regulation"
    template = _("No value of {regulation} is in force on {on}. Add one under regulations.")


def in_force(code: str, *, on: date) -> Regulation:
    """The newest row of `code` whose validity has begun on `on`.

    Raises:
        NoRegulation: there is none.
    """
    rows = Regulation.objects.filter(code=code, state=Regulation.State.IN_FORCE, valid_from__lte=on)
    found = rows.order_by("-valid_from").first()
    if found is None:
        raise NoRegulation(regulation=code, on=on)
    return found


def number(code: str, *, on: date) -> int:
    """The value in force as a whole number of its unit (days, years, percent …).

    Raises:
        NoRegulation: there is none.
        ValueError: the row's unit is not a number.
    """
    return int(in_force(code, on=on).value)


def local_hours(code: str, *, on: date) -> tuple[time, time] | tuple[None, None]:
    """Both ends of a range of local time in force; two `None` when the row is empty.

    Raises:
        NoRegulation: there is none.
        ValueError: the row is not a range of local time.
    """
    return parse_hours(in_force(code, on=on).value)


# --- What a value may be, by unit --------------------------------------------------------------------


def parse_count(value: str) -> int:
    """A whole number from 1 to 9999, in plain digits.

    Raises:
        ValueError: it is anything else.
    """
    if not re.fullmatch(r"[1-9][0-9]{0,3}", value):
        raise ValueError(value)
    return int(value)


def parse_percent(value: str) -> int:
    """A whole number from 0 to 100, in plain digits.

    Raises:
        ValueError: it is anything else.
    """
    if not re.fullmatch(r"0|[1-9][0-9]?|100", value):
        raise ValueError(value)
    return int(value)


def parse_hours(value: str) -> tuple[time, time] | tuple[None, None]:
    """Both ends of a text such as 22:00-08:00; two `None` for an empty one.

    Raises:
        ValueError: it is anything else, or both ends are the same.
    """
    if not value:
        return None, None
    if not re.fullmatch(r"[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}", value):
        raise ValueError(value)
    start, end = (time.fromisoformat(part) for part in value.split("-"))
    if start == end:
        raise ValueError(value)
    return start, end


# Each unit that a regulation may have, and what reads its value.
UNITS: dict[str, Callable[[str], Any]] = {
    "working_days": parse_count,
    "calendar_days": parse_count,
    "months": parse_count,
    "years": parse_count,
    "times_per_day": parse_count,
    "percent": parse_percent,
    "local_time_range": parse_hours,
}
