"""A withdrawal that meets the start of unbinding ends in exactly one of the two, however often they meet."""

from __future__ import annotations

from typing import Any

from accounts.actors import Actor
from accounts.tracking import NotPossible
from closures.models import ClosureTicket, UnbindTask
from closures.services import cooling_off, intake
from tests.races import at_once, race
from tests.stage import PERIOD

MEETINGS = 100


@race
def test_of_withdrawal_and_unbinding_exactly_one_wins(raise_stage: Any) -> None:
    stage = raise_stage()
    for _ in range(MEETINGS):
        ticket = stage.ticket("NOTICE_PERIOD")
        himself = Actor.customer(ticket.account.customer)
        stage.clock.skip(PERIOD)
        ends = at_once(
            lambda: cooling_off.end_periods(now=stage.now),
            lambda t=ticket, a=himself: intake.withdraw(ticket_id=t.pk, actor=a, now=stage.now),
        )
        ticket = stage.fresh(ticket)
        withdrawn = isinstance(ends[1], ClosureTicket)
        assert withdrawn or isinstance(ends[1], NotPossible), ends
        assert ends[0] == int(not withdrawn)
        assert ticket.state == ("WITHDRAWN" if withdrawn else "UNBINDING")
        assert (ticket.unbinding_started_at is None) == withdrawn
    withdrawn_ones = ClosureTicket.objects.filter(state="WITHDRAWN")
    assert not UnbindTask.objects.filter(ticket__in=withdrawn_ones).exists()
