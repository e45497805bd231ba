"""A canary: one person with known data goes through a whole closing, and then every open text is searched.

Nothing but the sealed tables may hold him: no tracked row, no history, no refusal, no log line, no address.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models

from accounts import pii
from accounts.actors import Actor
from accounts.errors import Refusal
from accounts.models import CustomerIdentity
from closures.models import (
    ApiCall,
    ApiClient,
    ComplaintText,
    IdentityCodeText,
    NoticeBody,
    PartnerCallback,
    UnbindAttempt,
)
from closures.services import complaints, holds, identity_codes, intake, review
from tests.factories import a_person
from tests.stage import Stage

CANARY = {
    "name": "金丝雀某某",
    "id_number": "990000198811223344",
    "phone": "19955566677",
    "email": "canary.bird@example.com",
    "birth_date": "1988-11-22",
}
SEALED = {
    ApiCall, ApiClient, ComplaintText, CustomerIdentity, IdentityCodeText, NoticeBody, PartnerCallback,
    UnbindAttempt,
}  # fmt: skip
TRACES = (*CANARY.values(), "19881122", "canary.bird", "金丝雀")
ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)


def tables() -> list[type[models.Model]]:
    return [m for m in apps.get_models(include_auto_created=True) if m._meta.managed]


def open_texts(model: type[models.Model]) -> list[str]:
    """Every value of every column of every row as text, except what is sealed."""
    sealed = {f.column for f in model._meta.concrete_fields if f.name.endswith("_sealed")}
    columns = [f.column for f in model._meta.concrete_fields if f.column not in sealed]
    quoted = ", ".join(connection.ops.quote_name(column) for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {quoted} FROM {connection.ops.quote_name(model._meta.db_table)}")
        return [str(value) for row in cursor.fetchall() for value in row if value is not None]


def hits(text: str) -> list[str]:
    escaped = text.encode("ascii", "backslashreplace").decode()
    return [
        trace
        for trace in TRACES
        if trace in text or trace.encode("ascii", "backslashreplace").decode() in escaped
    ]


def live(stage: Stage) -> None:
    """Blocked, cured, held, refused, approved, told, timed out, unbound, closed; and once withdrawn."""
    person = a_person(known=CANARY)
    ticket = stage.request(stage.account(ALIPAY, customer=person, principal="12.00"))
    stage.assess()
    stage.work()
    stage.simulator.repay(ticket.account.account_no)
    hold = holds.place(
        ticket_id=ticket.pk, kind="LEGAL", ground="案号 7", actor=stage.staff("reviewer"), now=stage.now
    )
    holds.lift(hold_id=hold.pk, ground="已结案", actor=stage.staff("reviewer"), now=stage.now)
    stage.clock.skip()
    stage.until(ticket, "IN_REVIEW")
    with pytest.raises(Refusal):
        stage.approve(ticket, by="agent")
    with pytest.raises(Refusal):
        stage.request(ticket.account)
    stage.simulator.fault(system="ALIPAY", kind="garbage", method="POST", times=1)
    stage.simulator.fault(system="SMS", kind="timeout_after_success", method="POST", times=1)
    stage.simulator.fault(system="LEDGER", kind="http_500", times=1)
    stage.approve(ticket)
    stage.until(ticket, "CLOSED")
    complaints.register(
        ticket_id=ticket.pk, kind="COMPLAINT", channel="LETTER", topic="WRONG_CLOSING",
        text=" ".join(CANARY.values()), actor=stage.staff("agent"), now=stage.now,
    )  # fmt: skip
    other = stage.request(stage.account(product="BAITIAO", customer=person))
    intake.withdraw(ticket_id=other.pk, actor=stage.staff("agent"), now=stage.now)
    himself = Actor.customer(person)
    asks = {"ticket_id": other.pk, "purpose": "STATUS_DETAILS", "actor": himself, "now": stage.now}
    identity_codes.issue(**asks)
    with pytest.raises(Refusal):
        identity_codes.verify(**asks, code="000000000")
    risk = stage.request(stage.account(product="JIEBEI", customer=person), reason="RISK_CONTROL")
    stage.assess()
    review.reject(ticket_id=risk.pk, ground="证据不足", actor=stage.staff("lead"), now=stage.now)
    stage.work()


def test_a_person_leaves_no_trace_outside_the_sealed_tables(
    stage: Stage, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], mailoutbox: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    live(stage)
    found = {
        f"{model._meta.label}: {trace}"
        for model in tables()
        for text in open_texts(model)
        for trace in hits(text)
    }
    assert found == set()
    assert hits(caplog.text + "".join(capfd.readouterr())) == []
    targets = [call["target"] for call in stage.simulator.calls()]
    assert targets and hits(" ".join(targets)) == [], "an address is in somebody's log"
    assert mailoutbox, "the canary was written to: what is not found was there to be found"


def test_the_search_would_find_him(stage: Stage) -> None:
    """The canary really is in the sealed tables, and an open text with him in it is found."""
    person = a_person(known=CANARY)
    identity = CustomerIdentity.objects.get(customer=person)
    assert pii.reveal(identity.name_sealed, subject=person.customer_no, field="name") == CANARY["name"]
    ticket = stage.request(stage.account(customer=person), reason="POLICY", ground="见客户金丝雀某某")
    texts = open_texts(type(ticket)) + open_texts(type(ticket).history.model)
    assert [trace for text in texts for trace in hits(text)]


def test_every_sealed_column_belongs_to_a_known_table() -> None:
    sealed = {m for m in tables() for f in m._meta.concrete_fields if f.name.endswith("_sealed")}
    assert sealed == SEALED


def test_every_sealed_table_says_whose_its_seals_are() -> None:
    """Erasing a customer empties every table of seals; one that is not found would be left behind."""
    for table in pii.personal_tables():
        assert table.customer_path, f"{table.model.__name__}: give register_sealed a customer_path"
        table.model._base_manager.filter(**{table.customer_path: 1})  # it leads to a customer
    assert {table.model for table in pii.sealed_tables()} == SEALED
    assert {table.model for table in pii.personal_tables()} == SEALED - {ApiCall, ApiClient}
