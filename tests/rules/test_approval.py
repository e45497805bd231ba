"""An approval is worth what it was given for: what voids it, what does not, and who needs none."""

import json
import random
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closures.rules import approval, eligibility
from closures.rules.approval import ChangeKind, UnknownSnapshot
from closures.rules.codes import AgreementEffect, AgreementKind, BlockerCode, HoldKind, Reason
from closures.rules.eligibility import AccountFacts, AgreementFact, HoldFact

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
    "ledger_age": timedelta(hours=1),
    "other_lender_lines": 0,
}
POLICY = {"cooling_off": timedelta(days=7), "sample_percent": Decimal("2.5"), "straight_through": True}
law = settings(deadline=None)
money = st.decimals(0, 10**6, places=2)


def agreement(id, kind=AgreementKind.AUTO_REPAY, effect=AgreementEffect.UNBIND, label=""):
    return AgreementFact(id=id, kind=kind, effect=effect, repayment_depends=True, label=label)


def taken(
    *,
    reason=Reason.RISK_CONTROL,
    agreements=(),
    holds=(),
    identity_mismatch=False,
    policy=POLICY,
    **account,
):
    facts = AccountFacts(**(CLEAN | {k: type(CLEAN[k])(v) for k, v in account.items() if k != "ledger_age"}))
    if "ledger_age" in account:
        facts = AccountFacts(**(CLEAN | account))
    findings = eligibility.assess(
        reason=reason,
        account=facts,
        agreements=agreements,
        holds=holds,
        identity_mismatch=identity_mismatch,
        max_ledger_age=timedelta(hours=24),
    )
    return approval.snapshot(
        account=facts, agreements=agreements, holds=holds, findings=findings, product_policy=policy
    )


def changes(*, approved, today):
    """Judge as the product does: both sides have been through a JSON column."""
    approved, today = json.loads(json.dumps(approved)), json.loads(json.dumps(today))
    return approval.material_changes(approved=approved, today=today)


def kinds(**sides):
    return [change.kind for change in changes(**sides)]


def codes(**sides):
    return [change.code for change in changes(**sides)]


# What voids an approval


def test_more_debt_voids_and_the_difference_is_told():
    [change] = changes(
        approved=taken(principal="100.00", unbilled="20.00"),
        today=taken(principal="90.00", unbilled="30.01"),
    )

    assert (change.kind, change.before, change.after) == (ChangeKind.MORE_DEBT, "120.00", "120.01")


def test_one_more_open_order_voids():
    [change] = changes(approved=taken(pending_orders=1), today=taken(pending_orders=2))

    assert (change.kind, change.before, change.after) == (ChangeKind.MORE_PENDING_ORDERS, "1", "2")


def test_an_order_that_became_unbilled_debt_voids_because_its_amount_was_never_known():
    assert kinds(approved=taken(pending_orders=1), today=taken(unbilled="80.00")) == [ChangeKind.MORE_DEBT]


def test_a_new_agreement_voids_also_a_second_one_of_a_kind_already_approved():
    [change] = changes(
        approved=taken(agreements=[agreement(1)]), today=taken(agreements=[agreement(1), agreement(2)])
    )

    assert (change.kind, change.agreement_id) == (ChangeKind.NEW_AGREEMENT, 2)
    assert change.code is BlockerCode.AGREEMENT_AUTO_REPAY


def test_an_agreement_signed_again_after_it_was_gone_is_new():
    assert kinds(approved=taken(agreements=[agreement(1)]), today=taken(agreements=[agreement(2)])) == [
        ChangeKind.NEW_AGREEMENT
    ]


def test_an_agreement_that_has_come_to_block_voids():
    [change] = changes(
        approved=taken(agreements=[agreement(1)]),
        today=taken(agreements=[agreement(1, effect=AgreementEffect.BLOCK)]),
    )

    assert (change.kind, change.agreement_id) == (ChangeKind.NEW_BLOCKER, 1)


