"""The bulk door: thousands of tracked rows at a time, each with the history row that `save_as` would write.

What lives here: `create_many`, `update_many`, `transition_many`, and what makes a transition bulk-capable.
What does not: the SQL (`accounts.statements`), and any rule of the business; a rule is a `Rule` of its model.
Source: DESIGN §4. Elsewhere no `update()`, `bulk_create()` or raw SQL touches a tracked model.

# Note [One batch, one transaction]
Rows go in batches of `settings.BATCH_SIZE`, each a transaction of its own unless the caller has opened one.
Then no batch takes a savepoint: PostgreSQL stalls with more than 64 of them in one transaction. A batch that
fails raises, and with no transaction around the call the batches before it stay done.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django_fsm import FSMFieldMixin
from django_fsm.signals import post_transition, pre_transition

from accounts.actors import Actor
from accounts.statements import (
    Sheet,
    Signature,
    batched,
    insert_history,
    insert_rows,
    lock_rows,
    new_ids,
    preparer,
    write_chosen,
)
from accounts.tracking import NOW, NotPermitted, Rule, move_label, permitted

__all__ = [
    "Moved",
    "NotBulkable",
    "Updated",
    "create_many",
    "insert_history",
    "transition_many",
    "update_many",
]

Row = TypeVar("Row", bound=models.Model)

# Why a row was refused by `transition_many`, when it was not one of the transition's rules (their names).
GONE = "gone"
STATE = "state"
ANY_STATE, ANY_OTHER_STATE = "*", "+"  # django-fsm's


class NotBulkable(TypeError):
    """The model or transition cannot go through the bulk door as asked: a defect, never a clerk's mistake."""


