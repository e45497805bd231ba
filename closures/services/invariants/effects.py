"""Invariant of the partners: one effect per task and generation (SPEC §8, 8)."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Count

from closures.gateways import effects
from closures.gateways.errors import GatewayError
from closures.models import UnbindAttempt, UnbindTask
from closures.services.invariants.finding import EXAMPLES, Finding

NOT_CHECKED = "not checked: the ledger of effects gave no answer"


def one_effect() -> Finding:
    """8. At most one effect at a partner per task and generation.

    Ours to show: a task has had one key all its life, and no two tasks share one. The partners' own ledger
    of effects is read where there is one (the simulator's); where it should answer and does not, that is a
    violation, because nothing was shown.
    """
    ours = _keys_kept()
    return ours + _by_their_ledger() if settings.EFFECTS_LEDGER_URL else ours


def _keys_kept() -> Finding:
    changed = UnbindTask.history.values("id").annotate(keys=Count("key", distinct=True)).filter(keys__gt=1)
    shared = UnbindTask.objects.values("key").annotate(tasks=Count("pk")).filter(tasks__gt=1)
    broken = changed.count() + shared.count()
    named: list[str] = []
    if broken:
        tasks = UnbindTask.objects.filter(pk__in=changed.values("id")).order_by("pk")
        named = [
            *tasks.values_list("key", flat=True)[:EXAMPLES],
            *shared.values_list("key", flat=True)[:EXAMPLES],
        ]
    return Finding(examined=UnbindTask.objects.count(), violations=broken, examples=tuple(named[:EXAMPLES]))


def _by_their_ledger() -> Finding:
    try:
        repeated = effects.repeated()
    except GatewayError:
        return Finding(examined=0, violations=1, examples=(NOT_CHECKED,))
    found = Finding(examined=0)
    for effect in repeated:
        if effect.kind == effects.UNSIGN and effect.count > _generations(effect.system, effect.subject):
            found += Finding(examined=0, violations=1, examples=(f"{effect.system} {effect.subject}",))
    return found


def _generations(partner: str, agreement_no: str) -> int:
    """How many tasks of ours have called for the end of this agreement: each may have had one effect."""
    called = UnbindAttempt.objects.filter(
        verb=UnbindAttempt.Verb.UNSIGN,
        task__agreement__partner=partner,
        task__agreement__agreement_no=agreement_no,
    )
    return max(called.values("task").distinct().count(), 1)
