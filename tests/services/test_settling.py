"""Debt never disappears, a credit balance is paid out once, and nothing goes on before all is zero."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from closures.models import ClosureTicket
from closures.models.tickets import Reason
from closures.services import commands, holds, rescue, settling
from tests.races import at_once, race
from tests.stage import Stage, written

REPAYS = ("ALIPAY", "AUTO_REPAY", True)
OWED = {
    "principal": "10.00",
    "interest": "1.00",
    "fees": "1.00",
    "unbilled": "1.00",
    "instalments_remaining": 1,
    "pending_orders": 1,
    "refunds_in_flight": "1.00",
    "disputed": "1.00",
}


def look(stage: Stage, ticket: ClosureTicket, rounds: int = 1) -> ClosureTicket:
    for _ in range(rounds):
        ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=stage.now)
        settling.run(clock=stage.clock)
        commands.run(clock=stage.clock)
        stage.clock.skip()
    return stage.fresh(ticket)


@pytest.mark.parametrize("field", OWED)
def test_one_fen_of_anything_keeps_it_waiting(stage: Stage, field: str) -> None:
    ticket = stage.ticket(
        "SETTLING", reason=Reason.RISK_CONTROL, credit_balance="0.00", **{field: OWED[field]}
    )
    assert look(stage, ticket, 2).state == "SETTLING"
    assert not stage.simulator.effects(kind="PAY_OUT")
    zero = 0 if isinstance(OWED[field], int) else "0.00"
    stage.simulator.patch_account(ticket.account.account_no, **{field: zero})
    ticket = look(stage, ticket)
    assert (ticket.state, written(ticket)) == (
        "UNBINDING",
        ("job:settling", "nothing is owed either way"),
    )
    assert ticket.unbinding_started_at == stage.now - timedelta(minutes=20)


def test_debt_is_settled_not_forgiven_and_its_agreement_lives_as_long(stage: Stage) -> None:
    ticket = stage.ticket(
        "SETTLING", REPAYS, reason=Reason.RISK_CONTROL, principal="300.00", credit_balance="0.00"
    )
    ticket = look(stage, ticket, 3)
    account = ticket.account
    assert (account.line_state, str(account.principal)) == ("FROZEN", "300.00")
    assert account.agreements.get().state == "BOUND"
    stage.simulator.repay(account.account_no)
    assert stage.until(ticket, "CLOSED").account.agreements.get().state == "UNBOUND"


def test_a_credit_balance_is_paid_out_exactly_once(stage: Stage) -> None:
    ticket = stage.ticket("SETTLING")
    ticket = look(stage, ticket, 3)
    account = ticket.account.account_no
    assert ticket.state == "UNBINDING" and ticket.account.credit_balance == 0
    assert [e["detail"] for e in stage.simulator.effects(kind="PAY_OUT", subject=account)] == ["36.20"]


@pytest.mark.parametrize("kind", ["timeout_after_success", "late_effect", "http_500", "garbage", "down"])
def test_whatever_becomes_of_the_answer_it_is_paid_out_once(stage: Stage, kind: str) -> None:
    ticket = stage.ticket("SETTLING")
    commands.run(clock=stage.clock)  # the freeze of the approval goes first
    late = {"latency_s": 0.05} if kind == "late_effect" else {}
    effect = {"effect": True} if kind in ("http_500", "garbage") else {}
    stage.simulator.fault(system="LEDGER", kind=kind, method="POST", times=1, **late, **effect)
    ticket = stage.until(ticket, "CLOSED")
    assert stage.effects("PAY_OUT", ticket.account.account_no) == 1
    assert ticket.commands.filter(verb="PAY_OUT").count() == 1
    assert stage.simulator.duplicates() == []


def test_while_something_is_owed_the_balance_is_kept_against_it(stage: Stage) -> None:
    ticket = stage.ticket("SETTLING", reason=Reason.RISK_CONTROL, principal="50.00", credit_balance="5.00")
    look(stage, ticket, 3)
    assert stage.effects("PAY_OUT", ticket.account.account_no) == 0


def test_a_refused_pay_out_waits_for_a_person_and_keeps_its_key(stage: Stage) -> None:
    ticket = stage.ticket("SETTLING")
    commands.run(clock=stage.clock)
    stage.simulator.fault(system="LEDGER", kind="refuse", code="NO_BANK_CARD", method="POST")
    ticket = look(stage, ticket, 4)
    command = ticket.commands.get(verb="PAY_OUT")
    assert (ticket.state, command.state, command.reason_code) == ("SETTLING", "DEAD", "NO_BANK_CARD")
    stage.simulator.clear_faults()
    assert look(stage, ticket, 2).state == "SETTLING"
    rescue.revive_command(
        command_id=command.pk, ground="卡已补", actor=stage.staff("operator"), now=stage.now
    )
    ticket = stage.until(ticket, "CLOSED")
    assert [e["key"] for e in stage.simulator.effects(kind="PAY_OUT")] == [command.key]


def test_a_balance_read_before_the_pay_out_is_not_paid_out_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker has read the balance; another one's pay-out is done before the first one decides."""
    ticket = stage.ticket("SETTLING")
    commands.run(clock=stage.clock)
    settling.run(clock=stage.clock)
    read = settling.ledger.read

    def slow(account_no: str) -> Any:
        answer = read(account_no)
        monkeypatch.setattr(settling.ledger, "read", read)
        stage.clock.skip(timedelta(seconds=1))
        commands.run(clock=stage.clock)
        stage.clock.skip(timedelta(seconds=1))
        return answer

    monkeypatch.setattr(settling.ledger, "read", slow)
    ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=stage.now)
    settling.run(clock=stage.clock)
    assert ticket.commands.filter(verb="PAY_OUT").count() == 1
    assert stage.until(ticket, "CLOSED").commands.filter(state="DEAD").count() == 0


