"""Each `update()` is judged by the model it is called on; raw SQL and later states have their few places."""

from __future__ import annotations

from django.apps import apps
from django_fsm import FSMField

from accounts.tracking import QUEUE_FIELDS, excluded_fields
from tests.guards.sources import calls, modules

OURS = [m for m in apps.get_models() if m._meta.app_label in ("accounts", "closures")]
TRACKED = {m.__name__: m for m in OURS if hasattr(m, "history") and hasattr(m.history, "model")}
# Own tables, own rows, no history to keep: everything of ours that is neither tracked nor history.
UNTRACKED = {m.__name__ for m in OURS if m.__name__ not in TRACKED and not hasattr(m, "instance_type")}
NOT_OURS = {"TOTPDevice", "Group"}
OTHERS = {
    "given",
    "table",
}  # group permissions (accounts.shipped.roles), sealed tables (accounts.services.keys)
# Of an update on a variable: whatever model it is, these columns are in no history.
QUEUE = set(QUEUE_FIELDS)
WAKE_UPS = {"woken_at"}  # closures.jobs, on the table of sweeps
NOT_A_QUERYSET = {"seen", "refused", "why", "found", "ids", "keyed", "ledger", "vars()"}
BULK_DOOR = ("accounts/bulk.py", "accounts/statements.py")
RAW_SQL = (*BULK_DOOR, "accounts/imports/", "closures/services/invariants/", "closures/simulator/")
BIRTHS = ("accounts/shipped/", "accounts/models/staff.py", "accounts/imports/")
STATE_FIELDS = {
    name: field.name
    for name, model in TRACKED.items()
    for field in model._meta.concrete_fields
    if isinstance(field, FSMField)
}


def allowed(receiver: str) -> set[str] | None:
    """The columns that may be updated on what is called `receiver`; None: any."""
    head = receiver.split(".")[0]
    if head in UNTRACKED | NOT_OURS:
        return None
    if head in TRACKED:
        return set(excluded_fields(TRACKED[head]))
    return QUEUE | WAKE_UPS


def test_no_update_touches_a_column_that_history_keeps() -> None:
    offences = []
    for path, tree in modules().items():
        if path.startswith((*BULK_DOOR, "closures/simulator/")):
            continue
        for name, call in calls(tree):
            receiver, _, method = name.rpartition(".")
            if method != "update" or receiver.split(".")[0] in NOT_A_QUERYSET:
                continue
            fields, free = {keyword.arg for keyword in call.keywords}, allowed(receiver)
            if free is not None and (not fields or not fields <= free):
                offences.append(f"{path}:{call.lineno} {receiver} {sorted(map(str, fields))}")
    assert offences == []


def test_no_tracked_model_is_made_in_bulk_beside_the_bulk_door() -> None:
    offences = []
    for path, tree in modules().items():
        for name, call in calls(tree):
            head, method = name.split(".")[0], name.split(".")[-1]
            made = method in ("bulk_create", "bulk_update", "abulk_create", "abulk_update")
            if made and not path.startswith(BULK_DOOR) and head not in UNTRACKED | NOT_OURS | OTHERS:
                offences.append(f"{path}:{call.lineno} {name}")
    assert offences == []


def test_raw_sql_is_written_in_its_few_places() -> None:
    found = {
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        for name, call in calls(tree)
        if name.split(".")[-1] in ("execute", "executemany", "raw", "extra", "copy")
        and name.split(".")[0] in ("cursor", "connection", "self", *TRACKED)
        and not path.startswith(RAW_SQL)
    }
    assert found == set()


def test_no_row_is_born_in_a_later_state() -> None:
    """`Model(state=…)` passes the transitions by as well as `create(state=…)` does."""
    offences = [
        f"{path}:{call.lineno} {name}"
        for path, tree in modules().items()
        if not path.startswith(BIRTHS)
        for name, call in calls(tree)
        if (field := STATE_FIELDS.get(name.split(".")[0]))
        and name.split(".")[-1] in (name, "create", "get_or_create", "update_or_create")
        and any(keyword.arg == field for keyword in call.keywords)
    ]
    assert offences == []


def test_no_celery_task_retries_itself() -> None:
    found = [
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        for name, call in calls(tree)
        if name.endswith(".retry") or any(k.arg in ("autoretry_for", "max_retries") for k in call.keywords)
    ]
    assert found == []


def test_the_guard_sees_what_it_is_there_for() -> None:
    """Each offence, written down as source, is one."""
    assert allowed("ClosureTicket.objects.filter()") == set(excluded_fields(TRACKED["ClosureTicket"]))
    assert "state" not in (allowed("ClosureTicket.objects") or ())
    assert "reason" not in (allowed("mine.filter()") or ())
    assert allowed("PartnerCallback.objects.filter()") is None
    assert {"ClosureTicket", "UnbindTask", "Notice", "CreditAccount", "User"} <= set(STATE_FIELDS)
