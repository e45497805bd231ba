"""Every blocker at once on a fresh read; an approval that no longer fits is void; nobody waits for ever."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import make_aware

from accounts import pii
from accounts.models import CreditProduct, PartnerAgreement
from accounts.tracking import save_as
from closures.models import Blocker, ClosureTicket
from closures.models.tickets import Reason
from closures.services import assessment, holds, intake, review
from tests.factories import SHIPPED, a_customer, an_identity
from tests.stage import PERIOD, Clock, Stage, seen, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)
JOB = "job:assessment"
MONEY_OWED = {
    "OUTSTANDING_PRINCIPAL": {"principal": "100.00"},
    "OUTSTANDING_INTEREST_FEES": {"interest": "1.00", "fees": "2.00"},
    "UNBILLED": {"unbilled": "3.00"},
    "INSTALMENTS_REMAINING": {"instalments_remaining": 2},
    "PENDING_ORDER": {"pending_orders": 1},
    "REFUND_IN_FLIGHT": {"refunds_in_flight": "4.00"},
    "DISPUTED": {"disputed": "5.00"},
}
EVERYTHING: dict[str, Any] = {k: v for owed in MONEY_OWED.values() for k, v in owed.items()}


def open_blockers(ticket: ClosureTicket) -> dict[str, str]:
    rows = ticket.blockers.filter(cured_at__isnull=True)
    return {row.code: row.severity for row in rows}


def hold(stage: Stage, ticket: ClosureTicket, kind: str = "LEGAL"):
    return holds.place(
        ticket_id=ticket.pk, kind=kind, ground="案号 7", actor=stage.staff("reviewer2"), now=stage.now
    )


# --- What stands in the way ---------------------------------------------------------------------------


def test_every_blocker_is_listed_at_once_with_its_amount_and_its_cure(stage: Stage) -> None:
    customer = a_customer()  # nobody's identity is on file
    account = stage.account(ALIPAY, ("WECHAT", "WITHHOLDING", True), customer=customer, **EVERYTHING)
    stage.account(product="BAITIAO", customer=customer)
    ticket = stage.request(account)
    hold(stage, ticket)
    stage.assess()

    found = open_blockers(stage.fresh(ticket))
    assert found == {
        **dict.fromkeys(MONEY_OWED, "BLOCK"),
        "IDENTITY_MISMATCH": "BLOCK",
        "OPEN_HOLD": "BLOCK",
        "AGREEMENT_PASSWORD_FREE": "UNBIND",
        "AGREEMENT_WITHHOLDING": "UNBIND",
        "OTHER_LENDER_LINE": "WARN",
    }
    assert stage.fresh(ticket).state == "BLOCKED"
    rows = {row.code: row for row in ticket.blockers.all()}
    assert str(rows["OUTSTANDING_INTEREST_FEES"].amount) == "3.00"
    assert rows["INSTALMENTS_REMAINING"].count == 2
    assert rows["AGREEMENT_WITHHOLDING"].cure == "WE_UNBIND_ONCE_SETTLED"
    assert all(row.cure for row in rows.values())
    assert {written(row) for row in rows.values()} == {(JOB, "found")}
    assert written(stage.fresh(ticket)) == (JOB, "blockers found")


@pytest.mark.parametrize("code", MONEY_OWED)
@pytest.mark.parametrize("reason", [Reason.RISK_CONTROL, Reason.POLICY])
def test_money_owed_settles_where_the_lender_closes(stage: Stage, code: str, reason: str) -> None:
    ticket = stage.request(stage.account(**MONEY_OWED[code]), reason=reason)
    stage.assess()
    assert (stage.fresh(ticket).state, open_blockers(ticket)) == ("IN_REVIEW", {code: "SETTLE"})


@pytest.mark.parametrize("reason", list(Reason))
def test_a_credit_balance_never_blocks(stage: Stage, reason: str) -> None:
    ticket = stage.request(stage.account(credit_balance="36.20"), reason=reason)
    stage.assess()
    assert (stage.fresh(ticket).state, open_blockers(ticket)) == ("IN_REVIEW", {"CREDIT_BALANCE": "SETTLE"})


def test_the_ledger_is_read_afresh_not_believed_from_our_copy(stage: Stage) -> None:
    account = stage.account()
    stage.simulator.patch_account(account.account_no, principal="7.00")
    ticket = stage.request(account)
    stage.assess()
    ticket = stage.fresh(ticket)
    assert (ticket.state, str(ticket.account.principal)) == ("BLOCKED", "7.00")
    assert ticket.account.ledger_as_of == ticket.examined_as_of == stage.now


def test_a_cured_blocker_stays_on_record_with_its_day(stage: Stage) -> None:
    ticket = stage.ticket("BLOCKED")
    stage.simulator.repay(ticket.account.account_no)
    stage.clock.skip(timedelta(hours=25))
    stage.assess()
    row = ticket.blockers.get()
    assert (row.cured_at, written(row)) == (stage.now, (JOB, "cured"))
    assert stage.fresh(ticket).state == "IN_REVIEW"


def test_a_blocked_ticket_is_looked_at_when_its_account_changes_and_daily(stage: Stage) -> None:
    ticket = stage.ticket("BLOCKED")
    assert stage.assess() == 0
    stage.clock.skip()
    account = stage.fresh(ticket).account
    account.ledger_as_of = stage.now
    account.save(update_fields=["ledger_as_of"])
    assert assessment.wake_changed(now=stage.now) == 1
    assert assessment.wake_changed(now=stage.now) == 0, "already due"
    assert stage.assess() == 1
    stage.clock.skip(timedelta(hours=23))
    assert stage.assess() == 0
    stage.clock.skip(timedelta(hours=1))
    assert stage.assess() == 1


def test_a_new_agreement_wakes_the_ticket(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    stage.sign(ticket.account)
    assert assessment.wake_changed(now=stage.now) == 1


def test_looking_again_and_seeing_the_same_writes_no_history(stage: Stage) -> None:
    for state in ("BLOCKED", "IN_REVIEW", "NOTICE_PERIOD"):
        ticket = stage.ticket(state)
        ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=stage.now)
        before = ticket.history.count(), [row.history.count() for row in ticket.blockers.all()]
        assert stage.assess() == 1
        assert (ticket.history.count(), [row.history.count() for row in ticket.blockers.all()]) == before


def test_identity_that_changed_since_the_request_blocks(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    an_identity(ticket.account.customer, id_number="990000199003070099")
    ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=stage.now)
    stage.assess()
    assert "IDENTITY_MISMATCH" in open_blockers(ticket) and stage.fresh(ticket).state == "BLOCKED"


def test_a_request_without_proved_identity_is_not_examined(stage: Stage) -> None:
    ticket = stage.request(stage.account(), identity_level="NONE")
    assert stage.assess() == 0
    assert stage.fresh(ticket).state == "SUBMITTED"
    assert not stage.calls("GET", ticket.account.account_no)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "down"},
        {"kind": "http_500"},
        {"kind": "http_429"},
        {"kind": "wrong_404"},
        {"kind": "garbage"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_ledger_that_does_not_answer_costs_time_only(stage: Stage, fault: dict[str, Any]) -> None:
    ticket = stage.request(stage.account())
    stage.simulator.fault(system="LEDGER", method="GET", **fault)
    before = seen(ticket)[1]
    for _ in range(3):
        stage.assess()
        stage.clock.skip()
    assert stage.fresh(ticket).state == "SUBMITTED" and ticket.history.count() == before
    stage.simulator.clear_faults()
    stage.assess()
    assert stage.fresh(ticket).state == "IN_REVIEW"


def test_a_late_read_whose_lease_is_lost_changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first worker waits for the ledger, its lease lapses and a second one examines the ticket."""
    ticket = stage.request(stage.account())
    read = assessment.ledger.read

    def slow(account_no: str):
        monkeypatch.setattr(assessment.ledger, "read", read)
        answer = read(account_no)
        stage.clock.skip(timedelta(minutes=5))
        assert stage.assess() == 1
        stage.simulator.patch_account(account_no, principal="9.00")
        return answer

    monkeypatch.setattr(assessment.ledger, "read", slow)
    stage.assess()
    assert written(stage.fresh(ticket)) == (JOB, "nothing blocks")
    assert ticket.history.count() == 2