def test_new_debt_before_unbinding_voids_the_approval(stage: Stage) -> None:
    ticket = stage.ticket("SETTLING", reason=Reason.POLICY, principal="10.00", credit_balance="0.00")
    stage.simulator.patch_account(ticket.account.account_no, principal="10.01")
    stage.clock.skip()
    ticket = look(stage, ticket)
    assert (ticket.state, ticket.decided_by, ticket.notice_arrived_at) == ("IN_REVIEW", None, None)
    assert [change["kind"] for change in ticket.changes] == ["MORE_DEBT"]


def test_a_hold_placed_while_settling_voids_the_approval(stage: Stage) -> None:
    ticket = stage.ticket("SETTLING")
    holds.place(ticket_id=ticket.pk, kind="LEGAL", ground="x", actor=stage.staff("reviewer"), now=stage.now)
    settling.run(clock=stage.clock)
    assert stage.fresh(ticket).state == "IN_REVIEW"
    stage.assess()
    assert stage.fresh(ticket).state == "BLOCKED"


def test_waiting_writes_no_history_while_nothing_changes(stage: Stage) -> None:
    ticket = look(
        stage, stage.ticket("SETTLING", reason=Reason.POLICY, principal="9.00", credit_balance="0.00")
    )
    before = ticket.history.count()
    assert look(stage, ticket, 3).history.count() == before


def test_a_silent_ledger_costs_time_only(stage: Stage) -> None:
    ticket = stage.ticket("SETTLING")
    stage.simulator.fault(system="LEDGER", kind="garbage")
    before = ticket.history.count()
    assert look(stage, ticket, 3).state == "SETTLING" and ticket.history.count() == before
    stage.simulator.clear_faults()
    assert stage.until(ticket, "CLOSED")


@race
def test_two_workers_pay_out_once(raise_stage: Any) -> None:
    stage = raise_stage()
    for _ in range(5):
        ticket = stage.ticket("SETTLING")
        ends = at_once(
            *(lambda: settling.run(clock=stage.clock) for _ in range(3)),
            *(lambda: commands.run(clock=stage.clock) for _ in range(3)),
        )
        assert all(isinstance(end, int) for end in ends), ends
        look(stage, ticket, 3)
        assert stage.effects("PAY_OUT", ticket.account.account_no) == 1
        assert ticket.commands.filter(verb="PAY_OUT").count() == 1