@pytest.mark.parametrize("kind", HoldKind)
def test_a_new_hold_voids_also_beside_another_of_its_kind_and_says_whether_it_is_silent(kind):
    old, new = HoldFact(id=1, kind=kind), HoldFact(id=2, kind=kind)

    [change] = changes(approved=taken(holds=[old]), today=taken(holds=[old, new]))

    assert (change.kind, change.hold_id) == (ChangeKind.NEW_HOLD, 2)
    assert change.silent == (kind is HoldKind.AML)


@pytest.mark.parametrize(
    ("fact", "code"),
    [
        ({"instalments_remaining": 3}, BlockerCode.INSTALMENTS_REMAINING),
        ({"refunds_in_flight": "5.00"}, BlockerCode.REFUND_IN_FLIGHT),
        ({"disputed": "5.00"}, BlockerCode.DISPUTED),
        ({"credit_balance": "5.00"}, BlockerCode.CREDIT_BALANCE),
        ({"other_lender_lines": 1}, BlockerCode.OTHER_LENDER_LINE),
        ({"identity_mismatch": True}, BlockerCode.IDENTITY_MISMATCH),
    ],
)
@pytest.mark.parametrize("reason", Reason)
def test_a_blocker_that_was_not_there_voids(fact, code, reason):
    [change] = changes(approved=taken(reason=reason), today=taken(reason=reason, **fact))

    assert (change.kind, change.code) == (ChangeKind.NEW_BLOCKER, code)


@pytest.mark.parametrize("name", ["interest", "fees"])
@pytest.mark.parametrize("reason", Reason)
def test_interest_and_fees_where_nothing_was_owed_void(name, reason):
    assert codes(approved=taken(reason=reason), today=taken(reason=reason, **{name: "0.01"})) == [
        BlockerCode.OUTSTANDING_INTEREST_FEES
    ]


# What does not


@pytest.mark.parametrize(
    "debt",
    [{"principal": "100.00"}, {"unbilled": "100.00"}, {"fees": "1.00"}, {"instalments_remaining": 3}],
)
def test_interest_and_fees_on_the_approved_debt_do_not_void(debt):
    assert changes(approved=taken(**debt), today=taken(**debt | {"interest": "7.00"})) == ()


def test_unbilled_becoming_billed_does_not_void_and_neither_does_the_reverse():
    unbilled, billed = taken(unbilled="60.00"), taken(principal="60.00")

    assert changes(approved=unbilled, today=billed) == ()
    assert changes(approved=billed, today=unbilled) == ()


def test_a_repayment_does_not_void_even_when_it_overshoots():
    approved = taken(principal="100.00", interest="2.00")

    assert changes(approved=approved, today=taken(principal="40.00", interest="2.00")) == ()
    assert changes(approved=approved, today=taken(credit_balance="3.00")) == ()


@pytest.mark.parametrize("under_way", [{"refunds_in_flight": "9.00"}, {"disputed": "9.00"}])
def test_an_approved_refund_or_dispute_that_ends_in_a_credit_balance_does_not_void(under_way):
    assert changes(approved=taken(**under_way), today=taken(credit_balance="9.00")) == ()


def test_an_agreement_or_a_hold_that_is_gone_does_not_void():
    approved = taken(agreements=[agreement(1)], holds=[HoldFact(id=1, kind=HoldKind.MANUAL)])

    assert changes(approved=approved, today=taken()) == ()


@pytest.mark.parametrize("age", [timedelta(0), timedelta(hours=20), timedelta(days=3)])
def test_the_ledgers_age_does_not_void_whether_newer_or_stale(age):
    assert changes(approved=taken(), today=taken(ledger_age=age)) == ()


def test_a_fresher_ledger_with_equal_facts_has_the_same_fingerprint():
    assert approval.fingerprint(taken()) == approval.fingerprint(taken(ledger_age=timedelta(minutes=1)))


def test_a_policy_is_pinned_and_so_never_voids():
    assert changes(approved=taken(), today=taken(policy={})) == ()


