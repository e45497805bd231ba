"""The core ledger as the simulator plays it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from closures.demo.simulator_control import SimulatorControl
from tests.simulator.conftest import Call


def command(call: Call, account_no: str, verb: str, key: str = "k1") -> tuple[int, dict]:
    answer = call("POST", f"/ledger/accounts/{account_no}/commands", {"key": key, "verb": verb})
    return answer.status_code, answer.json()


def test_an_account_is_shown_whole_and_as_of_now(scene: SimulatorControl, call: Call) -> None:
    shown = call("GET", "/ledger/accounts/A2").json()
    as_of = datetime.fromisoformat(shown.pop("as_of"))
    assert abs(as_of - datetime.now(UTC)) < timedelta(seconds=10)
    assert shown == {
        "account_no": "A2",
        "customer_no": "C2",
        "state": "OPEN",
        "credit_limit": "0.00",
        "principal": "100.00",
        "interest": "2.50",
        "fees": "0.00",
        "unbilled": "0.00",
        "instalments_remaining": 3,
        "pending_orders": 0,
        "refunds_in_flight": "0.00",
        "disputed": "0.00",
        "credit_balance": "0.00",
        "days_past_due": 30,
        "arrears_months": "1|0|0|0|0|0",
    }


def test_close_is_refused_while_anything_is_owed_and_happens_once_it_is_repaid(
    scene: SimulatorControl, call: Call
) -> None:
    assert command(call, "A2", "CLOSE") == (409, {"code": "STILL_OWED"})
    assert call("GET", "/ledger/commands/k1").status_code == 404
    scene.repay("A2")
    assert command(call, "A2", "CLOSE") == (200, {"key": "k1", "verb": "CLOSE", "state": "DONE"})
    assert command(call, "A2", "CLOSE") == (200, {"key": "k1", "verb": "CLOSE", "state": "DONE"})
    assert command(call, "A2", "CLOSE", "k2") == (409, {"code": "ALREADY_CLOSED"})
    assert call("GET", "/ledger/accounts/A2").json()["state"] == "CLOSED"
    assert len(scene.effects(kind="CLOSE")) == 1


@pytest.mark.parametrize(
    "owed",
    [
        {"principal": "0.01"},
        {"interest": "0.01"},
        {"fees": "0.01"},
        {"unbilled": "0.01"},
        {"instalments_remaining": 1},
        {"pending_orders": 1},
        {"refunds_in_flight": "0.01"},
        {"disputed": "0.01"},
    ],
)
def test_every_kind_of_debt_alone_stops_a_close(scene: SimulatorControl, call: Call, owed: dict) -> None:
    scene.patch_account("A1", **owed)
    assert command(call, "A1", "CLOSE") == (409, {"code": "STILL_OWED"})


def test_a_credit_balance_is_paid_out_whole_and_once(scene: SimulatorControl, call: Call) -> None:
    scene.credit("A1", "12.34")
    assert command(call, "A1", "CLOSE", "c1") == (409, {"code": "CREDIT_BALANCE"})
    assert command(call, "A1", "PAY_OUT", "p1")[0] == 200
    assert command(call, "A1", "PAY_OUT", "p1")[0] == 200
    assert command(call, "A1", "PAY_OUT", "p2") == (409, {"code": "NOTHING_TO_PAY_OUT"})
    (paid,) = scene.effects(kind="PAY_OUT")
    assert (paid["subject"], paid["detail"]) == ("A1", "12.34")
    assert scene.duplicates() == []


def test_a_frozen_line_takes_no_new_spending_and_an_unfrozen_one_does(
    scene: SimulatorControl, call: Call
) -> None:
    command(call, "A1", "FREEZE", "f1")
    assert call("GET", "/ledger/accounts/A1").json()["state"] == "FROZEN"
    with pytest.raises(Exception, match="409"):
        scene.spend("A1", "1.00")
    command(call, "A1", "UNFREEZE", "u1")
    assert scene.spend("A1", "1.00")["principal"] == "1.00"


def test_a_repayment_goes_to_fees_and_interest_first_and_what_is_too_much_is_his(
    scene: SimulatorControl,
) -> None:
    shown = scene.repay("A2", "52.50")
    assert (shown["interest"], shown["principal"], shown["credit_balance"]) == ("0.00", "50.00", "0.00")
    shown = scene.repay("A2", "60.00")
    assert (shown["principal"], shown["credit_balance"]) == ("0.00", "10.00")


def test_an_unknown_account_or_verb_changes_nothing(scene: SimulatorControl, call: Call) -> None:
    assert call("GET", "/ledger/accounts/A9").status_code == 404
    assert command(call, "A9", "CLOSE") == (404, {"code": "NOT_FOUND"})
    assert command(call, "A1", "DESTROY") == (400, {"code": "BAD_FIELD", "field": "verb"})
    assert scene.effects() == []
