"""The ledger gateway against the real simulator, and against answers that do not fit."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from closures.demo.simulator_control import SimulatorControl
from closures.gateways import ledger
from closures.gateways.errors import Refused, Unclear, Unreachable
from tests.gateways.conftest import Puppet


@pytest.fixture
def scene(simulated: SimulatorControl) -> SimulatorControl:
    simulated.put_accounts(
        [{"account_no": "A1", "credit_limit": "5000.00", "principal": "10.05", "arrears_months": "1|0"}]
    )
    return simulated


def test_the_account_is_read_as_it_is_now(scene: SimulatorControl) -> None:
    facts = ledger.read("A1")
    assert (facts.account_no, facts.state, facts.credit_limit, facts.principal) == (
        "A1",
        "OPEN",
        Decimal("5000.00"),
        Decimal("10.05"),
    )
    assert (facts.instalments_remaining, facts.pending_orders, facts.days_past_due) == (0, 0, 0)
    assert (facts.credit_balance, facts.arrears_months) == (Decimal("0.00"), "1|0")
    assert abs(facts.as_of - timezone.now()) < timedelta(seconds=10)


@pytest.mark.usefixtures("scene")
def test_an_unknown_account_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        ledger.read("A9")
    assert refused.value.code == "NOT_FOUND"
    with pytest.raises(Refused) as refused:
        ledger.command(account_no="A9", verb="CLOSE", key="k1")
    assert refused.value.code == "NOT_FOUND"


def test_a_command_is_done_once_and_can_be_asked_for(scene: SimulatorControl) -> None:
    assert ledger.ask(key="k1") is False
    ledger.command(account_no="A1", verb="FREEZE", key="k1")
    ledger.command(account_no="A1", verb="FREEZE", key="k1")
    assert ledger.ask(key="k1") is True
    assert ledger.read("A1").state == "FROZEN"
    assert len(scene.effects(kind="FREEZE")) == 1


def test_a_close_is_refused_by_name_until_nothing_is_owed_either_way(scene: SimulatorControl) -> None:
    scene.credit("A1", "3.00")
    for code, cure in (
        ("STILL_OWED", lambda: scene.repay("A1")),
        ("CREDIT_BALANCE", lambda: ledger.command(account_no="A1", verb="PAY_OUT", key="p1")),
    ):
        with pytest.raises(Refused) as refused:
            ledger.command(account_no="A1", verb="CLOSE", key="c1")
        assert refused.value.code == code
        assert ledger.ask(key="c1") is False
        cure()
    ledger.command(account_no="A1", verb="CLOSE", key="c1")
    assert ledger.read("A1").state == "CLOSED"


def test_a_close_that_succeeds_without_an_answer_is_unclear_and_found_by_asking(
    scene: SimulatorControl,
) -> None:
    scene.repay("A1")
    scene.fault(system="LEDGER", kind="timeout_after_success", times=1)
    with pytest.raises(Unclear):
        ledger.command(account_no="A1", verb="CLOSE", key="c1")
    assert ledger.ask(key="c1") is True
    assert len(scene.effects(kind="CLOSE")) == 1


@pytest.mark.parametrize("kind", ["down", "http_500", "http_503", "garbage"])
def test_a_ledger_out_of_order_is_unclear(scene: SimulatorControl, kind: str) -> None:
    scene.fault(system="LEDGER", kind=kind)
    for call in (lambda: ledger.read("A1"), lambda: ledger.ask(key="k1")):
        with pytest.raises(Unclear):
            call()


@pytest.mark.usefixtures("nobody")
def test_where_no_ledger_listens_nothing_happened() -> None:
    with pytest.raises(Unreachable):
        ledger.command(account_no="A1", verb="CLOSE", key="k1")


def test_a_verb_the_ledger_does_not_know_is_never_sent(puppet: Puppet) -> None:
    with pytest.raises(ValueError):
        ledger.command(account_no="A1", verb="DESTROY", key="k1")
    assert puppet.requests == []


def shown(**change: Any) -> str:
    money = dict.fromkeys(
        (
            "credit_limit",
            "principal",
            "interest",
            "fees",
            "unbilled",
            "refunds_in_flight",
            "disputed",
            "credit_balance",
        ),
        "0.00",
    )
    counts = dict.fromkeys(("instalments_remaining", "pending_orders", "days_past_due"), 0)
    rest = {
        "account_no": "A1",
        "state": "OPEN",
        "arrears_months": "0",
        "as_of": datetime.now().astimezone().isoformat(),
    }
    return json.dumps(money | counts | rest | change)


@pytest.mark.parametrize(
    "change",
    [
        {"account_no": "A2"},
        {"account_no": None},
        {"state": "open"},
        {"state": 1},
        {"principal": "-1.00"},
        {"principal": "1"},
        {"principal": "1.0"},
        {"principal": "1.000"},
        {"principal": "1e2"},
        {"principal": "NaN"},
        {"principal": "1,000.00"},
        {"principal": " 1.00"},
        {"principal": "1.00\n"},
        {"principal": "１.00"},
        {"principal": "9" * 16 + ".00"},
        {"principal": 1.0},
        {"principal": None},
        {"pending_orders": -1},
        {"pending_orders": "0"},
        {"pending_orders": True},
        {"pending_orders": 0.0},
        {"days_past_due": 10**7},
        {"arrears_months": ""},
        {"arrears_months": "0|-1"},
        {"arrears_months": "0||1"},
        {"as_of": "2026-11-23T10:00:00"},
        {"as_of": "2026-11-23"},
        {"as_of": "soon"},
        {"as_of": "9999-12-31T23:59:59+08:00"},
        {"as_of": 1},
    ],
)
def test_facts_that_do_not_fit_are_unclear_and_name_the_field(puppet: Puppet, change: dict[str, Any]) -> None:
    puppet.says(shown())
    assert ledger.read("A1").principal == Decimal("0.00")
    puppet.says(shown(**change))
    (name,) = change
    with pytest.raises(Unclear, match=f"unreadable answer: {name}$"):
        ledger.read("A1")


@pytest.mark.parametrize(
    "change", [{"key": "k2"}, {"verb": "FREEZE"}, {"state": "PENDING"}, {"state": None}, {"key": None}]
)
def test_a_done_that_is_not_about_our_command_is_unclear(puppet: Puppet, change: dict[str, Any]) -> None:
    done = {"key": "k1", "verb": "CLOSE", "state": "DONE"}
    puppet.says(json.dumps(done))
    ledger.command(account_no="A1", verb="CLOSE", key="k1")
    puppet.says(json.dumps(done | change))
    with pytest.raises(Unclear):
        ledger.command(account_no="A1", verb="CLOSE", key="k1")


# --- After a closing ----------------------------------------------------------------------------------


@pytest.fixture
def shut(simulated: SimulatorControl) -> SimulatorControl:
    simulated.put_accounts([{"account_no": "A1", "credit_limit": "5000.00", "customer_no": "C1"}])
    ledger.command(account_no="A1", verb="CLOSE", key="close")
    return simulated


def test_an_account_is_opened_once_in_place_of_a_closed_one(shut: SimulatorControl) -> None:
    for _ in range(2):
        ledger.command(account_no="A1R1", verb="OPEN", key="open", reopens="A1")
    assert ledger.ask(key="open") is True
    facts = ledger.read("A1R1")
    assert (facts.state, facts.credit_limit) == ("OPEN", Decimal("5000.00"))
    assert ledger.read("A1").state == "CLOSED"
    assert len(shut.effects(kind="OPEN", subject="A1R1")) == 1


def test_what_was_returned_is_shown_under_our_number(shut: SimulatorControl) -> None:
    shut.later_money("A1", kind="REFUND", ref="R-1", amount="66.00")
    assert ledger.returned(ref="PM1") is None
    ledger.command(account_no="A1", verb="RETURN", key="k", amount="66.00", ref="PM1")
    assert ledger.returned(ref="PM1") == ledger.Posting("PM1", "A1", Decimal("66.00"))
    with pytest.raises(Refused) as refused:
        ledger.command(account_no="A1", verb="RETURN", key="k2", amount="0.01", ref="PM2")
    assert refused.value.code == "NOTHING_TO_RETURN"


@pytest.mark.parametrize(
    "spoilt",
    [
        {"ref": "PM2"},
        {"amount": "66"},
        {"amount": 66},
        {"account_no": ""},
        {"state": "DONE"},
        {"state": None},
    ],
)
def test_a_posting_that_does_not_fit_proves_nothing(puppet: Puppet, spoilt: dict[str, Any]) -> None:
    good = {"ref": "PM1", "account_no": "A1", "amount": "66.00", "state": "RETURNED"}
    puppet.says(json.dumps(good))
    assert ledger.returned(ref="PM1") == ledger.Posting("PM1", "A1", Decimal("66.00"))
    puppet.says(json.dumps({**good, **spoilt}))
    with pytest.raises(Unclear):
        ledger.returned(ref="PM1")
