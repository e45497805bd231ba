"""What wraps every service that decides: one transaction, and a record of every refusal."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.errors import Refusal
from accounts.models import RefusedAction

# What people write for each other stands in the open for ever, in histories that nobody may rewrite.
WRITTEN = ("ground", "reason", "evidence", "proof")


class PersonalDataWritten(Refusal):
    """A number or an address of a person stands in a text that is kept in the open (SPEC §8, 12)."""

    code = "personal_data_written"
    template = _("Write no ID number, mobile number or e-mail address here: this text is kept for ever.")


P = ParamSpec("P")
R = TypeVar("R")


# Whether a decision is under way on this thread: the outermost one records, after it has undone everything.
_deciding: ContextVar[bool] = ContextVar("deciding", default=False)


def decision(function: Callable[P, R]) -> Callable[P, R]:
    """Run a service in one transaction; a `Refusal` undoes it whole and leaves a `RefusedAction` row.

    The record is written after the roll-back, by the outermost of nested decisions, so it stays, unless a
    transaction around them all is undone too.
    """

    @functools.wraps(function)
    def decide(*args: P.args, **kwargs: P.kwargs) -> R:
        if _deciding.get():
            with transaction.atomic():
                return function(*args, **kwargs)
        outermost = _deciding.set(True)
        try:
            with transaction.atomic():
                check_written(kwargs)
                return function(*args, **kwargs)
        except Refusal as refusal:
            if not getattr(refusal, "recorded", False):
                refusal.recorded = True  # type: ignore[attr-defined]
                record(
                    refusal,
                    action=f"{function.__module__.partition('.services.')[2]}.{function.__name__}",
                    facts=kwargs,
                )
            raise
        finally:
            _deciding.reset(outermost)

    return decide


def check_written(given: dict[str, Any]) -> None:
    """Raises PersonalDataWritten if a text that would be kept in the open shows personal data."""
    for name in WRITTEN:
        if isinstance(text := given.get(name), str) and pii.looks_personal(text):
            raise PersonalDataWritten


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