@law
@given(
    was=st.fixed_dictionaries({}, optional={"principal": money, "unbilled": money, "interest": money}),
    now=st.fixed_dictionaries({}, optional={"principal": money, "unbilled": money, "interest": money}),
)
def test_with_money_alone_an_approval_falls_by_more_debt_or_by_interest_on_nothing(was, now):
    def sum_of(facts, *names):
        return sum((facts.get(name, Decimal(0)) for name in names), Decimal(0))

    expected = []
    if sum_of(now, "principal", "unbilled") > sum_of(was, "principal", "unbilled"):
        expected.append(ChangeKind.MORE_DEBT)
    if sum_of(now, "interest") and not sum_of(was, *was):
        expected.append(ChangeKind.NEW_BLOCKER)

    assert kinds(approved=taken(**was), today=taken(**now)) == expected


@law
@given(
    facts=st.fixed_dictionaries({"principal": money, "fees": money, "pending_orders": st.integers(0, 3)}),
    ids=st.sets(st.integers(1, 50), max_size=5),
)
def test_nothing_changed_is_never_a_change(facts, ids):
    bound = [agreement(n) for n in ids]
    held = [HoldFact(id=n, kind=HoldKind.LEGAL) for n in ids]
    approved = taken(agreements=bound, holds=held, **facts)

    assert changes(approved=approved, today=approved) == ()


def test_a_snapshot_of_another_version_is_reviewed_again_and_never_waved_through():
    with pytest.raises(UnknownSnapshot, match="None"):
        changes(approved={}, today=taken())
    with pytest.raises(UnknownSnapshot, match="2"):
        changes(approved=taken(), today=taken() | {"version": 2})


# The snapshot itself


def test_a_snapshot_is_plain_json_with_money_as_text():
    snapshot = taken(
        principal="12.3", agreements=[agreement(4)], holds=[HoldFact(id=5, kind=HoldKind.JUDICIAL)]
    )

    assert json.loads(json.dumps(snapshot)) == snapshot
    assert snapshot["account"]["principal"] == "12.30"
    assert snapshot["account"]["interest"] == "0.00"
    assert snapshot["agreements"] == [{"id": 4, "kind": "AUTO_REPAY", "effect": "UNBIND", "repays": True}]
    assert snapshot["holds"] == [{"id": 5, "kind": "JUDICIAL"}]
    assert snapshot["policy"] == {
        "cooling_off": "7 days, 0:00:00",
        "sample_percent": "2.50",
        "straight_through": True,
    }
    assert {finding["code"] for finding in snapshot["findings"]} == {
        "OUTSTANDING_PRINCIPAL",
        "AGREEMENT_AUTO_REPAY",
        "OPEN_HOLD",
    }


def test_a_snapshot_holds_no_label_for_labels_may_name_people():
    assert "夏艳" not in json.dumps(taken(agreements=[agreement(1, label="夏艳")]), ensure_ascii=False)


@law
@given(
    ids=st.lists(st.integers(1, 99), unique=True, max_size=6),
    seed=st.integers(0, 99),
    principal=money,
)
def test_equal_facts_have_one_fingerprint_in_any_order_and_through_a_database(ids, seed, principal):
    shuffled = random.Random(seed).sample(ids, len(ids))

    def of(order):
        return taken(
            principal=principal,
            agreements=[agreement(n) for n in order],
            holds=[HoldFact(id=n, kind=HoldKind.FRAUD) for n in order],
        )

    assert approval.fingerprint(of(ids)) == approval.fingerprint(json.loads(json.dumps(of(shuffled))))


@pytest.mark.parametrize(
    "other",
    [
        {"principal": "0.01"},
        {"pending_orders": 1},
        {"agreements": [agreement(1)]},
        {"holds": [HoldFact(id=1, kind=HoldKind.AML)]},
        {"identity_mismatch": True},
        {"policy": {}},
    ],
)
def test_different_facts_have_different_fingerprints(other):
    assert approval.fingerprint(taken()) != approval.fingerprint(taken(**other))


