"""Why is it stuck? One sentence: what the case waits for, since when, whose move it is, what comes next."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from closures.models import ClosureTicket, Hold, UnbindTask
from closures.selectors import health
from closures.services import holds, rescue, reversal
from tests import complaint_cases
from tests.stage import Stage

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)
JD = ("JD", "PASSWORD_FREE", False)


def refused_task(stage: Stage) -> UnbindTask:
    ticket = stage.ticket("UNBINDING", ALIPAY)
    stage.simulator.fault(system="ALIPAY", kind="refuse", code="ORDER_RUNNING")
    return stage.task_until(ticket.tasks.get(), "DEAD")


@pytest.mark.parametrize("state", ["SUBMITTED", "BLOCKED", "IN_REVIEW", "NOTICE_PERIOD", "SETTLING"])
def test_every_open_ticket_says_whose_move_it_is_and_since_when(stage: Stage, state: str) -> None:
    waiting = health.why(stage.ticket(state).number)

    assert waiting and waiting.sentence and not waiting.over
    assert waiting.whose in str(waiting) and waiting.since <= stage.now


def test_an_ended_ticket_waits_for_nothing(stage: Stage) -> None:
    waiting = health.why(stage.ticket("CLOSED").number)

    assert waiting and waiting.over and waiting.until is None


def test_a_hold_is_named_only_to_whoever_may_know_of_it(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    reviewer = stage.staff("reviewer")
    holds.place(ticket_id=ticket.pk, kind=Hold.Kind.AML, ground="线索", actor=reviewer, now=stage.now)
    stage.until(ticket, "IN_REVIEW", "BLOCKED")
    ticket = stage.fresh(ticket)

    assert "hold" not in english(lambda: health.of_ticket(ticket))
    assert str(health.of_ticket(ticket, user=reviewer.user))


def test_a_dead_task_says_what_the_partner_said_and_who_may_do_what(stage: Stage) -> None:
    task = refused_task(stage)

    with translation.override("en"):
        waiting = health.why(task.key)
        assert waiting and waiting.whose == "operator" and "ORDER_RUNNING" not in waiting.state
        assert "try again" in waiting.sentence


def test_each_state_of_a_task_has_its_own_sentence(stage: Stage) -> None:
    task = refused_task(stage)
    operator = stage.staff("operator")
    dead = health.of_task(task).sentence
    rescue.take_over(task_id=task.pk, ground="去柜面办理", actor=operator, now=stage.now)
    by_hand = health.of_task(UnbindTask.objects.get(pk=task.pk)).sentence
    rescue.give_evidence(task_id=task.pk, evidence="回执 7", actor=operator, now=stage.now)
    proved = health.of_task(UnbindTask.objects.get(pk=task.pk)).sentence

    assert len({dead, by_hand, proved}) == 3


def test_the_command_answers_in_the_language_asked_for(stage: Stage) -> None:
    ticket = stage.ticket("BLOCKED")
    said = StringIO()
    call_command("why", ticket.number, language="en", stdout=said)

    assert ticket.number in said.getvalue() and "Next, customer" in said.getvalue()
    with pytest.raises(CommandError, match="NOBODY"):
        call_command("why", "NOBODY")


def test_asking_costs_a_bounded_number_of_queries(
    stage: Stage, django_assert_max_num_queries: object
) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY, JD)

    with django_assert_max_num_queries(8):  # type: ignore[operator]
        health.why(ticket.number)
    assert ClosureTicket.objects.filter(pk=ticket.pk).exists()


def english(read: Callable[[], health.Waiting]) -> str:
    with translation.override("en"):
        return str(read())


def test_a_ledger_that_answers_nonsense_shows_on_the_ticket_until_it_answers(stage: Stage) -> None:
    ticket = stage.request(stage.account())
    stage.simulator.fault(system="LEDGER", kind="garbage", method="GET", times=1)
    stage.assess()
    assert "no usable answer (not readable)" in english(lambda: health.of_ticket(stage.fresh(ticket)))

    stage.until(ticket, "IN_REVIEW")
    assert "usable" not in english(lambda: health.of_ticket(stage.fresh(ticket)))


def test_complaints_reversals_and_later_money_answer_to_their_numbers(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    complaint = complaint_cases.upheld(stage, ticket)
    row = reversal.propose(
        ticket_id=ticket.pk, source="COMPLAINT", complaint_number=complaint.number, root_cause="PROCESS",
        ground="投诉成立", actor=stage.staff("reviewer2"), now=stage.now,
    )  # fmt: skip

    with translation.override("en"):
        about_complaint, about_reversal = health.why(complaint.number), health.why(row.number)

    assert about_complaint and about_complaint.whose and "reversed" in about_complaint.sentence
    assert about_reversal and about_reversal.whose == "Compliance lead"
    assert "approves or rejects" in about_reversal.sentence
