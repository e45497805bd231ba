"""Rotating the keys of seals, table by table and batch by batch."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from accounts import pii


@dataclass
class Rotation:
    resealed: int = 0
    unreadable: list[int] = field(default_factory=list)


def rotate(
    *, table: pii.SealedTable, batch: int = 500, progress: Callable[[int], Any] = lambda rows: None
) -> Rotation:
    """Every seal of the table is under the sealing key, but in rows no key opens: those are named.

    One transaction per `batch` rows, walked by primary key. Safe to repeat: what is done is not touched
    again, so an interrupted run goes on where it stopped.
    """
    done, last = Rotation(), 0
    while True:
        with transaction.atomic():
            rows = list(_stale(table).filter(pk__gt=last).order_by("pk")[:batch])
            if not rows:
                return done
            fresh = []
            for row in rows:
                try:
                    if pii.reseal(row, subject=row.seal_subject, fields=table.fields):
                        fresh.append(row)
                except pii.Unreadable:
                    done.unreadable.append(row.pk)
            table.model._base_manager.bulk_update(fresh, [f"{name}_sealed" for name in table.fields])
        done.resealed += len(fresh)
        last = rows[-1].pk
        progress(len(rows))


def _stale(table: pii.SealedTable) -> QuerySet[Any]:
    """Rows with a seal that another key made, locked, each with its `seal_subject`."""
    prefix = f"{pii.sealing_key_id()}."
    stale = [
        ~Q(**{f"{name}_sealed__startswith": prefix}) & ~Q(**{f"{name}_sealed": ""}) for name in table.fields
    ]
    return (
        table.model._base_manager.filter(functools.reduce(operator.or_, stale))
        .select_for_update(of=("self",))
        .annotate(seal_subject=F(table.subject_path))
    )
