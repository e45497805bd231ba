"""What people do about tasks the machine gave up; evidence and waivers take two, revival keeps the key."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.actors import Actor
from accounts.tracking import NotPermitted, NotPossible
from closures.errors import GroundMissing
from closures.models import LedgerCommand, UnbindTask
from closures.services import commands, holds, rescue, review, unbinding
from closures.services.rescue import EvidenceMissing, NeedsSecondPerson, NotAsked, NotStuck
from tests.races import at_once, race
from tests.stage import Stage, refused, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)
OPERATORS_ONLY = ("agent", "reviewer", "lead", "risk", "auditor", "admin")
LEADS_ONLY = ("agent", "reviewer", "risk", "operator", "auditor", "admin")


def dead(stage: Stage) -> UnbindTask:
    ticket = stage.ticket("UNBINDING", ALIPAY)
    stage.simulator.fault(system="ALIPAY", kind="refuse", code="ORDER_RUNNING", method="POST")
    unbinding.run(clock=stage.clock)
    stage.simulator.clear_faults()
    stage.clock.skip()
    task = ticket.tasks.get()
    assert task.state == "DEAD"
    return task


def manual(stage: Stage) -> UnbindTask:
    return do(stage, rescue.take_over, dead(stage), by="operator")


def do(stage: Stage, service: Any, task: UnbindTask, *, by: str | Actor, words: str = "理由") -> UnbindTask:
    actor = by if isinstance(by, Actor) else stage.staff(by)
    given = {"evidence": words} if service is rescue.give_evidence else {"ground": words}
    return service(task_id=task.pk, actor=actor, now=stage.now, **given)


def fresh(task: UnbindTask) -> UnbindTask:
    return UnbindTask.objects.select_related("agreement").get(pk=task.pk)


# --- Trying again -------------------------------------------------------------------------------------


def test_revival_keeps_the_key_and_gives_fresh_attempts(stage: Stage) -> None:
    task = dead(stage)
    key = task.key
    revived = do(stage, rescue.revive, task, by="operator", words="订单已结束")
    assert (revived.state, revived.attempts, revived.due_at, revived.reason_code) == (
        "PENDING",
        0,
        stage.now,
        "",
    )
    assert written(revived) == (str(stage.staff("operator")), "订单已结束")
    task = stage.task_until(task, "UNBOUND")
    keys = {c["key"] for c in stage.simulator.calls(method="POST", contains=task.agreement.agreement_no)}
    assert (task.key, keys) == (key, {key})
    assert stage.effects("UNSIGN", task.agreement.agreement_no) == 1


def test_only_the_dead_are_revived(stage: Stage) -> None:
    task = stage.ticket("UNBINDING", ALIPAY).tasks.get()
    for service in (rescue.revive, rescue.take_over, rescue.abandon):
        with refused(NotPossible, task):
            do(stage, service, task, by="operator")


@pytest.mark.parametrize("service", [rescue.revive, rescue.take_over])
def test_reviving_is_the_operators(stage: Stage, service: Any) -> None:
    task = dead(stage)
    for name in OPERATORS_ONLY:
        with refused(NotPermitted, task):
            do(stage, service, task, by=name)
    for actor in (Actor.job("unbinding"), Actor.partner("ALIPAY")):
        with refused(NotPermitted, task):
            do(stage, service, task, by=actor)
    with refused(GroundMissing, task):
        do(stage, service, task, by="operator", words=" ")


# --- By hand ------------------------------------------------------------------------------------------


def test_evidence_and_a_second_person_end_the_agreement(stage: Stage) -> None:
    task = manual(stage)
    with refused(NotAsked, task):
        do(stage, rescue.confirm_evidence, task, by="operator2")
    do(stage, rescue.give_evidence, task, by="operator", words=" 回执 20260112-7 ")
    assert (fresh(task).evidence, written(fresh(task))) == (
        "回执 20260112-7",
        (str(stage.staff("operator")), "evidence given"),
    )
    with refused(NeedsSecondPerson, task, task.agreement):
        do(stage, rescue.confirm_evidence, task, by="operator")
    assert unbinding.finish(now=stage.now) == 0

    done = do(stage, rescue.confirm_evidence, task, by="operator2", words="已核对")
    assert (done.state, done.evidence_by, done.confirmed_by) == (
        "UNBOUND",
        stage.staff("operator").user,
        stage.staff("operator2").user,
    )
    assert fresh(task).agreement.state == "UNBOUND"
    assert written(done) == (str(stage.staff("operator2")), "已核对")
    assert unbinding.finish(now=stage.now) == 1
    with refused(NotPossible, task):
        do(stage, rescue.confirm_evidence, task, by="operator2")


def test_evidence_says_something_and_is_given_for_work_by_hand_only(stage: Stage) -> None:
    task = manual(stage)
    with refused(EvidenceMissing, task):
        do(stage, rescue.give_evidence, task, by="operator", words=" \n")
    other = dead(stage)
    with refused(NotStuck, other):
        do(stage, rescue.give_evidence, other, by="operator")
    for name in OPERATORS_ONLY:
        with refused(NotPermitted, task):
            do(stage, rescue.give_evidence, task, by=name)
        with refused(NotPermitted, task):
            do(stage, rescue.confirm_evidence, task, by=name)


def test_a_superuser_is_no_second_person_to_himself(stage: Stage) -> None:
    task = manual(stage)
    do(stage, rescue.give_evidence, task, by="boss")
    with refused(NeedsSecondPerson, task):
        do(stage, rescue.confirm_evidence, task, by="boss")
    do(stage, rescue.ask_waiver, task, by="boss")
    with refused(NeedsSecondPerson, task):
        do(stage, rescue.grant_waiver, task, by="boss")


def test_what_cannot_be_done_by_hand_is_dead_again(stage: Stage) -> None:
    task = do(stage, rescue.abandon, manual(stage), by="operator")
    assert (task.state, task.reason_code) == ("DEAD", "NOT_POSSIBLE_BY_HAND")


def test_old_evidence_does_not_serve_a_second_try(stage: Stage) -> None:
    """Given, abandoned, taken over again: nobody may confirm what was said of the first try."""
    task = manual(stage)
    do(stage, rescue.give_evidence, task, by="operator")
    do(stage, rescue.abandon, task, by="operator")
    do(stage, rescue.take_over, task, by="operator")
    with refused(NotAsked, task):
        do(stage, rescue.confirm_evidence, task, by="operator2")


# --- Waiving ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["DEAD", "MANUAL"])
def test_two_leads_waive_and_the_agreement_stays(stage: Stage, state: str) -> None:
    task = dead(stage) if state == "DEAD" else manual(stage)
    with refused(NotAsked, task):
        do(stage, rescue.grant_waiver, task, by="lead2")
    do(stage, rescue.ask_waiver, task, by="lead", words="合作方已停业")
    assert written(fresh(task)) == (str(stage.staff("lead")), "waiver asked: 合作方已停业")
    with refused(NeedsSecondPerson, task):
        do(stage, rescue.grant_waiver, task, by="lead")
    done = do(stage, rescue.grant_waiver, task, by="lead2")
    assert (done.state, done.waiver_asked_by, done.waived_by) == (
        "WAIVED",
        stage.staff("lead").user,
        stage.staff("lead2").user,
    )
    assert fresh(task).agreement.state == "BOUND"
    ended = stage.until(task.ticket, "CLOSED")
    assert ended.certificate["agreements"][0]["result"] == "WAIVED"
    assert stage.effects("UNSIGN", task.agreement.agreement_no) == 0


def test_waiving_is_the_leads_and_for_what_is_stuck(stage: Stage) -> None:
    task = dead(stage)
    for name in LEADS_ONLY:
        for service in (rescue.ask_waiver, rescue.grant_waiver):
            with refused(NotPermitted, task):
                do(stage, service, task, by=name)
    with refused(GroundMissing, task):
        do(stage, rescue.ask_waiver, task, by="lead", words="")
    pending = stage.ticket("UNBINDING", ALIPAY).tasks.get()
    with refused(NotStuck, pending):
        do(stage, rescue.ask_waiver, pending, by="lead")


def test_an_old_wish_to_waive_does_not_serve_a_second_death(stage: Stage) -> None:
    task = dead(stage)
    do(stage, rescue.ask_waiver, task, by="lead")
    do(stage, rescue.revive, task, by="operator")
    stage.simulator.fault(system="ALIPAY", kind="refuse", method="POST")
    task = stage.task_until(task, "DEAD")
    with refused(NotAsked, task):
        do(stage, rescue.grant_waiver, task, by="lead2")


def test_the_database_wants_two_names(stage: Stage) -> None:
    rows = UnbindTask.objects.filter(pk=dead(stage).pk)
    one = stage.staff("lead").user
    for names in (
        {"confirmed_by": one},
        {"confirmed_by": one, "evidence_by": one},
        {"waived_by": one},
        {"waived_by": one, "waiver_asked_by": one},
        {"state": "WAIVED"},
        {"state": "WAIVED", "waiver_asked_by": one},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**names)


# --- After a cancellation -----------------------------------------------------------------------------


def test_a_task_of_a_cancelled_ticket_that_is_revived_is_asked_never_sent(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY)
    stage.simulator.fault(system="ALIPAY", kind="http_500", method="POST", times=1)
    unbinding.run(clock=stage.clock)
    stage.simulator.fault(system="ALIPAY", kind="garbage", method="GET", effect=False)
    given = {"ticket_id": ticket.pk, "ground": "x", "now": stage.now}
    review.ask_cancellation(actor=stage.staff("reviewer"), **given)
    review.cancel(actor=stage.staff("reviewer2"), **given)
    task = stage.task_until(ticket.tasks.get(), "DEAD")
    stage.simulator.clear_faults()
    do(stage, rescue.revive, task, by="operator")
    task = stage.task_until(task, "CANCELLED")
    assert (fresh(task).agreement.state, stage.calls("POST", task.agreement.agreement_no)) == ("BOUND", 1)


# --- Commands to the ledger ---------------------------------------------------------------------------


def test_a_refused_command_is_revived_by_an_operator_with_its_key(stage: Stage) -> None:
    stage.simulator.fault(system="LEDGER", kind="refuse", method="POST", times=1)
    ticket = stage.ticket("NOTICE_PERIOD")
    commands.run(clock=stage.clock)
    command = LedgerCommand.objects.get(ticket=ticket)
    given = {"command_id": command.pk, "now": stage.now}
    for name in OPERATORS_ONLY:
        with refused(NotPermitted, command):
            rescue.revive_command(actor=stage.staff(name), ground="x", **given)
    with refused(GroundMissing, command):
        rescue.revive_command(actor=stage.staff("operator"), ground=" ", **given)
    revived = rescue.revive_command(actor=stage.staff("operator"), ground="已核实", **given)
    assert written(revived) == (str(stage.staff("operator")), "已核实")
    commands.run(clock=stage.clock)
    assert (LedgerCommand.objects.get().state, LedgerCommand.objects.get().key) == ("DONE", command.key)
    with refused(NotPossible, LedgerCommand.objects.get()):
        rescue.revive_command(actor=stage.staff("operator"), ground="x", **given)


# --- Races --------------------------------------------------------------------------------------------


@race
def test_of_a_waiver_and_a_revival_at_once_one_happens(raise_stage: Any) -> None:
    stage = raise_stage()
    for name in ("lead", "lead2", "operator"):
        stage.staff(name)
    for _ in range(5):
        task = dead(stage)
        do(stage, rescue.ask_waiver, task, by="lead")
        ends = at_once(
            lambda t=task: do(stage, rescue.grant_waiver, t, by="lead2"),
            lambda t=task: do(stage, rescue.revive, t, by="operator"),
        )
        won = [end for end in ends if isinstance(end, UnbindTask)]
        assert len(won) == 1 and fresh(task).state == won[0].state, ends


@race
def test_a_confirmation_and_a_callback_at_once_never_deadlock(raise_stage: Any) -> None:
    stage = raise_stage()
    for name in ("operator", "operator2", "reviewer"):
        stage.staff(name)
    for _ in range(10):
        task = manual(stage)
        do(stage, rescue.give_evidence, task, by="operator")

        def hear(task: UnbindTask = task) -> str:
            with transaction.atomic():
                return unbinding.hear_ended(
                    partner="ALIPAY", agreement_no=task.agreement.agreement_no, now=stage.now
                )

        ends = at_once(
            lambda t=task: do(stage, rescue.confirm_evidence, t, by="operator2"),
            hear,
            lambda t=task: holds.place(
                ticket_id=t.ticket_id, kind="LEGAL", ground="x", actor=stage.staff("reviewer"), now=stage.now
            ),
        )
        assert not any(isinstance(end, Exception) for end in ends), ends
        assert (fresh(task).state, fresh(task).agreement.state) == ("UNBOUND", "UNBOUND")
