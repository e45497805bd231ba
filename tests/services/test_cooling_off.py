"""Waiting ends when its time is over, the customer was told where he must be, and nobody holds the case."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.tracking import save_as
from closures.models import Notice
from closures.models.tickets import Reason
from closures.services import cooling_off, holds, notices
from tests.factories import SHIPPED
from tests.races import at_once, race
from tests.stage import PERIOD, Stage, written

SECOND = timedelta(seconds=1)
LENDERS = [Reason.RISK_CONTROL, Reason.POLICY]


def test_cooling_off_lasts_to_its_last_second(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    assert cooling_off.end_periods(now=stage.now + PERIOD - SECOND) == 0
    assert cooling_off.end_periods(now=stage.now + PERIOD) == 1
    ticket = stage.fresh(ticket)
    assert (ticket.state, ticket.unbinding_started_at) == ("UNBINDING", stage.now + PERIOD)
    assert written(ticket) == ("job:cooling_off", "the period is over")


def test_ending_periods_twice_moves_each_ticket_once(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    stage.clock.skip(PERIOD)
    assert (cooling_off.end_periods(now=stage.now), cooling_off.end_periods(now=stage.now)) == (1, 0)
    assert ticket.history.filter(state="UNBINDING").count() == 1


@pytest.mark.parametrize("reason", list(Reason))
def test_what_is_owed_or_owing_settles_first(stage: Stage, reason: str) -> None:
    owed: dict[str, Any] = {} if reason == Reason.CUSTOMER_REQUEST else {"principal": "10.00"}
    ticket = stage.ticket("NOTICE_PERIOD", reason=reason, credit_balance="1.00", **owed)
    ticket = stage.end_period(ticket)
    assert (ticket.state, ticket.unbinding_started_at) == ("SETTLING", None)


def test_an_open_hold_stops_the_clock_of_nothing_but_the_step(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    hold = holds.place(
        ticket_id=ticket.pk, kind="LEGAL", ground="x", actor=stage.staff("reviewer"), now=stage.now
    )
    stage.clock.skip(PERIOD)
    assert cooling_off.end_periods(now=stage.now) == 0
    holds.lift(hold_id=hold.pk, ground="x", actor=stage.staff("reviewer"), now=stage.now)
    assert cooling_off.end_periods(now=stage.now) == 1


@pytest.mark.parametrize("reason", LENDERS)
def test_no_lender_closes_before_the_notice_has_arrived_and_its_lead_time_is_over(
    stage: Stage, reason: str
) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=reason)
    stage.simulator.tune(receipt_delay=3600)
    notices.deliver(clock=stage.clock)
    assert set(ticket.notices.filter(courtesy=False).values_list("state", flat=True)) == {"SENT"}
    stage.clock.skip(timedelta(hours=20))
    notices.deliver(clock=stage.clock)
    assert stage.fresh(ticket).period_ends_at is None
    assert cooling_off.end_periods(now=stage.now + timedelta(days=300)) == 0


@pytest.mark.parametrize("reason", LENDERS)
def test_a_period_that_somebody_sets_by_hand_is_no_arrival(stage: Stage, reason: str) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=reason)
    ticket.period_ends_at = stage.now
    save_as(ticket, actor=SHIPPED, reason="shell")
    assert cooling_off.end_periods(now=stage.now + timedelta(days=1)) == 0


@pytest.mark.parametrize("reason", LENDERS)
def test_the_lead_time_runs_from_the_arrival(stage: Stage, reason: str) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=reason)
    stage.clock.skip()
    for _ in range(2):
        notices.deliver(clock=stage.clock)
        stage.clock.skip()
    ticket = stage.fresh(ticket)
    notice = Notice.objects.get(ticket=ticket, kind="NOTICE_OF_CLOSING", state="DELIVERED")
    assert ticket.notice_arrived_at == notice.delivered_at
    assert ticket.period_ends_at == notice.delivered_at + PERIOD
    assert cooling_off.end_periods(now=ticket.period_ends_at - SECOND) == 0
    assert cooling_off.end_periods(now=ticket.period_ends_at) == 1


@race
def test_overlapping_sweeps_move_each_ticket_once_while_balances_change(raise_stage: Any) -> None:
    stage = raise_stage()
    tickets = [stage.ticket("NOTICE_PERIOD") for _ in range(6)]
    stage.clock.skip(PERIOD)

    def spend() -> None:
        for ticket in tickets[:3]:
            account = type(ticket.account).objects.get(pk=ticket.account_id)
            account.principal, account.ledger_as_of = 5, stage.now
            save_as(account, actor=SHIPPED, reason="import")

    ends = at_once(*(lambda: cooling_off.end_periods(now=stage.now) for _ in range(3)), spend)
    assert not any(isinstance(end, Exception) for end in ends), ends
    moved = [ticket for ticket in tickets if stage.fresh(ticket).state != "NOTICE_PERIOD"]
    assert sum(ends[:3]) == len(moved) >= 3
    for ticket in tickets:
        assert ticket.history.filter(history_change_reason="the period is over").count() == (ticket in moved)
