"""What may never be written: ways around history, the FSM, the clock and the queue (DESIGN §2, §3)."""

from __future__ import annotations

import ast

import pytest
from django.apps import apps

from accounts.tracking import QUEUE_FIELDS, excluded_fields
from tests.guards.sources import calls, modules

BULK_DOOR = ("accounts/bulk.py", "accounts/statements.py")
IMPORT_DOOR = "accounts/imports/"  # COPY and history in one statement, tested against the single path
UNTRACKED_TABLES = ("accounts/services/keys.py", "accounts/management/commands/enrol_otp.py")
EDGES = ("closures/tasks/", "closures/admin/", "closures/api/", "closures/demo/", "accounts/admin/")
CLOCKS = (*EDGES, "closures/jobs.py", "closures/apps.py", "closures/gateways/", "accounts/shipped/")
TRACKED = [
    model for model in apps.get_models() if hasattr(model, "history") and hasattr(model.history, "model")
]
# Columns that `update()` may touch: what history leaves out of some model, and columns of untracked models.
FREE = {field for model in TRACKED for field in excluded_fields(model)} | set(QUEUE_FIELDS)
UNTRACKED = {
    field.name
    for model in apps.get_models()
    if model._meta.app_label in ("accounts", "closures")
    and model not in TRACKED
    and not hasattr(model, "history_id")
    for field in model._meta.get_fields()
}


def offences(wanted: str, *, but: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{path}:{call.lineno} {name}"
        for path, tree in modules().items()
        if not path.startswith(but or ("//",))
        for name, call in calls(tree)
        if name.split(".")[-1] == wanted
    ]


@pytest.mark.parametrize(
    "way", ["bulk_update", "bulk_create_with_history", "bulk_update_with_history", "raw"]
)
def test_nothing_goes_around_the_bulk_door(way: str) -> None:
    assert offences(way, but=(*BULK_DOOR, IMPORT_DOOR, *UNTRACKED_TABLES)) == []


def test_update_touches_nothing_that_history_keeps() -> None:
    touched = []
    for path, tree in modules().items():
        if path.startswith((*BULK_DOOR, IMPORT_DOOR, *UNTRACKED_TABLES)):
            continue
        for name, call in calls(tree):
            if name.split(".")[-1] != "update" or not call.keywords:
                continue
            fields = {keyword.arg for keyword in call.keywords if keyword.arg}
            if not fields <= FREE | UNTRACKED:
                touched.append(f"{path}:{call.lineno} {sorted(fields - FREE - UNTRACKED)}")
    assert touched == []


def test_no_row_is_created_in_a_later_state() -> None:
    """`create(state=…)` skips the transitions; only the shipped rows begin where they are meant to be."""
    found = [
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        if not path.startswith(("accounts/shipped/", "accounts/models/staff.py"))
        for name, call in calls(tree)
        if name.endswith(".objects.create") and any(keyword.arg == "state" for keyword in call.keywords)
    ]
    assert found == []


@pytest.mark.parametrize("keyword", ["eta", "countdown"])
def test_no_message_carries_a_time(keyword: str) -> None:
    found = [
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        for _name, call in calls(tree)
        if any(k.arg == keyword for k in call.keywords)
    ]
    assert found == []


def test_only_jobs_talks_to_celery() -> None:
    found = [
        o for way in ("delay", "apply_async", "send_task") for o in offences(way, but=("closures/jobs.py",))
    ]
    assert [place for place in found if "retry.delay" not in place] == []  # a pause of rules.retry


def test_the_clock_is_read_at_the_edges_only() -> None:
    found = [
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        if not path.startswith(CLOCKS) and "/management/" not in path
        for name, call in calls(tree)
        if name in ("timezone.now", "datetime.now", "datetime.utcnow", "date.today")
    ]
    # A sign-in is an edge of its own: Django's signal brings no clock.
    assert [place for place in found if not place.startswith("accounts/models/staff.py")] == []


def test_the_mixins_with_holes_are_not_used() -> None:
    names = {
        f"{path}:{node.id}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in ("FSMAdminMixin", "FSMTransitionMixin")
    }
    assert names == set()


def test_no_proxy_model_loses_history() -> None:
    assert [model for model in apps.get_models() if model._meta.proxy] == []