@dataclass(frozen=True, kw_only=True)
class Updated:
    """What `update_many` did: keys (pk) of the changed rows, how many were equal, and keys nobody has."""

    changed: list[Any] = field(default_factory=list)
    unchanged: int = 0
    missing: list[Any] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What `transition_many` did: keys (pk) of the moved rows, and of each other row why it stayed.

    Why is `"gone"`, `"state"` (the move does not exist from the state it has now) or the name of the
    `Rule` that does not hold.
    """

    moved: list[Any] = field(default_factory=list)
    refused: dict[Any, str] = field(default_factory=dict)


# --- Creating ---------------------------------------------------------------------------------------


def create_many(
    rows: Iterable[Row], *, actor: Actor, reason: str, now: datetime, ignore_conflicts: bool = False
) -> list[Row]:
    """The rows, all of one tracked model, are in the database with one "+" history row each, as by `save_as`.

    Returns the rows created, with their keys. With `ignore_conflicts` a row that meets a unique constraint
    is left out of the result and has no key (on SQLite also a row that breaks a CHECK or lacks a value: its
    INSERT OR IGNORE makes no difference); without, it raises `IntegrityError`. `save()` and signals are not
    called. Not safe to repeat without a unique constraint. See Note [One batch, one transaction].
    """
    created: list[Row] = []
    for batch in batched(rows, settings.BATCH_SIZE):
        model = type(batch[0])
        _check_model(model)
        if any(type(row) is not model for row in batch):
            raise ValueError("create_many takes rows of one model at a time")
        with transaction.atomic(savepoint=False):
            if ignore_conflicts:
                batch = _insert_or_leave_out(model, batch)
            else:
                insert_rows(model, batch)
            insert_history(model, [row.pk for row in batch], "+", actor=actor, reason=reason, now=now)
        created += batch
    return created


def _insert_or_leave_out(model: type[Row], rows: Sequence[Row]) -> list[Row]:
    # The databases do not say which rows they left out; keys given beforehand tell.
    if any(row.pk is not None for row in rows):
        raise ValueError("with ignore_conflicts the rows must not have keys yet")
    for row, pk in zip(rows, new_ids(model, len(rows)), strict=True):
        row.pk = pk
    model._base_manager.bulk_create(rows, ignore_conflicts=True)
    there = set(model._base_manager.filter(pk__among=[row.pk for row in rows]).values_list("pk", flat=True))
    created = [row for row in rows if row.pk in there]
    for row in rows:
        if row.pk not in there:
            row.pk, row._state.adding = None, True
    return created


# --- Changing values --------------------------------------------------------------------------------


def update_many(
    model: type[models.Model],
    rows: Iterable[Mapping[str, Any] | models.Model],
    *,
    key: str,
    fields: Sequence[str],
    actor: Actor,
    reason: str,
    now: datetime,
) -> Updated:
    """The rows found by their `key` ("pk" or a unique field) have these values in `fields`.

    `rows` are mappings {key: …, field: …} or rows of the model; a relation's value is a row or its key.
    Only rows that differ are written, and each gets one "~" history row unless nothing differs but columns
    that history leaves out. Raises `NotBulkable` for state fields (they move by `transition_many`), for JSON
    (whose equality the databases do not agree on) and for a key that is not unique; `ValueError` for a key
    given twice. Safe to repeat: a second time nothing differs. See Note [One batch, one transaction].
    """
    found, columns = _updatable(model, key, fields)
    signature = Signature(actor=actor, reason=reason, now=now)
    key_ready = preparer(found)
    plan = [(name, column, preparer(column)) for name, column in zip(fields, columns, strict=True)]
    changed: list[Any] = []
    missing: list[Any] = []
    seen: set[Any] = set()
    for batch in batched(rows, settings.BATCH_SIZE):
        keys = [found.to_python(_value(row, key, found)) for row in batch]
        if len(set(keys)) < len(keys) or not seen.isdisjoint(keys):
            raise ValueError(f"a {key} was given twice")
        seen.update(keys)
        values = [
            (key_ready(k), *(ready(_value(row, name, column)) for name, column, ready in plan))
            for k, row in zip(keys, batch, strict=True)
        ]
        with transaction.atomic(savepoint=False):
            now_changed = Sheet(model=model, key=found, fields=columns, rows=values).write(signature)
            if len(now_changed) < len(keys):
                there = model._base_manager.filter(**{f"{key}__among": keys}).values_list(key, flat=True)
                missing += sorted(set(keys) - set(there))
        changed += now_changed
    return Updated(changed=changed, unchanged=len(seen) - len(changed) - len(missing), missing=missing)


def _value(row: Mapping[str, Any] | models.Model, name: str, column: models.Field[Any, Any]) -> Any:
    return getattr(row, column.attname) if isinstance(row, models.Model) else row[name]


def _updatable(
    model: type[models.Model], key: str, fields: Sequence[str]
) -> tuple[models.Field[Any, Any], list[models.Field[Any, Any]]]:
    _check_changeable(model)
    found: Any = model._meta.pk if key == "pk" else model._meta.get_field(key)
    if not found.unique or found.null:
        raise NotBulkable(f"{model.__name__}.{key} does not name one row")
    columns: list[Any] = [model._meta.get_field(name) for name in fields]
    if not columns:
        raise ValueError("update_many needs fields")
    for column in columns:
        if isinstance(column, FSMFieldMixin):
            raise NotBulkable(f"{model.__name__}.{column.name} is a state; use transition_many")
        if isinstance(column, models.JSONField):
            raise NotBulkable(f"{model.__name__}.{column.name} is JSON; use save_as")
        if column.primary_key or column is found or not column.concrete or column.many_to_many:
            raise NotBulkable(f"{model.__name__}.{column.name} cannot be changed here")
    return found, columns


def _check_model(model: type[models.Model]) -> None:
    if not hasattr(model, "history"):
        raise NotBulkable(f"{model.__name__} has no history")
    if model._meta.parents:
        raise NotBulkable(f"{model.__name__} has its columns in two tables")


def _check_changeable(model: type[models.Model]) -> None:
    _check_model(model)
    if any(getattr(column, "auto_now", False) for column in model._meta.local_concrete_fields):
        raise NotBulkable(f"{model.__name__} has a column that changes by itself at each save")


# --- Moving through states --------------------------------------------------------------------------


def transition_many(
    queryset: models.QuerySet[Any],
    transition_method: Callable[..., Any],
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    limit: int | None = None,
) -> Moved:
    """Each row of the queryset has made the transition, exactly as by `move`, or is named with why not.

    Which rows are meant is decided once, at the start (the first `limit` of them, in the queryset's order
    or by pk). For each batch the rows, and those its rules read (`Rule.locks`), are locked; then state and
    rules are examined and the rows written in one go. Raises `NotPermitted` when the actor lacks the right
    and `NotBulkable` as `bulk_transition` does, before anything is written. Safe to repeat and to overlap:
    whoever comes second finds the row in its new state. See Note [One batch, one transaction].
    """
    model = queryset.model
    step = bulk_transition(model, transition_method)
    if not permitted(model(), step.name, actor):
        raise NotPermitted(move=move_label(model(), step.name))
    signature = Signature(actor=actor, reason=reason, now=now)
    moved: list[Any] = []
    refused: dict[Any, str] = {}
    for batch in batched(_keys(queryset, limit), settings.BATCH_SIZE):
        with transaction.atomic(savepoint=False):
            lock_rows(model, batch, paths=step.locks)
            chosen = model._base_manager.filter(step.from_here(), pk__among=batch)
            for rule in step.rules:
                chosen = chosen.filter(rule.q(now))
            gone_on = write_chosen(chosen, step.values(now), signature)
            stayed = set(batch).difference(gone_on)
            reasons = step.why(model, stayed, now=now) if stayed else {}
        moved += gone_on
        refused.update(reasons)
    return Moved(moved=moved, refused=refused)


def _keys(queryset: models.QuerySet[Any], limit: int | None) -> list[Any]:
    if not queryset.ordered and not queryset.query.is_sliced:
        queryset = queryset.order_by("pk")
    return sorted(set(queryset.values_list("pk", flat=True)[:limit]))


@dataclass(frozen=True, kw_only=True)
class BulkTransition:
    """One transition as data: from where, to where, on what conditions, and what it sets."""

    name: str
    state: models.Field[Any, Any]
    sources: frozenset[Any]
    target: Any
    rules: tuple[Rule, ...]
    sets: Mapping[str, Any]
    dated: bool  # the model says since when it is in its state

    @property
    def locks(self) -> list[str]:
        return sorted({path for rule in self.rules for path in rule.locks})

    def from_here(self) -> Q:
        if ANY_STATE in self.sources:
            return Q()
        if ANY_OTHER_STATE in self.sources:
            return ~Q(**{self.state.name: self.target})
        return Q(**{f"{self.state.name}__in": sorted(self.sources)})

    def values(self, now: datetime) -> dict[str, Any]:
        values = {name: now if value is NOW else value for name, value in self.sets.items()}
        if self.dated:
            values["state_since"] = now
        return {**values, self.state.name: self.target}

    def why(self, model: type[models.Model], pks: Iterable[Any], *, now: datetime) -> dict[Any, str]:
        """The reason each of these rows stayed; the caller holds their locks."""
        rows = model._base_manager.filter(pk__among=sorted(pks))
        there = set(rows.values_list("pk", flat=True))
        waiting = set(rows.filter(self.from_here()).values_list("pk", flat=True))
        why = {pk: GONE if pk not in there else STATE for pk in sorted(pks) if pk not in waiting}
        for rule in self.rules:
            holds = set(rows.filter(rule.q(now)).values_list("pk", flat=True))
            why.update((pk, rule.__name__) for pk in sorted(waiting - holds))
            waiting &= holds
        # Left over are rows whose unlocked surroundings have changed since the UPDATE looked at them.
        why.update((pk, " & ".join(rule.__name__ for rule in self.rules)) for pk in sorted(waiting))
        return why


def bulk_transition(model: type[models.Model], method: Callable[..., Any]) -> BulkTransition:
    """The transition, read from django-fsm's own record of it.

    Raises `NotBulkable` unless it is bulk-capable: one static target, an empty body that takes no values
    (what it sets is declared by `sets(...)`), every condition a `Rule`, a permission that is a name and not
    a question about each row, and nobody listening to django-fsm's signals.
    """
    _check_changeable(model)
    name: str = getattr(method, "__name__", repr(method))
    if not hasattr(method, "_django_fsm") or getattr(model, name, None) is not method:
        raise NotBulkable(f"{name} is no transition of {model.__name__}")
    fsm = method._django_fsm

    def unless(holds: bool, why: str) -> None:
        if not holds:
            raise NotBulkable(f"{model.__name__}.{name} {why}")

    found = list(fsm.transitions.values())
    first = found[0]
    for other in found:
        for part in ("target", "conditions", "permission", "custom", "method"):
            unless(getattr(other, part) == getattr(first, part), f"has more than one {part}")
    unless(isinstance(first.target, str | int), "has no static target")
    unless(has_empty_body(first.method), "does something in its body; declare it with sets(...)")
    unless(all(isinstance(c, Rule) for c in first.conditions), "has a condition that is no Rule")
    unless(not callable(first.permission), "asks its permission about each row")
    heard = pre_transition.has_listeners(model) or post_transition.has_listeners(model)
    unless(not heard, "has a listener to its signal, whom a set of rows would not reach")
    names = {column.name for column in model._meta.local_concrete_fields}
    declared = first.custom.get("sets", {})
    unless(declared.keys() <= names - {fsm.field.name}, "sets what is no field of its own")
    return BulkTransition(
        name=name,
        state=fsm.field,
        sources=frozenset(fsm.transitions),
        target=first.target,
        rules=tuple(first.conditions),
        sets=declared,
        dated="state_since" in names,
    )


def has_empty_body(function: Any) -> bool:
    """Whether calling it can do nothing at all: a docstring, `...` or `pass`, and no argument but self."""
    if not isinstance(function, types.FunctionType):
        return False
    code = function.__code__
    alone = code.co_argcount == 1 and not code.co_kwonlyargcount
    flags = code.co_flags & (0x04 | 0x08 | 0x20 | 0x80 | 0x200)  # *args, **kwargs, generator, coroutine, both
    return alone and not flags and _does(code) == _does(_nothing.__code__)


def _nothing(self: Any) -> None: ...


def _does(code: types.CodeType) -> list[tuple[str, Any]]:
    steps = dis.get_instructions(code)
    return [(step.opname, step.argval) for step in steps if step.opname not in ("NOP", "RESUME", "CACHE")]
