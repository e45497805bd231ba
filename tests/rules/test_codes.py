"""The shared words hang together."""

from closures.rules.codes import (
    AGREEMENT_CODES,
    SILENT_HOLDS,
    AgreementEffect,
    AgreementKind,
    BlockerCode,
    HoldKind,
    Severity,
)


def test_every_kind_of_agreement_has_a_blocker_of_its_own():
    assert set(AGREEMENT_CODES) == set(AgreementKind)
    named = {code for code in BlockerCode if code.startswith("AGREEMENT_")}
    assert set(AGREEMENT_CODES.values()) == named
    assert len(named) == len(AgreementKind)


def test_every_effect_is_a_severity():
    assert {effect.value for effect in AgreementEffect} <= {severity.value for severity in Severity}


def test_money_laundering_is_the_silent_hold():
    assert set(SILENT_HOLDS) == {HoldKind.AML}
