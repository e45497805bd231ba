"""The bulk door does to many rows what `save_as` and `move` do to each: same rows, same history."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from django.db import models
from django_fsm import FSMFieldMixin

from accounts.actors import Actor
from accounts.bulk import create_many, insert_history, transition_many, update_many
from accounts.models import (
    CreditAccount,
    Customer,
    Lender,
    LenderRelationship,
    LineRestriction,
    PartnerAgreement,
)
from accounts.tracking import move, save_as
from closures.models import ClosureTicket, Hold, UnbindTask
from tests.accounts.bulk_rows import CAPABLE, JOB, MAKERS, SOURCES, a_ticket, done_and_undone, who_may
from tests.factories import LONG_AGO, a_customer, a_user, an_account

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("model", "name", "source"), SOURCES)
def test_a_bulk_move_leaves_what_single_moves_leave(
    model: type[models.Model], name: str, source: str, now: datetime
) -> None:
    made = [MAKERS[model](source, move=name) for _ in range(3)]
    said = {"actor": who_may(model, name), "reason": "因为 it's due", "now": now}
    pks = [row.pk for row in made]

    def one_by_one() -> None:
        for row in model._base_manager.filter(pk__in=pks).order_by("pk"):
            move(row, name, **said)

    single = done_and_undone(model, one_by_one)
    many = done_and_undone(
        model, lambda: transition_many(model._base_manager.filter(pk__in=pks), getattr(model, name), **said)
    )

    assert many == single
    assert len(many["history"]) == model.history.count() + 3


def test_the_moves_of_the_sweeps_are_bulk_capable() -> None:
    for needed in [
        (ClosureTicket, "start_unbinding"),
        (ClosureTicket, "start_settling"),
        (ClosureTicket, "start_closing"),
        (PartnerAgreement, "start_unbinding"),
        (CreditAccount, "freeze"),
        (Customer, "resume"),
        (UnbindTask, "cancel"),
    ]:
        assert needed in CAPABLE


def an_unsaved(model: type[models.Model]) -> models.Model:
    if model is LenderRelationship:
        return LenderRelationship(
            customer=a_customer(), lender=Lender.objects.first(), started_on=date(2024, 5, 6)
        )
    if model is LineRestriction:
        return LineRestriction(account=an_account(), cause="RISK", reference="R1", since=LONG_AGO)
    if model is Hold:
        return Hold(ticket=a_ticket("UNBINDING"), kind="AML", ground="甲", opened_at=LONG_AGO)
    column = next(c for c in model._meta.local_concrete_fields if isinstance(c, FSMFieldMixin))
    saved = MAKERS[model](str(column.default))
    row = model(**{c.attname: getattr(saved, c.attname) for c in model._meta.local_concrete_fields})
    model.history.all().delete()
    rows = model._base_manager.filter(pk=saved.pk)
    rows._raw_delete(rows.db)  # quietly: history's own listener asks for an actor
    return row


@pytest.mark.parametrize("by", ["job", "staff"])
@pytest.mark.parametrize(
    "model", [*MAKERS, LenderRelationship, LineRestriction, Hold], ids=lambda model: model.__name__
)
def test_a_row_created_in_bulk_is_what_a_row_saved_alone_is(
    model: type[models.Model], by: str, now: datetime
) -> None:
    actor = JOB if by == "job" else Actor.staff(a_user())
    row = an_unsaved(model)
    row.pk = 700_000
    values = {c.attname: getattr(row, c.attname) for c in model._meta.local_concrete_fields}

    single = done_and_undone(model, lambda: save_as(model(**values), actor=actor, reason="new", now=now))
    many = done_and_undone(model, lambda: create_many([model(**values)], actor=actor, reason="new", now=now))

    assert many == single
    assert many["history"][-1]["history_type"] == "+"


@pytest.mark.parametrize("by", ["job", "staff"])
def test_a_row_updated_in_bulk_is_what_a_row_saved_alone_is(by: str, now: datetime) -> None:
    actor = JOB if by == "job" else Actor.staff(a_user())
    accounts = [an_account(principal=Decimal(n), days_past_due=n) for n in range(4)]
    wanted = {
        "principal": Decimal("12.30"),
        "days_past_due": 7,
        "arrears_months": "1|0",
        "closed_at": now,
        "ledger_as_of": now,
        "customer": a_customer(),
        "row_digest": "d",
    }
    wanted_of = {row.account_no: {**wanted, "principal": wanted["principal"] + row.pk} for row in accounts}

    def one_by_one() -> None:
        for row in CreditAccount.objects.filter(account_no__in=wanted_of).order_by("pk"):
            for name, value in wanted_of[row.account_no].items():
                setattr(row, name, value)
            save_as(row, actor=actor, reason="newer extract", now=now)

    def together() -> None:
        rows = [{"account_no": number, **values} for number, values in wanted_of.items()]
        update_many(
            CreditAccount, rows, key="account_no", fields=list(wanted), actor=actor, reason="newer extract",
            now=now,
        )  # fmt: skip

    # Four customers' accounts become one customer's, which only closed ones may be.
    CreditAccount.objects.update(line_state="CLOSED", closed_at=LONG_AGO)
    assert done_and_undone(CreditAccount, together) == done_and_undone(CreditAccount, one_by_one)


def test_history_written_by_the_primitive_copies_the_row_as_it_is(now: datetime) -> None:
    account = an_account(principal=Decimal("1.10"))
    insert_history(CreditAccount, [account.pk], "-", actor=JOB, reason="goes", now=now)
    noted = account.history.latest("history_id")
    assert (noted.history_type, noted.principal, noted.history_actor) == ("-", Decimal("1.10"), "job:sweep")
    insert_history(CreditAccount, [], "-", actor=JOB, reason="goes", now=now)
    assert account.history.count() == 2
