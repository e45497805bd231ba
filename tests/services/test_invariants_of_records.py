"""The promises about money, partners and records: what is owed, done once, written down, and kept private."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.actors import SHIPPED
from accounts.models import CreditAccount, PartnerAgreement, RefusedAction
from accounts.tracking import excluded_fields, save_as
from closures.demo.simulator_control import SimulatorControl
from closures.gateways.partners import registry
from closures.models import ClosureTicket, UnbindTask
from closures.services.invariants import effects, personal, records
from tests.closed_cases import DAY, HOUR, a_change, a_closed_case, a_task, broken, look, unseen
from tests.factories import a_user, an_account
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db

# --- 6 and 7 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [*CreditAccount.OWED_MONEY, *CreditAccount.OWED_COUNTS, "credit_balance"])
def test_6_anything_owed_either_way_at_the_closing_is_found(field: str, now: datetime) -> None:
    a_case = a_closed_case(now)
    a_change(a_case.account, now - timedelta(seconds=1), **{field: 1})
    a_change(a_case.account, now + HOUR, **{field: 0})
    assert broken(now) == {6: 1}
    assert look(6, now).examples == [a_case.ticket.number]


def test_6_money_before_and_after_the_closing_is_no_matter(now: datetime) -> None:
    a_case = a_closed_case(now)
    a_change(a_case.account, now - 3 * HOUR, credit_balance=Decimal("5.00"))
    a_change(a_case.account, now, credit_balance=Decimal("0.00"))
    a_change(a_case.account, now + timedelta(seconds=1), refunds_in_flight=Decimal("5.00"))
    assert broken(now) == {}


def test_6_a_closing_that_no_history_reaches_is_not_shown_to_be_clean(now: datetime) -> None:
    a_case = a_closed_case(now)
    a_case.account.history.update(history_date=now + HOUR)
    assert broken(now) == {6: 1, 7: 1}


@pytest.mark.parametrize(
    "field", ["principal", "interest", "unbilled", "instalments_remaining", "pending_orders"]
)
def test_7_a_repayment_agreement_ended_while_he_owed_is_found(field: str, now: datetime) -> None:
    a_case = a_closed_case(now)
    a_change(a_case.account, now - 3 * HOUR, **{field: 1})  # called two hours ago
    a_change(a_case.account, now - HOUR, **{field: 0})
    assert broken(now) == {7: 1}
    assert look(7, now).examples == [a_case.task.key]


@pytest.mark.parametrize(
    ("field", "at"), [("refunds_in_flight", -3), ("credit_balance", -3), ("principal", -1.5)]
)
def test_7_money_for_him_or_money_that_came_after_our_call_is_no_matter(
    field: str, at: float, now: datetime
) -> None:
    a_case = a_closed_case(now)
    a_change(a_case.account, now + at * HOUR, **{field: 1})
    a_change(a_case.account, now - HOUR, **{field: 0})
    assert broken(now) == {}


def test_7_an_agreement_that_repays_nothing_may_end_before_the_debt(now: datetime) -> None:
    a_case = a_closed_case(now)
    unseen(PartnerAgreement, a_case.task.agreement, repayment_depends=False)
    a_change(a_case.account, now - 3 * HOUR, principal=1)
    a_change(a_case.account, now - HOUR, principal=0)
    assert broken(now) == {}


def test_7_by_hand_counts_like_a_call(now: datetime) -> None:
    a_case = a_closed_case(now)
    a_case.attempt.delete()
    a_change(a_case.account, now - 3 * HOUR, principal=1)
    assert look(7, now).violations == 0  # the customer ended it himself
    unseen(UnbindTask, a_case.task, evidence_by=a_user(), confirmed_by=a_user())
    assert look(7, now).violations == 1


# --- 8 -----------------------------------------------------------------------------------------------


def test_8_a_task_that_changed_its_key_is_found(now: datetime) -> None:
    a_case = a_closed_case(now)
    a_case.task.key = "another"
    save_as(a_case.task, actor=SHIPPED, reason="test", now=now)
    assert broken(now) == {8: 1}
    assert look(8, now).examples == ["another"]


def test_8_two_effects_in_the_partners_own_ledger_are_found_and_two_generations_explain_them(
    now: datetime, simulated: SimulatorControl, simulator: SimulatorProcess, settings: Any
) -> None:
    settings.EFFECTS_LEDGER_URL = simulator.url
    simulated.tune(settle_delay=60)  # until then a second key still ends what is being ended
    a_case = a_closed_case(now)
    agreement, account_no = a_case.task.agreement, a_case.account.account_no
    simulated.put_agreements(
        [{"partner": "ALIPAY", "agreement_no": agreement.agreement_no, "account_no": account_no}]
    )
    for key in ("first", "second"):
        assert look(8, now).violations == 0
        registry.get("ALIPAY").unsign(agreement_no=agreement.agreement_no, account_no=account_no, key=key)
    result = look(8, now)
    assert (result.violations, result.examples) == (1, [f"ALIPAY {agreement.agreement_no}"])
    a_task(a_case.ticket, agreement, now, generation=2)
    assert look(8, now).violations == 0


def test_8_a_ledger_that_does_not_answer_shows_nothing_and_so_does_not_hold(
    now: datetime, settings: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.EFFECTS_LEDGER_URL = f"http://127.0.0.1:{taken.getsockname()[1]}"
    result = look(8, now)
    assert (result.violations, result.examples) == (1, [effects.NOT_CHECKED])


# --- 11 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"principal": Decimal("0.01")},
        {"arrears_months": "9"},
        {"closed_at": datetime(2026, 1, 1).astimezone()},
    ],
    ids=str,
)
def test_11_a_row_changed_behind_its_history_is_found(change: dict[str, Any], now: datetime) -> None:
    account, _other = an_account(), an_account()
    CreditAccount.objects.filter(pk=account.pk).update(**change)
    assert broken(now) == {11: 1}
    assert look(11, now).examples == [f"accounts.CreditAccount {account.pk}"]


def test_11_a_history_row_changed_behind_its_row_is_found(now: datetime) -> None:
    account = an_account()
    account.history.update(principal=1)
    assert broken(now) == {11: 1}


def test_11_a_changed_json_value_is_found(now: datetime) -> None:
    a_case = a_closed_case(now)
    ClosureTicket.objects.filter(pk=a_case.ticket.pk).update(approved={"principal": "1.00"})
    assert broken(now) == {11: 1}


def test_11_a_row_without_history_and_a_history_without_its_row_are_found(now: datetime) -> None:
    account, gone = an_account(), an_account()
    account.history.all().delete()
    CreditAccount.objects.filter(pk=gone.pk)._raw_delete("default")
    result = look(11, now)
    assert result.violations == 2
    assert sorted(result.examples) == sorted(f"accounts.CreditAccount {row.pk}" for row in (account, gone))


def test_11_a_queue_column_and_a_ledger_date_may_change_without_history(now: datetime) -> None:
    a_case = a_closed_case(now)
    CreditAccount.objects.filter(pk=a_case.account.pk).update(ledger_as_of=now + DAY)
    UnbindTask.objects.filter(pk=a_case.task.pk).update(due_at=now, attempts=9, fence=9, lease_token="x")
    assert broken(now) == {}


def test_11_only_the_newest_history_row_counts(now: datetime) -> None:
    account = an_account()
    a_change(account, now, principal=1)
    a_change(account, now - DAY, principal=2)  # dated earlier, written later
    assert broken(now) == {}


# --- 12 ----------------------------------------------------------------------------------------------

PERSONAL = (
    "11010519491231002X",
    "身份证110105194912310021。",
    "13912345678",
    "致电139-1234-5678，勿扰",
    "+8613912345678",
    "+86 139 1234 5678",
    "write to somebody.else+x@example.com",
)
HARMLESS = (
    "A13912345678", "13912345678B", "139123456789", "CT261123ABCDEFGH", "110105194913310021", "AL0000000101",
    "2026-11-23 10:00", "12345678901", "2021-12-31 110105 19491231", "0" * 64, "a@b", "19,912,345,678.00",
)  # fmt: skip


@pytest.mark.parametrize("words", PERSONAL)
def test_12_personal_data_in_a_row_its_history_or_a_refusal_is_found(words: str, now: datetime) -> None:
    a_case = a_closed_case(now)
    unseen(ClosureTicket, a_case.ticket, ground=f"客户{words}")
    result = look(12, now)
    assert result.violations == 2
    assert f"closures.ClosureTicket {a_case.ticket.pk}" in result.examples
    assert any(named.startswith("closures.HistoricalClosureTicket ") for named in result.examples)
    assert words not in "".join(result.examples)
    unseen(ClosureTicket, a_case.ticket, ground="")
    unseen(ClosureTicket, a_case.ticket, certificate={"note": [words]})
    assert look(12, now).violations == 2
    unseen(ClosureTicket, a_case.ticket, certificate={})
    RefusedAction.objects.create(actor="staff:1", action="x", code="x", message=words)
    assert broken(now) == {12: 1}


@pytest.mark.parametrize("words", HARMLESS)
def test_12_a_number_of_ours_is_not_taken_for_a_persons(words: str, now: datetime) -> None:
    a_case = a_closed_case(now)
    unseen(ClosureTicket, a_case.ticket, ground=words)
    assert look(12, now).violations == 0


def test_12_every_tracked_table_and_its_history_are_read() -> None:
    for model in records.tracked_models():
        words = [
            f.name for f in model._meta.concrete_fields if f.get_internal_type() in ("TextField", "JSONField")
        ]
        sealed = {name for name in words if name.endswith("_sealed")}
        assert sealed <= set(excluded_fields(model)), "a seal that history copies outlives its key's rotation"
        assert set(words) - sealed <= set(personal.open_texts(model))
        read = set(personal.open_texts(model)) - set(excluded_fields(model))
        assert read <= set(personal.open_texts(model.history.model))
