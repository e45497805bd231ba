"""A command to the ledger has one key, is asked about before it is repeated, and goes out in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction

from accounts.actors import Actor
from accounts.models import CreditAccount
from closures.gateways import ledger
from closures.models import LedgerCommand
from closures.selectors import repair_lists
from closures.services import closing, commands, holds, intake, settling
from tests.races import at_once, race
from tests.stage import Stage, wait_until, written

ACTOR = Actor.job("test")


def queued(stage: Stage, account: CreditAccount, verb: str = "FREEZE") -> LedgerCommand:
    with transaction.atomic():
        return commands.queue(account=account, ticket=None, verb=verb, actor=ACTOR, now=stage.now)


def step(stage: Stage, **skip: Any) -> None:
    commands.run(clock=stage.clock)
    stage.clock.skip(timedelta(**(skip or {"minutes": 20})))


def sent(stage: Stage, command: LedgerCommand) -> int:
    return len([c for c in stage.simulator.calls(method="POST") if c["key"] == command.key])


def fresh(command: LedgerCommand) -> LedgerCommand:
    return LedgerCommand.objects.get(pk=command.pk)


def test_a_command_is_sent_done_and_recorded(stage: Stage) -> None:
    account = stage.account()
    command = queued(stage, account)
    assert written(command) == ("job:test", f"FREEZE {account.account_no}")
    step(stage)
    command = fresh(command)
    assert (command.state, command.due_at, command.lease_token) == ("DONE", None, "")
    assert list(command.history.order_by("history_id").values_list("state", flat=True)) == [
        "PENDING",
        "SENDING",
        "DONE",
    ]
    assert stage.effects("FREEZE", account.account_no) == 1
    assert commands.run(clock=stage.clock) == 0


def test_one_of_a_verb_waits_at_a_time_and_a_later_one_has_its_own_key(stage: Stage) -> None:
    account = stage.account()
    first, again = queued(stage, account), queued(stage, account)
    assert first.pk == again.pk
    step(stage)
    assert queued(stage, account).key == f"ledger:{account.account_no}:freeze:2"


@pytest.mark.parametrize("kind", ["timeout_after_success", "http_500", "garbage", "late_effect", "down"])
def test_without_a_clear_answer_it_is_asked_about(stage: Stage, kind: str) -> None:
    command = queued(stage, stage.account())
    late = {"latency_s": 0.05} if kind == "late_effect" else {}
    effect = {"effect": True} if kind in ("http_500", "garbage") else {}
    stage.simulator.fault(system="LEDGER", kind=kind, method="POST", times=1, **late, **effect)
    step(stage)
    assert fresh(command).state == "UNKNOWN"
    if late:
        wait_until(lambda: stage.effects("FREEZE", command.account.account_no) == 1)
    for _ in range(6):
        step(stage)
    assert fresh(command).state == "DONE"
    assert stage.effects("FREEZE", command.account.account_no) == 1
    assert sent(stage, command) == (2 if kind == "down" else 1)


def test_a_key_the_ledger_does_not_know_is_not_sent_again_inside_the_window(
    stage: Stage, settings: Any
) -> None:
    settings.LATE_EFFECT_WINDOW = timedelta(hours=2)
    command = queued(stage, stage.account())
    stage.simulator.fault(system="LEDGER", kind="http_500", method="POST", times=1)
    for _ in range(5):
        step(stage)
    assert (sent(stage, command), fresh(command).state) == (1, "UNKNOWN")
    stage.clock.skip(timedelta(hours=2))
    step(stage)
    step(stage)
    assert fresh(command).state == "DONE"
    assert {c["key"] for c in stage.simulator.calls(method="POST")} == {command.key}


def test_a_refusal_is_a_persons_turn(stage: Stage) -> None:
    command = queued(stage, stage.account(principal="1.00"), "CLOSE")
    for _ in range(3):
        step(stage)
    command = fresh(command)
    assert (command.state, command.reason_code, command.due_at) == ("DEAD", "STILL_OWED", None)
    assert sent(stage, command) == 1


def test_an_account_the_ledger_does_not_know_is_a_refusal(stage: Stage) -> None:
    account = stage.account()
    stage.simulator.reset()
    command = queued(stage, account)
    step(stage)
    assert (fresh(command).state, fresh(command).reason_code) == ("DEAD", "NOT_FOUND")


def test_a_ledger_that_answers_nothing_sensible_is_asked_on_and_shows_on_the_operators_home(
    stage: Stage,
) -> None:
    """What may have been carried out is never taken for undone (SPEC §4: UNKNOWN, asked before repeated)."""
    command = queued(stage, stage.account())
    stage.simulator.fault(system="LEDGER", kind="garbage", effect=False)
    for _ in range(django_settings.UNBIND_ATTEMPT_LIMIT + 1):
        step(stage, hours=2)
    assert (fresh(command).state, sent(stage, command)) == ("UNKNOWN", 1)
    assert command in repair_lists.dead_commands(None, stage.now)
    stage.simulator.clear_faults()
    step(stage, hours=2)
    step(stage, hours=2)
    assert fresh(command).state == "DONE"


def test_a_hold_that_comes_before_the_call_stops_it(stage: Stage) -> None:
    ticket = stage.ticket("CLOSING")
    closing.run(clock=stage.clock)
    command = ticket.commands.get(verb="CLOSE")
    reviewer = stage.staff("reviewer")
    hold = holds.place(ticket_id=ticket.pk, kind="JUDICIAL", ground="x", actor=reviewer, now=stage.now)
    for _ in range(3):
        step(stage)
    assert (fresh(command).state, sent(stage, command)) == ("PENDING", 0)
    holds.lift(hold_id=hold.pk, ground="x", actor=reviewer, now=stage.now)
    stage.until(ticket, "CLOSED")


def test_a_pay_out_whose_ticket_was_withdrawn_is_never_sent(stage: Stage) -> None:
    ticket = stage.ticket("SETTLING", credit_balance="36.20")
    settling.run(clock=stage.clock)
    command = ticket.commands.get(verb="PAY_OUT")
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    for _ in range(3):
        step(stage)
    assert (fresh(command).state, fresh(command).reason_code) == ("DEAD", "TICKET_MOVED_ON")
    assert stage.effects("PAY_OUT", ticket.account.account_no) == 0
    assert command not in repair_lists.dead_commands(None, stage.now)


def test_a_read_of_today_counts_although_an_extract_was_dated_ahead(stage: Stage) -> None:
    account = stage.account()
    CreditAccount.objects.filter(pk=account.pk).update(ledger_as_of=stage.now + timedelta(hours=8))
    account.refresh_from_db()
    stage.simulator.spend(account.account_no, "500.00")
    assert commands.record(account, ledger.read(account.account_no), now=stage.now)
    assert (account.principal, account.ledger_as_of) == (Decimal("500.00"), stage.now)


def test_a_dead_command_does_not_hold_the_next_one(stage: Stage) -> None:
    account = stage.account(principal="1.00")
    queued(stage, account, "CLOSE")
    step(stage)
    freeze = queued(stage, account)
    step(stage)
    assert fresh(freeze).state == "DONE"


def test_a_late_answer_that_lost_its_lease_changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = queued(stage, stage.account())
    real = ledger.command

    def slow(**given: Any) -> None:
        monkeypatch.setattr(commands.ledger, "command", real)
        stage.clock.skip(timedelta(minutes=3))
        for _ in range(2):
            commands.run(clock=stage.clock)
            stage.clock.skip(timedelta(minutes=3))
        real(**given)

    monkeypatch.setattr(commands.ledger, "command", slow)
    commands.run(clock=stage.clock)
    states = list(command.history.order_by("history_id").values_list("state", flat=True))
    assert states[-1] != "DONE" or states.count("DONE") == 1
    for _ in range(4):
        step(stage)
    assert fresh(command).state == "DONE" and stage.effects("FREEZE", command.account.account_no) == 1


# --- Fresh reads --------------------------------------------------------------------------------------


def read(stage: Stage, account: CreditAccount, **fields: Any) -> bool:
    stage.simulator.patch_account(account.account_no, credit_limit="5000.00")
    answer = replace(ledger.read(account.account_no), **fields)
    return commands.record(CreditAccount.objects.get(pk=account.pk), answer, now=stage.now)


def test_a_read_that_changes_a_balance_is_recorded_and_one_that_does_not_is_not(stage: Stage) -> None:
    account = stage.account()
    before = account.history.count()
    assert read(stage, account) is False
    account.refresh_from_db()
    assert (account.ledger_as_of, account.history.count()) == (stage.now, before)
    stage.clock.skip()
    assert read(stage, account, principal=Decimal("3.00")) is True
    account.refresh_from_db()
    assert written(account) == ("job:ledger", "fresh ledger read")
    assert account.principal == Decimal("3.00")


def test_an_older_read_never_overwrites_a_newer_one(stage: Stage) -> None:
    account = stage.account()
    assert read(stage, account, principal=Decimal("3.00")) is True
    older = stage.now - timedelta(minutes=1)
    assert read(stage, account, principal=Decimal("9.00"), as_of=older) is False
    assert CreditAccount.objects.get(pk=account.pk).principal == Decimal("3.00")


def test_a_ledger_whose_clock_is_fast_does_not_make_later_reads_look_old(stage: Stage) -> None:
    account = stage.account()
    read(stage, account, as_of=stage.now + timedelta(minutes=4))
    assert CreditAccount.objects.get(pk=account.pk).ledger_as_of == stage.now
    assert read(stage, account, principal=Decimal("3.00")) is True


@race
def test_two_queues_and_many_workers_make_one_command(raise_stage: Any) -> None:
    stage = raise_stage()
    for _ in range(5):
        account = stage.account()

        def queue_it(account: CreditAccount = account) -> LedgerCommand:
            with transaction.atomic():
                CreditAccount.objects.select_for_update().get(pk=account.pk)
                return commands.queue(
                    account=account, ticket=None, verb="PAY_OUT", actor=ACTOR, now=stage.now
                )

        stage.simulator.patch_account(account.account_no, credit_balance="5.00")
        ends = at_once(queue_it, queue_it, queue_it)
        assert len({end.pk for end in ends}) == 1
        at_once(*(lambda: commands.run(clock=stage.clock) for _ in range(4)))
        assert stage.effects("PAY_OUT", account.account_no) == 1


@pytest.mark.parametrize("many", [False, True])
def test_a_freeze_after_an_unfreeze_that_still_waits_is_sent_after_it(stage: Stage, many: bool) -> None:
    account = stage.account()
    for verb in ("FREEZE", "UNFREEZE", "FREEZE", "FREEZE"):
        if many:
            commands.queue_many({account.pk: None}, verb=verb, actor=ACTOR, now=stage.now)
        else:
            commands.queue(account=account, ticket=None, verb=verb, actor=ACTOR, now=stage.now)
    waiting = LedgerCommand.objects.order_by("pk").values_list("verb", flat=True)
    assert list(waiting) == ["FREEZE", "UNFREEZE", "FREEZE"]
