"""What one look at one invariant found, and the ways to look that several invariants share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import BooleanField, Case, Q, Value, When

EXAMPLES = 20  # how many broken rows are named: enough to start with, and bounded


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How many rows were looked at, how many broke the promise, and some of those by number."""

    examined: int
    violations: int = 0
    examples: tuple[str, ...] = ()

    def __add__(self, other: Finding) -> Finding:
        return Finding(
            examined=self.examined + other.examined,
            violations=self.violations + other.violations,
            examples=(*self.examples, *other.examples)[:EXAMPLES],
        )


def judge(*, examined: models.QuerySet[Any], broken: models.QuerySet[Any], show: str = "number") -> Finding:
    """Count both sets in the database and name the first broken rows by their field `show`."""
    violations = broken.count()
    named = broken.order_by("pk").values_list(show, flat=True)[:EXAMPLES] if violations else ()
    return Finding(examined=examined.count(), violations=violations, examples=tuple(map(str, named)))


def unless(condition: Q) -> Case:
    """True where `condition` is false or unknown: SQL's NOT of unknown is unknown and would hide a row."""
    return Case(When(condition, then=Value(False)), default=Value(True), output_field=BooleanField())