# --- Straight through ---------------------------------------------------------------------------------


def spotless(stage: Stage, **policy: Any) -> None:
    product = CreditProduct.objects.get(code="HUABEI")
    for name, value in {"straight_through": True, "sampling_percent": 0, **policy}.items():
        setattr(product, name, value)
    save_as(product, actor=SHIPPED, reason="test")


def test_a_spotless_request_passes_where_the_product_allows_it(stage: Stage) -> None:
    spotless(stage)
    ticket = stage.request(stage.account())
    stage.assess()
    ticket = stage.fresh(ticket)
    assert (ticket.state, ticket.straight_through, ticket.decided_by) == ("NOTICE_PERIOD", True, None)
    assert ticket.period_ends_at == stage.now + PERIOD
    assert ticket.approved_hash == ticket.examined_hash
    assert ticket.account.line_state == "FROZEN"
    assert ticket.notices.filter(kind="COOLING_OFF_STARTED").exists()


@pytest.mark.parametrize(
    "spot",
    ["not allowed", "sampled", "arrears", "arrears unknown", "rejected before", "risk", "policy"],
)
def test_one_spot_and_a_person_decides(stage: Stage, spot: str) -> None:
    spotless(
        stage,
        straight_through=spot != "not allowed",
        sampling_percent=100 if spot == "sampled" else 0,
    )
    balances = {"arrears": {"arrears_months": "0|0|1|0|0|0"}, "arrears unknown": {"arrears_months": "0|0"}}
    account = stage.account(**balances.get(spot, {}))
    if spot == "rejected before":
        hold(stage, earlier := stage.request(account))
        stage.assess()
        review.reject(ticket_id=earlier.pk, ground="x", actor=stage.staff("reviewer"), now=stage.now)
    reason = {"risk": Reason.RISK_CONTROL, "policy": Reason.POLICY}.get(spot, Reason.CUSTOMER_REQUEST)
    ticket = stage.request(account, reason=reason)
    stage.assess()
    assert stage.fresh(ticket).state == "IN_REVIEW"


