"""A hold stops every irreversible step; it is placed and lifted by people, with a reason, one by one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.actors import Actor
from accounts.decisions import PersonalDataWritten
from accounts.models import RefusedAction
from accounts.services import staff
from accounts.tracking import NotPermitted, NotPossible
from closures.errors import GroundMissing
from closures.models import ClosureTicket, Hold
from closures.services import cooling_off, holds, intake, review
from closures.services.holds import TicketEnded
from tests.races import at_once, race
from tests.stage import PERIOD, Stage, refused, written

OPEN_STATES = ("SUBMITTED", "BLOCKED", "IN_REVIEW", "NOTICE_PERIOD", "SETTLING", "UNBINDING", "CLOSING")
MAY_PLACE = {"agent", "reviewer", "lead", "risk"}
MAY_LIFT = {"reviewer", "lead"}


def place(
    stage: Stage, ticket: ClosureTicket, *, by: str = "reviewer", kind: str = "LEGAL", ground: str = "案号 7"
):
    actor = by if isinstance(by, Actor) else stage.staff(by)
    return holds.place(ticket_id=ticket.pk, kind=kind, ground=ground, actor=actor, now=stage.now)


def lift(stage: Stage, hold: Hold, *, by: str = "reviewer", ground: str = "已结案") -> Hold:
    return holds.lift(hold_id=hold.pk, ground=ground, actor=stage.staff(by), now=stage.now)


@pytest.mark.parametrize("state", OPEN_STATES)
def test_an_open_ticket_can_be_held_and_freed(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state)
    hold = place(stage, ticket, ground=" 案号 7 ")
    assert (hold.state, hold.owner, hold.opened_at) == ("OPEN", stage.staff("reviewer").user, stage.now)
    assert written(hold) == (str(stage.staff("reviewer")), "案号 7")
    stage.clock.skip()
    hold = lift(stage, hold, by="lead")
    assert (hold.state, hold.lifted_at) == ("LIFTED", stage.now)
    assert written(hold) == (str(stage.staff("lead")), "已结案")


@pytest.mark.parametrize("state", ["IN_REVIEW", "NOTICE_PERIOD", "SETTLING"])
def test_the_ticket_is_looked_at_at_once(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state)
    place(stage, ticket)
    assert stage.fresh(ticket).due_at == stage.now


def test_lifting_one_hold_lifts_no_other(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    first, second = place(stage, ticket), place(stage, ticket)
    assert first.pk != second.pk, "two orders of one kind are two holds"
    lift(stage, first)
    stage.assess()
    assert stage.fresh(ticket).state == "BLOCKED"
    lift(stage, second)
    stage.clock.skip()
    stage.assess()
    assert stage.fresh(ticket).state == "IN_REVIEW"


@pytest.mark.parametrize("kind", Hold.Kind.values)
def test_every_kind_stops_the_end_of_the_period(stage: Stage, kind: str) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    place(stage, ticket, kind=kind)
    stage.clock.skip(PERIOD + timedelta(days=1))
    assert cooling_off.end_periods(now=stage.now) == 0


@pytest.mark.parametrize("state", ["CLOSED", "WITHDRAWN", "REJECTED", "CANCELLED"])
def test_what_has_ended_cannot_be_held(stage: Stage, state: str) -> None:
    ticket = stage.ticket("CLOSED" if state == "CLOSED" else "IN_REVIEW")
    given: dict[str, Any] = {"ticket_id": ticket.pk, "now": stage.now}
    if state == "WITHDRAWN":
        intake.withdraw(actor=stage.staff("agent"), **given)
    if state in ("REJECTED", "CANCELLED"):
        end = review.reject if state == "REJECTED" else review.cancel
        end(actor=stage.staff("reviewer"), ground="x", **given)
    assert stage.fresh(ticket).state == state
    with refused(TicketEnded, ticket):
        place(stage, ticket)
    assert not Hold.objects.exists()


def test_who_may_place_and_who_may_lift(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    for name in ("agent", "reviewer", "lead", "risk", "operator", "auditor", "admin"):
        if name in MAY_PLACE:
            hold = place(stage, ticket, by=name)
        else:
            with refused(NotPermitted, ticket):
                place(stage, ticket, by=name)
        if name in MAY_LIFT:
            assert lift(stage, hold, by=name).state == "LIFTED"
        else:
            hold = place(stage, ticket)
            with refused(NotPermitted, ticket, hold):
                lift(stage, hold, by=name)


@pytest.mark.parametrize("ground", ["", " \n"])
def test_nothing_is_held_or_freed_without_a_reason(stage: Stage, ground: str) -> None:
    ticket = stage.ticket("IN_REVIEW")
    with refused(GroundMissing, ticket):
        place(stage, ticket, ground=ground)
    hold = place(stage, ticket)
    with refused(GroundMissing, ticket, hold):
        lift(stage, hold, ground=ground)


def test_lifting_twice_is_refused(stage: Stage) -> None:
    hold = lift(stage, place(stage, stage.ticket("IN_REVIEW")))
    with refused(NotPossible, hold):
        lift(stage, hold)


def test_a_hold_of_no_known_kind_is_a_defect_not_a_row(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    with pytest.raises((ValueError, IntegrityError)), transaction.atomic():
        place(stage, ticket, kind="WHATEVER")
    assert not Hold.objects.exists()


@race
def test_a_hold_that_races_the_end_of_the_period_wins_or_comes_after(raise_stage: Any) -> None:
    stage = raise_stage()
    stage.staff("reviewer")
    for _ in range(10):
        ticket = stage.ticket("NOTICE_PERIOD")
        stage.clock.skip(PERIOD)
        ends = at_once(lambda: cooling_off.end_periods(now=stage.now), lambda t=ticket: place(stage, t))
        assert isinstance(ends[1], Hold), ends
        moved = stage.fresh(ticket).state == "UNBINDING"
        assert ends[0] == int(moved)
        if not moved:
            assert cooling_off.end_periods(now=stage.now) == 0
        lift(stage, ends[1])
        stage.until(ticket, "BLOCKED", "IN_REVIEW", "CLOSED")
        ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=None)


@race
def test_of_two_who_lift_one_hold_one_does(raise_stage: Any) -> None:
    stage = raise_stage()
    hold = place(stage, stage.ticket("IN_REVIEW"))
    stage.staff("lead")
    ends = at_once(*(lambda n=n: lift(stage, hold, by=n) for n in ("reviewer", "lead")))
    assert sorted(type(end).__name__ for end in ends) == ["Hold", "NotPossible"]


def test_who_leaves_owns_no_hold_and_nothing_he_asked_for_waits(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ("JD", "PASSWORD_FREE", False))
    leaver = stage.staff("reviewer")
    hold = holds.place(ticket_id=ticket.pk, kind="LEGAL", ground="x", actor=leaver, now=stage.now)
    review.ask_cancellation(ticket_id=ticket.pk, ground="x", actor=leaver, now=stage.now)

    staff.leave(user_id=leaver.user.pk, actor=stage.staff("admin"), reason="离职", now=stage.now)

    hold.refresh_from_db()
    assert hold.owner is None and hold.state == "OPEN", "the hold itself stands"
    assert stage.fresh(ticket).cancel_asked_by is None
    assert written(hold) == (str(stage.staff("admin")), "its owner has left")


@pytest.mark.parametrize("words", ["客户13812345678来电", "见 990000198811223344", "a.b@example.com 来信"])
def test_no_reason_with_a_persons_number_is_ever_kept(stage: Stage, words: str) -> None:
    ticket = stage.ticket("IN_REVIEW")
    with refused(PersonalDataWritten, ticket):
        holds.place(
            ticket_id=ticket.pk, kind="LEGAL", ground=words, actor=stage.staff("reviewer"), now=stage.now
        )
    assert words not in str(RefusedAction.objects.latest("pk").__dict__)
