"""The SQL under the bulk door (`accounts.bulk`): whole sets of tracked rows, each with its history row.

What lives here: one statement or a handful per batch, in the dialect of the database, built from the
fields of a model and of its history. What does not: which move is legal, who may make it, and how many
rows make a batch. Every function works in the caller's transaction and on the caller's one batch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import islice
from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection, connections, models

from accounts.actors import Actor

T = TypeVar("T")
GIVEN = "bulk_given"  # SQLite's temporary table of the values to be written


def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def quote(name: Any) -> str:
    return str(connection.ops.quote_name(name))


def names_of(model: type[models.Model]) -> tuple[str, str]:
    """The model's table and the column of its key, quoted."""
    key: Any = model._meta.pk
    return quote(model._meta.db_table), quote(key.column)


def batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def is_among(column: str, values: Iterable[Any]) -> tuple[str, Any]:
    """`column IN values` as SQL with one placeholder, and its one parameter."""
    if is_postgresql():
        return f"{column} = ANY(%s)", list(values)
    return f"{column} IN (SELECT value FROM json_each(%s))", json.dumps(list(values))


@models.ForeignKey.register_lookup
@models.Field.register_lookup
class Among(models.Lookup):  # type: ignore[type-arg]
    """`pk__among=[…]`: `in`, with the whole list as one parameter; numbers or texts.

    Thousands of separate parameters cost more to bind than the query takes to run.
    """

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        left, params = self.process_lhs(compiler, connection)
        sql, values = is_among(left, self.rhs)
        return sql, [*params, values]


def preparer(field: Any) -> Callable[[Any], Any]:
    """The function that turns a value of this field into what the database takes.

    A related row counts as its key. Amounts are rounded as PostgreSQL stores them, so that 5.001 is no
    change of 5.00 on either database. Plain values, which are most, skip Django's machinery.
    """
    database = connections[DEFAULT_DB_ALIAS]
    slowly = field.get_db_prep_save
    as_it_is: type | None = None
    if type(field).get_prep_value in (models.CharField.get_prep_value, models.TextField.get_prep_value):
        as_it_is = str
    elif type(field).get_prep_value is models.IntegerField.get_prep_value:
        as_it_is = int
    elif type(field).get_prep_value is models.BooleanField.get_prep_value:
        as_it_is = bool
    places = Decimal(1).scaleb(-field.decimal_places) if isinstance(field, models.DecimalField) else None

    def prepare(value: Any) -> Any:
        if value is None or type(value) is as_it_is:
            return value
        if places is not None:
            return field.to_python(value).quantize(places, ROUND_HALF_UP)
        if field.is_relation and isinstance(value, models.Model):
            value = value.pk
        return slowly(value, database)

    return prepare


def cast(field: models.Field[Any, Any]) -> str:
    """The column's type without its length: a cast to varchar(10) would cut what an insert refuses."""
    return str(field.db_type(connection)).split("(")[0]


POLL = 20_000  # SQLite steps between two looks at the clock


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """All that is asked inside is interrupted by the database after so long; a transaction is open."""
    ends = time.monotonic() + seconds
    if is_postgresql():

        def hurried(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
            left = max(1, int((ends - time.monotonic()) * 1000))
            connection.connection.execute(f"SET LOCAL statement_timeout = {left}")
            return execute(sql, params, many, context)

        with connection.execute_wrapper(hurried):
            yield
        connection.connection.execute("SET LOCAL statement_timeout = DEFAULT")
        return
    connection.ensure_connection()
    connection.connection.set_progress_handler(lambda: time.monotonic() > ends, POLL)
    try:
        yield
    finally:
        connection.connection.set_progress_handler(None, POLL)


# --- History ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What every history row of one call says beside the copy of its row."""

    actor: Actor
    reason: str
    now: datetime

    def columns(self, history: type[models.Model], kind: str) -> dict[str, tuple[str, Any]]:
        """Column → its placeholder and the value."""
        values = {
            "history_date": self.now,
            "history_type": kind,
            "history_change_reason": self.reason,
            "history_actor": str(self.actor),
            "history_user": self.actor.user.pk if self.actor.user else None,
        }
        fields: dict[str, Any] = {name: history._meta.get_field(name) for name in values}
        marks = {name: f"%s::{cast(field)}" if is_postgresql() else "%s" for name, field in fields.items()}
        return {field.column: (marks[name], preparer(field)(values[name])) for name, field in fields.items()}


def history_from(
    model: type[models.Model], source: str, kind: str, signature: Signature
) -> tuple[str, list[Any]]:
    """`INSERT INTO history … SELECT … FROM source`, to be followed by WHERE and ORDER BY."""
    history = model.history.model  # type: ignore[attr-defined]
    kept = [quote(field.column) for field in history.tracked_fields]
    signed = signature.columns(history, kind)
    into = ", ".join([*kept, *map(quote, signed)])
    what = ", ".join([*kept, *(mark for mark, _ in signed.values())])
    sql = f"INSERT INTO {quote(history._meta.db_table)} ({into}) SELECT {what} FROM {source}"
    return sql, [value for _, value in signed.values()]


def insert_history(
    model: type[models.Model], pks: Sequence[Any], kind: str, *, actor: Actor, reason: str, now: datetime
) -> None:
    """Each of these rows has one more history row, a copy of what the database holds now.

    `kind` is simple-history's: "+" after an insert, "~" after an update, "-" before a delete. The caller
    has written the rows in this same transaction. Never safe to repeat: it adds rows each time. The
    primitive under `accounts.bulk`; for rows that came in by a way of their own (the import's COPY).
    """
    if not pks:
        return
    table, pk = names_of(model)
    signature = Signature(actor=actor, reason=reason, now=now)
    sql, params = history_from(model, table, kind, signature)
    among, keys = is_among(pk, pks)
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} WHERE {among} ORDER BY {pk}", [*params, keys])