# --- An approval that no longer fits ------------------------------------------------------------------

VOIDING = {
    "principal": {"principal": "10.00"},
    "unbilled": {"unbilled": "10.00"},
    "open order": {"pending_orders": 1},
    "interest where nothing was approved": {"interest": "1.00"},
    "credit balance from nowhere": {"credit_balance": "1.00"},
    "dispute": {"disputed": "1.00"},
    "refund": {"refunds_in_flight": "1.00"},
    "instalments": {"instalments_remaining": 1},
}
STANDING = {
    "repaid": {"principal": "0.00", "interest": "0.00"},
    "repaid in part": {"principal": "50.00"},
    "interest and fees on the approved debt": {"interest": "9.00", "fees": "2.00"},
    "unbilled became billed": {"principal": "120.00", "unbilled": "0.00"},
    "a repayment overshot": {
        "principal": "0.00",
        "interest": "0.00",
        "unbilled": "0.00",
        "credit_balance": "5.00",
    },
}
APPROVED_DEBT = {"principal": "100.00", "unbilled": "20.00", "interest": "1.00"}


def changed(stage: Stage, ticket: ClosureTicket, **balances: Any) -> ClosureTicket:
    """The ledger's figures change, the import brings them, the job looks."""
    stage.clock.skip()
    stage.simulator.patch_account(ticket.account.account_no, **balances)
    ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=stage.now)
    stage.assess()
    return stage.fresh(ticket)


@pytest.mark.parametrize("change", VOIDING)
def test_new_debt_voids_a_customers_approval(stage: Stage, change: str) -> None:
    ticket = changed(stage, stage.ticket("NOTICE_PERIOD"), **VOIDING[change])
    assert ticket.state in ("IN_REVIEW", "BLOCKED")
    assert (ticket.decided_by, ticket.decided_at, ticket.period_ends_at) == (None, None, None)
    assert (ticket.approved, ticket.approved_hash, ticket.straight_through) == ({}, "", False)
    assert ticket.changes
    voided = ticket.history.filter(history_change_reason="the approval is void").get()
    assert voided.history_actor == JOB
    assert not ticket.notices.filter(kind="COOLING_OFF_STARTED", state="PENDING").exists()


@pytest.mark.parametrize("change", ["principal", "unbilled", "open order", "dispute"])
def test_more_debt_voids_a_lenders_approval_too(stage: Stage, change: str) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=Reason.RISK_CONTROL, **APPROVED_DEBT)
    more = {"principal": {"principal": "100.01"}, "unbilled": {"unbilled": "20.01"}}
    ticket = changed(stage, ticket, **more.get(change, VOIDING[change]))
    assert (ticket.state, ticket.notice_arrived_at) == ("IN_REVIEW", None)
    assert {c["kind"] for c in ticket.changes} <= {"MORE_DEBT", "MORE_PENDING_ORDERS", "NEW_BLOCKER"}


