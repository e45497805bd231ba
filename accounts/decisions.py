"""What wraps every service that decides: one transaction, and a record of every refusal."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from django.db import transaction

from accounts.errors import Refusal
from accounts.models import RefusedAction

P = ParamSpec("P")
R = TypeVar("R")


def decision(function: Callable[P, R]) -> Callable[P, R]:
    """Run a service in one transaction; a `Refusal` undoes it whole and leaves a `RefusedAction` row.

    The record is written after the roll-back, so it stays, unless an outer transaction is undone too.
    """

    @functools.wraps(function)
    def decide(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with transaction.atomic():
                return function(*args, **kwargs)
        except Refusal as refusal:
            if not getattr(refusal, "recorded", False):
                refusal.recorded = True  # type: ignore[attr-defined]
                record(
                    refusal,
                    action=f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}",
                    facts=kwargs,
                )
            raise

    return decide


def record(refusal: Refusal, *, action: str, facts: dict[str, Any]) -> None:
    """Keep who was refused what, on which row, and why; never an argument that may be personal."""
    subject = {k: v for k, v in facts.items() if k.endswith("_id") and isinstance(v, int)}
    RefusedAction.objects.create(
        action=action,
        code=refusal.code,
        message=refusal.message[:500],
        subject=subject,
        actor=str(facts.get("actor", "")),
    )
