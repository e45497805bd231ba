"""CLOSED means: the ledger was told, was read back closed, and nothing is left on either side."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import CreditAccount, Customer, LenderRelationship, LineRestriction
from closures.models import ClosureTicket
from closures.models.tickets import Reason
from closures.services import closing, commands, evidence, holds, rescue, unbinding
from tests.factories import a_person
from tests.races import at_once, race
from tests.stage import Stage, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)


def look(stage: Stage, ticket: ClosureTicket, rounds: int = 1) -> ClosureTicket:
    for _ in range(rounds):
        ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=stage.now)
        closing.run(clock=stage.clock)
        commands.run(clock=stage.clock)
        stage.clock.skip()
    return stage.fresh(ticket)


def test_a_closing_is_told_read_back_certified_and_announced(stage: Stage) -> None:
    ticket = stage.ticket("CLOSING", ALIPAY)
    ticket = look(stage, ticket)
    assert ticket.state == "CLOSING", "done is a claim until it is read back"
    ticket = look(stage, ticket)

    moment = stage.now - timedelta(minutes=20)
    assert (ticket.state, ticket.ended_at, ticket.due_at) == ("CLOSED", moment, None)
    assert written(ticket) == ("job:closing", "read back closed")
    account = ticket.account
    assert (account.line_state, account.closed_at) == ("CLOSED", moment)
    assert not LineRestriction.objects.filter(account=account, lifted_at=None).exists()
    assert stage.effects("CLOSE", account.account_no) == 1
    assert ticket.certificate_no == f"CERT-{ticket.number}"
    assert ticket.certificate_hash == evidence.fingerprint(ticket.certificate)
    assert ticket.notices.filter(kind="CLOSED", courtesy=False).count() == 1


def test_closing_twice_is_closing_once(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    before = ticket.history.count(), ticket.notices.count(), ticket.commands.count()
    assert look(stage, ticket, 2).state == "CLOSED"
    assert (ticket.history.count(), ticket.notices.count(), ticket.commands.count()) == before
    assert stage.effects("CLOSE", ticket.account.account_no) == 1


def test_a_ledger_that_says_done_and_does_not_close_certifies_nothing(stage: Stage) -> None:
    ticket = look(stage, stage.ticket("CLOSING"))
    assert ticket.commands.get(verb="CLOSE").state == "DONE"
    stage.simulator.patch_account(ticket.account.account_no, state="FROZEN")
    ticket = look(stage, ticket, 4)
    assert (ticket.state, ticket.certificate_no, ticket.account.line_state) == ("CLOSING", None, "CLOSING")
    assert ticket.commands.filter(verb="CLOSE").count() == 1, "it is not told again and again"
    stage.simulator.patch_account(ticket.account.account_no, state="CLOSED")
    assert look(stage, ticket).state == "CLOSED"


@pytest.mark.parametrize("kind", ["timeout_after_success", "late_effect", "garbage", "http_500"])
def test_whatever_becomes_of_the_answer_it_is_closed_once(stage: Stage, kind: str) -> None:
    ticket = stage.ticket("CLOSING")
    commands.run(clock=stage.clock)
    late = {"latency_s": 0.05} if kind == "late_effect" else {}
    stage.simulator.fault(system="LEDGER", kind=kind, method="POST", times=1, **late)
    ticket = stage.until(ticket, "CLOSED")
    assert stage.effects("CLOSE", ticket.account.account_no) == 1
    assert ticket.commands.filter(verb="CLOSE").count() == 1
    assert stage.simulator.duplicates() == []


@pytest.mark.parametrize(
    "money", [{"principal": "0.01"}, {"credit_balance": "0.01"}, {"refunds_in_flight": "1.00"}], ids=str
)
def test_new_money_at_the_last_check_goes_back_to_settling(stage: Stage, money: dict[str, str]) -> None:
    ticket = stage.ticket("CLOSING", ALIPAY)
    stage.simulator.patch_account(ticket.account.account_no, **money)
    ticket = look(stage, ticket)
    assert (ticket.state, written(ticket)) == ("SETTLING", ("job:closing", "the last check found money"))
    assert not ticket.commands.filter(verb="CLOSE").exists()
    stage.simulator.patch_account(ticket.account.account_no, principal="0.00", refunds_in_flight="0.00")
    ended = stage.until(ticket, "CLOSED")
    assert ended.unbinding_started_at == ticket.unbinding_started_at
    assert stage.simulator.duplicates() == []


def test_money_that_the_ledger_finds_itself_does_not_strand_the_closing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes between our last read and the command: refused, settled, and then told anew."""
    ticket = stage.ticket("CLOSING")
    commands.run(clock=stage.clock)
    closing.run(clock=stage.clock)
    stage.simulator.patch_account(ticket.account.account_no, principal="5.00")
    commands.run(clock=stage.clock)
    assert ticket.commands.get(verb="CLOSE").reason_code == "STILL_OWED"
    stage.clock.skip()
    closing.run(clock=stage.clock)
    assert stage.fresh(ticket).state == "SETTLING"
    stage.simulator.repay(ticket.account.account_no)
    ended = stage.until(ticket, "CLOSED")
    assert sorted(ended.commands.filter(verb="CLOSE").values_list("state", flat=True)) == ["DEAD", "DONE"]
    assert stage.effects("CLOSE", ticket.account.account_no) == 1