@pytest.mark.parametrize("change", STANDING)
def test_what_is_not_material_leaves_the_approval(stage: Stage, change: str) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", ALIPAY, reason=Reason.RISK_CONTROL, **APPROVED_DEBT)
    approved = ticket.approved_hash
    ticket = changed(stage, ticket, **STANDING[change])
    assert (ticket.state, ticket.approved_hash, ticket.changes) == ("NOTICE_PERIOD", approved, [])
    assert ticket.decided_by == stage.staff("lead").user


def test_an_agreement_gone_leaves_the_approval(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", ALIPAY)
    agreement = ticket.account.agreements.get()
    stage.simulator.end_agreement("ALIPAY", agreement.agreement_no)
    PartnerAgreement.objects.filter(pk=agreement.pk).update(state="UNBOUND")
    assert changed(stage, ticket, credit_limit="1.00").state == "NOTICE_PERIOD"


def test_a_new_agreement_voids(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", ALIPAY)
    new = stage.sign(ticket.account, "WECHAT")
    assessment.wake_changed(now=stage.now)
    stage.assess()
    ticket = stage.fresh(ticket)
    assert ticket.state == "IN_REVIEW"
    assert [(c["kind"], c["agreement_id"]) for c in ticket.changes] == [("NEW_AGREEMENT", new.pk)]


def test_a_new_hold_voids_and_blocks(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    placed = hold(stage, ticket)
    stage.assess()
    ticket = stage.fresh(ticket)
    assert ticket.state == "BLOCKED"
    assert [(c["kind"], c["hold_id"]) for c in ticket.changes] == [("NEW_HOLD", placed.pk)]


def test_a_void_approval_is_given_anew_by_a_person(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", ALIPAY)
    stage.sign(ticket.account, "WECHAT")
    assessment.wake_changed(now=stage.now)
    stage.assess()
    again = stage.approve(ticket, by="reviewer2")
    assert (again.state, again.decided_by) == ("NOTICE_PERIOD", stage.staff("reviewer2").user)
    assert again.changes == [] and again.period_ends_at == stage.now + PERIOD


def test_nothing_goes_on_before_changed_facts_were_looked_at(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", ALIPAY)
    stage.clock.skip(PERIOD)
    stage.sign(ticket.account, "WECHAT")
    stage.work()  # the sweep that ends periods comes before the look
    assert stage.fresh(ticket).state != "UNBINDING"


# --- Holds that nobody may know of --------------------------------------------------------------------


def said(ticket: ClosureTicket) -> str:
    """Everything the customer was told or will be."""
    text = []
    for notice in ticket.notices.select_related("body"):
        text += [
            pii.reveal(notice.body.subject_sealed, subject=notice.key, field="subject"),
            pii.reveal(notice.body.text_sealed, subject=notice.key, field="text"),
            str(notice.values),
        ]
    return "\n".join(text)


def test_a_silent_hold_alone_is_no_reason_to_write_to_the_customer(stage: Stage) -> None:
    ticket = stage.request(stage.account())
    hold(stage, ticket, "AML")
    stage.assess()
    assert stage.fresh(ticket).state == "BLOCKED"
    assert set(ticket.notices.values_list("kind", flat=True)) == {"RECEIVED"}


def test_a_silent_hold_is_in_no_text_beside_other_blockers(stage: Stage) -> None:
    loud, silent = (stage.request(stage.account(principal="100.00")) for _ in range(2))
    hold(stage, silent, "AML")
    hold(stage, loud, "LEGAL")
    stage.assess()
    assert "OPEN_HOLD" in open_blockers(loud) and "OPEN_HOLD" in open_blockers(silent)
    assert "暂挂" in said(loud) or "hold" in said(loud).lower()
    for word in ("AML", "洗钱", "暂挂", "open hold", "案号"):
        assert word not in said(silent)
    items = silent.notices.filter(kind="BLOCKERS_FOUND").values_list("values", flat=True)
    assert items and all(len(values["items"]) == 1 for values in items)


def overdue(stage: Stage, ticket: ClosureTicket) -> int:
    stage.clock.now = make_aware(datetime.combine(stage.fresh(ticket).answer_due_on, datetime.min.time()))
    stage.clock.skip(timedelta(hours=10))
    return assessment.answer_overdue(now=stage.now)


def test_a_silent_hold_is_never_refused_by_the_machine(stage: Stage) -> None:
    ticket = stage.request(stage.account(principal="100.00"))
    hold(stage, ticket, "AML")
    stage.assess()
    assert overdue(stage, ticket) == 0
    assert stage.fresh(ticket).state == "BLOCKED"
    ended = review.reject(ticket_id=ticket.pk, ground="见记录", actor=stage.staff("reviewer"), now=stage.now)
    assert ended.end_codes == ["OUTSTANDING_PRINCIPAL"]
    assert "OPEN_HOLD" not in said(ended) and "暂挂" not in said(ended)


# --- The answer date ----------------------------------------------------------------------------------


def test_a_case_still_blocked_on_its_answer_date_is_refused_with_every_reason(stage: Stage) -> None:
    ticket = stage.request(stage.account(**EVERYTHING))
    stage.assess()
    assert overdue(stage, ticket) == 1
    ticket = stage.fresh(ticket)
    assert (ticket.state, ticket.ended_at) == ("REJECTED", stage.now)
    assert set(ticket.end_codes) - {"STALE_LEDGER"} == set(MONEY_OWED)
    assert written(ticket) == (JOB, "answer date")
    letter = ticket.notices.get(kind="REFUSED", courtesy=False)
    assert len(letter.values["items"]) >= len(MONEY_OWED)
    assert assessment.answer_overdue(now=stage.now) == 0, "answered once"


def test_nobody_is_refused_before_the_answer_date(stage: Stage) -> None:
    ticket = stage.ticket("BLOCKED")
    day_before = datetime.combine(ticket.answer_due_on - timedelta(days=1), datetime.max.time())
    assert assessment.answer_overdue(now=make_aware(day_before)) == 0


def test_the_day_is_chinas_day(stage: Stage) -> None:
    ticket = stage.ticket("BLOCKED")
    due = ticket.answer_due_on
    last_second_before = make_aware(datetime(due.year, due.month, due.day)) - timedelta(seconds=1)
    assert assessment.answer_overdue(now=last_second_before) == 0
    assert assessment.answer_overdue(now=last_second_before + timedelta(seconds=1)) == 1


def test_identity_not_proved_by_the_answer_date_is_the_reason(stage: Stage) -> None:
    ticket = stage.request(stage.account(), identity_level="NONE")
    assert overdue(stage, ticket) == 1
    ticket = stage.fresh(ticket)
    assert ticket.state == "REJECTED" and "IDENTITY_NOT_PROVED" in ticket.end_codes


def test_a_case_that_is_no_longer_blocked_is_not_refused(stage: Stage) -> None:
    """The repayment came with today's import; the daily look has not been by yet."""
    ticket = stage.ticket("BLOCKED")
    account = stage.fresh(ticket).account
    stage.clock.now = make_aware(datetime.combine(ticket.answer_due_on, datetime.min.time()))
    account.principal, account.ledger_as_of = 0, stage.now
    save_as(account, actor=SHIPPED, reason="import")
    stage.simulator.repay(account.account_no)
    assert assessment.answer_overdue(now=stage.now) == 0
    stage.assess()
    assert stage.fresh(ticket).state == "IN_REVIEW"


@pytest.mark.parametrize("state", ["SUBMITTED", "BLOCKED"])
def test_a_silent_ledger_is_no_reason_to_refuse_the_customer(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state, principal="100.00") if state == "BLOCKED" else stage.ticket(state)
    if state == "BLOCKED":
        account = stage.fresh(ticket).account
        account.principal = 0
        save_as(account, actor=SHIPPED, reason="import")
    assert overdue(stage, ticket) == 0
    assert stage.fresh(ticket).state == state and stage.fresh(ticket).due_at == stage.now


@pytest.mark.parametrize("state", ["IN_REVIEW", "NOTICE_PERIOD", "SETTLING"])
def test_the_sweep_refuses_nothing_that_waits_for_us(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state)
    assert overdue(stage, ticket) == 0
    assert stage.fresh(ticket).state == state


def test_a_lenders_closing_has_no_answer_date(stage: Stage) -> None:
    ticket = stage.request(stage.account(), reason=Reason.POLICY)
    assert assessment.answer_overdue(now=make_aware(datetime(2026, 12, 1))) == 0
    assert stage.fresh(ticket).answer_due_on is None


def test_after_a_refusal_a_new_request_starts_afresh(stage: Stage, clock: Clock) -> None:
    ticket = stage.ticket("BLOCKED")
    assert overdue(stage, ticket) == 1
    again = stage.request(stage.fresh(ticket).account)
    assert again.answer_due_on > ticket.answer_due_on and isinstance(again.answer_due_on, date)
    assert not Blocker.objects.filter(ticket=again).exists()
    assert intake.disclosure_version(again.account.product) == again.disclosure_version
    assert clock.now == stage.now
