"""Invariant of privacy: what is kept in the open shows no personal data (SPEC §8, 12)."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connection, models

from accounts.pii import PERSONAL
from closures.services.invariants.finding import EXAMPLES, Finding
from closures.services.invariants.records import APPS


def nothing_personal() -> Finding:
    """12. No open text of ours, history included, holds an ID number, a mobile number or an e-mail address.

    Tasks carry no arguments but ids, and what a wake-up or a refusal left behind is a table like the others.
    """
    found = Finding(examined=0)
    for label in APPS:
        for model in apps.get_app_config(label).get_models(include_auto_created=True):
            if columns := open_texts(model):
                found += _scan(model, columns)
    return found


def open_texts(model: type[models.Model]) -> list[str]:
    """The columns of a model in which somebody's words could stand unsealed."""
    return [
        str(field.column)
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField | models.JSONField)
        and not field.choices
        and not field.name.endswith("_sealed")
    ]


def _scan(model: Any, columns: list[str]) -> Finding:
    """One pass over the table; the texts of a row are looked at together."""
    name = connection.ops.quote_name
    table, pk = name(model._meta.db_table), name(model._meta.pk.column)
    if connection.vendor == "postgresql":
        texts = ", ".join(f"{name(column)}::text" for column in columns)
        personal = f"concat_ws(chr(10), {texts}) ~ %s"
    else:
        texts = " || char(10) || ".join(f"COALESCE({name(column)}, '')" for column in columns)
        personal = f"({texts}) REGEXP %s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT COUNT(*), SUM(CASE WHEN {personal} THEN 1 ELSE 0 END) FROM {table}", [PERSONAL]
        )
        examined, broken = cursor.fetchone()
        if not broken:
            return Finding(examined=examined)
        cursor.execute(
            f"SELECT {pk} FROM {table} WHERE {personal} ORDER BY {pk} LIMIT {EXAMPLES}", [PERSONAL]
        )
        named = tuple(f"{model._meta.label} {pk}" for (pk,) in cursor.fetchall())
    return Finding(examined=examined, violations=broken, examples=named)