def test_a_new_agreement_at_the_last_check_goes_back_to_unbinding(stage: Stage) -> None:
    ticket = stage.ticket("CLOSING", ALIPAY)
    new = stage.sign(ticket.account, "WECHAT")
    ticket = look(stage, ticket)
    assert (ticket.state, written(ticket)) == (
        "UNBINDING",
        ("job:closing", "the last check found a new agreement"),
    )
    ended = stage.until(ticket, "CLOSED")
    assert ended.tasks.get(agreement=new).state == "UNBOUND"
    assert stage.effects("UNSIGN", new.agreement_no) == 1


def test_an_open_hold_stops_the_command_and_the_certificate(stage: Stage) -> None:
    told, untold = look(stage, stage.ticket("CLOSING")), stage.ticket("CLOSING")
    placed = [
        holds.place(ticket_id=t.pk, kind="LEGAL", ground="x", actor=stage.staff("reviewer"), now=stage.now)
        for t in (told, untold)
    ]
    assert look(stage, told, 2).state == "CLOSING"
    assert look(stage, untold, 2).state == "CLOSING"
    assert not untold.commands.filter(verb="CLOSE").exists()
    for hold in placed:
        holds.lift(hold_id=hold.pk, ground="x", actor=stage.staff("reviewer"), now=stage.now)
    assert stage.until(told, "CLOSED") and stage.until(untold, "CLOSED")


def test_a_refused_command_waits_for_a_person_and_keeps_its_key(stage: Stage) -> None:
    ticket = stage.ticket("CLOSING")
    commands.run(clock=stage.clock)
    stage.simulator.fault(system="LEDGER", kind="refuse", code="LEGAL_BLOCK", method="POST")
    ticket = look(stage, ticket, 4)
    command = ticket.commands.get(verb="CLOSE")
    assert (ticket.state, command.state, command.reason_code) == ("CLOSING", "DEAD", "LEGAL_BLOCK")
    stage.simulator.clear_faults()
    assert look(stage, ticket, 2).state == "CLOSING"
    rescue.revive_command(command_id=command.pk, ground="x", actor=stage.staff("operator"), now=stage.now)
    stage.until(ticket, "CLOSED")
    assert [e["key"] for e in stage.simulator.effects(kind="CLOSE")] == [command.key]


def test_a_silent_ledger_certifies_nothing(stage: Stage) -> None:
    ticket = stage.ticket("CLOSING")
    for kind in ("down", "garbage", "wrong_404", "http_500"):
        stage.simulator.fault(system="LEDGER", kind=kind)
        assert look(stage, ticket, 2).state == "CLOSING"
        stage.simulator.clear_faults()
    assert stage.until(ticket, "CLOSED")


def test_the_last_closing_with_a_lender_ends_the_relationship(stage: Stage) -> None:
    customer = a_person()
    first = stage.request(stage.account(customer=customer))
    second = stage.request(stage.account(product="BAITIAO", customer=customer))
    for ticket in (first, second):
        stage.assess()
        stage.approve(ticket)
    ended = stage.until(first, "CLOSED")
    relationship = LenderRelationship.objects.get(customer=customer, lender=ended.account.product.lender)
    day = ended.ended_at.date()
    assert relationship.ended_on == day
    assert relationship.retain_until == day.replace(year=day.year + 10)
    stage.until(second, "CLOSED")
    assert Customer.objects.get(pk=customer.pk).standing == "RESTRICTED"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_ends_in_the_same_certificate(stage: Stage, reason: str) -> None:
    ticket = stage.ticket("CLOSED", ALIPAY, reason=reason, credit_balance="3.00")
    assert (ticket.certificate["reason"], ticket.certificate["paid_out"]) == (reason, True)
    assert CreditAccount.objects.get(pk=ticket.account_id).line_state == "CLOSED"


@race
def test_many_workers_close_once(raise_stage: Any) -> None:
    stage = raise_stage()
    for _ in range(4):
        ticket = stage.ticket("CLOSING", ALIPAY)
        for _ in range(12):  # whoever finds the row locked passes by, so how many rounds it takes is chance
            ClosureTicket.objects.filter(pk=ticket.pk, state="CLOSING").update(due_at=stage.now)
            ends = at_once(
                *(lambda: closing.run(clock=stage.clock) for _ in range(2)),
                *(lambda: commands.run(clock=stage.clock) for _ in range(2)),
                lambda: unbinding.finish(now=stage.now),
            )
            assert all(isinstance(end, int) for end in ends), ends
            stage.clock.skip()
            if ticket.state == "CLOSED":
                break  # and one round more has changed nothing
            ticket = stage.fresh(ticket)
        assert ticket.state == "CLOSED"
        assert stage.effects("CLOSE", ticket.account.account_no) == 1
        assert ticket.history.filter(state="CLOSED").count() == 1