def test_a_policy_has_one_form_for_one_value():
    def of(**policy):
        return taken(policy=policy)["policy"]

    assert of(a=Decimal("2")) == of(a=Decimal("2.00")) == {"a": "2.00"}
    assert of(a=Decimal("-0.00")) == {"a": "0.00"}
    assert of(a=Decimal("0.1250")) == of(a=Decimal("0.125")) == {"a": "0.125"}
    assert of(a=date(2026, 11, 23), b=[Reason.POLICY, None, {"c": 1}]) == {
        "a": "2026-11-23",
        "b": ["POLICY", None, {"c": 1}],
    }


@pytest.mark.parametrize("value", [0.1, Decimal("NaN"), {1, 2}, b"x", object()])
def test_a_policy_without_one_form_is_refused(value):
    with pytest.raises(TypeError, match="canonical"):
        taken(policy={"a": value})


# Who needs no reviewer


SPOTLESS = {
    "reason": Reason.CUSTOMER_REQUEST,
    "allowed_by_product": True,
    "findings": (),
    "arrears_months": (0, 0, 0, 0, 0, 0),
    "earlier_tickets": (),
    "sampled": False,
}


def test_the_spotless_pass_straight_through():
    assert approval.straight_through(**SPOTLESS)


@pytest.mark.parametrize(
    "spot",
    [
        {"reason": Reason.RISK_CONTROL},
        {"reason": Reason.POLICY},
        {"allowed_by_product": False},
        {"sampled": True},
        {"arrears_months": (0, 0, 0, 0, 0, 1)},
        {"arrears_months": (0, 0, 0, 0, 0)},
        {"arrears_months": ()},
        {"earlier_tickets": ("CLOSED", "REJECTED")},
        {"earlier_tickets": ("CANCELLED",)},
        {"earlier_tickets": ("REVERSED",)},
    ],
)
def test_one_spot_is_enough_for_a_reviewer(spot):
    assert not approval.straight_through(**(SPOTLESS | spot))


def test_arrears_longer_ago_than_six_months_and_a_withdrawal_are_no_spots():
    assert approval.straight_through(
        **(SPOTLESS | {"arrears_months": (0, 0, 0, 0, 0, 0, 3), "earlier_tickets": ("WITHDRAWN", "CLOSED")})
    )


def test_a_credit_balance_and_agreements_pass_but_anything_that_blocks_does_not():
    def passes(**facts):
        bound = facts.pop("agreements", ())
        findings = eligibility.assess(
            reason=Reason.CUSTOMER_REQUEST,
            account=AccountFacts(**(CLEAN | facts)),
            agreements=bound,
            holds=(),
            identity_mismatch=False,
            max_ledger_age=timedelta(hours=24),
        )
        return approval.straight_through(**(SPOTLESS | {"findings": findings}))

    assert passes(credit_balance=Decimal("3.00"), agreements=[agreement(1)])
    assert not passes(principal=Decimal("0.01"))
    assert not passes(agreements=[agreement(1, effect=AgreementEffect.BLOCK)])


def test_sampling_takes_its_share_and_always_the_same_tickets():
    tickets = [f"T{n:08}" for n in range(20_000)]

    def taken_at(percent):
        return {ticket for ticket in tickets if approval.sampled(ticket_number=ticket, percent=percent)}

    assert taken_at(0) == set()
    assert taken_at(100) == set(tickets)
    assert 0.045 < len(taken_at(5)) / len(tickets) < 0.055
    assert taken_at(5) == taken_at(Decimal("5.00"))
    assert taken_at(Decimal("0.5")) <= taken_at(5) <= taken_at(20)


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_share_beyond_all_and_nothing_is_refused(percent):
    with pytest.raises(ValueError, match="share"):
        approval.sampled(ticket_number="T1", percent=percent)
