"""The one way to save a tracked row, and the one way to move it through its states.

What lives here: history with its actor, `save_as`, `move`, and the words with which a model declares a
transition that the bulk door (`accounts.bulk`) can run too. What does not: any rule of the business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMModelMixin, can_proceed
from simple_history.models import HistoricalRecords
from simple_history.signals import pre_create_historical_record

from accounts.actors import Actor, ActorKind
from accounts.errors import Refusal

QUEUE_FIELDS = ("due_at", "lease_until", "lease_token", "fence", "attempts")


class NotPossible(Refusal):
    """The row is not in a state from which this move exists, or a condition does not hold."""

    code = "not_possible"
    template = _("“{move}” is not possible: {row} is {state} now. Nothing was changed.")


class NotPermitted(Refusal):
    """The actor lacks the right to this move; being a superuser's script is no right either."""

    code = "not_permitted"
    template = _("You do not have the right to “{move}”. Nothing was changed.")


class Unsigned(RuntimeError):
    """A tracked row was saved without `save_as`: a defect, never a clerk's mistake."""


class TrackedHistory(models.Model):
    """What our history rows hold beside a copy of the row: who, in words that outlive the account."""

    history_actor = models.CharField(_("by"), max_length=80)

    class Meta:
        abstract = True


def tracked(*, excluded: Sequence[str] = (), **options: Any) -> HistoricalRecords:
    """History for a model: 64-bit ids, an actor on every row, `excluded` columns left out.

    Excluded are queue columns and copies that change without meaning (DESIGN §3); only those may be
    changed by `update()`.
    """
    return HistoricalRecords(
        bases=[TrackedHistory],
        history_id_field=models.BigAutoField(),
        history_change_reason_field=models.TextField(null=True),
        excluded_fields=list(excluded),
        **options,
    )


class Tracked(FSMModelMixin, models.Model):
    """A row whose every change has an actor and a reason."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        fields = kwargs.get("update_fields")
        if not fields or not set(fields) <= set(excluded_fields(type(self))):
            return super().save(*args, **kwargs)
        self.skip_history_when_saving = True
        try:
            super().save(*args, **kwargs)
        finally:
            del self.skip_history_when_saving


def excluded_fields(model: type[models.Model]) -> tuple[str, ...]:
    """The columns of a tracked model that its history leaves out."""
    return tuple(model.history.model._history_excluded_fields)  # type: ignore[attr-defined]


@receiver(pre_create_historical_record)
def sign_history(sender: type, instance: Any, history_instance: Any, **kwargs: Any) -> None:
    actor = getattr(instance, "_history_actor", None)
    if not isinstance(history_instance, TrackedHistory):
        return
    if actor is None:
        raise Unsigned(f"{type(instance).__name__} was saved without an actor; use save_as()")
    history_instance.history_actor = str(actor)


def save_as(row: Any, *, actor: Actor, reason: str, now: datetime | None = None) -> Any:
    """Save a tracked row with its actor and reason in one history row; returns the row.

    `now` dates the history row (default: the moment of saving). The signature does not stick to the
    instance: a later bare `save()` raises `Unsigned`.
    """
    row._history_actor = actor
    row._history_user = actor.user
    row._change_reason = reason
    if now is not None:
        row._history_date = now
    try:
        row.save()
    finally:
        for name in ("_history_actor", "_history_user", "_change_reason", "_history_date"):
            if hasattr(row, name):
                delattr(row, name)
    return row


# --- Declaring a transition -------------------------------------------------------------------------


class _Now:
    def __repr__(self) -> str:
        return "NOW"


NOW = _Now()  # in `sets(...)`: the moment of the move

# For `sets(also=…)`: the move is a consequence, and the service that causes it has checked the right.
EVERYBODY = tuple(ActorKind)


def sets(*, label: Any = None, also: Sequence[ActorKind] = (), **values: Any) -> dict[str, Any]:
    """The `custom=` of a transition: its label, the values it sets, and the actors that need no permission.

    A transition whose body is empty and whose values are all declared here is *bulk-capable*.
    """
    return {"sets": values, "also": tuple(also), "label": label}


class Rule:
    """A transition's condition, stated once as a Q for both the single path and the bulk door.

    `locks` names the relations the Q reads; whoever moves the row holds them locked too.
    """

    def __init__(self, q: Q | Callable[[datetime], Q], *, name: str, locks: Sequence[str] = ()) -> None:
        self._q = q
        self.__name__ = name
        self.locks = tuple(locks)

    def q(self, now: datetime) -> Q:
        return self._q(now) if callable(self._q) else self._q

    def holds(self, row: models.Model, now: datetime) -> bool:
        """Whether the stored row satisfies the Q; the caller holds its lock."""
        return type(row)._base_manager.filter(self.q(now), pk=row.pk).exists()

    def __call__(self, row: models.Model) -> bool:
        # django-fsm asks without a clock; `move` asks `holds` with one before it calls the transition.
        return True


def transition_of(row_or_model: Any, name: str) -> Any:
    """The django-fsm transition called `name`, for the row's present state when a row is given."""
    method = getattr(row_or_model, name)
    fsm = method._django_fsm
    if isinstance(row_or_model, type):
        (found,) = {id(t): t for t in fsm.transitions.values()}.values()
        return found
    return fsm.get_transition(fsm.field.get_state(row_or_model))


def permitted(row: Any, name: str, actor: Actor) -> bool:
    """Whether `actor` may make this move, whatever the row's state.

    Staff need the transition's permission, and a transition without one is the machine's alone.
    """
    for found in getattr(row, name)._django_fsm.transitions.values():
        if actor.kind in (found.custom or {}).get("also", ()):
            continue
        if actor.kind is ActorKind.STAFF:
            if not found.permission or not found.has_perm(row, actor.user):
                return False
        elif found.permission:
            return False
    return True


def move(row: Any, name: str, *, actor: Actor, reason: str, now: datetime, **values: Any) -> Any:
    """Make one legal transition and save it with one history row; returns the row.

    The caller holds the row's lock. Raises `NotPermitted` or `NotPossible`, and then neither the row in
    memory nor the one in the database has changed. Repeating a move that has happened raises `NotPossible`.
    """
    method = getattr(row, name)
    if not permitted(row, name, actor):
        raise NotPermitted(move=move_label(row, name))
    found = transition_of(row, name)
    rules = [c for c in ((found.conditions or ()) if found else ()) if isinstance(c, Rule)]
    if not can_proceed(method) or not all(rule.holds(row, now) for rule in rules):
        raise NotPossible(move=move_label(row, name), row=row, state=row_state_label(row, method))
    for field, value in (found.custom or {}).get("sets", {}).items():
        setattr(row, field, now if value is NOW else value)
    if hasattr(row, "state_since"):
        row.state_since = now
    method(**values)
    return save_as(row, actor=actor, reason=reason, now=now)


def move_label(row: Any, name: str) -> str:
    transitions = getattr(type(row), name)._django_fsm.transitions.values()
    return str(
        next(
            (t.custom["label"] for t in transitions if t.custom and t.custom.get("label")),
            name.replace("_", " "),
        )
    )


def row_state_label(row: Any, method: Any) -> str:
    field = method._django_fsm.field
    return str(getattr(row, f"get_{field.name}_display")())
