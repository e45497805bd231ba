"""Extensions, reviews, withdrawal, merging: every way in which a complaint's dates move, and SPEC §8, 9."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.utils import timezone

from accounts.actors import SHIPPED, Actor
from accounts.models import Regulation, WorkCalendarDay
from accounts.tracking import NotPermitted, NotPossible, save_as
from closures.errors import GroundMissing
from closures.models import Complaint, ComplaintExtension, Notice
from closures.models.complaint_rows import APPROVE_RIGHT, Level
from closures.services import complaints
from closures.services.complaints.deciding import ClosingStillHeld, NotMarked
from closures.services.complaints.desk import Recused
from closures.services.complaints.ending import CannotMerge
from closures.services.complaints.extending import (
    AlreadyAsked,
    ClockHasChanged,
    NoExtension,
    SameApprover,
    TooLateToExtend,
)
from closures.services.complaints.reviewing import ReviewedBefore, ReviewTooLate, SameHands
from tests.closed_cases import look, unseen
from tests.complaint_cases import (
    RECEIVED,
    act,
    approve,
    decided,
    extend,
    fresh,
    investigating,
    lodge,
    on,
    replied,
)
from tests.races import at_once, race
from tests.stage import Stage, refused, written


@pytest.fixture
def desk(stage: Stage) -> Stage:
    stage.clock.now = RECEIVED
    return stage


def ask(stage: Stage, complaint: Complaint, level: str = "COMPLEX", **given: Any) -> ComplaintExtension:
    return act(stage, complaint, "ask_extension", **{"level": level, "ground": "需调取记录", **given})


def broken(stage: Stage) -> tuple[int, list[str]]:
    found = look(9, stage.now)
    return found.violations, found.examples


# --- Extensions -------------------------------------------------------------------------------------


def test_an_extension_is_asked_by_one_approved_by_another_and_told(desk: Stage) -> None:
    complaint = investigating(desk)
    on(desk, "2026-02-23")
    extension = extend(desk, complaint)
    complaint = fresh(complaint)
    assert (extension.from_due_on, extension.to_due_on) == (date(2026, 2, 24), date(2026, 3, 4))
    assert (complaint.due_on, complaint.due_rule.code) == (date(2026, 3, 4), "COMPLAINT_COMPLEX")
    assert (extension.told_at, extension.approved_by) == (desk.now, desk.staff("reviewer2").user)
    assert written(extension) == (str(desk.staff("reviewer2")), "extension approved")
    told = Notice.objects.get(about=complaint.number, kind="COMPLAINT_EXTENDED", courtesy=False)
    assert (told.values["from_due_on"], told.values["due_on"]) == ("2026-02-24", "2026-03-04")
    special = extend(desk, complaint, "SPECIAL")
    assert special.to_due_on == fresh(complaint).due_on == date(2026, 4, 3)


@pytest.mark.parametrize("day", ["2026-02-24", "2026-02-25"])
def test_from_the_due_date_on_an_extension_is_refused(desk: Stage, day: str) -> None:
    complaint = investigating(desk)
    waiting = investigating(desk)
    asked = ask(desk, waiting)
    on(desk, day)
    with refused(TooLateToExtend, complaint):
        ask(desk, complaint)
    with refused(TooLateToExtend, waiting, asked):
        approve(desk, asked, by="reviewer2")
    assert not Notice.objects.filter(kind="COMPLAINT_EXTENDED").exists()


def test_the_levels_come_in_their_order_and_once(desk: Stage) -> None:
    complaint = investigating(desk)
    with refused(NoExtension, complaint):
        ask(desk, complaint, "SPECIAL")
    asked = ask(desk, complaint)
    with refused(AlreadyAsked, complaint):
        ask(desk, complaint)
    approve(desk, asked, by="reviewer2")
    with refused(NoExtension):
        ask(desk, complaint)
    extend(desk, complaint, "SPECIAL")
    for level in Level.values:
        with refused(NoExtension):
            ask(desk, complaint, level)


def test_a_bureau_dispute_is_never_extended(desk: Stage) -> None:
    with refused(NoExtension):
        ask(desk, investigating(desk, kind="BUREAU_DISPUTE", topic="CREDIT_RECORD"))


def test_whoever_asks_does_not_approve_and_only_a_lead_approves_the_special_one(desk: Stage) -> None:
    complaint = investigating(desk)
    asked = ask(desk, complaint, by="boss")
    with refused(SameApprover, asked):
        approve(desk, asked, by="boss")
    with refused(NotPermitted, asked):
        approve(desk, asked, by="agent")
    approve(desk, asked, by="reviewer2")
    special = ask(desk, complaint, "SPECIAL")
    with refused(NotPermitted, special):
        approve(desk, special, by="reviewer2")
    assert APPROVE_RIGHT[Level.SPECIAL] == "closures.extend_complaint"
    assert approve(desk, special, by="lead2").state == "APPROVED"


def test_who_had_a_part_in_the_closing_approves_no_extension(desk: Stage) -> None:
    ticket = desk.ticket("CLOSED")  # approved by "reviewer"
    asked = ask(desk, investigating(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING"))
    with refused(Recused, asked):
        approve(desk, asked, by="reviewer")


def test_a_refused_extension_leaves_the_date(desk: Stage) -> None:
    complaint = investigating(desk)
    with refused(GroundMissing, complaint):
        ask(desk, complaint, ground=" ")
    asked = ask(desk, complaint)
    given = {"extension_id": asked.pk, "actor": desk.staff("reviewer2"), "now": desk.now}
    with refused(GroundMissing, asked):
        complaints.refuse_extension(ground="", **given)
    asked = complaints.refuse_extension(ground="材料已足", **given)
    assert (asked.state, fresh(complaint).due_on) == ("REFUSED", date(2026, 2, 24))
    with refused(NotPossible, asked):
        approve(desk, asked, by="reviewer")
    assert extend(desk, complaint).state == "APPROVED"


def test_a_decision_lets_what_was_asked_lapse(desk: Stage) -> None:
    complaint = investigating(desk)
    asked = ask(desk, complaint)
    decided(desk, complaint)
    assert ComplaintExtension.objects.get(pk=asked.pk).state == "LAPSED"
    with refused(NotPossible, asked):
        approve(desk, asked, by="reviewer2")


def test_an_extension_of_a_clock_that_has_changed_is_not_approved(desk: Stage) -> None:
    complaint = investigating(desk)
    asked = ask(desk, complaint)
    unseen(Complaint, complaint, due_on=date(2026, 2, 20))
    with refused(ClockHasChanged, asked):
        approve(desk, asked, by="reviewer2")


@race
def test_of_two_who_approve_at_once_one_does(raise_stage: Any) -> None:
    stage = raise_stage()
    stage.clock.now = RECEIVED
    stage.staff("reviewer"), stage.staff("reviewer2")
    asked = ask(stage, investigating(stage))
    ends = at_once(*(lambda n=n: approve(stage, asked, by=n) for n in ("reviewer", "reviewer2")))
    assert sorted(type(end).__name__ for end in ends) == ["ComplaintExtension", "NotPossible"]
    assert Notice.objects.filter(kind="COMPLAINT_EXTENDED", courtesy=False).count() == 1


# --- Withdrawal and merging -------------------------------------------------------------------------


def test_a_withdrawal_ends_the_complaint_the_same_day_and_frees_the_closing(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    complaint = lodge(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    on(desk, "2026-02-05")
    complaint = act(desk, complaint, "withdraw", by=Actor.customer(complaint.customer))
    assert (complaint.state, complaint.ended_at) == ("WITHDRAWN", desk.now)
    assert ticket.holds.get().state == "LIFTED"
    assert written(complaint)[0].startswith("customer:")
    with refused(NotPossible, complaint):
        act(desk, complaint, "withdraw")


def test_what_is_decided_is_not_withdrawn(desk: Stage) -> None:
    complaint = decided(desk)
    with refused(NotPossible, complaint):
        act(desk, complaint, "withdraw")


def merged(stage: Stage, complaint: Complaint, into: Complaint) -> Complaint:
    return act(stage, complaint, "merge", into_id=into.pk)


def test_merging_keeps_the_earlier_date_and_the_hold_until_the_other_ends(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    first = lodge(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING", regulator_number="银监-7")
    on(desk, "2026-02-06")
    customer = ticket.account.customer_id
    second = investigating(desk, customer_id=customer, regulator_deadline=date(2026, 2, 20))
    second = merged(desk, first, second)
    assert (second.due_on, second.clock_started_on) == (date(2026, 2, 24), date(2026, 2, 2))
    assert (second.regulator_number, second.clock_of) == ("银监-7", first)
    assert fresh(first).state == "MERGED" and fresh(first).ended_at == desk.now
    assert ticket.holds.get().state == "OPEN"
    with refused(Recused, second):  # what was merged brings its recusals along
        act(desk, second, "note", by="agent", text="x")
    act(desk, second, "withdraw")
    assert ticket.holds.get().state == "LIFTED"


def test_a_later_complaint_merged_into_an_earlier_one_changes_no_date(desk: Stage) -> None:
    first = investigating(desk)
    on(desk, "2026-02-06")
    second = lodge(desk, customer_id=first.customer_id)
    first = merged(desk, second, first)
    assert (first.due_on, first.clock, first.clock_of) == (date(2026, 2, 24), 1, None)


def test_extensions_of_the_earlier_clock_count_after_a_merger(desk: Stage) -> None:
    first = investigating(desk)
    extend(desk, first)
    on(desk, "2026-03-02")
    second = investigating(desk, customer_id=first.customer_id)
    second = merged(desk, fresh(first), second)
    assert second.due_on == date(2026, 3, 4)
    with refused(NoExtension, second):
        ask(desk, second)
    extend(desk, second, "SPECIAL")
    decided(desk, fresh(second))
    assert broken(desk) == (0, [])


def test_only_undecided_complaints_of_one_customer_and_kind_are_merged(desk: Stage) -> None:
    one = lodge(desk)
    done = decided(desk, investigating(desk, customer_id=one.customer_id))
    dispute = lodge(desk, customer_id=one.customer_id, kind="BUREAU_DISPUTE")
    for other in (one, lodge(desk), done, dispute):
        with refused(CannotMerge, one, other):
            merged(desk, one, other)


# --- Reviews ----------------------------------------------------------------------------------------


def test_a_review_is_requested_in_time_and_decided_by_new_people(desk: Stage) -> None:
    complaint = act(desk, replied(desk), "close")
    on(desk, "2026-03-04")
    complaint = act(desk, complaint, "request_review", text="不服", by=Actor.customer(complaint.customer))
    assert (complaint.state, complaint.review_due_on) == ("REVIEW_REQUESTED", date(2026, 4, 3))
    assert (complaint.review_rule.code, complaint.ended_at) == ("COMPLAINT_REVIEW_DECISION", None)
    verdict = {"outcome": "UPHELD", "root_cause": "HUMAN_ERROR", "text": "原决定有误"}
    with refused(SameHands, complaint):
        act(desk, complaint, "decide_review", by="lead2", **verdict)
    complaint = act(desk, complaint, "decide_review", by="lead", **verdict)
    assert (complaint.state, complaint.outcome) == ("REVIEWED", "NOT_UPHELD")
    assert complaint.final_outcome == "UPHELD"
    assert Notice.objects.filter(about=complaint.number, kind="COMPLAINT_DECIDED", round=2).exists()
    complaint = act(desk, complaint, "close")
    with refused(ReviewedBefore, complaint):
        act(desk, complaint, "request_review", text="x")


def test_whoever_once_handled_it_does_not_review_it(desk: Stage) -> None:
    complaint = lodge(desk)
    act(desk, complaint, "accept")
    act(desk, complaint, "assign", by="lead", handler=desk.staff("boss").user)
    act(desk, complaint, "investigate")
    replied(desk, fresh(complaint))
    act(desk, complaint, "request_review", text="x")
    with refused(SameHands, complaint):
        act(desk, complaint, "decide_review", by="boss", outcome="NOT_UPHELD", text="x")


def test_a_review_too_late_is_refused(desk: Stage) -> None:
    complaint = replied(desk)
    on(desk, "2026-03-05")
    with refused(ReviewTooLate, complaint):
        act(desk, complaint, "request_review", text="x")


def test_a_review_holds_the_closing_again(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    complaint = replied(desk, investigating(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING"))
    assert [hold.state for hold in ticket.holds.all()] == ["LIFTED"]
    act(desk, complaint, "request_review", text="x")
    assert ticket.holds.filter(state="OPEN").count() == 1
    act(desk, complaint, "decide_review", by="lead", outcome="NOT_UPHELD", text="x")
    assert not ticket.holds.filter(state="OPEN").exists()


def test_an_upheld_complaint_does_not_let_the_closing_go_on(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    complaint = investigating(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    complaint = replied(
        desk,
        complaint,
        outcome="UPHELD",
        root_cause="WRONG_PERSON",
        remedy="RECORDED",
        remedy_text="取消关闭",
    )
    with refused(ClosingStillHeld, complaint):
        act(desk, complaint, "close")
    from closures.services import review  # noqa: PLC0415

    review.cancel(ticket_id=ticket.pk, ground="投诉成立", actor=desk.staff("lead"), now=desk.now)
    assert act(desk, complaint, "close").state == "CLOSED"
    assert ticket.holds.get().state == "LIFTED"


def test_a_bureau_dispute_is_marked_before_it_is_decided(desk: Stage) -> None:
    complaint = investigating(desk, kind="BUREAU_DISPUTE", topic="CREDIT_RECORD")
    with refused(NotMarked, complaint):
        act(desk, complaint, "decide", by="lead2", outcome="NOT_UPHELD", text="x")
    complaint = act(desk, complaint, "answer_bureau_mark")
    assert complaint.marked_on == date(2026, 2, 2)
    on(desk, "2026-02-03")
    assert act(desk, complaint, "answer_bureau_mark").marked_on == date(2026, 2, 2), "safe to repeat"


# --- The invariant ----------------------------------------------------------------------------------


def test_what_is_decided_in_time_holds_through_every_kind_of_clock(desk: Stage) -> None:
    decided(desk)
    replied(desk, investigating(desk, kind="BUREAU_DISPUTE"))
    lodge(desk, received_on=date(2026, 1, 30))
    new = investigating(desk)
    extended = investigating(desk)
    extend(desk, extended)
    on(desk, "2026-02-13")
    act(desk, new, "add_new_facts", text="x")
    extend(desk, extended, "SPECIAL")
    assert broken(desk) == (0, [])
    assert look(9, desk.now).examined == 5
    on(desk, "2026-04-03")
    decided(desk, fresh(extended))
    assert extended.number not in broken(desk)[1]


def test_deciding_late_and_not_deciding_at_all_break_it(desk: Stage) -> None:
    late, open_one, other = investigating(desk), lodge(desk), investigating(desk)
    on(desk, "2026-02-24")
    decided(desk, other)
    assert broken(desk) == (0, [])
    on(desk, "2026-02-25")
    decided(desk, late)
    assert broken(desk) == (2, [late.number, open_one.number])


def test_what_ended_undecided_breaks_nothing(desk: Stage) -> None:
    first = lodge(desk)
    act(desk, first, "withdraw")
    act(desk, lodge(desk), "declare_out_of_scope", scope_reason="QUESTION", ground="x")
    other = lodge(desk)
    merged(desk, other, decoy := lodge(desk, customer_id=other.customer_id))
    decided(desk, act(desk, act(desk, decoy, "accept"), "investigate"))
    on(desk, "2026-12-01")
    assert broken(desk) == (0, [])


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("complaint", {"due_on": date(2026, 4, 7)}),
        ("complaint", {"clock_started_on": date(2026, 2, 1)}),
        ("complaint", {"due_calendar": "cn-2020.1"}),
        ("complaint", {"clock": 2}),
        ("extension", {"to_due_on": date(2026, 3, 6)}),
        ("extension", {"state": "REFUSED"}),
        ("extension", {"told_at": timezone.make_aware(timezone.datetime(2026, 2, 24, 9))}),
        ("extension", {"from_due_on": date(2026, 2, 23)}),
    ],
)
def test_a_chain_that_does_not_count_again_is_found(desk: Stage, what: str, change: dict[str, Any]) -> None:
    complaint = investigating(desk)
    extension = extend(desk, complaint)
    extend(desk, complaint, "SPECIAL")
    if what == "complaint":
        unseen(Complaint, complaint, **change)
    else:
        unseen(ComplaintExtension, extension, **change)
    assert broken(desk) == (1, [complaint.number])


def test_a_new_clock_after_the_old_one_was_over_is_found(desk: Stage) -> None:
    complaint = investigating(desk)
    on(desk, "2026-02-10")
    act(desk, complaint, "add_new_facts", text="x")
    assert broken(desk) == (0, [])
    first = complaint.history.order_by("history_id").first()
    Complaint.history.filter(id=complaint.pk, clock=1).update(due_on=date(2026, 2, 9))
    assert first is not None and broken(desk)[0] == 1


def test_a_later_rule_or_calendar_moves_no_date(desk: Stage) -> None:
    complaint = investigating(desk)
    rule = Regulation.objects.get(code="COMPLAINT_SIMPLE")
    save_as(
        Regulation(
            code=rule.code, title=rule.title, value="5", unit=rule.unit, source="x", certainty="OURS",
            valid_from=date(2026, 2, 3), state="IN_FORCE", shipped=True,
        ),
        actor=SHIPPED, reason="test",
    )  # fmt: skip
    day = WorkCalendarDay.objects.get(date=date(2026, 2, 24))
    day.is_working, day.calendar_version = False, "cn-2026.2"
    save_as(day, actor=SHIPPED, reason="test")
    assert broken(desk) == (0, [])
    assert fresh(complaint).due_on == date(2026, 2, 24)


def test_the_invariant_asks_no_more_for_more_complaints(
    desk: Stage, django_assert_max_num_queries: Any
) -> None:
    for _ in range(6):
        extend(desk, investigating(desk))
    with django_assert_max_num_queries(12):
        look(9, desk.now)