# --- Keys and locks ---------------------------------------------------------------------------------


def new_ids(model: Any, count: int) -> list[int]:
    """Primary keys nobody else gets, before the rows exist. The caller's transaction holds the writes."""
    table, key = model._meta.db_table, model._meta.pk
    with connection.cursor() as cursor:
        if is_postgresql():
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [quote(table), key.column])
            sequence = cursor.fetchone()[0]
            cursor.execute("SELECT nextval(%s) FROM generate_series(1, %s)", [sequence, count])
            return [row[0] for row in cursor.fetchall()]
        # AUTOINCREMENT never gives a number twice, and the sequence follows the numbers we insert.
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        last = (cursor.fetchone() or (0,))[0]
        return list(range(last + 1, last + 1 + count))


def lock_rows(model: type[models.Model], pks: Sequence[Any], *, paths: Sequence[str]) -> None:
    """The rows at the end of each path, and then the rows themselves, are locked, lowest key first.

    Parents first, as everywhere (DESIGN §7): `TicketQuerySet.lock` takes the account before the ticket.
    SQLite has no row locks; there the transaction holds the whole database (IMMEDIATE).
    """
    if not connection.features.has_select_for_update:
        return
    rows = model._base_manager.filter(pk__among=pks).order_by("pk")
    for path in paths:
        parent: Any = model
        for step in path.split("__"):
            parent = parent._meta.get_field(step).related_model
        ends = parent._base_manager.filter(pk__in=rows.order_by().values(path)).order_by("pk")
        list(ends.select_for_update().values_list("pk", flat=True))
    list(rows.select_for_update().values_list("pk", flat=True))


# --- New rows ---------------------------------------------------------------------------------------


def insert_rows(model: type[models.Model], rows: Sequence[Any]) -> None:
    """The rows are in the database, and have their keys, without history. Raises `IntegrityError`.

    What `bulk_create` does, several times as fast: COPY on PostgreSQL, `executemany` on SQLite.
    """
    fields = model._meta.local_concrete_fields
    prepare = [preparer(field) for field in fields]
    pre_save = [None if type(f).pre_save is models.Field.pre_save else f.pre_save for f in fields]
    names = [field.attname for field in fields]
    plan = list(zip(names, pre_save, prepare, strict=True))
    key = names.index(model._meta.pk.attname)  # type: ignore[union-attr]
    fresh = iter(new_ids(model, sum(row.pk is None for row in rows)))
    lines = []
    for row in rows:
        row._prepare_related_fields_for_save(operation_name="create_many")
        line = [ready(before(row, True) if before else getattr(row, name)) for name, before, ready in plan]
        if line[key] is None:
            line[key] = next(fresh)
        lines.append(line)
    _insert(names_of(model)[0], [quote(field.column) for field in fields], lines)
    for row, line in zip(rows, lines, strict=True):
        row.pk, row._state.adding, row._state.db = line[key], False, connection.alias


