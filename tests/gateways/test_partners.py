"""The contract: what every partner gateway with an API keeps, against the real simulator.

A new gateway joins by adding its code to GATEWAYS and a scene in which the simulator plays it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from closures.demo.simulator_control import SimulatorControl
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.gateways.partners import registry
from closures.gateways.partners.base import AgreementStatus, Partner, UnsignAnswer
from tests.gateways.conftest import Puppet

GATEWAYS = ["ALIPAY", "WECHAT", "UNIONPAY", "JD"]
BOUND, ENDED, NOT_FOUND = AgreementStatus.BOUND, AgreementStatus.ENDED, AgreementStatus.NOT_FOUND


@pytest.fixture(params=GATEWAYS)
def code(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scene(simulated: SimulatorControl, code: str) -> SimulatorControl:
    """Account A1 has agreement N1 with the partner."""
    simulated.put_agreements([{"partner": code, "agreement_no": "N1", "account_no": "A1"}])
    return simulated


@pytest.fixture
def partner(scene: SimulatorControl, code: str) -> Partner:
    return registry.get(code)


def unsign(partner: Partner, key: str = "unbind:1:ALIPAY:1", agreement_no: str = "N1") -> UnsignAnswer:
    return partner.unsign(agreement_no=agreement_no, account_no="A1", key=key)


def status(partner: Partner, agreement_no: str = "N1") -> AgreementStatus:
    return partner.status(agreement_no=agreement_no, account_no="A1")


def listed(partner: Partner, agreement_no: str = "N1") -> AgreementStatus:
    return partner.listed(agreement_no=agreement_no, account_no="A1")


def test_an_agreement_is_bound_then_ended_by_both_keys(partner: Partner, scene: SimulatorControl) -> None:
    assert (status(partner), listed(partner), partner.knows(key="unbind:1:ALIPAY:1")) == (BOUND, BOUND, False)
    assert unsign(partner) is UnsignAnswer.ACCEPTED
    assert (status(partner), listed(partner), partner.knows(key="unbind:1:ALIPAY:1")) == (ENDED, ENDED, True)
    assert [e["key"] for e in scene.effects(system=partner.code, kind="UNSIGN")] == ["unbind:1:ALIPAY:1"]


def test_the_same_key_twice_is_one_effect(partner: Partner, scene: SimulatorControl) -> None:
    assert [unsign(partner), unsign(partner)] == [UnsignAnswer.ACCEPTED] * 2
    assert len(scene.effects(kind="UNSIGN")) == 1


def test_accepted_is_a_claim_until_it_settles(partner: Partner, scene: SimulatorControl) -> None:
    scene.tune(settle_delay=600)
    assert unsign(partner) is UnsignAnswer.ACCEPTED
    assert (status(partner), listed(partner)) == (BOUND, BOUND)


def test_an_accepted_that_did_nothing_is_found_out(partner: Partner, scene: SimulatorControl) -> None:
    scene.fault(system=partner.code, kind="lying_unsign", times=1)
    assert unsign(partner) is UnsignAnswer.ACCEPTED
    assert (status(partner), listed(partner)) == (BOUND, BOUND)
    assert partner.knows(key="unbind:1:ALIPAY:1") is False


def test_another_key_after_the_end_is_told_already_ended(partner: Partner, scene: SimulatorControl) -> None:
    scene.end_agreement(partner.code, "N1")
    assert unsign(partner) is UnsignAnswer.ALREADY_ENDED
    assert status(partner) is ENDED


def test_an_unknown_agreement_is_not_found_by_both_keys(partner: Partner) -> None:
    assert unsign(partner, agreement_no="N9") is UnsignAnswer.NOT_FOUND
    assert (status(partner, "N9"), listed(partner, "N9")) == (NOT_FOUND, NOT_FOUND)
    assert partner.canary_found() is True


def test_a_definite_refusal_carries_its_code(partner: Partner, scene: SimulatorControl) -> None:
    scene.fault(system=partner.code, kind="refuse", code="ORDER_RUNNING", times=1)
    with pytest.raises(Refused) as refused:
        unsign(partner)
    assert refused.value.code == "ORDER_RUNNING"
    assert scene.effects() == []


def test_a_404_for_everything_finds_no_canary(partner: Partner, scene: SimulatorControl) -> None:
    scene.fault(system=partner.code, kind="wrong_404")
    assert unsign(partner) is UnsignAnswer.NOT_FOUND
    assert status(partner) is NOT_FOUND
    assert partner.canary_found() is False
    with pytest.raises(Unclear):
        listed(partner)


def test_a_404_by_number_only_is_contradicted_by_the_list(partner: Partner, scene: SimulatorControl) -> None:
    scene.fault(system=partner.code, kind="wrong_404", path="/agreements/")
    assert status(partner) is NOT_FOUND
    assert listed(partner) is BOUND
    assert partner.canary_found() is False


@pytest.mark.parametrize(
    ("fault", "effects"),
    [
        ({"kind": "timeout_after_success"}, 1),
        ({"kind": "down"}, 0),
        ({"kind": "http_500"}, 0),
        ({"kind": "http_500", "effect": True}, 1),
        ({"kind": "http_503"}, 0),
        ({"kind": "garbage"}, 1),
        ({"kind": "late_effect", "latency_s": 600}, 0),
    ],
)
def test_no_clear_answer_is_unclear_and_the_question_tells_the_truth(
    partner: Partner, scene: SimulatorControl, fault: dict[str, Any], effects: int
) -> None:
    scene.fault(system=partner.code, method="POST", times=1, **fault)
    with pytest.raises(Unclear):
        unsign(partner)
    assert len(scene.effects(kind="UNSIGN")) == effects
    assert partner.knows(key="unbind:1:ALIPAY:1") is bool(effects)
    assert status(partner) is (ENDED if effects else BOUND)


def test_not_now_is_unreachable_because_nothing_happened(partner: Partner, scene: SimulatorControl) -> None:
    scene.fault(system=partner.code, kind="http_429", times=1)
    with pytest.raises(Unreachable):
        unsign(partner)
    assert scene.effects() == []


def test_an_answer_slower_than_the_read_timeout_is_unclear(
    partner: Partner, scene: SimulatorControl, settings: Any
) -> None:
    settings.PARTNER_READ_TIMEOUT = 0.05
    scene.fault(system=partner.code, kind="timeout_after_success", hold_s=0.2, times=1)
    with pytest.raises(Unclear, match="ReadTimeout"):
        unsign(partner)
    settings.PARTNER_READ_TIMEOUT = 10
    assert partner.knows(key="unbind:1:ALIPAY:1") is True


def test_every_question_under_every_fault_is_unclear_never_an_answer(
    partner: Partner, scene: SimulatorControl
) -> None:
    for kind in ("down", "http_500", "http_503", "garbage"):
        scene.fault(system=partner.code, kind=kind)
        questions = (
            status,
            listed,
            lambda partner: partner.knows(key="k"),
            lambda partner: partner.canary_found(),
        )
        for question in questions:
            with pytest.raises(Unclear):
                question(partner)
        scene.clear_faults()


@pytest.mark.usefixtures("nobody")
def test_where_nobody_listens_nothing_happened(code: str) -> None:
    partner = registry.get(code)
    for call in (unsign, status, listed):
        with pytest.raises(Unreachable):
            call(partner)


def test_a_wrong_key_is_unclear_and_has_no_effect(scene: SimulatorControl, code: str, settings: Any) -> None:
    settings.PARTNERS = {code: {**settings.PARTNERS[code], "secret": "wrong"}}
    with pytest.raises(Unclear, match="401"):
        unsign(registry.get(code))
    assert scene.effects() == []


GOOD = {"agreement_no": "N1", "account_no": "A1", "status": "ENDED", "ended_at": "2026-11-23T10:00:00+08:00"}


@pytest.mark.parametrize(
    "change",
    [
        {"agreement_no": "N2"},
        {"account_no": "A2"},
        {"account_no": None},
        {"status": "ended"},
        {"status": "NOT_FOUND"},
        {"status": ["ENDED"]},
        {"status": None},
        {"ended_at": None},
        {"ended_at": "yesterday"},
        {"ended_at": "2026-11-23T10:00:00"},
        {"status": "BOUND"},
    ],
)
def test_a_status_that_does_not_fit_proves_nothing(code: str, puppet: Puppet, change: dict[str, Any]) -> None:
    puppet.says(json.dumps(GOOD))
    assert status(registry.get(code)) is ENDED
    puppet.says(json.dumps(GOOD | change))
    with pytest.raises(Unclear, match="unreadable answer"):
        status(registry.get(code))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"agreements": None},
        {"agreements": {}},
        {"agreements": ["N1"]},
        {"agreements": [GOOD | {"account_no": "A2"}]},
        {"agreements": [GOOD | {"agreement_no": 1}]},
        {"agreements": [GOOD] * 1001},
        {"agreements": [GOOD, GOOD | {"status": "BOUND", "ended_at": None}]},
    ],
)
def test_a_list_that_does_not_fit_proves_nothing(code: str, puppet: Puppet, body: dict[str, Any]) -> None:
    puppet.says(json.dumps(body))
    with pytest.raises(Unclear, match="unreadable answer: a"):
        listed(registry.get(code))


@pytest.mark.parametrize("body", [{}, {"status": "OK"}, {"status": "ALREADY_ENDED"}, {"status": True}])
def test_a_success_that_does_not_say_accepted_is_unclear(
    code: str, puppet: Puppet, body: dict[str, Any]
) -> None:
    puppet.says(json.dumps(body))
    with pytest.raises(Unclear):
        unsign(registry.get(code))


@pytest.mark.parametrize("body", [b"", b"Not Found", b"{}", b'{"code": "NO_SUCH_ROUTE"}', b'{"code": 404}'])
def test_a_404_that_is_not_the_partners_own_is_unclear(code: str, puppet: Puppet, body: bytes) -> None:
    puppet.says(body, status="404 Not Found")
    for call in (unsign, status, listed):
        with pytest.raises(Unclear):
            call(registry.get(code))


@pytest.mark.parametrize("number", ["../../ledger", "N1/unsign?x=", "N1#", "%2e%2e", "号"])
def test_no_number_leaves_its_place_in_the_address(code: str, puppet: Puppet, number: str) -> None:
    puppet.says('{"code": "NOT_FOUND"}', status="404 Not Found")
    status(registry.get(code), number)
    target = puppet.requests[-1].split(b" ")[1].decode()
    assert target.startswith(f"/partners/{code}/agreements/")
    assert target.count("/") == 4
    assert "?" not in target and "#" not in target


@pytest.mark.parametrize("number", ["", ".", ".."])
def test_a_number_that_is_no_number_is_not_asked_for(code: str, puppet: Puppet, number: str) -> None:
    with pytest.raises(Unreachable):
        status(registry.get(code), number)
    assert puppet.requests == []


# The registry


@pytest.mark.usefixtures("simulated")
def test_the_registry_knows_the_partners_and_says_who_is_missing(settings: Any) -> None:
    assert registry.codes() == GATEWAYS
    assert all(registry.get(code).has_api for code in GATEWAYS)
    assert registry.check_config() == []
    with pytest.raises(ImproperlyConfigured, match="'PAYPAL'.*ALIPAY"):
        registry.get("PAYPAL")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"gateway": "pigeon"}, "pigeon"),
        ({"url": "ftp://x"}, "http"),
        ({"url": ""}, "http"),
        ({"url": "http://user:pass@x"}, "user"),
        ({"secret": ""}, "key"),
        ({"key_id": "a\r\nb"}, "key"),
    ],
)
@pytest.mark.usefixtures("simulated")
def test_a_partner_set_up_wrongly_is_named(settings: Any, change: dict[str, str], complaint: str) -> None:
    settings.PARTNERS = {**settings.PARTNERS, "JD": {**settings.PARTNERS["JD"], **change}}
    (found,) = registry.check_config()
    assert "JD" in found and complaint in found
    with pytest.raises(ImproperlyConfigured, match="JD"):
        registry.get("JD")


@pytest.mark.usefixtures("simulated")
def test_a_partner_without_an_api_is_never_believed(settings: Any) -> None:
    settings.PARTNERS = {"JD": {"gateway": "manual"}}
    partner = registry.get("JD")
    assert (partner.has_api, partner.canary_found(), registry.check_config()) == (False, False, [])
    for call in (unsign, status, listed, lambda partner: partner.knows(key="k")):
        with pytest.raises(Refused) as refused:
            call(partner)
        assert refused.value.code == "NO_API"
