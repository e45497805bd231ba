"""Invariant of the records: every tracked row is what its history says (SPEC §8, 11)."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connection, models

from accounts.tracking import excluded_fields
from closures.services.invariants.finding import EXAMPLES, Finding

APPS = ("accounts", "closures")


def history_agrees() -> Finding:
    """11. Every tracked row equals its newest history row, excluded columns aside, and none has vanished."""
    found = Finding(examined=0)
    for model in tracked_models():
        found += _row_by_row(model)
    return found


def tracked_models() -> list[type[models.Model]]:
    return [
        model
        for label in APPS
        for model in apps.get_app_config(label).get_models()
        if hasattr(model._meta, "simple_history_manager_attribute")
    ]


def _row_by_row(model: Any) -> Finding:
    """One pass over the table and the newest history row of each id; rows that differ are named by pk."""
    counted, differing, vanished = _statements(model)
    with connection.cursor() as cursor:
        cursor.execute(counted)
        examined, broken, gone = cursor.fetchone()
        if not (broken or gone):
            return Finding(examined=examined)
        cursor.execute(f"{differing} UNION ALL {vanished} LIMIT {EXAMPLES}")
        named = tuple(f"{model._meta.label} {pk}" for (pk,) in cursor.fetchall())
    return Finding(examined=examined, violations=(broken or 0) + (gone or 0), examples=named)


def _statements(model: Any) -> tuple[str, str, str]:
    """SQL that counts rows, differing and vanished ones; that finds the differing; that finds the gone."""
    name = connection.ops.quote_name
    differs = "IS DISTINCT FROM" if connection.vendor == "postgresql" else "IS NOT"  # NULL-safe, both
    table, history, pk = name(model._meta.db_table), name(model.history.model._meta.db_table), _pk(model)
    excluded = excluded_fields(model)
    columns = [name(f.column) for f in model._meta.concrete_fields if f.name not in excluded]
    newest = f"(SELECT {pk} AS pk, MAX(history_id) AS newest FROM {history} GROUP BY {pk})"
    changed = " OR ".join(f"t.{column} {differs} h.{column}" for column in columns)
    broken = f"(h.history_id IS NULL OR h.history_type = '-' OR {changed})"
    rows = f"{table} t LEFT JOIN {newest} n ON n.pk = t.{pk} LEFT JOIN {history} h ON h.history_id = n.newest"
    lost = (
        f"{newest} n JOIN {history} h ON h.history_id = n.newest LEFT JOIN {table} t ON t.{pk} = n.pk "
        f"WHERE t.{pk} IS NULL AND h.history_type <> '-'"
    )
    differing = f"SUM(CASE WHEN {broken} THEN 1 ELSE 0 END)"
    counted = f"SELECT COUNT(*), {differing}, (SELECT COUNT(*) FROM {lost}) FROM {rows}"
    return counted, f"SELECT t.{pk} FROM {rows} WHERE {broken}", f"SELECT n.pk FROM {lost}"


def _pk(model: Any) -> str:
    return str(connection.ops.quote_name(model._meta.pk.column))