def _insert(table: str, columns: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    into = f"{table} ({', '.join(columns)})"
    with connection.cursor() as cursor:
        if not is_postgresql():
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {into} VALUES ({marks})", lines)
            return
        with connection.wrap_database_errors, cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for line in lines:
                copy.write_row(line)


# --- One set of values for all rows -----------------------------------------------------------------


def write_chosen(chosen: models.QuerySet[Any], values: Mapping[str, Any], signature: Signature) -> list[Any]:
    """The chosen rows have these values and one "~" history row each; returns their keys, sorted.

    `chosen` is evaluated inside the UPDATE. The caller holds the locks of all that it reads.
    """
    model = chosen.model
    table, pk = names_of(model)
    fields = {model._meta.get_field(name): value for name, value in values.items()}
    sets = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    params = [preparer(field)(value) for field, value in fields.items()]
    try:
        among, read = chosen.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:  # a condition that Django sees can never hold
        return []
    update = f"UPDATE {table} SET {sets} WHERE {pk} IN ({among})"
    with connection.cursor() as cursor:
        if is_postgresql():
            note, signed = history_from(model, "moved", "~", signature)
            cursor.execute(
                f"WITH moved AS ({update} RETURNING *) {note} ORDER BY {pk} RETURNING {pk}",
                [*params, *read, *signed],
            )
            return [row[0] for row in cursor.fetchall()]
        cursor.execute(f"{update} RETURNING {pk}", [*params, *read])
        moved = sorted(row[0] for row in cursor.fetchall())
    insert_history(model, moved, "~", actor=signature.actor, reason=signature.reason, now=signature.now)
    return moved


# --- Each row its own values ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One batch of new values: `rows` hold the key and then one prepared value per field."""

    model: type[models.Model]
    key: models.Field[Any, Any]
    fields: Sequence[models.Field[Any, Any]]
    rows: Sequence[Sequence[Any]]

    def write(self, signature: Signature) -> list[Any]:
        """Rows that differ have the new values, and a "~" history row when history keeps what differs.

        Returns the keys (pk) of the rows that changed, sorted. Rows that are equal are neither written
        nor locked; rows that do not exist are left out.
        """
        return self._postgresql(signature) if is_postgresql() else self._sqlite(signature)

    @property
    def _differs(self) -> tuple[str, str]:
        """Whether any of the fields differs; whether one that history keeps does."""
        kept = {field.attname for field in self.model.history.model.tracked_fields}  # type: ignore[attr-defined]
        unlike = "IS DISTINCT FROM" if is_postgresql() else "IS NOT"
        tests = {field: f"t.{quote(field.column)} {unlike} g.v{n}" for n, field in enumerate(self.fields)}
        truly = [test for field, test in tests.items() if field.attname in kept]
        return f"({' OR '.join(tests.values())})", f"({' OR '.join(truly) or 'FALSE'})"

    def _postgresql(self, signature: Signature) -> list[Any]:
        table, pk = names_of(self.model)
        any_differs, truly = self._differs
        names = [f"v{n}" for n in range(len(self.fields))]
        arrays = ", ".join(f"%s::{cast(field)}[]" for field in (self.key, *self.fields))
        sets = ", ".join(f"{quote(f.column)} = f.{n}" for n, f in zip(names, self.fields, strict=True))
        note, signed = history_from(self.model, "changed", "~", signature)
        sql = f"""
            WITH g AS (SELECT * FROM unnest({arrays}) AS u(k, {", ".join(names)})),
            f AS (
                SELECT t.{pk} AS row_pk, {truly} AS truly, {", ".join(f"g.{name}" for name in names)}
                FROM {table} AS t JOIN g ON t.{quote(self.key.column)} = g.k
                WHERE {any_differs} ORDER BY t.{pk} FOR UPDATE OF t
            ),
            changed AS (UPDATE {table} AS t SET {sets} FROM f WHERE t.{pk} = f.row_pk RETURNING t.*, f.truly),
            noted AS ({note} WHERE truly ORDER BY {pk})
            SELECT {pk} FROM changed ORDER BY {pk}"""
        columns = [list(column) for column in zip(*self.rows, strict=True)]
        with connection.cursor() as cursor:
            cursor.execute(sql, [*columns, *signed])
            return [row[0] for row in cursor.fetchall()]

    def _sqlite(self, signature: Signature) -> list[Any]:
        table, pk = names_of(self.model)
        key = quote(self.key.column)
        any_differs, truly = self._differs
        names = [f"v{n}" for n in range(len(self.fields))]
        # The table's own column types: SQLite compares by them, and 5 is 5.00 only between decimals.
        types = ", ".join(
            f"{name} {field.db_type(connection)}" for name, field in zip(names, self.fields, strict=True)
        )
        columns, given = ", ".join(quote(field.column) for field in self.fields), ", ".join(names)
        marks = ", ".join(["%s"] * (1 + len(names)))
        with connection.cursor() as cursor:
            cursor.execute(
                f"CREATE TEMP TABLE {GIVEN} (k {self.key.db_type(connection)} PRIMARY KEY, {types})"
            )
            cursor.executemany(f"INSERT INTO temp.{GIVEN} VALUES ({marks})", self.rows)
            # CROSS JOIN pins the order: the batch outside, the big table by its index.
            cursor.execute(
                f"SELECT t.{pk}, {truly} FROM temp.{GIVEN} AS g CROSS JOIN {table} AS t ON t.{key} = g.k "
                f"WHERE {any_differs} ORDER BY t.{pk}"
            )
            found = cursor.fetchall()
            among, keys = is_among(pk, [row[0] for row in found])
            cursor.execute(
                f"UPDATE {table} SET ({columns}) = (SELECT {given} FROM temp.{GIVEN} AS g "
                f"WHERE g.k = {table}.{key}) WHERE {among}",
                [keys],
            )
            cursor.execute(f"DROP TABLE temp.{GIVEN}")
        noted = [row[0] for row in found if row[1]]
        insert_history(
            self.model, noted, "~", actor=signature.actor, reason=signature.reason, now=signature.now
        )
        return [row[0] for row in found]
