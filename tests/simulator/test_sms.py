"""The SMS provider as the simulator plays it."""

from __future__ import annotations

import pytest

from closures.demo.simulator_control import SimulatorControl
from tests.simulator.conftest import Call

MESSAGE = {"key": "n1", "to": "19900000001", "text": "您的申请已受理"}


def test_a_message_is_sent_once_per_key_and_its_receipt_arrives(
    control: SimulatorControl, call: Call
) -> None:
    first = call("POST", "/sms/messages", MESSAGE).json()
    assert call("POST", "/sms/messages", MESSAGE).json() == first
    assert call("GET", "/sms/messages/n1").json() == {**first, "status": "DELIVERED"}
    assert len(control.effects(kind="SMS", subject="n1")) == 1
    assert control.messages("n1") == [{"key": "n1", "recipient": MESSAGE["to"], "text": MESSAGE["text"]}]


def test_a_receipt_takes_its_time(control: SimulatorControl, call: Call) -> None:
    control.tune(receipt_delay=600)
    call("POST", "/sms/messages", MESSAGE)
    assert call("GET", "/sms/messages/n1").json()["status"] == "PENDING"


@pytest.mark.parametrize(("kind", "status"), [("receipt_failed", "FAILED"), ("receipt_missing", "PENDING")])
def test_a_receipt_may_be_bad_or_never_come(
    control: SimulatorControl, call: Call, kind: str, status: str
) -> None:
    control.fault(system="SMS", kind=kind, times=1)
    call("POST", "/sms/messages", MESSAGE)
    call("POST", "/sms/messages", {**MESSAGE, "key": "n2"})
    assert call("GET", "/sms/messages/n1").json()["status"] == status
    assert call("GET", "/sms/messages/n2").json()["status"] == "DELIVERED"


def test_a_provider_that_forgets_keys_sends_twice_and_the_judge_sees_it(
    control: SimulatorControl, call: Call
) -> None:
    control.fault(system="SMS", kind="ignore_key")
    call("POST", "/sms/messages", MESSAGE)
    call("POST", "/sms/messages", MESSAGE)
    assert control.duplicates() == [{"system": "SMS", "kind": "SMS", "subject": "n1", "count": 2}]


@pytest.mark.parametrize(
    "bad", [{"to": "+"}, {"to": 19900000001}, {"text": ""}, {"key": "a b"}, {"key": None}]
)
def test_a_bad_message_is_refused_and_not_sent(control: SimulatorControl, call: Call, bad: dict) -> None:
    answer = call("POST", "/sms/messages", {**MESSAGE, **bad})
    assert (answer.status_code, answer.json()) == (400, {"code": "BAD_FIELD", "field": next(iter(bad))})
    assert control.effects() == []
