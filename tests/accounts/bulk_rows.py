"""Rows of every model that moves in sets, and looks at what became of them, for the bulk door's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext
from django_fsm import FSMFieldMixin

from accounts.actors import Actor
from accounts.bulk import NotBulkable, bulk_transition, transition_many
from accounts.models import (
    CreditAccount,
    CreditProduct,
    Customer,
    LineRestriction,
    PartnerAgreement,
    Regulation,
    User,
)
from accounts.tracking import save_as
from closures.models import (
    ClosureTicket,
    DestructionItem,
    DestructionList,
    LedgerCommand,
    Notice,
    NoticeTemplate,
    UnbindTask,
    Webhook,
)
from tests.factories import LONG_AGO, a_customer, a_user, an_account, an_agreement, counter
from tests.models.rows import a_destruction, a_destruction_item, a_webhook

JOB = Actor.job("sweep")


def a_ticket(state: str, *, move: str = "", **fields: Any) -> ClosureTicket:
    """A ticket of which every rule but "owing" holds, and that one for the moves that need it."""
    owing = Decimal(30 if move == "start_settling" else 0)
    account = fields.pop("account", None) or an_account(line_state="CLOSING", principal=owing)
    n = next(counter)
    given = {
        "number": f"CT{n:08d}",
        "account": account,
        "reason": "CUSTOMER_REQUEST",
        "channel": "AGENT",
        "state": state,
        "state_since": LONG_AGO,
        "requested_at": LONG_AGO,
        "policy": {"version": n},
        "straight_through": True,
        "period_ends_at": LONG_AGO,
        "examined_as_of": account.ledger_as_of,
        "due_at": LONG_AGO,
        **fields,
    }
    return save_as(ClosureTicket(**given), actor=JOB, reason="made")


def a_task(state: str, **fields: Any) -> UnbindTask:
    ticket = a_ticket("UNBINDING")
    agreement = an_agreement(ticket.account)
    task = UnbindTask(
        ticket=ticket,
        agreement=agreement,
        key=f"k{next(counter)}",
        state=state,
        state_since=LONG_AGO,
        **fields,
    )
    return save_as(task, actor=JOB, reason="made")


def a_command(state: str, **fields: Any) -> LedgerCommand:
    command = LedgerCommand(
        account=an_account(),
        verb="FREEZE",
        key=f"k{next(counter)}",
        state=state,
        state_since=LONG_AGO,
        **fields,
    )
    return save_as(command, actor=JOB, reason="made")


def a_notice(state: str, **fields: Any) -> Notice:
    ticket = a_ticket("UNBINDING")
    template, _ = NoticeTemplate.objects.get_or_create(
        kind="RECEIVED", channel="SMS", language="en", version=999, defaults={"body": "text", "digest": "0"}
    )
    notice = Notice(
        about=ticket.number, ticket=ticket,
        customer=ticket.account.customer, kind="RECEIVED", channel="SMS", language="en",
        template=template, values={"b": 1, "a": [None, "𠮷"]}, content_hash="0", key=f"k{next(counter)}",
        state=state, state_since=LONG_AGO, due_at=LONG_AGO, delivered_at=LONG_AGO, **fields,
    )  # fmt: skip
    return save_as(notice, actor=JOB, reason="made")


def a_product(state: str, **fields: Any) -> CreditProduct:
    stored = CreditProduct.objects.order_by("pk").first()
    product = CreditProduct(**{
        **{f.attname: getattr(stored, f.attname) for f in CreditProduct._meta.local_concrete_fields},
        "id": None, "code": f"P{next(counter)}", "state": state, **fields,
    })  # fmt: skip
    return save_as(product, actor=JOB, reason="made")


def a_list(state: str) -> DestructionList:
    """With everything that an approval leaves, whatever its state."""
    row = a_destruction()
    row.proposed_by, row.approved_by = a_user(), a_user()
    row.wait_rule, row.wait_ends_on = Regulation.objects.get(code="ANSWER_DUE"), row.as_of_on
    row.__dict__["state"] = state
    return save_as(row, actor=JOB, reason="made")


def in_state(row: Any, state: str) -> Any:
    row.__dict__["state"] = state  # states are protected from plain assignment
    return save_as(row, actor=JOB, reason="made")


# The models whose rows the product moves in sets, and those that lent the door its laws. Rows of every other
# model move one by one.
MAKERS: dict[type[models.Model], Callable[..., Any]] = {
    ClosureTicket: a_ticket,
    UnbindTask: lambda state, **_: a_task(state),
    LedgerCommand: lambda state, **_: a_command(state),
    Notice: lambda state, **_: a_notice(state),
    PartnerAgreement: lambda state, **_: an_agreement(an_account(), state=state),
    CreditAccount: lambda state, **_: an_account(line_state=state),
    Customer: lambda state, **_: a_customer(standing=state),
    CreditProduct: lambda state, **_: a_product(state),
    User: lambda state, **_: a_user(state=state),
    DestructionList: lambda state, **_: a_list(state),
    DestructionItem: lambda state, **_: in_state(a_destruction_item(), state),
    Webhook: lambda state, **_: in_state(a_webhook(), state),
}


def capable() -> Iterator[tuple[type[models.Model], str]]:
    """Every bulk-capable transition of the models that move in sets."""
    for model in MAKERS:
        for column in model._meta.local_concrete_fields:
            if not isinstance(column, FSMFieldMixin) or not hasattr(model, "history"):
                continue
            for name in sorted({found.name for found in column.get_all_transitions(model)}):
                try:
                    bulk_transition(model, getattr(model, name))
                except NotBulkable:
                    continue
                yield model, name


CAPABLE = list(capable())
SOURCES = [
    pytest.param(model, name, source, id=f"{model.__name__}.{name}-{source}")
    for model, name in CAPABLE
    for source in sorted(getattr(model, name)._django_fsm.transitions)
]


def who_may(model: type[models.Model], name: str) -> Actor:
    found = next(iter(getattr(model, name)._django_fsm.transitions.values()))
    return Actor.staff(a_user(is_superuser=True)) if found.permission else JOB


def stored(model: type[models.Model], pks: Any = None) -> dict[str, list[dict[str, Any]]]:
    """Rows and history rows, all columns but the history's own ids."""
    rows, history = model._base_manager.order_by("pk"), model.history.order_by("history_id")
    if pks is not None:
        rows, history = rows.filter(pk__in=pks), history.filter(id__in=pks)
    noted = [{k: v for k, v in row.items() if k != "history_id"} for row in history.values()]
    return {"rows": list(rows.values()), "history": noted}


def done_and_undone(model: type[models.Model], act: Callable[[], Any]) -> dict[str, list[dict[str, Any]]]:
    point = transaction.savepoint()
    act()
    seen = stored(model)
    transaction.savepoint_rollback(point)
    return seen


def statements(act: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        act()
    return [query["sql"] for query in seen.captured_queries]


def restrictions(accounts: list[CreditAccount], now: datetime) -> list[LineRestriction]:
    return [LineRestriction(account=row, cause="RISK", reference="R1", since=now) for row in accounts]


def unbind(pks: Any, now: datetime, **options: Any) -> Any:
    rows = PartnerAgreement.objects.filter(pk__in=pks)
    return transition_many(rows, PartnerAgreement.unbind, actor=JOB, reason="proved", now=now, **options)
