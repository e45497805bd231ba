"""Each fault does what its name says: to the answer, and to the effect behind it."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest

from closures.demo.simulator_control import SimulatorControl
from tests.simulator.conftest import Call

UNSIGN = "/partners/ALIPAY/agreements/AL1/unsign"
STATUS = "/partners/ALIPAY/agreements/AL1"
BODY = {"key": "k1", "account_no": "A1"}


def wait_for(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_down_answers_nobody_and_does_nothing(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="ALIPAY", kind="down")
    for method, path, body in (("POST", UNSIGN, BODY), ("GET", STATUS, None)):
        with pytest.raises(httpx.RemoteProtocolError):
            call(method, path, body)
    assert scene.effects() == []
    scene.clear_faults()
    assert call("POST", UNSIGN, BODY).status_code == 200


@pytest.mark.parametrize(("kind", "status"), [("http_500", 500), ("http_503", 503), ("http_429", 429)])
@pytest.mark.parametrize("effect", [False, True])
def test_an_error_may_hide_an_effect_or_not(
    scene: SimulatorControl, call: Call, kind: str, status: int, effect: bool
) -> None:
    scene.fault(system="ALIPAY", kind=kind, times=1, effect=effect)
    assert call("POST", UNSIGN, BODY).status_code == status
    assert len(scene.effects()) == int(effect)


def test_timeout_after_success_meets_the_command_not_the_question(
    scene: SimulatorControl, call: Call
) -> None:
    scene.fault(system="ALIPAY", kind="timeout_after_success", times=1)
    assert call("GET", STATUS).json()["status"] == "BOUND"
    with pytest.raises(httpx.RemoteProtocolError):
        call("POST", UNSIGN, BODY)
    assert call("GET", STATUS).json()["status"] == "ENDED"
    assert len(scene.effects()) == 1


def test_a_late_effect_comes_after_the_silence_and_once_per_key(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="ALIPAY", kind="late_effect", latency_s=1, times=2)
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            call("POST", UNSIGN, BODY)
    assert scene.effects() == []
    assert call("GET", "/partners/ALIPAY/operations/k1").status_code == 404
    wait_for(lambda: len(scene.effects()) == 1)
    assert call("GET", STATUS).json()["status"] == "ENDED"


def test_a_late_effect_behind_another_key_is_a_duplicate_that_the_judge_sees(
    scene: SimulatorControl, call: Call
) -> None:
    scene.fault(system="ALIPAY", kind="late_effect", latency_s=1, times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        call("POST", UNSIGN, BODY)
    assert call("POST", UNSIGN, {**BODY, "key": "k2"}).status_code == 200
    wait_for(lambda: len(scene.effects()) == 2)
    assert [row["subject"] for row in scene.duplicates()] == ["AL1"]


def test_wrong_404_says_not_found_about_what_is_there(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="ALIPAY", kind="wrong_404", subject="AL1", times=2)
    for answer in (call("GET", STATUS), call("POST", UNSIGN, BODY)):
        assert (answer.status_code, answer.json()) == (404, {"code": "NOT_FOUND"})
    assert scene.effects() == []
    assert call("GET", STATUS).json()["status"] == "BOUND"


def test_lying_status_and_lying_unsign_leave_the_agreement_bound(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="ALIPAY", kind="lying_unsign", times=1)
    assert call("POST", UNSIGN, BODY).json() == {"status": "ACCEPTED"}
    assert call("GET", STATUS).json()["status"] == "BOUND"
    scene.fault(system="ALIPAY", kind="lying_status", times=1)
    lie = call("GET", STATUS).json()
    assert (lie["status"], lie["ended_at"] is None) == ("ENDED", False)
    assert call("GET", STATUS).json()["status"] == "BOUND"
    assert scene.effects() == []


def test_garbage_is_a_200_that_is_not_json_after_the_effect(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="ALIPAY", kind="garbage", times=1)
    answer = call("POST", UNSIGN, BODY)
    assert answer.status_code == 200
    with pytest.raises(ValueError):
        answer.json()
    assert len(scene.effects()) == 1


def test_refuse_refuses_with_its_code(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="ALIPAY", kind="refuse", code="ORDER_RUNNING", times=1)
    answer = call("POST", UNSIGN, BODY)
    assert (answer.status_code, answer.json()) == (409, {"code": "ORDER_RUNNING"})
    assert scene.effects() == []


def test_slow_is_slow_and_still_right(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="ALIPAY", kind="slow", latency_s=0.15, times=1)
    before = time.monotonic()
    assert call("GET", STATUS).json()["status"] == "BOUND"
    assert time.monotonic() - before >= 0.15


def test_a_fault_meets_only_its_system_its_subject_its_method_and_its_times(
    scene: SimulatorControl, call: Call
) -> None:
    scene.fault(system="JD", kind="down")
    scene.fault(system="ALIPAY", kind="http_500", subject="AL2")
    scene.fault(system="ALIPAY", kind="http_503", method="POST", times=1)
    assert call("GET", STATUS).status_code == 200
    assert call("GET", "/partners/ALIPAY/agreements/AL2").status_code == 500
    assert [call("POST", UNSIGN, BODY).status_code for _ in range(2)] == [503, 200]


def test_an_account_named_in_the_body_is_a_subject(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="*", kind="http_500", subject="A1")
    assert call("POST", UNSIGN, BODY).status_code == 500
    assert call("GET", "/ledger/accounts/A1").status_code == 500
    assert call("GET", "/ledger/accounts/A2").status_code == 200


def test_a_fault_ends_with_its_seconds(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="ALIPAY", kind="http_503", seconds=0.1)
    wait_for(lambda: call("GET", STATUS).status_code == 200)


def test_a_rate_meets_some_and_the_same_some_again(scene: SimulatorControl, call: Call) -> None:
    def run() -> list[int]:
        scene.reset()
        scene.tune(seed=7)
        scene.fault(system="ALIPAY", kind="http_503", rate=0.5)
        return [call("GET", "/partners/ALIPAY/agreements/CANARY").status_code for _ in range(30)]

    first = run()
    assert set(first) == {200, 503}
    assert run() == first


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "explode"},
        {"system": "PAYPAL"},
        {"times": -1},
        {"times": True},
        {"rate": 1.5},
        {"rate": "1"},
        {"latency_s": -1},
        {"effect": "yes"},
        {"colour": "red"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(control: SimulatorControl, bad: dict) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        control.fault(**{"system": "ALIPAY", "kind": "down", **bad})
