"""The bulk door: what is created, changed and moved, what stays and why, and who may."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, models, transaction
from django.db.models import Q

from accounts.actors import Actor
from accounts.bulk import GONE, STATE, NotBulkable, create_many, transition_many, update_many
from accounts.models import (
    CreditAccount,
    CreditProduct,
    Customer,
    CustomerIdentity,
    LineRestriction,
    PartnerAgreement,
)
from accounts.tracking import NotPermitted, NotPossible, Rule, move, save_as
from closures.models import ClosureTicket, Hold, UnbindTask
from tests.accounts.bulk_rows import JOB, a_ticket, restrictions, unbind
from tests.factories import LONG_AGO, a_user, an_account, an_agreement

pytestmark = pytest.mark.django_db


# --- create_many ----------------------------------------------------------------------------------------


def test_created_rows_have_keys_and_one_history_row_each_across_batches(now: datetime, settings: Any) -> None:
    settings.BATCH_SIZE = 2
    accounts = [an_account() for _ in range(5)]
    created = create_many((row for row in restrictions(accounts, now)), actor=JOB, reason="risk", now=now)
    assert [row.account_id for row in created] == [row.pk for row in accounts]
    assert sorted(LineRestriction.history.values_list("id", flat=True)) == [row.pk for row in created]


def test_creating_nothing_creates_nothing(now: datetime) -> None:
    assert create_many([], actor=JOB, reason="none", now=now) == []


def test_a_conflict_is_raised_and_the_batch_leaves_nothing(now: datetime) -> None:
    accounts = [an_account(), an_account()]
    with pytest.raises(IntegrityError), transaction.atomic():
        create_many(restrictions([*accounts, accounts[0]], now), actor=JOB, reason="risk", now=now)
    assert not LineRestriction.objects.exists()
    assert not LineRestriction.history.exists()


def test_an_ignored_conflict_has_no_row_no_key_and_no_history(now: datetime) -> None:
    accounts = [an_account() for _ in range(3)]
    create_many(restrictions(accounts[1:2], now), actor=JOB, reason="first", now=now)
    rows = restrictions(accounts, now)
    created = create_many(rows, actor=JOB, reason="second", now=now, ignore_conflicts=True)
    assert created == [rows[0], rows[2]]
    assert rows[1].pk is None
    assert LineRestriction.history.count() == LineRestriction.objects.count() == 3
    assert (
        create_many(restrictions(accounts, now), actor=JOB, reason="", now=now, ignore_conflicts=True) == []
    )
    # The next key given by the database itself is free.
    save_as(restrictions([an_account()], now)[0], actor=JOB, reason="single")


def test_keys_and_ignored_conflicts_do_not_go_together(now: datetime) -> None:
    row = restrictions([an_account()], now)[0]
    row.pk = 5
    with pytest.raises(ValueError, match="keys"):
        create_many([row], actor=JOB, reason="", now=now, ignore_conflicts=True)


def test_one_call_creates_rows_of_one_model(now: datetime) -> None:
    with pytest.raises(ValueError, match="one model"):
        create_many([Customer(), CreditAccount()], actor=JOB, reason="", now=now)


# --- update_many ----------------------------------------------------------------------------------------


def new_principals(rows: dict[str, Any], now: datetime, fields: tuple[str, ...] = ("principal",)) -> Any:
    given = [{"account_no": number, "principal": value} for number, value in rows.items()]
    return update_many(
        CreditAccount, given, key="account_no", fields=fields, actor=JOB, reason="copy", now=now
    )


def test_only_rows_that_differ_are_written_and_noted(now: datetime, settings: Any) -> None:
    settings.BATCH_SIZE = 2
    rows = [an_account(principal=Decimal(n)) for n in range(3)]
    before = CreditAccount.history.count()
    done = new_principals(
        {rows[0].account_no: 0, rows[1].account_no: "1.00", rows[2].account_no: Decimal("9.99"), "NOBODY": 1},
        now,
    )
    assert (done.changed, done.unchanged, done.missing) == ([rows[2].pk], 2, ["NOBODY"])
    assert CreditAccount.history.count() == before + 1
    rows[2].refresh_from_db()
    assert rows[2].principal == Decimal("9.99")


def test_the_same_update_a_second_time_changes_nothing(now: datetime) -> None:
    row = an_account(arrears_months="")
    said = {"key": "pk", "fields": ["principal", "closed_at", "arrears_months", "ledger_as_of"]}
    wanted = {"principal": Decimal("0.10"), "closed_at": None, "arrears_months": "0|1", "ledger_as_of": now}
    for expected in ([row.pk], []):
        done = update_many(
            CreditAccount, [{"pk": row.pk, **wanted}], actor=JOB, reason="copy", now=now, **said
        )
        assert done.changed == expected
    assert row.history.count() == 2


def test_a_fraction_of_a_fen_is_no_change(now: datetime) -> None:
    row = an_account(principal=Decimal("5.00"))
    assert not new_principals({row.account_no: Decimal("5.001")}, now).changed


def test_null_is_a_value_like_any_other(now: datetime) -> None:
    row = save_as(restrictions([an_account()], now)[0], actor=JOB, reason="made")
    for wanted in (now, None):
        row.until = wanted
        done = update_many(
            LineRestriction, [row], key="pk", fields=["until"], actor=JOB, reason="until", now=now
        )
        assert done.changed == [row.pk]
        assert LineRestriction.objects.get().until == wanted
    assert row.history.count() == 3


def test_columns_left_out_of_history_change_without_a_history_row(now: datetime) -> None:
    quiet, loud = an_account(), an_account()
    given = [
        {"pk": quiet.pk, "ledger_as_of": now, "principal": Decimal(0)},
        {"pk": loud.pk, "ledger_as_of": now, "principal": Decimal(1)},
    ]
    done = update_many(
        CreditAccount,
        given,
        key="pk",
        fields=["ledger_as_of", "principal"],
        actor=JOB,
        reason="copy",
        now=now,
    )
    assert done.changed == [quiet.pk, loud.pk]
    assert set(CreditAccount.objects.values_list("ledger_as_of", flat=True)) == {now}
    assert (quiet.history.count(), loud.history.count()) == (1, 2)
    later = [{"pk": loud.pk, "ledger_as_of": now + timedelta(days=1)}]
    update_many(CreditAccount, later, key="pk", fields=["ledger_as_of"], actor=JOB, reason="copy", now=now)
    assert loud.history.count() == 2


def test_values_that_break_a_constraint_change_nothing(now: datetime) -> None:
    rows = [an_account(), an_account()]
    with pytest.raises(IntegrityError), transaction.atomic():
        new_principals({rows[0].account_no: 5, rows[1].account_no: -1}, now)
    assert not CreditAccount.objects.exclude(principal=0).exists()
    assert not CreditAccount.history.filter(history_type="~").exists()
    assert new_principals({rows[0].account_no: 5}, now).changed == [rows[0].pk]


@pytest.mark.parametrize(
    ("model", "key", "field"),
    [
        (CreditAccount, "pk", "line_state"),
        (CreditAccount, "pk", "id"),
        (CreditAccount, "account_no", "account_no"),
        (CreditAccount, "customer", "principal"),
        (PartnerAgreement, "agreement_no", "effect"),
        (CreditProduct, "pk", "effects"),
        (ClosureTicket, "idempotency_key", "ground"),
        (CustomerIdentity, "pk", "digest"),
    ],
)
def test_what_cannot_be_updated_in_bulk_is_refused(
    model: type[models.Model], key: str, field: str, now: datetime
) -> None:
    with pytest.raises(NotBulkable):
        update_many(model, [], key=key, fields=[field], actor=JOB, reason="", now=now)


def test_a_key_given_twice_is_refused_before_its_batch_is_written(now: datetime, settings: Any) -> None:
    settings.BATCH_SIZE = 1
    row = an_account()
    given = [{"pk": row.pk, "principal": 1}, {"pk": str(row.pk), "principal": 2}]
    with pytest.raises(ValueError, match="twice"):
        update_many(CreditAccount, given, key="pk", fields=["principal"], actor=JOB, reason="", now=now)
    row.refresh_from_db()
    assert row.principal == 1


# --- transition_many ------------------------------------------------------------------------------------


def test_every_row_has_moved_or_says_why_not(now: datetime, settings: Any) -> None:
    settings.BATCH_SIZE = 2
    account = an_account()
    rows = [
        an_agreement(account, state=state) for state in ("BOUND", "LAPSED", "UNBINDING", "UNBOUND", "BOUND")
    ]
    done = unbind([row.pk for row in rows], now)
    assert done.moved == [rows[0].pk, rows[2].pk, rows[4].pk]
    assert done.refused == {rows[1].pk: STATE, rows[3].pk: STATE}
    again = unbind([row.pk for row in rows], now)
    assert (again.moved, len(again.refused)) == ([], 5)
    assert [row.history.count() for row in rows] == [2, 1, 2, 1, 2]


def test_a_row_that_has_gone_says_so(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    row = an_agreement(an_account())
    rows = PartnerAgreement.objects.filter(pk=row.pk)
    list(rows.values_list("pk"))
    monkeypatch.setattr("accounts.bulk._keys", lambda *_: [row.pk, 9_999_999])
    done = transition_many(rows, PartnerAgreement.unbind, actor=JOB, reason="proved", now=now)
    assert (done.moved, done.refused) == ([row.pk], {9_999_999: GONE})


def test_a_limit_takes_the_first_in_the_order_asked_for(now: datetime) -> None:
    account = an_account()
    rows = [an_agreement(account, signed_on=date(2024, 1, 9 - n)) for n in range(4)]
    every = PartnerAgreement.objects.all()
    said = {"actor": JOB, "reason": "", "now": now}
    assert transition_many(every, PartnerAgreement.unbind, limit=1, **said).moved == [rows[0].pk]
    oldest = every.filter(state="BOUND").order_by("signed_on")
    assert transition_many(oldest, PartnerAgreement.unbind, limit=2, **said).moved == [rows[2].pk, rows[3].pk]
    assert transition_many(every.filter(state="BOUND")[:1], PartnerAgreement.unbind, **said).moved == [
        rows[1].pk
    ]
    assert transition_many(every.none(), PartnerAgreement.unbind, **said).moved == []


def test_a_rule_that_does_not_hold_is_named(now: datetime) -> None:
    fine, early, owing, held = (a_ticket("NOTICE_PERIOD") for _ in range(4))
    ClosureTicket.objects.filter(pk=early.pk).update(period_ends_at=now + timedelta(seconds=1))
    CreditAccount.objects.filter(pk=owing.account_id).update(principal=1)
    save_as(Hold(ticket=held, kind="AML", ground="g", opened_at=now), actor=JOB, reason="hold")
    done = transition_many(
        ClosureTicket.objects.all(), ClosureTicket.start_unbinding, actor=JOB, reason="over", now=now
    )
    assert done.moved == [fine.pk]
    assert done.refused == {row.pk: "period over" for row in (early, owing, held)}
    for row in (early, owing, held):
        with pytest.raises(NotPossible):
            move(ClosureTicket.objects.get(pk=row.pk), "start_unbinding", actor=JOB, reason="", now=now)


def test_the_second_of_two_rules_is_named_when_the_first_holds(now: datetime) -> None:
    begun = a_ticket("SETTLING", unbinding_started_at=LONG_AGO)
    rows = ClosureTicket.objects.filter(pk=begun.pk)
    done = transition_many(rows, ClosureTicket.unbind_settled, actor=JOB, reason="settled", now=now)
    assert done.refused == {begun.pk: "unbinding has not begun"}


def test_a_rule_that_can_never_hold_moves_nobody(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    row = a_ticket("UNBINDING")
    never = Rule(Q(pk__in=[]), name="never")
    for found in ClosureTicket.start_closing._django_fsm.transitions.values():
        monkeypatch.setattr(found, "conditions", [never])
    done = transition_many(
        ClosureTicket.objects.all(), ClosureTicket.start_closing, actor=JOB, reason="", now=now
    )
    assert (done.moved, done.refused) == ([], {row.pk: "never"})


def test_staff_need_the_right_and_the_machine_may_not_do_what_staff_decide(now: datetime) -> None:
    product = CreditProduct.objects.filter(state="OFFERED").first()
    agreement = an_agreement(an_account())
    said = {"reason": "", "now": now}
    products, tasks = CreditProduct.objects.filter(pk=product.pk), UnbindTask.objects.all()
    for actor in (Actor.staff(a_user()), JOB):
        with pytest.raises(NotPermitted):
            transition_many(products, CreditProduct.suspend, actor=actor, **said)
    with pytest.raises(NotPermitted):
        transition_many(tasks, UnbindTask.send, actor=Actor.staff(a_user(is_superuser=True)), **said)
    assert products.get().state == "OFFERED"
    # "also": whoever caused it has checked the right.
    done = transition_many(
        PartnerAgreement.objects.all(), PartnerAgreement.unbind, actor=Actor.staff(a_user()), **said
    )
    assert done.moved == [agreement.pk]
