"""A complaint comes in, is worked on, decided and answered; each move by whom it may be, and recorded."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from accounts.actors import Actor
from accounts.tracking import NotPermitted, NotPossible
from closures.errors import GroundMissing
from closures.models import Complaint, ComplaintText, Hold, Notice
from closures.selectors import complaint_clocks
from closures.selectors.canned import UnknownField
from closures.services import complaints, cooling_off, holds
from closures.services.complaints.deciding import (
    CauseMissing,
    HandlerDecides,
    NothingToRemedy,
    NothingToReverse,
    RemedyMissing,
    RemedyNotDescribed,
)
from closures.services.complaints.desk import (
    LONGEST_TEXT,
    NotTheirComplaint,
    Recused,
    TextMissing,
    TextTooLong,
)
from closures.services.complaints.handling import AlreadyWaiting, CannotHandle, NotWaiting, TimeIsOver
from closures.services.complaints.receiving import (
    NobodyComplains,
    NotTheirCase,
    ReceivedLater,
    ScopeReasonMissing,
)
from tests.complaint_cases import (
    RECEIVED,
    WORDS,
    act,
    decided,
    extend,
    fresh,
    investigating,
    lodge,
    on,
    replied,
    texts,
)
from tests.factories import a_customer
from tests.races import at_once, race
from tests.stage import PERIOD, Stage, refused, written


@pytest.fixture
def desk(stage: Stage) -> Stage:
    stage.clock.now = RECEIVED
    return stage


# --- It comes in ------------------------------------------------------------------------------------


def test_a_complaint_has_a_number_and_a_due_date_at_once(desk: Stage) -> None:
    complaint = lodge(desk)
    assert complaint.number.startswith("CP260202") and len(complaint.number) == 16
    assert (complaint.state, complaint.due_on) == ("RECEIVED", date(2026, 2, 24))
    assert (complaint.due_rule.code, complaint.due_calendar) == ("COMPLAINT_SIMPLE", "cn-2026.1")
    assert complaint_clocks.target_of(complaint, now=desk.now) == date(2026, 2, 14)
    assert written(complaint) == (str(desk.staff("agent2")), "complaint received")
    told = Notice.objects.filter(about=complaint.number, kind="COMPLAINT_ACKNOWLEDGED", courtesy=False)
    assert told.get().values["due_on"] == "2026-02-24"


def test_a_letter_counts_from_the_day_it_arrived(desk: Stage) -> None:
    on(desk, "2026-02-04")
    complaint = lodge(desk, channel="LETTER", received_on=date(2026, 2, 2))
    assert (complaint.clock_started_on, complaint.due_on) == (date(2026, 2, 2), date(2026, 2, 24))
    with refused(ReceivedLater):
        lodge(desk, received_on=date(2026, 2, 5))


def test_a_complaint_at_midnight_in_china_belongs_to_the_new_day(desk: Stage) -> None:
    on(desk, "2026-02-03", hour=0)  # still the second of February in UTC
    assert lodge(desk).received_on == date(2026, 2, 3)


def test_beyond_the_calendar_a_complaint_is_taken_with_the_earlier_date(desk: Stage) -> None:
    on(desk, "2027-12-20")
    complaint = lodge(desk)
    assert (complaint.due_on, complaint.due_calendar) == (date(2028, 1, 4), "")


def test_what_was_written_is_kept_as_typed_and_sealed(desk: Stage) -> None:
    words = "=HYPERLINK(1)\u202egnorw\u202c 𠮷野家 <b>x</b>"
    complaint = lodge(desk, text=f"  {words}\n")
    assert texts(complaint, "COMPLAINT") == [words]
    assert words not in ComplaintText.objects.get(complaint=complaint).text_sealed


@pytest.mark.parametrize(("text", "refusal"), [(" \n", TextMissing), ("x" * (LONGEST_TEXT + 1), TextTooLong)])
def test_nothing_is_taken_down_without_words_or_with_too_many(desk: Stage, text: str, refusal: Any) -> None:
    with refused(refusal):
        lodge(desk, text=text)
    assert not Complaint.objects.exists() and not Notice.objects.exists()


def test_a_customer_complains_for_himself_only(desk: Stage) -> None:
    account = desk.account()
    himself, other = Actor.customer(account.customer), Actor.customer(a_customer())
    complaint = lodge(desk, by=himself, account_id=account.pk, channel="STATUS_PAGE")
    assert complaint.registered_by is None
    with refused(NotTheirComplaint):
        lodge(desk, by=other, account_id=account.pk)
    for move, given in (
        ("withdraw", {}),
        ("add_new_facts", {"text": "x"}),
        ("request_review", {"text": "x"}),
    ):
        with refused(NotTheirComplaint, complaint):
            act(desk, complaint, move, by=other, **given)


def test_account_ticket_and_customer_have_to_fit(desk: Stage) -> None:
    account, ticket = desk.account(), desk.ticket("IN_REVIEW")
    for given in (
        {"account_id": account.pk, "ticket_id": ticket.pk},
        {"account_id": account.pk, "customer_id": ticket.account.customer_id},
    ):
        with refused(NotTheirCase):
            lodge(desk, **given)
    with refused(NobodyComplains):
        lodge(desk, customer_id=None)


def test_who_may_take_a_complaint_down(desk: Stage) -> None:
    for name in ("reviewer", "lead", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted):
            lodge(desk, by=name)
    with refused(NotPermitted):
        lodge(desk, by=Actor.job("x"))
    assert lodge(desk, by="agent").state == "RECEIVED"


# --- Holds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", Complaint.Topic.values)
def test_only_a_topic_that_disputes_the_closing_holds_it(desk: Stage, topic: str) -> None:
    ticket = desk.ticket("IN_REVIEW")
    complaint = lodge(desk, ticket_id=ticket.pk, topic=topic)
    disputes = topic in ("WRONG_CLOSING", "NOTICE_NOT_RECEIVED")
    assert [hold.kind for hold in ticket.holds.all()] == ["COMPLAINT"] * disputes
    assert (complaint.hold is not None) == disputes


def test_a_bureau_dispute_holds_whatever_its_topic(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    complaint = lodge(desk, account_id=ticket.account_id, kind="BUREAU_DISPUTE", topic="CREDIT_RECORD")
    assert complaint.ticket == ticket
    assert ticket.holds.get().kind == Hold.Kind.BUREAU_DISPUTE
    assert complaint.due_rule.code == "BUREAU_DISPUTE"


def test_a_closing_that_has_ended_is_not_held(desk: Stage) -> None:
    ticket = desk.ticket("CLOSED")
    complaint = lodge(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    assert complaint.hold is None and not ticket.holds.exists()


def test_a_hold_lifted_by_a_reviewer_meanwhile_stays_as_it_is(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    complaint = lodge(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    holds.lift(hold_id=complaint.hold_id, ground="核实", actor=desk.staff("reviewer"), now=desk.now)
    act(desk, complaint, "withdraw")
    assert written(Hold.objects.get()) == (str(desk.staff("reviewer")), "核实")


# --- The scope --------------------------------------------------------------------------------------


def test_a_complaint_that_is_not_ours_ends_and_says_why(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    complaint = lodge(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    for given, refusal in (({"scope_reason": ""}, ScopeReasonMissing), ({"ground": " "}, GroundMissing)):
        with refused(refusal, complaint):
            act(
                desk,
                complaint,
                "declare_out_of_scope",
                **{"scope_reason": "BEFORE_COURT", "ground": "x", **given},
            )
    complaint = act(desk, complaint, "declare_out_of_scope", scope_reason="BEFORE_COURT", ground="法院已立案")
    assert (complaint.state, complaint.ended_at) == ("OUT_OF_SCOPE", desk.now)
    assert ticket.holds.get().state == "LIFTED"
    told = Notice.objects.filter(about=complaint.number, kind="COMPLAINT_DECIDED", courtesy=False).get()
    assert told.values["out_of_scope"] == "已进入诉讼或仲裁程序"


# --- Recusal ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["agent", "reviewer"])
def test_nobody_handles_or_decides_what_he_had_a_part_in(desk: Stage, who: str) -> None:
    """The agent asked for the closing, the reviewer approved it."""
    ticket = desk.ticket("CLOSED")
    complaint = lodge(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING", by="agent")  # taking it down is free
    if who == "agent":
        with refused(Recused, complaint):
            act(desk, complaint, "accept", by="agent")
        act(desk, complaint, "accept")
        with refused(Recused, complaint):
            act(desk, complaint, "investigate", by="agent")
        with refused(Recused, complaint):
            act(desk, complaint, "assign", by="lead", handler=desk.staff("agent").user)
        return
    act(desk, complaint, "accept")
    act(desk, complaint, "investigate")
    with refused(Recused, complaint):
        act(desk, complaint, "decide", by="reviewer", outcome="NOT_UPHELD", text="x")


def test_an_approval_that_became_void_is_still_a_part(desk: Stage) -> None:
    ticket = desk.ticket("NOTICE_PERIOD")
    complaint = lodge(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    desk.assess()  # the hold voids the approval and clears who gave it
    assert desk.fresh(ticket).decided_by is None
    act(desk, complaint, "accept")
    act(desk, complaint, "investigate")
    with refused(Recused, complaint):
        act(desk, complaint, "decide", by="reviewer", outcome="NOT_UPHELD", text="x")


def test_who_is_complained_about_does_nothing_and_a_superuser_is_no_exception(desk: Stage) -> None:
    about = desk.staff("boss").user
    complaint = lodge(desk, topic="SERVICE", about_staff=about)
    for move, given in (("accept", {}), ("note", {"text": "x"})):
        with refused(Recused, complaint):
            act(desk, complaint, move, by="boss", **given)


def test_whoever_handles_does_not_decide(desk: Stage) -> None:
    complaint = lodge(desk)
    act(desk, complaint, "accept", by="boss")
    act(desk, complaint, "investigate", by="boss")
    with refused(HandlerDecides, complaint):
        act(desk, complaint, "decide", by="boss", outcome="NOT_UPHELD", text="x")


# --- Work -------------------------------------------------------------------------------------------


def test_a_complaint_is_given_to_somebody_who_may_handle_it(desk: Stage) -> None:
    complaint = lodge(desk)
    with refused(CannotHandle, complaint):
        act(desk, complaint, "assign", by="lead", handler=desk.staff("auditor").user)
    complaint = act(desk, complaint, "assign", by="lead", handler=desk.staff("agent2").user)
    assert complaint.handler == desk.staff("agent2").user
    with refused(NotPermitted, complaint):
        act(desk, complaint, "assign", by="risk", handler=desk.staff("agent2").user)


def test_waiting_for_the_customer_stops_only_our_own_target(desk: Stage) -> None:
    complaint = investigating(desk)
    on(desk, "2026-02-04")
    act(desk, complaint, "wait_for_customer", text="请提供还款截图")
    with refused(AlreadyWaiting, complaint):
        act(desk, complaint, "wait_for_customer", text="x")
    on(desk, "2026-02-06")
    pause = act(desk, complaint, "resume", text="见附件", by=Actor.customer(complaint.customer))
    assert pause.span == (date(2026, 2, 4), date(2026, 2, 6))
    with refused(NotWaiting, complaint):
        act(desk, complaint, "resume", text="x")
    assert fresh(complaint).due_on == date(2026, 2, 24)
    assert complaint_clocks.target_of(complaint, now=desk.now) == date(2026, 2, 25)
    assert (texts(complaint, "QUESTION"), texts(complaint, "ANSWER")) == (["请提供还款截图"], ["见附件"])


def test_new_facts_start_a_new_clock_and_are_told(desk: Stage) -> None:
    complaint = investigating(desk)
    on(desk, "2026-02-10")
    act(desk, complaint, "ask_extension", level="COMPLEX", ground="x")
    complaint = act(desk, complaint, "add_new_facts", text="又被扣款一次")
    assert (complaint.clock, complaint.clock_started_on) == (2, date(2026, 2, 10))
    assert complaint.due_on == date(2026, 2, 25)
    assert complaint.extensions.get().state == "LAPSED"
    assert written(complaint)[1] == "new facts start a new clock"
    assert Notice.objects.filter(about=complaint.number, kind="COMPLAINT_ACKNOWLEDGED", round=2).exists()


def test_a_time_that_is_over_does_not_begin_anew(desk: Stage) -> None:
    complaint = investigating(desk)
    on(desk, "2026-02-25")
    with refused(TimeIsOver, complaint):
        act(desk, complaint, "add_new_facts", text="x")
    assert texts(complaint, "NEW_FACTS") == []


# --- The decision -----------------------------------------------------------------------------------

VERDICT = {"outcome": "UPHELD", "text": "理由", "root_cause": "WRONG_FACTS"}


@pytest.mark.parametrize(
    ("topic", "given", "refusal"),
    [
        ("FEES", {**VERDICT, "root_cause": ""}, CauseMissing),
        ("WRONG_CLOSING", VERDICT, RemedyMissing),
        ("WRONG_CLOSING", {**VERDICT, "outcome": "PARTLY_UPHELD"}, RemedyMissing),
        ("WRONG_CLOSING", {**VERDICT, "remedy": "RECORDED"}, RemedyNotDescribed),
        ("WRONG_CLOSING", {**VERDICT, "remedy": "REVERSAL"}, NothingToReverse),
        ("FEES", {**VERDICT, "compensation": Decimal(1)}, NothingToRemedy),
        ("FEES", {**VERDICT, "outcome": "NOT_UPHELD", "remedy": "RECORDED"}, NothingToRemedy),
        ("FEES", {**VERDICT, "text": ""}, TextMissing),
    ],
)
def test_a_verdict_is_whole_or_is_not_given(desk: Stage, topic: str, given: Any, refusal: Any) -> None:
    complaint = investigating(desk, topic=topic)
    with refused(refusal, complaint):
        act(desk, complaint, "decide", by="lead2", **given)


def test_an_upheld_wrong_closing_forces_its_reversal_or_a_recorded_remedy(desk: Stage) -> None:
    ticket = desk.ticket("CLOSED")
    complaint = investigating(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    complaint = decided(desk, complaint, **VERDICT, remedy="REVERSAL", compensation=Decimal("88.00"))
    assert (complaint.state, complaint.remedy, complaint.root_cause) == ("DECIDED", "REVERSAL", "WRONG_FACTS")
    assert written(complaint) == (str(desk.staff("lead2")), "complaint decided")
    other = investigating(desk, topic="WRONG_CLOSING")
    other = decided(desk, other, **VERDICT, remedy="RECORDED", remedy_text="书面致歉并恢复额度")
    assert texts(other, "REMEDY") == ["书面致歉并恢复额度"]


def test_deciding_late_is_possible(desk: Stage) -> None:
    complaint = investigating(desk)
    on(desk, "2026-02-25")
    complaint = decided(desk, complaint)
    assert complaint_clocks.is_late(complaint, now=desk.now)


def test_a_decision_stands(desk: Stage) -> None:
    complaint = decided(desk)
    with refused(NotPossible, complaint):
        act(desk, complaint, "decide", by="lead", outcome="UPHELD", text="x", root_cause="NO_FAULT")


def test_a_reply_fills_its_fields_tells_the_complainant_and_opens_the_review(desk: Stage) -> None:
    complaint = decided(desk)
    with refused(UnknownField, complaint):
        act(desk, complaint, "reply", text="您好 {{ customer.name }}")
    complaint = act(
        desk, complaint, "reply", text="投诉 {{ number }}：{{outcome}}，核查期至 {{ review_until }}。"
    )
    assert texts(complaint, "REPLY") == [f"投诉 {complaint.number}：投诉不成立，核查期至 2026-03-04。"]
    assert (complaint.replied_at, complaint.review_until) == (desk.now, date(2026, 3, 4))
    told = Notice.objects.filter(about=complaint.number, kind="COMPLAINT_DECIDED", courtesy=False).get()
    assert told.values["outcome"] == "投诉不成立"
    assert "reply" not in told.values
    with refused(NotPossible, complaint):
        act(desk, complaint, "reply", text="x")


def test_an_answered_complaint_is_closed(desk: Stage) -> None:
    complaint = act(desk, replied(desk), "close")
    assert (complaint.state, complaint.ended_at) == ("CLOSED", desk.now)


@pytest.mark.parametrize("name", ["reviewer", "auditor", "risk", "operator"])
def test_only_agents_handle_and_only_reviewers_and_leads_decide(desk: Stage, name: str) -> None:
    complaint = lodge(desk)
    for move in ("accept", "withdraw"):
        with refused(NotPermitted, complaint):
            act(desk, complaint, move, by=name)
    complaint = investigating(desk)
    if name != "reviewer":
        with refused(NotPermitted, complaint):
            act(desk, complaint, "decide", by=name, outcome="NOT_UPHELD", text="x")
    with refused(NotPermitted, complaint):
        act(desk, complaint, "decide", by="agent", outcome="NOT_UPHELD", text="x")


def test_no_refusal_and_no_history_keeps_what_was_written(desk: Stage) -> None:
    complaint = extend(desk, investigating(desk)).complaint
    replied(desk, fresh(complaint))
    for rows in (Complaint.history, Notice.history, Hold.history):
        for row in rows.values():
            assert WORDS not in str(row) and "经核查，答复如下" not in str(row)


# --- Races ------------------------------------------------------------------------------------------


@race
def test_of_two_who_decide_at_once_one_does(raise_stage: Any) -> None:
    stage = raise_stage()
    stage.clock.now = RECEIVED
    stage.staff("lead"), stage.staff("lead2")
    complaint = investigating(stage)
    ends = at_once(
        *(
            lambda n=n: act(stage, complaint, "decide", by=n, outcome="NOT_UPHELD", text="x")
            for n in ("lead", "lead2")
        )
    )
    assert sorted(type(end).__name__ for end in ends) == ["Complaint", "NotPossible"]
    assert ComplaintText.objects.filter(complaint=complaint, kind="DECISION").count() == 1


@race
def test_a_withdrawal_that_races_the_decision_ends_in_exactly_one(raise_stage: Any) -> None:
    stage = raise_stage()
    stage.clock.now = RECEIVED
    stage.staff("lead2")
    for _ in range(5):
        complaint = investigating(stage)
        ends = at_once(
            lambda c=complaint: act(stage, c, "withdraw"),
            lambda c=complaint: act(stage, c, "decide", by="lead2", outcome="NOT_UPHELD", text="x"),
        )
        assert sorted(type(end).__name__ for end in ends) == ["Complaint", "NotPossible"]


@race
def test_a_complaint_that_races_the_end_of_the_period_holds_or_comes_after(raise_stage: Any) -> None:
    stage = raise_stage()
    stage.staff("agent2")
    for _ in range(5):
        ticket = stage.ticket("NOTICE_PERIOD")
        stage.clock.skip(PERIOD)
        ends = at_once(
            lambda: cooling_off.end_periods(now=stage.now),
            lambda t=ticket: lodge(stage, ticket_id=t.pk, topic="WRONG_CLOSING"),
        )
        assert isinstance(ends[1], Complaint), ends
        assert ticket.holds.filter(state="OPEN").count() == 1


# --- By the customer himself ------------------------------------------------------------------------


def himself(stage: Stage, account: Any, **given: Any) -> Any:
    given = {"channel": "APP", "topic": "FEES", "text": WORDS, "account_id": account.pk, **given}
    return complaints.complain(actor=Actor.customer(account.customer), now=stage.now, **given)


def test_he_complains_himself_and_it_is_recorded_in_his_name(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    heard = himself(desk, ticket.account, topic="WRONG_CLOSING")
    assert not heard.again
    assert (heard.complaint.ticket, heard.complaint.hold) == (ticket, ticket.holds.get())
    assert (heard.complaint.due_on, heard.complaint.registered_by) == (date(2026, 2, 24), None)
    assert written(heard.complaint)[0].startswith("customer:")


def test_his_same_words_about_the_same_are_one_complaint_until_it_is_decided(desk: Stage) -> None:
    account = desk.account()
    first = himself(desk, account)
    again = himself(desk, account, text=f"  {WORDS} ", channel="STATUS_PAGE")
    assert (again.complaint, again.again) == (first.complaint, True)
    assert not himself(desk, account, text="另一件事").again
    assert not himself(desk, account, topic="OTHER").again
    assert not himself(desk, desk.account()).again, "another customer's are his own"
    assert Notice.objects.filter(about=first.complaint.number, courtesy=False).count() == 1
    act(desk, first.complaint, "accept")
    act(desk, first.complaint, "investigate")
    assert himself(desk, account).again
    decided(desk, fresh(first.complaint))
    assert not himself(desk, account).again


def test_he_complains_about_nobody_elses_account_and_staff_not_in_his_name(desk: Stage) -> None:
    account, theirs = desk.account(), desk.ticket("IN_REVIEW")
    with refused(NotTheirCase):
        himself(desk, account, account_id=theirs.account_id)
    with refused(NotTheirCase):
        himself(desk, account, ticket_id=theirs.pk)
    with refused(TextMissing):
        himself(desk, account, text="  ")
    with refused(NotPermitted):
        complaints.complain(
            channel="APP", topic="FEES", text=WORDS, account_id=account.pk,
            actor=desk.staff("agent2"), now=desk.now,
        )  # fmt: skip
    assert not Complaint.objects.exists()


@race
def test_sent_ten_times_at_once_it_is_one_complaint(raise_stage: Any) -> None:
    stage = raise_stage()
    stage.clock.now = RECEIVED
    account = stage.account()
    ends = at_once(*(lambda: himself(stage, account) for _ in range(10)))
    assert sorted(end.again for end in ends) == [False, *[True] * 9]
    assert Complaint.objects.count() == 1
