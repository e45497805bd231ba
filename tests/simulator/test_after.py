"""What the simulated ledger plays after an account was closed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import httpx
import pytest

from closures.demo.simulator_control import SimulatorControl
from tests.simulator.conftest import Call
from tests.simulator.test_ledger import command
from tests.simulator_process import SECRET

REFUND = {"kind": "REFUND", "ref": "R-1", "amount": "66.00"}


@pytest.fixture
def shut(scene: SimulatorControl, call: Call) -> SimulatorControl:
    assert command(call, "A1", "CLOSE", "close")[0] == 200
    return scene


def balance(call: Call) -> tuple[str, str, str]:
    shown = call("GET", "/ledger/accounts/A1").json()
    return shown["state"], shown["credit_balance"], shown["principal"]


def open_anew(call: Call, number: str = "A1R1", *, key: str = "open", reopens: str = "A1") -> int:
    body = {"key": key, "verb": "OPEN", "reopens": reopens}
    return call("POST", f"/ledger/accounts/{number}/commands", body).status_code


def test_money_is_posted_to_a_closed_account_once_and_told_each_time(
    shut: SimulatorControl, call: Call
) -> None:
    told = [shut.later_money("A1", **REFUND) for _ in range(2)]
    assert balance(call) == ("CLOSED", "66.00", "0.00")
    assert len(shut.effects(kind="REFUND", subject="A1")) == 1
    events = [json.loads(one["body"]) for one in told]
    assert events[0]["event_id"] != events[1]["event_id"]
    assert {(e["type"], e["account_no"], e["ref"], e["amount"], e["direction"]) for e in events} == {
        ("ledger.money_after_closing", "A1", "R-1", "66.00", "TO_CUSTOMER")
    }


def test_the_event_is_signed(shut: SimulatorControl) -> None:
    told = shut.later_money("A1", **REFUND)
    headers = told["headers"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{told['body']}".encode()
    mac = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()


def test_a_clawback_takes_the_refund_and_then_leaves_a_debt(shut: SimulatorControl, call: Call) -> None:
    shut.later_money("A1", **REFUND)
    shut.later_money("A1", kind="CLAWBACK", ref="K-1", amount="70.00", takes_back="R-1", quietly=True)
    assert balance(call) == ("CLOSED", "0.00", "4.00")


def test_an_open_account_and_a_correction_without_a_side_are_refused(shut: SimulatorControl) -> None:
    for account_no, fields in (
        ("A2", REFUND),
        ("A1", {**REFUND, "kind": "CORRECTION"}),
        ("A9", REFUND),
        ("A1", {**REFUND, "amount": "66"}),
    ):
        with pytest.raises(httpx.HTTPStatusError):
            shut.later_money(account_no, **fields)


def test_a_return_goes_out_once_and_is_posted(shut: SimulatorControl, call: Call) -> None:
    shut.later_money("A1", **REFUND)
    body = {"key": "k", "verb": "RETURN", "amount": "66.00", "ref": "PM1"}
    for _ in range(2):
        assert call("POST", "/ledger/accounts/A1/commands", body).status_code == 200
    posting = call("GET", "/ledger/returns/PM1").json()
    assert posting == {"ref": "PM1", "account_no": "A1", "amount": "66.00", "state": "RETURNED"}
    again = call("POST", "/ledger/accounts/A1/commands", {**body, "key": "k2"})
    assert (again.status_code, again.json()) == (409, {"code": "NOTHING_TO_RETURN"})
    assert call("GET", "/ledger/returns/PM2").status_code == 404
    assert balance(call) == ("CLOSED", "0.00", "0.00")
    assert shut.duplicates() == []


def test_two_returns_under_one_number_are_judged(shut: SimulatorControl, call: Call) -> None:
    """The ledger does as it is told; what happened twice is found."""
    shut.later_money("A1", **{**REFUND, "amount": "132.00"})
    for key in ("k", "k2"):
        body = {"key": key, "verb": "RETURN", "amount": "66.00", "ref": "PM1"}
        assert call("POST", "/ledger/accounts/A1/commands", body).status_code == 200
    assert [(d["kind"], d["subject"], d["count"]) for d in shut.duplicates()] == [("RETURN", "PM1", 2)]


def test_a_new_account_takes_the_place_of_a_closed_one(shut: SimulatorControl, call: Call) -> None:
    assert [open_anew(call), open_anew(call), open_anew(call, key="k2")] == [200, 200, 409]
    shown = call("GET", "/ledger/accounts/A1R1").json()
    assert (shown["state"], shown["customer_no"], shown["credit_limit"]) == ("OPEN", "C1", "5000.00")
    assert open_anew(call, "A2R1", key="k3", reopens="A2") == 409
    assert open_anew(call, "A9R1", key="k4", reopens="A9") == 404
    assert balance(call)[0] == "CLOSED"
    assert len(shut.effects(kind="OPEN")) == 1
