"""What a card of the home page is: a worklist's words, its page, and a line per row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.urls import reverse
from django.utils.timesince import timesince
from django.utils.translation import gettext

from closures.rules.deadlines import china_date


@dataclass(frozen=True, kw_only=True)
class Row:
    what: str
    note: str
    when: str
    url: str
    late: bool = False


@dataclass(frozen=True, kw_only=True)
class Card:
    """How one worklist is shown: its words, its page, and a line per row."""

    title: Any
    nothing: Any
    icon: str
    page: str
    line: Callable[[Any, datetime], Row]
    danger: bool = False  # rows here are faults, not work


def page_of(row: Any) -> str:
    opts = row._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk])


def ago(moment: datetime | None, now: datetime) -> str:
    return gettext("%(time)s ago") % {"time": timesince(moment, now, depth=1)} if moment else gettext("never")


def days_left(day: date, now: datetime) -> int:
    return (day - china_date(moment=now)).days
