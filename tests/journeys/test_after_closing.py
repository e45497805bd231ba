"""What comes after a closing, from end to end: put right where it was wrong, and money that comes later."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management import call_command

from accounts.models import CreditAccount, Customer
from closures.demo import stories_after
from closures.demo.world import World
from closures.models import ClosureTicket, PostClosureItem, Reversal
from closures.services import callbacks, complaints, invariants, later_money, reversal
from closures.services.complaints.deciding import ReversalMissing
from tests.accounts import extracts
from tests.complaint_cases import upheld
from tests.services.test_callbacks import signed
from tests.stage import Stage, refused


def told(stage: Stage, account: CreditAccount, event_id: str, **posting: Any) -> None:
    """The ledger books it and sends its signed message; the job applies it."""
    stage.simulator.later_money(account.account_no, quietly=True, **posting)
    event = {"event_id": event_id, "type": "ledger.money_after_closing", "account_no": account.account_no}
    raw, headers = signed({**event, **posting, "at": stage.now.isoformat()}, stage.now)
    callbacks.receive(partner="LEDGER", raw=raw, headers=headers, now=stage.now)
    stage.work()


def reversed_(stage: Stage, ticket: ClosureTicket, **given: Any) -> Reversal:
    row = reversal.propose(
        ticket_id=ticket.pk, root_cause="NOT_ASKED_FOR", ground="录音核查：客户并未申请",
        actor=stage.staff("reviewer2"), now=stage.now, **given,
    )  # fmt: skip
    reversal.approve(reversal_id=row.pk, ground="属实", actor=stage.staff("lead"), now=stage.now)
    for _ in range(6):
        stage.work()
        stage.clock.skip()
    return Reversal.objects.get(pk=row.pk)


def nothing_broken(stage: Stage) -> None:
    results = invariants.run(now=stage.now)
    assert {r.number: r.examples for r in results if r.violations} == {}
    assert stage.simulator.duplicates() == []


def test_a_wrong_closing_is_found_reversed_by_two_and_the_account_opened_once(stage: Stage) -> None:
    """Own finding; the ledger opens the account, and its answer is lost."""
    ticket = stage.ticket("CLOSED", ("ALIPAY", "PASSWORD_FREE", False), credit_limit="8000.00")
    new_no = f"{ticket.account.account_no}R1"
    stage.simulator.fault(
        system="LEDGER", kind="timeout_after_success", method="POST", subject=new_no, times=1, hold_s=0.1
    )
    row = reversed_(stage, ticket, source="OWN_FINDING", compensation_amount=Decimal("50.00"))
    new = CreditAccount.objects.get(account_no=new_no)
    assert (row.state, row.new_account) == ("DONE", new)
    assert stage.effects("OPEN", new_no) == 1
    assert (new.line_state, new.credit_limit) == ("ACTIVE", Decimal("8000.00"))
    ticket = stage.fresh(ticket)
    assert (ticket.state, ticket.account.line_state) == ("REVERSED", "CLOSED")
    assert Customer.objects.get(pk=new.customer_id).standing == "ACTIVE"
    assert not new.agreements.exists()
    assert ticket.notices.get(kind="REVERSED", courtesy=False).state == "DELIVERED"
    reversal.record_bureau_correction(
        reversal_id=row.pk, proof="ZX-1", actor=stage.staff("reviewer2"), now=stage.now
    )
    nothing_broken(stage)
    again = stage.request(new)
    stage.assess()
    stage.approve(again)
    assert stage.until(again, "CLOSED").certificate_no == f"CERT-{again.number}"
    nothing_broken(stage)


def test_an_upheld_complaint_names_the_reversal_it_forced(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    complaint = upheld(stage, ticket)
    closing = {"complaint_id": complaint.pk, "actor": stage.staff("agent2")}
    with refused(ReversalMissing):
        complaints.close(**closing, now=stage.now)

    row = reversed_(stage, ticket, source="COMPLAINT", complaint_number=complaint.number)

    assert (row.state, row.complaint_number) == ("DONE", complaint.number)
    assert complaints.close(**closing, now=stage.now).state == "CLOSED"


def test_a_refund_after_closing_its_duplicate_and_its_clawback(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    account, certified = ticket.account, stage.fresh(ticket).certificate_hash
    refund = {"kind": "REFUND", "ref": "R-1", "amount": "66.00"}
    told(stage, account, "e1", **refund)
    told(stage, account, "e2", **refund)
    item = account.later_money.get()
    assert (item.state, item.repeats) == ("SUSPENSE", 1)
    later_money.pay_out(item_id=item.pk, ground="退还", actor=stage.staff("reviewer"), now=stage.now)
    stage.simulator.fault(system="LEDGER", kind="timeout_after_success", method="POST", times=1, hold_s=0.1)
    for _ in range(6):
        stage.work()
        stage.clock.skip()
    item.refresh_from_db()
    assert (item.state, stage.effects("RETURN", item.number)) == ("PAID_OUT", 1)
    told(stage, account, "e3", kind="CLAWBACK", ref="K-1", amount="66.00", takes_back="R-1")
    debt = account.later_money.get(kind="CLAWBACK")
    assert debt.state == "SUSPENSE", "what was paid out cannot be offset"
    for act, by in (("book_receivable", "reviewer"), ("ask_write_off", "reviewer"), ("write_off", "lead")):
        getattr(later_money, act)(item_id=debt.pk, ground="x", actor=stage.staff(by), now=stage.now)
    assert PostClosureItem.objects.get(pk=debt.pk).state == "WRITTEN_OFF"
    ticket = stage.fresh(ticket)
    assert (ticket.state, ticket.certificate_hash) == ("CLOSED", certified)
    assert (ticket.account.line_state, ticket.account.credit_balance) == ("CLOSED", 0)
    nothing_broken(stage)


def test_a_refund_that_only_the_extract_shows_is_paid_out_too(stage: Stage, tmp_path: Path) -> None:
    """By the real import: the line is kept, the account is not touched, the sweep takes the money over."""
    ticket = stage.ticket("CLOSED")
    account = ticket.account
    stage.simulator.later_money(account.account_no, kind="REFUND", ref="R-1", amount="12.34", quietly=True)
    line = extracts.account(
        1, customer_no=account.customer.customer_no, account_no=account.account_no,
        **dict.fromkeys(("principal", "interest", "fees"), "0.00"), instalments_remaining="0",
        credit_balance="12.34", ledger_as_of=stage.now.isoformat(),
    )  # fmt: skip
    for _ in range(2):
        path = extracts.written(tmp_path / "accounts.csv", [line])
        call_command("import_accounts", path, rejects=tmp_path / "rejects.csv", no_progress=True, json=True)
    stage.work()
    item = account.later_money.get()
    assert (item.source, item.kind, item.amount) == ("IMPORT", "REFUND", Decimal("12.34"))
    later_money.pay_out(item_id=item.pk, ground="退还", actor=stage.staff("reviewer"), now=stage.now)
    for _ in range(3):
        stage.work()
        stage.clock.skip()
    assert PostClosureItem.objects.get(pk=item.pk).state == "PAID_OUT"
    assert stage.effects("RETURN", item.number) == 1
    assert CreditAccount.objects.get(pk=account.pk).credit_balance == 0
    nothing_broken(stage)


def test_the_demo_leaves_work_for_the_lead_and_the_reviewer(world: World) -> None:
    stories_after.leave(world)
    row = Reversal.objects.get()
    assert (row.state, row.ticket.state) == ("PROPOSED", "CLOSED")
    account = row.ticket.account
    world.wait(lambda: account.later_money.count() == 2, "both messages are applied")
    assert set(account.later_money.values_list("kind", "state")) == {
        ("REFUND", "SUSPENSE"), ("CORRECTION", "SUSPENSE"),
    }  # fmt: skip
