"""Putting new rows into the database a batch at a time: COPY on PostgreSQL, `executemany` on SQLite.

The import's own way in, for rows it knows to be new; what exists is changed through `accounts.bulk`.
Source: DESIGN §4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, models

from accounts import bulk
from accounts.actors import Actor
from accounts.statements import is_postgresql, quote

IMPORT_LOCK = 0x696D70  # "imp": any number will do, as long as every import asks for the same


def take_turn() -> None:
    """Let one batch of one import at a time work on the database, until its transaction ends.

    SQLite needs no asking: its transactions begin IMMEDIATE, one writer at a time.
    """
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [IMPORT_LOCK])


def keep_statistics(tables: Iterable[type[models.Model]], *, rows: int) -> None:
    """PostgreSQL knows a table that has grown by `rows` at least as it was when it had a quarter of them.

    # Note [Why an import analyses]
    Without statistics the planner reads the whole table for every batch, and the import gets slower the
    longer it runs; autovacuum wakes too late to help the file that is being read. SQLite plans without.
    """
    if not is_postgresql():
        return
    with connection.cursor() as cursor:
        for model in tables:
            table = quote(model._meta.db_table)
            cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [table])
            if cursor.fetchone()[0] * 4 < rows:  # -1: never analysed
                cursor.execute(f"ANALYZE {table}")


def insert(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of an untracked model, keys and all; `columns` are field names.

    Columns left out get the model's default. Raises `IntegrityError` as any insert does.
    """
    fields: list[Any] = [model._meta.get_field(name) for name in columns]
    rest = [field for field in model._meta.local_concrete_fields if field not in fields]
    defaults = tuple(field.get_default() for field in rest)
    fields += rest
    into = f"{quote(model._meta.db_table)} ({', '.join(quote(field.column) for field in fields)})"
    with connection.cursor() as cursor:
        if is_postgresql():
            # Django wraps what `execute` raises; COPY is psycopg's own.
            with connection.wrap_database_errors, cursor.copy(f"COPY {into} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row((*row, *defaults))
            return
        marks = ", ".join(["%s"] * len(fields))
        takes = [field.get_db_prep_save for field in fields]
        stored = [
            [take(value, connection) for take, value in zip(takes, (*row, *defaults), strict=True)]
            for row in rows
        ]
        cursor.executemany(f"INSERT INTO {into} VALUES ({marks})", stored)


def insert_tracked(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    """Insert rows of a tracked model, each with one true history row; the first column is the key."""
    if rows:
        insert(model, columns, rows)
        bulk.insert_history(model, [row[0] for row in rows], "+", actor=actor, reason=reason, now=now)
