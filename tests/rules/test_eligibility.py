"""What stands in the way of a closing: everything at once, with its amount, gravity and cure."""

import csv
import gzip
import itertools
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closures.rules import eligibility
from closures.rules.codes import (
    AGREEMENT_CODES,
    AgreementEffect,
    AgreementKind,
    BlockerCode,
    CureCode,
    HoldKind,
    Reason,
    Severity,
)
from closures.rules.eligibility import AccountFacts, AgreementFact, HoldFact, ImpossibleFacts

FRESH = timedelta(hours=1)
LEDGER_LIMIT = timedelta(hours=24)
CLEAN = {
    "principal": Decimal("0.00"),
    "interest": Decimal("0.00"),
    "fees": Decimal("0.00"),
    "unbilled": Decimal("0.00"),
    "instalments_remaining": 0,
    "pending_orders": 0,
    "refunds_in_flight": Decimal("0.00"),
    "disputed": Decimal("0.00"),
    "credit_balance": Decimal("0.00"),
    "ledger_age": FRESH,
    "other_lender_lines": 0,
}
# What each fact alone, when it is not zero, must be reported as.
CODE_OF = {
    "principal": BlockerCode.OUTSTANDING_PRINCIPAL,
    "interest": BlockerCode.OUTSTANDING_INTEREST_FEES,
    "fees": BlockerCode.OUTSTANDING_INTEREST_FEES,
    "unbilled": BlockerCode.UNBILLED,
    "instalments_remaining": BlockerCode.INSTALMENTS_REMAINING,
    "pending_orders": BlockerCode.PENDING_ORDER,
    "refunds_in_flight": BlockerCode.REFUND_IN_FLIGHT,
    "disputed": BlockerCode.DISPUTED,
    "credit_balance": BlockerCode.CREDIT_BALANCE,
}
law = settings(deadline=None)
money = st.one_of(st.just(Decimal("-0.00")), st.decimals(0, 10**9, places=2))
counts = st.integers(0, 60)
facts = st.builds(
    AccountFacts,
    **{name: counts if isinstance(CLEAN[name], int) else money for name in CODE_OF},
    ledger_age=st.timedeltas(timedelta(days=-3), timedelta(days=3)),
    other_lender_lines=st.integers(0, 3),
)
agreements = st.lists(
    st.builds(
        AgreementFact,
        id=st.integers(1, 99),
        kind=st.sampled_from(AgreementKind),
        effect=st.sampled_from(AgreementEffect),
        repayment_depends=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda agreement: agreement.id,
)
holds = st.lists(
    st.builds(HoldFact, id=st.integers(1, 99), kind=st.sampled_from(HoldKind)),
    max_size=4,
    unique_by=lambda hold: hold.id,
)


def account(**changes):
    return AccountFacts(**(CLEAN | changes))


def assess(account, *, reason=Reason.CUSTOMER_REQUEST, agreements=(), holds=(), identity_mismatch=False):
    return eligibility.assess(
        reason=reason,
        account=account,
        agreements=agreements,
        holds=holds,
        identity_mismatch=identity_mismatch,
        max_ledger_age=LEDGER_LIMIT,
    )


def test_a_clean_account_has_nothing_in_its_way():
    assert assess(account()) == ()


def test_every_blocker_is_reported_at_once_with_amount_and_cure():
    findings = assess(
        account(
            principal=Decimal("100.00"),
            interest=Decimal("1.20"),
            fees=Decimal("0.30"),
            unbilled=Decimal("60.00"),
            instalments_remaining=6,
            pending_orders=2,
            refunds_in_flight=Decimal("5.00"),
            disputed=Decimal("7.00"),
            credit_balance=Decimal("9.00"),
            ledger_age=timedelta(days=2),
            other_lender_lines=1,
        ),
        agreements=[
            AgreementFact(id=n, kind=kind, effect=AgreementEffect.UNBIND, repayment_depends=False)
            for n, kind in enumerate(AgreementKind, 1)
        ],
        holds=[HoldFact(id=1, kind=HoldKind.JUDICIAL)],
        identity_mismatch=True,
    )

    assert {finding.code for finding in findings} == set(BlockerCode)
    by_code = {finding.code: finding for finding in findings}
    assert by_code[BlockerCode.OUTSTANDING_INTEREST_FEES].amount == Decimal("1.50")
    assert by_code[BlockerCode.INSTALMENTS_REMAINING].count == 6
    assert by_code[BlockerCode.PENDING_ORDER].count == 2
    assert by_code[BlockerCode.OPEN_HOLD].hold_id == 1
    assert by_code[BlockerCode.CREDIT_BALANCE].cure is CureCode.WE_PAY_OUT


def test_two_agreements_and_two_holds_of_a_kind_are_two_findings_each():
    findings = assess(
        account(),
        agreements=[
            AgreementFact(
                id=n,
                kind=AgreementKind.WITHHOLDING,
                effect=AgreementEffect.UNBIND,
                repayment_depends=True,
            )
            for n in (2, 1)
        ],
        holds=[HoldFact(id=n, kind=HoldKind.MANUAL) for n in (8, 7)],
    )

    assert [finding.agreement_id for finding in findings if finding.agreement_id] == [1, 2]
    assert [finding.hold_id for finding in findings if finding.hold_id] == [7, 8]


@pytest.mark.parametrize("code", sorted(eligibility.MONEY_OWED))
def test_money_owed_blocks_the_customers_request_and_settles_the_lenders(code):
    gravity = {reason: eligibility.severity(code=code, reason=reason) for reason in Reason}

    assert gravity == {
        Reason.CUSTOMER_REQUEST: Severity.BLOCK,
        Reason.RISK_CONTROL: Severity.SETTLE,
        Reason.POLICY: Severity.SETTLE,
    }


@pytest.mark.parametrize("reason", Reason)
def test_what_does_not_depend_on_the_reason(reason):
    expected = {
        BlockerCode.CREDIT_BALANCE: Severity.SETTLE,
        BlockerCode.OTHER_LENDER_LINE: Severity.WARN,
        BlockerCode.OPEN_HOLD: Severity.BLOCK,
        BlockerCode.IDENTITY_MISMATCH: Severity.BLOCK,
        BlockerCode.STALE_LEDGER: Severity.BLOCK,
    }

    assert {code: eligibility.severity(code=code, reason=reason) for code in expected} == expected
    assert set(expected) | eligibility.MONEY_OWED | set(AGREEMENT_CODES.values()) == set(BlockerCode)


@pytest.mark.parametrize(
    ("reason", "kind", "effect"), list(itertools.product(Reason, AgreementKind, AgreementEffect))
)
def test_an_agreement_is_as_grave_as_its_product_configured_it(reason, kind, effect):
    [finding] = assess(
        account(),
        reason=reason,
        agreements=[AgreementFact(id=1, kind=kind, effect=effect, repayment_depends=False)],
    )

    assert finding.code is AGREEMENT_CODES[kind]
    assert finding.severity.value == effect.value


def test_an_agreements_gravity_without_its_effect_is_refused():
    with pytest.raises(ValueError, match="effect"):
        eligibility.severity(code=BlockerCode.AGREEMENT_AUTO_REPAY, reason=Reason.POLICY)


@pytest.mark.parametrize(
    ("effect", "repays", "principal", "cure"),
    [
        (AgreementEffect.UNBIND, True, "10.00", CureCode.WE_UNBIND_ONCE_SETTLED),
        (AgreementEffect.UNBIND, True, "0.00", CureCode.WE_UNBIND),
        (AgreementEffect.UNBIND, False, "10.00", CureCode.WE_UNBIND),
        (AgreementEffect.BLOCK, True, "10.00", CureCode.CUSTOMER_ENDS_AGREEMENT),
        (AgreementEffect.WARN, False, "0.00", CureCode.KNOW_WHAT_STAYS),
    ],
)
def test_a_repayment_agreement_lives_until_the_debt_is_zero(effect, repays, principal, cure):
    findings = assess(
        account(principal=Decimal(principal)),
        reason=Reason.RISK_CONTROL,
        agreements=[
            AgreementFact(id=1, kind=AgreementKind.AUTO_REPAY, effect=effect, repayment_depends=repays)
        ],
    )

    assert [finding.cure for finding in findings if finding.agreement_id] == [cure]


@pytest.mark.parametrize(
    ("age", "stale"),
    [
        (LEDGER_LIMIT, False),
        (LEDGER_LIMIT + timedelta(seconds=1), True),
        (-LEDGER_LIMIT, False),
        (-LEDGER_LIMIT - timedelta(seconds=1), True),
    ],
)
def test_an_old_ledger_and_one_from_the_future_are_both_stale(age, stale):
    codes = [finding.code for finding in assess(account(ledger_age=age))]

    assert codes == ([BlockerCode.STALE_LEDGER] if stale else [])


def test_minus_zero_is_zero():
    facts = account(**{name: Decimal("-0.00") for name in CODE_OF if isinstance(CLEAN[name], Decimal)})

    assert assess(facts) == ()
    assert eligibility.settled(facts)
    assert str(facts.principal) == "0.00"


@pytest.mark.parametrize("name", CODE_OF)
@pytest.mark.parametrize("wrong", ["-0.01", "NaN", "sNaN", "Infinity", "-Infinity", "0.001", "1E+40"])
def test_facts_that_cannot_be_true_are_refused_and_never_judged(name, wrong):
    if isinstance(CLEAN[name], int):
        with pytest.raises(ImpossibleFacts, match=name):
            account(**{name: -1})
    else:
        with pytest.raises(ImpossibleFacts, match=name):
            account(**{name: Decimal(wrong)})


@law
@given(facts=facts, reason=st.sampled_from(Reason), agreements=agreements, holds=holds)
def test_a_fact_is_reported_exactly_when_it_is_not_zero(facts, reason, agreements, holds):
    findings = assess(facts, reason=reason, agreements=agreements, holds=holds)

    about_money = {finding.code for finding in findings} & set(CODE_OF.values())
    assert about_money == {code for name, code in CODE_OF.items() if getattr(facts, name)}
    assert {f.agreement_id for f in findings if f.agreement_id} == {a.id for a in agreements}
    assert {f.hold_id for f in findings if f.hold_id} == {hold.id for hold in holds}
    assert all(f.amount is None or f.amount > 0 for f in findings)


@law
@given(facts=facts, reason=st.sampled_from(Reason), agreements=agreements, holds=holds)
def test_the_order_in_which_facts_arrive_changes_nothing(facts, reason, agreements, holds):
    forth = assess(facts, reason=reason, agreements=agreements, holds=holds)
    back = assess(facts, reason=reason, agreements=agreements[::-1], holds=holds[::-1])

    assert forth == back


@law
@given(facts=facts, agreements=agreements, holds=holds, reason=st.sampled_from(Reason))
def test_blocks_and_settles_share_no_finding_and_keep_their_order(facts, agreements, holds, reason):
    findings = assess(facts, reason=reason, agreements=agreements, holds=holds)

    assert eligibility.blocks(findings) == tuple(f for f in findings if f.severity == "BLOCK")
    assert eligibility.settles(findings) == tuple(f for f in findings if f.severity == "SETTLE")


@law
@given(facts=facts)
def test_settled_means_that_no_reason_finds_any_money_either_way(facts):
    for reason in Reason:
        codes = {finding.code for finding in assess(facts, reason=reason)}
        assert eligibility.settled(facts) == codes.isdisjoint(CODE_OF.values())
    if eligibility.settled(facts):
        assert eligibility.owes_nothing(facts)


@pytest.mark.parametrize("name", CODE_OF)
def test_money_on_its_way_to_the_customer_is_not_owed_by_him(name):
    facts = account(**{name: 1 if isinstance(CLEAN[name], int) else Decimal("0.01")})

    assert not eligibility.settled(facts)
    assert eligibility.owes_nothing(facts) == (name in {"credit_balance", "refunds_in_flight"})


def test_a_customer_never_reads_of_a_silent_hold():
    aml, judicial = HoldFact(id=1, kind=HoldKind.AML), HoldFact(id=2, kind=HoldKind.JUDICIAL)
    findings = assess(account(principal=Decimal("1.00")), holds=[aml, judicial])

    visible = eligibility.visible_to_customer(findings, holds=[aml, judicial])

    assert [finding.hold_id for finding in visible] == [None, 2]


def test_a_hold_that_nobody_can_name_is_treated_as_silent():
    findings = assess(account(), holds=[HoldFact(id=1, kind=HoldKind.LEGAL)])

    assert eligibility.visible_to_customer(findings, holds=[]) == ()
    assert eligibility.refusal_needs_a_person(findings, holds=[])


@pytest.mark.parametrize("kind", HoldKind)
@pytest.mark.parametrize("debt", ["0.00", "500.00"])
def test_only_a_silent_hold_forbids_the_automatic_refusal_even_beside_a_debt(kind, debt):
    hold = HoldFact(id=1, kind=kind)
    findings = assess(account(principal=Decimal(debt)), holds=[hold])

    assert eligibility.refusal_needs_a_person(findings, holds=[hold]) == (kind is HoldKind.AML)


def test_the_real_accounts_fall_where_they_are_known_to_fall():
    extract = Path(__file__).resolve().parents[3] / "shared" / "data" / "accounts-20k.csv.gz"
    if not extract.exists():
        pytest.skip("the extract is not here")
    clean = only_credit = 0
    with gzip.open(extract, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            facts = account(**{name: type(CLEAN[name])(row[name]) for name in CODE_OF})
            clean += not assess(facts)
            only_credit += {f.code for f in assess(facts)} == {BlockerCode.CREDIT_BALANCE}

    assert (clean, only_credit) == (1263, 369)
