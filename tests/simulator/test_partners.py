"""The partners' protocol as the simulator plays it."""

from __future__ import annotations

import pytest

from closures.demo.simulator_control import SimulatorControl
from tests.simulator.conftest import Call

UNSIGN = "/partners/ALIPAY/agreements/AL1/unsign"


def test_an_accepted_unsign_ends_the_agreement_and_is_one_effect(scene: SimulatorControl, call: Call) -> None:
    assert call("POST", UNSIGN, {"key": "k1", "account_no": "A1"}).json() == {"status": "ACCEPTED"}

    shown = call("GET", "/partners/ALIPAY/agreements/AL1").json()
    assert (shown["status"], shown["account_no"], shown["ended_at"] is None) == ("ENDED", "A1", False)
    assert call("GET", "/partners/ALIPAY/operations/k1").json() == {"key": "k1", "state": "DONE"}
    (effect,) = scene.effects()
    assert (effect["system"], effect["kind"], effect["subject"], effect["key"]) == (
        "ALIPAY",
        "UNSIGN",
        "AL1",
        "k1",
    )


def test_the_same_key_is_answered_the_same_without_a_second_effect(
    scene: SimulatorControl, call: Call
) -> None:
    answers = [call("POST", UNSIGN, {"key": "k1", "account_no": "A1"}) for _ in range(3)]
    assert {(a.status_code, a.text) for a in answers} == {(200, '{"status":"ACCEPTED"}')}
    assert len(scene.effects(kind="UNSIGN")) == 1


def test_another_key_after_the_end_is_told_so(scene: SimulatorControl, call: Call) -> None:
    call("POST", UNSIGN, {"key": "k1", "account_no": "A1"})
    late = call("POST", UNSIGN, {"key": "k2", "account_no": "A1"})
    assert (late.status_code, late.json()) == (409, {"code": "ALREADY_ENDED"})
    assert len(scene.effects(kind="UNSIGN")) == 1


def test_another_key_before_it_settled_is_a_duplicate_that_the_judge_sees(
    scene: SimulatorControl, call: Call
) -> None:
    scene.tune(settle_delay=60)
    for key in ("k1", "k2"):
        assert call("POST", UNSIGN, {"key": key, "account_no": "A1"}).status_code == 200
    assert call("GET", "/partners/ALIPAY/agreements/AL1").json()["status"] == "BOUND"
    assert scene.duplicates() == [{"system": "ALIPAY", "kind": "UNSIGN", "subject": "AL1", "count": 2}]


def test_a_key_belongs_to_one_agreement(scene: SimulatorControl, call: Call) -> None:
    call("POST", UNSIGN, {"key": "k1", "account_no": "A1"})
    other = call("POST", "/partners/ALIPAY/agreements/AL2/unsign", {"key": "k1", "account_no": "A2"})
    assert (other.status_code, other.json()["code"]) == (409, "KEY_REUSED")


@pytest.mark.parametrize(
    ("path", "account_no"), [(UNSIGN, "A2"), (UNSIGN.replace("AL1", "AL9"), "A1"), (UNSIGN, "A9")]
)
def test_an_agreement_of_another_account_is_not_found(
    scene: SimulatorControl, call: Call, path: str, account_no: str
) -> None:
    answer = call("POST", path, {"key": "k1", "account_no": account_no})
    assert (answer.status_code, answer.json()) == (404, {"code": "NOT_FOUND"})
    assert scene.effects() == []


def test_the_list_shows_every_agreement_of_the_account_at_this_partner_only(
    scene: SimulatorControl, call: Call
) -> None:
    call("POST", UNSIGN, {"key": "k1", "account_no": "A1"})
    listed = call("GET", "/partners/ALIPAY/agreements?account_no=A1").json()["agreements"]
    assert [(row["agreement_no"], row["status"]) for row in listed] == [("AL1", "ENDED")]
    assert call("GET", "/partners/ALIPAY/agreements?account_no=A9").json() == {"agreements": []}


@pytest.mark.parametrize("partner", ["ALIPAY", "WECHAT", "UNIONPAY", "JD"])
def test_the_canary_is_always_bound_by_both_keys(control: SimulatorControl, call: Call, partner: str) -> None:
    canary = {"agreement_no": "CANARY", "account_no": "CANARY", "status": "BOUND", "ended_at": None}
    assert call("GET", f"/partners/{partner}/agreements/CANARY").json() == canary
    assert call("GET", f"/partners/{partner}/agreements?account_no=CANARY").json() == {"agreements": [canary]}
    refused = call(
        "POST", f"/partners/{partner}/agreements/CANARY/unsign", {"key": "k", "account_no": "CANARY"}
    )
    assert refused.status_code == 409
    assert control.effects() == []


def test_a_customer_may_end_an_agreement_himself(scene: SimulatorControl, call: Call) -> None:
    assert scene.end_agreement("ALIPAY", "AL1")["status"] == "ENDED"
    answer = call("POST", UNSIGN, {"key": "k1", "account_no": "A1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "ALREADY_ENDED")
    assert [effect["kind"] for effect in scene.effects()] == ["CUSTOMER_ENDED"]
