"""A wrongful closing is undone by two people without a part in it; the ledger opens one new account."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.utils.timezone import make_aware

from accounts.actors import SHIPPED, Actor
from accounts.models import CreditAccount, Customer, Regulation
from accounts.services.relationships import CustomerErased
from accounts.tracking import NotPermitted, NotPossible, move, save_as
from closures.errors import GroundMissing
from closures.models import ClosureTicket, LedgerCommand, Notice, Reversal
from closures.models.tickets import Reason
from closures.services import commands, invariants, notices, reversal
from closures.services.reversal import (
    AlreadyProposed,
    AnotherIsOpen,
    ComplaintDoesNotSaySo,
    ComplaintMissing,
    CorrectionProofMissing,
    NotAnAmount,
    NotClosed,
    NotToCorrect,
    SameApprover,
    TookPart,
)
from tests.closed_cases import look, unseen
from tests.complaint_cases import upheld
from tests.races import at_once, race
from tests.stage import Stage, refused, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)


def proposed(stage: Stage, ticket: ClosureTicket, *, by: str = "reviewer2", **given: Any) -> Reversal:
    values = {
        "source": "OWN_FINDING",
        "root_cause": "NOT_ASKED_FOR",
        "ground": "录音核查：客户未申请",
        "compensation_amount": Decimal("50.00"),
        **given,
    }
    return reversal.propose(ticket_id=ticket.pk, actor=stage.staff(by), now=stage.now, **values)


def approve(
    stage: Stage, row: Reversal, *, by: str | Actor = "lead", ground: str = "属实，同意撤销"
) -> Reversal:
    actor = by if isinstance(by, Actor) else stage.staff(by)
    return reversal.approve(reversal_id=row.pk, ground=ground, actor=actor, now=stage.now)


def opened(stage: Stage, row: Reversal, rounds: int = 8) -> Reversal:
    for _ in range(rounds):
        commands.run(clock=stage.clock)
        reversal.run(clock=stage.clock)
        row = Reversal.objects.get(pk=row.pk)
        if row.state == "DONE":
            break
        stage.clock.skip()
    return row


# --- Proposing ----------------------------------------------------------------------------------------


def test_a_proposal_waits_for_a_second_person_and_changes_nothing_else(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    complaint = upheld(stage, ticket)
    row = proposed(stage, ticket, source="COMPLAINT", complaint_number=complaint.number)
    assert row.number.startswith("RV260112")
    assert (row.state, row.asked_by, row.asked_at) == ("PROPOSED", stage.staff("reviewer2").user, stage.now)
    assert (row.complaint_number, row.compensation_amount) == (complaint.number, Decimal("50.00"))
    assert (row.new_account, row.bureau_due_on) == (None, None)
    assert written(row) == (str(stage.staff("reviewer2")), "录音核查：客户未申请")
    assert stage.fresh(ticket).state == "CLOSED"


@pytest.mark.parametrize(
    ("refusal", "given"),
    [
        (GroundMissing, {"ground": " "}),
        (ComplaintMissing, {"source": "COMPLAINT"}),
        (ComplaintMissing, {"complaint_number": "CP1"}),
        (ComplaintDoesNotSaySo, {"source": "COMPLAINT", "complaint_number": "CP1"}),
        (NotAnAmount, {"compensation_amount": Decimal("-0.01")}),
        (NotAnAmount, {"compensation_amount": Decimal("NaN")}),
        (NotPermitted, {"by": "agent2"}),
        (NotPermitted, {"by": "operator"}),
        (TookPart, {"by": "reviewer"}),  # who decided the closing
    ],
)
def test_what_is_no_proposal_is_refused_and_nothing_changes(
    stage: Stage, refusal: Any, given: dict[str, Any]
) -> None:
    ticket = stage.ticket("CLOSED")
    with refused(refusal, ticket, ticket.account):
        proposed(stage, ticket, **given)
    assert not Reversal.objects.exists()


@pytest.mark.parametrize("state", ["IN_REVIEW", "NOTICE_PERIOD", "UNBINDING"])
def test_only_a_closed_ticket_can_be_reversed(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state, ALIPAY)
    with refused(NotClosed, ticket):
        proposed(stage, ticket)


def test_one_reversal_at_a_time_and_another_after_a_rejection(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    first = proposed(stage, ticket)
    with refused(AlreadyProposed, first):
        proposed(stage, ticket, by="lead2")
    reversal.reject(reversal_id=first.pk, ground="关闭无误", actor=stage.staff("lead"), now=stage.now)
    assert Reversal.objects.get(pk=first.pk).state == "REJECTED"
    assert stage.fresh(ticket).state == "CLOSED"
    assert proposed(stage, ticket, by="lead2").state == "PROPOSED"


# --- Approving ----------------------------------------------------------------------------------------


def test_an_approval_opens_a_new_account_and_begins_the_relationship_again(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED", ALIPAY)
    closed_at, certificate = stage.fresh(ticket).ended_at, stage.fresh(ticket).certificate_hash
    customer = Customer.objects.get(pk=ticket.account.customer_id)
    assert customer.standing == "RESTRICTED"
    row = approve(stage, proposed(stage, ticket))
    new = row.new_account
    assert (row.state, row.approved_by, row.approved_at) == ("OPENING", stage.staff("lead").user, stage.now)
    assert new.account_no == f"{ticket.account.account_no}R1"
    assert (new.reopened_from, new.line_state, new.customer) == (ticket.account, "ACTIVE", customer)
    ticket = stage.fresh(ticket)
    assert (ticket.state, ticket.account.line_state) == ("REVERSED", "CLOSED")
    assert (ticket.ended_at, ticket.certificate_hash) == (closed_at, certificate), "it was closed that day"
    assert written(ticket) == (str(stage.staff("lead")), f"reversal {row.number}")
    customer.refresh_from_db()
    assert customer.standing == "ACTIVE"
    assert customer.relationships.filter(ended_on__isnull=True).count() == 1
    assert customer.relationships.filter(ended_on__isnull=False).count() == 1, "the first one keeps its end"
    command = new.commands.get()
    assert (command.verb, command.state, command.ticket) == ("OPEN", "PENDING", ticket)
    assert not ticket.notices.filter(kind="REVERSED").exists(), "nothing is said before it is true"
    assert not new.agreements.exists(), "we sign nothing for him"


def test_the_clock_of_the_credit_report_names_its_rule_and_its_calendar(stage: Stage) -> None:
    """20 calendar days after 2026-01-29 end in the Spring Festival; the next working day is 02-24."""
    ticket = stage.ticket("CLOSED")
    stage.clock.now = make_aware(datetime(2026, 1, 29, 10, 0))
    row = approve(stage, proposed(stage, ticket))
    assert row.bureau_due_on == date(2026, 2, 24)
    assert row.bureau_rule == Regulation.objects.get(code="BUREAU_CORRECTION")
    assert row.bureau_calendar.startswith("cn-2026.")
    assert {r.number: r.violations for r in invariants.run(now=stage.now) if r.violations} == {}


def test_done_is_what_the_ledger_shows_and_only_then_the_customer_hears_of_it(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED", ALIPAY, credit_limit="8000.00")
    row = approve(stage, proposed(stage, ticket))
    reversal.run(clock=stage.clock)
    row.refresh_from_db()
    assert (row.state, row.due_at > stage.now) == ("OPENING", True), "the ledger does not know it yet"
    row = opened(stage, row)
    assert (row.state, row.due_at, written(row)) == ("DONE", None, ("job:reversal", "read back open"))
    new = CreditAccount.objects.get(reopened_from=ticket.account)
    assert (new.line_state, new.credit_limit, new.owed) == ("ACTIVE", Decimal("8000.00"), 0)
    assert stage.effects("OPEN", new.account_no) == 1
    notice = ticket.notices.get(kind="REVERSED", courtesy=False)
    assert notice.values["new_account_tail"] == new.account_no[-4:]
    assert notice.values["compensation"] == "50.00"
    assert notice.values["bureau_due_on"] == row.bureau_due_on.isoformat()
    assert len(notice.values["ended"]) == 1, "what he may sign again"
    notices.deliver(clock=stage.clock)
    stage.clock.skip()
    notices.deliver(clock=stage.clock)
    assert Notice.objects.get(pk=notice.pk).state == "DELIVERED"


def test_the_notice_climbs_until_it_has_arrived(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    row = approve(stage, proposed(stage, ticket))
    stage.simulator.fault(system="SMS", kind="refuse", method="POST")
    opened(stage, row)
    for _ in range(4):
        notices.deliver(clock=stage.clock)
        stage.clock.skip()
    assert ticket.notices.filter(kind="REVERSED", channel="LETTER").exists()


def test_a_timeout_after_success_opens_one_account(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    row = approve(stage, proposed(stage, ticket))
    subject = row.new_account.account_no
    stage.simulator.fault(system="LEDGER", kind="timeout_after_success", method="POST", times=1, hold_s=0.1)
    row = opened(stage, row)
    assert (row.state, stage.effects("OPEN", subject)) == ("DONE", 1)
    stage.clock.skip()
    commands.run(clock=stage.clock)
    states = row.new_account.commands.get().history.order_by("history_id").values_list("state", flat=True)
    assert list(states) == ["PENDING", "SENDING", "UNKNOWN", "DONE"]
    assert stage.simulator.duplicates() == []


def test_a_refused_opening_waits_for_a_person_and_nothing_is_said(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    row = approve(stage, proposed(stage, ticket))
    stage.simulator.fault(system="LEDGER", kind="refuse", method="POST", times=1)
    row = opened(stage, row, rounds=3)
    assert row.state == "OPENING"
    assert row.new_account.commands.get().state == "DEAD"
    assert not ticket.notices.filter(kind="REVERSED").exists()


@pytest.mark.parametrize(
    ("refusal", "by", "ground"),
    [
        (SameApprover, "lead2", "同意"),
        (NotPermitted, "reviewer2", "同意"),
        (NotPermitted, "auditor", "同意"),
        (GroundMissing, "lead", " "),
    ],
)
def test_who_may_not_approve_changes_nothing(stage: Stage, refusal: Any, by: str, ground: str) -> None:
    ticket = stage.ticket("CLOSED")
    row = proposed(stage, ticket, by="lead2")
    for decide in (reversal.approve, reversal.reject):
        with refused(refusal, row, ticket, ticket.account, ticket.account.customer):
            decide(reversal_id=row.pk, ground=ground, actor=stage.staff(by), now=stage.now)
    assert not CreditAccount.objects.filter(reopened_from__isnull=False).exists()


def test_who_decided_the_closing_does_not_reverse_it_not_even_as_superuser(stage: Stage) -> None:
    boss = stage.staff("boss")
    ticket = stage.ticket("IN_REVIEW", reason=Reason.POLICY)
    stage.approve(ticket, by=boss)
    ticket = stage.until(ticket, "CLOSED")
    with refused(TookPart, ticket):
        proposed(stage, ticket, by="boss")
    row = proposed(stage, ticket)
    with refused(TookPart, row, ticket):
        approve(stage, row, by="boss")


def test_a_voided_approval_was_a_part_in_the_closing_too(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    stage.simulator.patch_account(ticket.account.account_no, principal="9.00")
    account = CreditAccount.objects.get(pk=ticket.account_id)
    account.principal, account.ledger_as_of = Decimal("9.00"), stage.now
    save_as(account, actor=SHIPPED, reason="test", now=stage.now)
    ticket = stage.until(ticket, "BLOCKED")
    stage.simulator.repay(ticket.account.account_no)
    stage.clock.skip(timedelta(days=1))
    ticket = stage.until(ticket, "IN_REVIEW")
    stage.approve(ticket, by="reviewer2")
    ticket = stage.until(ticket, "CLOSED")
    with refused(TookPart, ticket):
        proposed(stage, ticket, by="reviewer")


def test_an_approval_happens_once(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    row = approve(stage, proposed(stage, ticket))
    for decide in (reversal.approve, reversal.reject):
        with refused(NotPossible, row, ticket):
            decide(reversal_id=row.pk, ground="再次", actor=stage.staff("lead"), now=stage.now)
    with refused(NotClosed, row):
        proposed(stage, ticket)
    assert CreditAccount.objects.filter(reopened_from=ticket.account).count() == 1


def test_no_second_account_of_the_product(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    row = proposed(stage, ticket)
    stage.account(customer=ticket.account.customer)
    with refused(AnotherIsOpen, row, ticket):
        approve(stage, row)


def test_who_was_erased_does_not_come_back(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    row = proposed(stage, ticket)
    with pytest.raises(AlreadyProposed):
        proposed(stage, ticket)
    customer = Customer.objects.get(pk=ticket.account.customer_id)
    move(customer, "erase", actor=SHIPPED, reason="test", now=stage.now)
    with refused(CustomerErased, row, ticket, customer):
        approve(stage, row)


def test_the_new_account_can_be_closed_and_that_closing_reversed_again(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    row = opened(stage, approve(stage, proposed(stage, ticket)))
    stage.simulator.patch_account(row.new_account.account_no, credit_limit="5000.00")
    account = CreditAccount.objects.get(pk=row.new_account_id)
    again = stage.request(account)
    stage.assess()
    stage.approve(again)
    again = stage.until(again, "CLOSED")
    assert stage.effects("CLOSE", account.account_no) == 1
    second = opened(stage, approve(stage, proposed(stage, again)))
    assert second.state == "DONE"
    assert second.new_account.account_no == f"{ticket.account.account_no}R2"
    assert {r.number: r.violations for r in invariants.run(now=stage.now) if r.violations} == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [("A7", "A7R1"), ("A7R1", "A7R2"), ("A7R9", "A7R10"), ("R1", "R1R1"), ("A" * 32, "A" * 30 + "R1")],
)
def test_the_new_number_tells_the_old_one(old: str, new: str) -> None:
    assert reversal.next_number(old) == new and len(new) <= 32


# --- The credit report --------------------------------------------------------------------------------


def test_a_correction_is_recorded_once_with_its_proof(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    row = proposed(stage, ticket)

    def correct(proof: str = "ZX-2026-17", by: str = "reviewer2") -> Reversal:
        return reversal.record_bureau_correction(
            reversal_id=row.pk, proof=proof, actor=stage.staff(by), now=stage.now
        )

    with refused(NotToCorrect, row):
        correct()
    row = approve(stage, row)
    for refusal, given in ((CorrectionProofMissing, {"proof": " "}), (NotPermitted, {"by": "agent"})):
        with refused(refusal, row):
            correct(**given)
    done = correct()
    assert (done.bureau_corrected_at, done.bureau_proof) == (stage.now, "ZX-2026-17")
    assert written(done) == (str(stage.staff("reviewer2")), "the credit report is corrected")
    with refused(NotToCorrect, row):
        correct("ZX-2")


# --- Races --------------------------------------------------------------------------------------------


@race
def test_two_approvals_at_once_open_one_account(raise_stage: Any) -> None:
    stage = raise_stage()
    for _ in range(3):
        ticket = stage.ticket("CLOSED")
        row = proposed(stage, ticket)
        leads = (stage.staff("lead"), stage.staff("lead2"))
        ends = at_once(*(partial(approve, stage, row, by=lead) for lead in leads))
        assert sorted(type(end).__name__ for end in ends) == ["NotPossible", "Reversal"]
        assert LedgerCommand.objects.filter(verb="OPEN", ticket=ticket).count() == 1


@race
def test_two_readers_at_once_finish_it_once_and_tell_once(raise_stage: Any) -> None:
    stage = raise_stage()
    ticket = stage.ticket("CLOSED")
    row = approve(stage, proposed(stage, ticket))
    commands.run(clock=stage.clock)
    at_once(*(lambda: reversal.run(clock=stage.clock) for _ in range(4)))
    assert Reversal.objects.get(pk=row.pk).state == "DONE"
    assert ticket.notices.filter(kind="REVERSED", courtesy=False).count() == 1


def test_a_machine_reverses_nothing(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    with refused(NotPermitted, ticket):
        reversal.propose(
            ticket_id=ticket.pk, source="OWN_FINDING", root_cause="PROCESS", ground="x",
            actor=Actor.job("reversal"), now=stage.now,
        )  # fmt: skip


def test_a_reader_that_lost_its_lease_changes_nothing(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    row = approve(stage, proposed(stage, ticket))
    commands.run(clock=stage.clock)
    (claimed,) = Reversal.objects.filter(state="OPENING").claim(now=stage.now, limit=1)
    stage.clock.skip(timedelta(minutes=5))
    assert reversal.run(clock=stage.clock) == 1
    assert Reversal.objects.get(pk=row.pk).state == "DONE"
    reversal.finish(claimed, clock=stage.clock)
    assert ticket.notices.filter(kind="REVERSED", courtesy=False).count() == 1


# --- What the nightly check would find ----------------------------------------------------------------


def test_a_correction_date_that_does_not_recount_is_found(stage: Stage) -> None:
    row = approve(stage, proposed(stage, stage.ticket("CLOSED")))
    assert not look(5, stage.now).violations
    unseen(Reversal, row, bureau_due_on=row.bureau_due_on + timedelta(days=1))
    assert (look(5, stage.now).violations, look(5, stage.now).examples) == (1, [row.number])


def test_a_reversal_that_one_person_granted_is_found_in_history(stage: Stage) -> None:
    row = approve(stage, proposed(stage, stage.ticket("CLOSED")))
    assert not look(3, stage.now).violations
    Reversal.history.filter(id=row.pk, state="OPENING").update(approved_by=row.asked_by)
    assert (look(3, stage.now).violations, look(3, stage.now).examples) == (1, [row.number])


def test_a_reversed_closing_is_judged_as_the_closing_it_was(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED", ALIPAY)
    approve(stage, proposed(stage, ticket))
    task = ticket.tasks.get()
    unseen(type(task), task, state="PENDING")
    assert (look(1, stage.now).violations, look(1, stage.now).examples) == (1, [ticket.number])
