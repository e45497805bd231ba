"""A second person decides, on what he was shown; calling off takes one before unbinding and two after."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.actors import Actor
from accounts.models import CreditAccount, LineRestriction, RefusedAction
from accounts.tracking import NotPermitted, NotPossible, save_as
from closures.errors import GroundMissing
from closures.models import ClosureTicket, LedgerCommand, UnbindTask
from closures.models.tickets import Reason
from closures.services import closing, cooling_off, holds, review, unbinding
from closures.services.review import AlreadyDecided, NeedsSecondPerson, SameReviewer, StaleReview, TooLate
from tests.factories import SHIPPED
from tests.races import at_once, race
from tests.stage import PERIOD, Stage, refused, seen, wait_until, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)
WECHAT = ("WECHAT", "WITHHOLDING", True)
LENDERS = [Reason.RISK_CONTROL, Reason.POLICY]


def act(stage: Stage, service: Any, ticket: ClosureTicket, *, by: str | Actor, ground: str = "理由") -> Any:
    actor = by if isinstance(by, Actor) else stage.staff(by)
    return service(ticket_id=ticket.pk, ground=ground, actor=actor, now=stage.now)


# --- Approving ----------------------------------------------------------------------------------------


def test_an_approval_begins_the_customers_cooling_off_and_freezes_the_line(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    ticket = stage.approve(ticket, ground=" 材料齐全 ")
    person = stage.staff("reviewer")

    assert (ticket.state, ticket.decided_by, ticket.decided_at) == ("NOTICE_PERIOD", person.user, stage.now)
    assert (ticket.period_ends_at, ticket.approved_hash) == (stage.now + PERIOD, ticket.examined_hash)
    assert written(ticket) == (str(person), "材料齐全")
    account = CreditAccount.objects.get(pk=ticket.account_id)
    assert account.line_state == "FROZEN" and written(account)[0] == str(person)
    assert list(ticket.commands.values_list("verb", flat=True)) == ["FREEZE"]
    assert ticket.notices.filter(kind="COOLING_OFF_STARTED", courtesy=False).count() == 1


@pytest.mark.parametrize("reason", LENDERS)
def test_a_lenders_lead_time_begins_only_when_the_notice_arrives(stage: Stage, reason: str) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=reason)
    assert (ticket.period_ends_at, ticket.notice_arrived_at) == (None, None)
    assert ticket.notices.filter(kind="NOTICE_OF_CLOSING", courtesy=False).count() == 1
    cause = {"RISK_CONTROL": "RISK", "POLICY": "POLICY"}[reason]
    assert LineRestriction.objects.get(account=ticket.account).cause == cause
    stage.clock.skip(timedelta(days=3))
    assert cooling_off.end_periods(now=stage.now) == 0


MAY_DECIDE = {
    Reason.CUSTOMER_REQUEST: {"reviewer", "lead", "boss"},
    Reason.RISK_CONTROL: {"lead", "boss"},
    Reason.POLICY: {"lead", "boss"},
}


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("service", [review.approve, review.reject], ids=["approve", "reject"])
def test_reviewers_decide_for_customers_and_the_lead_against_them(
    stage: Stage, reason: str, service: Any
) -> None:
    ticket = stage.ticket("IN_REVIEW", reason=reason)
    shown = {"seen_hash": ticket.examined_hash} if service is review.approve else {}
    for name in ("agent2", "reviewer", "lead", "operator", "auditor", "admin", "boss"):
        given = {"ticket_id": ticket.pk, "ground": "x", "actor": stage.staff(name), "now": stage.now, **shown}
        if name in MAY_DECIDE[Reason(reason)]:
            with transaction.atomic():  # undone, so that the next one finds the ticket in review
                service(**given)
                transaction.set_rollback(True)
        else:
            with refused(NotPermitted, ticket, ticket.account):
                service(**given)


def test_no_machine_and_no_customer_decides(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    for actor in (Actor.job("review"), Actor.customer(ticket.account.customer), SHIPPED):
        with refused(NotPermitted, ticket):
            stage.approve(ticket, by=actor)
        with refused(NotPermitted, ticket):
            act(stage, review.reject, ticket, by=actor)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("boss", [False, True], ids=["with the right", "superuser"])
def test_a_requester_never_decides_his_own_request(stage: Stage, reason: str, boss: bool) -> None:
    """Neither as a superuser nor as somebody who holds both rights."""
    requester = stage.staff("boss" if boss else "lead")
    if not boss:  # somebody gave one person every role of the business
        for name in ("agent", "risk"):
            requester.user.groups.add(*stage.staff(name).user.groups.all())
    ticket = stage.request(stage.account(), reason=reason, by=requester)
    stage.assess()
    ticket = stage.fresh(ticket)
    with refused(SameReviewer, ticket, ticket.account):
        stage.approve(ticket, by=requester)
    with refused(SameReviewer, ticket, ticket.account):
        act(stage, review.reject, ticket, by=requester)
    assert RefusedAction.objects.latest("pk").actor == str(requester)


def test_the_last_editor_does_not_decide(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW", reason=Reason.POLICY)
    ticket = act(stage, review.amend, ticket, by="lead", ground="依合同第九条")
    assert (ticket.ground, written(ticket)) == ("依合同第九条", (str(stage.staff("lead")), "ground amended"))
    with refused(SameReviewer, ticket):
        stage.approve(ticket, by="lead")
    assert stage.approve(ticket, by="boss").decided_by == stage.staff("boss").user


def test_the_database_refuses_a_requester_or_editor_who_decides_from_a_shell(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW", reason=Reason.POLICY)
    act(stage, review.amend, ticket, by="lead")
    for decider in (ticket.requested_by, stage.staff("lead").user):
        with pytest.raises(IntegrityError), transaction.atomic():
            ClosureTicket.objects.filter(pk=ticket.pk).update(decided_by=decider)
        row = stage.fresh(ticket)
        row.decided_by = decider
        with pytest.raises(IntegrityError), transaction.atomic():
            save_as(row, actor=SHIPPED, reason="shell")
    for state in ("NOTICE_PERIOD", "SETTLING", "UNBINDING", "CLOSING", "CLOSED"):
        with pytest.raises(IntegrityError), transaction.atomic():
            ClosureTicket.objects.filter(pk=ticket.pk).update(state=state)
        with pytest.raises(IntegrityError), transaction.atomic():  # straight through is for customers only
            ClosureTicket.objects.filter(pk=ticket.pk).update(state=state, straight_through=True)


@pytest.mark.parametrize("ground", ["", " \t"])
def test_a_decision_without_a_reason_is_none(stage: Stage, ground: str) -> None:
    ticket = stage.ticket("IN_REVIEW")
    with refused(GroundMissing, ticket):
        stage.approve(ticket, ground=ground)
    for service in (review.reject, review.cancel, review.ask_cancellation):
        with refused(GroundMissing, ticket):
            act(stage, service, ticket, by="reviewer", ground=ground)


# --- A stale look -------------------------------------------------------------------------------------


def test_what_changed_since_it_was_shown_cannot_be_approved(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    shown = ticket.examined_hash
    stage.sign(ticket.account)
    stage.clock.skip()
    with refused(StaleReview, ticket.account):
        stage.approve(ticket, seen=shown)
    ticket = stage.fresh(ticket)
    assert (ticket.state, ticket.decided_by, ticket.due_at) == ("IN_REVIEW", None, stage.now)
    stage.assess()
    with refused(StaleReview, stage.fresh(ticket)):
        stage.approve(ticket, seen=shown)
    stage.assess()
    assert stage.approve(ticket).state == "NOTICE_PERIOD"


@pytest.mark.parametrize("shown", ["", "0" * 64])
def test_an_approval_without_the_hash_of_what_was_shown_is_refused(stage: Stage, shown: str) -> None:
    ticket = stage.ticket("IN_REVIEW")
    with refused(StaleReview, ticket):
        stage.approve(ticket, seen=shown)


def test_a_hold_placed_since_stops_the_approval(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    holds.place(ticket_id=ticket.pk, kind="LEGAL", ground="x", actor=stage.staff("reviewer2"), now=stage.now)
    with refused(StaleReview, ticket):
        stage.approve(ticket)


def test_a_ticket_that_waited_for_days_can_still_be_approved(stage: Stage) -> None:
    """Its figures grow old in the queue; it is examined again by itself, not by the reviewer's patience."""
    ticket = stage.ticket("IN_REVIEW")
    shown = ticket.examined_hash
    for _ in range(3):
        stage.clock.skip(timedelta(days=1))
        stage.work()
    assert stage.fresh(ticket).account.ledger_as_of == stage.now
    assert stage.approve(ticket, seen=shown).state == "NOTICE_PERIOD"


def test_figures_too_old_to_decide_on_are_fetched_after_the_refusal(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    stage.clock.skip(timedelta(days=2))  # no worker ran
    with refused(StaleReview, ticket.account):
        stage.approve(ticket)
    stage.assess()
    assert stage.approve(ticket).state == "NOTICE_PERIOD"


# --- Twice, and by another ----------------------------------------------------------------------------


def test_approving_twice_by_the_same_person_is_one_approval(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    before = seen(ticket), ticket.notices.count(), ticket.commands.count()
    assert stage.approve(ticket).pk == ticket.pk
    assert (seen(ticket), ticket.notices.count(), ticket.commands.count()) == before


def test_another_persons_second_approval_is_refused(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    with refused(AlreadyDecided, ticket):
        stage.approve(ticket, by="reviewer2")


@pytest.mark.parametrize("state", ["SUBMITTED", "BLOCKED", "SETTLING", "UNBINDING", "CLOSING", "CLOSED"])
def test_only_what_is_in_review_is_approved(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state, ALIPAY)
    with refused(AlreadyDecided, ticket, ticket.account):
        stage.approve(ticket, by="reviewer2")


# --- Rejecting and amending ---------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["IN_REVIEW", "BLOCKED"])
def test_a_rejection_tells_the_customer_and_leaves_the_line_alone(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state)
    ticket = act(stage, review.reject, ticket, by="reviewer", ground="材料不符")
    assert (ticket.state, ticket.decided_by, ticket.ended_at) == (
        "REJECTED",
        stage.staff("reviewer").user,
        stage.now,
    )
    assert written(ticket) == (str(stage.staff("reviewer")), "材料不符")
    assert ticket.end_codes == (["OUTSTANDING_PRINCIPAL"] if state == "BLOCKED" else [])
    assert stage.fresh(ticket).account.line_state == "ACTIVE"
    assert ticket.notices.filter(kind="REFUSED", courtesy=False).count() == 1
    with refused(NotPossible, ticket):
        act(stage, review.reject, ticket, by="reviewer")


def test_a_lenders_closing_that_is_rejected_is_nobodys_news(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW", reason=Reason.RISK_CONTROL)
    act(stage, review.reject, ticket, by="lead")
    assert not ticket.notices.exists()


@pytest.mark.parametrize("state", ["SUBMITTED", "NOTICE_PERIOD", "SETTLING", "UNBINDING", "CLOSING"])
def test_what_is_not_up_for_decision_is_not_rejected(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state, ALIPAY)
    with refused(NotPossible, ticket, ticket.account):
        act(stage, review.reject, ticket, by="reviewer2")


def test_only_a_lenders_ground_is_amended_and_only_before_the_decision(stage: Stage) -> None:
    own, decided = stage.ticket("IN_REVIEW"), stage.ticket("NOTICE_PERIOD", reason=Reason.POLICY)
    with refused(NotPermitted, own):
        act(stage, review.amend, own, by="lead")
    with refused(AlreadyDecided, decided):
        act(stage, review.amend, decided, by="lead2")
    risk = stage.ticket("IN_REVIEW", reason=Reason.RISK_CONTROL)
    with refused(NotPermitted, risk):
        act(stage, review.amend, risk, by="lead")
    with refused(GroundMissing, risk):
        act(stage, review.amend, risk, by="risk", ground=" ")


# --- Calling it off -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["SUBMITTED", "BLOCKED", "IN_REVIEW", "NOTICE_PERIOD", "SETTLING"])
def test_before_unbinding_one_person_calls_it_off(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state, ALIPAY)
    stage.work()
    ticket = act(stage, review.cancel, ticket, by="reviewer", ground="误操作")
    assert (ticket.state, ticket.cancelled_by) == ("CANCELLED", stage.staff("reviewer").user)
    assert written(ticket) == (str(stage.staff("reviewer")), "误操作")
    account = CreditAccount.objects.get(pk=ticket.account_id)
    assert (account.line_state, account.agreements.get().state) == ("ACTIVE", "BOUND")
    assert not ticket.notices.filter(state="PENDING").exists()
    with refused(AlreadyDecided, ticket):
        act(stage, review.cancel, ticket, by="reviewer2")


def test_after_unbinding_has_begun_two_people_are_needed(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY, WECHAT)
    with refused(NeedsSecondPerson, ticket, *ticket.tasks.all()):
        act(stage, review.cancel, ticket, by="reviewer")
    act(stage, review.ask_cancellation, ticket, by="reviewer", ground="客户投诉")
    assert written(stage.fresh(ticket)) == (str(stage.staff("reviewer")), "cancellation asked: 客户投诉")
    with refused(NeedsSecondPerson, ticket):
        act(stage, review.cancel, ticket, by="reviewer")

    ticket = act(stage, review.cancel, ticket, by="reviewer2")
    assert (ticket.state, ticket.cancel_asked_by, ticket.cancelled_by) == (
        "CANCELLED",
        stage.staff("reviewer").user,
        stage.staff("reviewer2").user,
    )
    account = CreditAccount.objects.get(pk=ticket.account_id)
    assert account.line_state == "ACTIVE"
    assert set(account.agreements.values_list("state", flat=True)) == {"BOUND"}
    assert set(ticket.tasks.values_list("state", flat=True)) == {"CANCELLED"}
    stage.work()
    assert all(stage.effects("UNSIGN", a.agreement_no) == 0 for a in account.agreements.all())
    assert stage.effects("UNFREEZE", account.account_no) == 1


def test_the_database_wants_two_names_on_a_late_cancellation(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY)
    one = stage.staff("reviewer").user
    for names in (
        {},
        {"cancelled_by": one},
        {"cancel_asked_by": one},
        {"cancelled_by": one, "cancel_asked_by": one},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            ClosureTicket.objects.filter(pk=ticket.pk).update(state="CANCELLED", **names)


def test_an_agreement_already_ended_is_not_brought_back(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY, WECHAT)
    stage.simulator.fault(system="WECHAT", kind="down")
    for _ in range(3):
        unbinding.run(clock=stage.clock)
        stage.clock.skip(timedelta(minutes=1))
    act(stage, review.ask_cancellation, ticket, by="reviewer")
    act(stage, review.cancel, ticket, by="reviewer2")
    account = CreditAccount.objects.get(pk=ticket.account_id)
    assert account.agreements.get(partner="ALIPAY").state == "UNBOUND"


@pytest.mark.parametrize("fault", ["timeout_after_success", "late_effect", "http_500", "garbage"])
def test_a_call_under_way_is_asked_to_its_end_and_never_resent(stage: Stage, fault: str) -> None:
    """Whatever became of it: ended is ended, still bound stays bound, and nobody calls a second time."""
    ticket = stage.ticket("UNBINDING", ALIPAY)
    task, agreement = ticket.tasks.get(), ticket.account.agreements.get()
    effect = {"effect": False} if fault == "garbage" else {}
    late = {"latency_s": 0.05} if fault == "late_effect" else {}
    stage.simulator.fault(system="ALIPAY", kind=fault, method="POST", times=1, **effect, **late)
    unbinding.run(clock=stage.clock)
    if late:
        wait_until(lambda: stage.effects("UNSIGN", agreement.agreement_no) == 1)
    assert UnbindTask.objects.get(pk=task.pk).state in ("SENDING", "UNKNOWN", "CONFIRMING")
    act(stage, review.ask_cancellation, ticket, by="reviewer")
    act(stage, review.cancel, ticket, by="reviewer2")
    assert UnbindTask.objects.get(pk=task.pk).state == "UNKNOWN", "cancelling forgets no call"

    task = stage.task_until(task, "UNBOUND", "CANCELLED")
    agreement.refresh_from_db()
    took = stage.effects("UNSIGN", agreement.agreement_no)
    assert (task.state, agreement.state, took) in (("UNBOUND", "UNBOUND", 1), ("CANCELLED", "BOUND", 0))
    assert (took == 1) == (fault in ("timeout_after_success", "late_effect"))
    assert stage.calls("POST", agreement.agreement_no) == 1


def test_a_new_closing_waits_for_the_call_of_a_cancelled_one(stage: Stage) -> None:
    """Its agreement is neither bound nor ended yet: nobody may certify that everything is unbound."""
    ticket = stage.ticket("UNBINDING", ALIPAY)
    stage.simulator.fault(system="ALIPAY", kind="http_500", method="POST", times=1)
    unbinding.run(clock=stage.clock)
    assert ticket.tasks.get().state == "UNKNOWN"
    stage.simulator.fault(system="ALIPAY", kind="down")
    act(stage, review.ask_cancellation, ticket, by="reviewer")
    act(stage, review.cancel, ticket, by="reviewer2")

    again = stage.request(stage.fresh(ticket).account)
    stage.assess()
    stage.approve(again)
    stage.end_period(again)
    for _ in range(4):
        stage.work()
        stage.clock.skip(timedelta(minutes=1))
    assert stage.fresh(again).state == "UNBINDING"
    stage.simulator.clear_faults()
    ended = stage.until(again, "CLOSED")
    assert stage.effects("UNSIGN", ticket.account.agreements.get().agreement_no) == 1
    assert ended.account.agreements.get().state == "UNBOUND"


def test_once_the_ledger_has_been_told_to_close_it_is_too_late(stage: Stage) -> None:
    ticket = stage.ticket("CLOSING", ALIPAY)
    act(stage, review.ask_cancellation, ticket, by="reviewer")
    closing.run(clock=stage.clock)
    assert ticket.commands.filter(verb="CLOSE").exists()
    with refused(TooLate, ticket):
        act(stage, review.cancel, ticket, by="reviewer2")


def test_closing_that_the_ledger_was_not_told_of_can_still_be_called_off(stage: Stage) -> None:
    ticket = stage.ticket("CLOSING", ALIPAY)
    act(stage, review.ask_cancellation, ticket, by="reviewer")
    assert act(stage, review.cancel, ticket, by="reviewer2").state == "CANCELLED"
    assert stage.fresh(ticket).account.line_state == "ACTIVE"


def test_who_may_cancel(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    for name in ("agent", "risk", "operator", "auditor", "admin"):
        for service in (review.cancel, review.ask_cancellation):
            with refused(NotPermitted, ticket):
                act(stage, service, ticket, by=name)
    with refused(NotPermitted, ticket):
        act(stage, review.cancel, ticket, by=Actor.job("x"))


# --- Waiving the proof of arrival ---------------------------------------------------------------------


def test_two_leads_waive_the_proof_of_arrival_and_the_lead_time_begins(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=Reason.RISK_CONTROL)
    with refused(NeedsSecondPerson, ticket):
        act(stage, review.grant_notice_waiver, ticket, by="lead")
    act(stage, review.ask_notice_waiver, ticket, by="lead", ground="地址失效")
    with refused(NeedsSecondPerson, ticket):
        act(stage, review.grant_notice_waiver, ticket, by="lead")
    stage.clock.skip()
    ticket = act(stage, review.grant_notice_waiver, ticket, by="lead2", ground="同意")
    assert written(ticket) == (str(stage.staff("lead2")), "notice waived: 同意")
    assert ticket.period_ends_at == stage.now + PERIOD
    assert cooling_off.end_periods(now=stage.now) == 0
    stage.clock.skip(PERIOD)
    assert cooling_off.end_periods(now=stage.now) == 1
    assert (stage.fresh(ticket).state, stage.fresh(ticket).notice_arrived_at) == ("UNBINDING", None)


def test_nothing_is_waived_that_is_not_awaited(stage: Stage) -> None:
    own = stage.ticket("NOTICE_PERIOD")
    arrived = stage.ticket("UNBINDING", ALIPAY, reason=Reason.RISK_CONTROL)
    for ticket in (own, arrived):
        for service in (review.ask_notice_waiver, review.grant_notice_waiver):
            with refused(AlreadyDecided, ticket):
                act(stage, service, ticket, by="lead")
    lenders = stage.ticket("NOTICE_PERIOD", reason=Reason.POLICY)
    for name in ("reviewer", "agent", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted, lenders):
            act(stage, review.ask_notice_waiver, lenders, by=name)


def test_the_database_wants_two_names_on_a_waiver(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=Reason.POLICY)
    one = stage.staff("lead").user
    for names in ({"notice_waived_by": one}, {"notice_waived_by": one, "notice_waiver_asked_by": one}):
        with pytest.raises(IntegrityError), transaction.atomic():
            ClosureTicket.objects.filter(pk=ticket.pk).update(**names)


def test_the_database_lets_no_lender_unbind_before_the_notice(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=Reason.POLICY)
    started = ClosureTicket.objects.filter(pk=ticket.pk)
    for late in ({}, {"notice_arrived_at": stage.now + timedelta(seconds=1)}):
        with pytest.raises(IntegrityError), transaction.atomic():
            started.update(unbinding_started_at=stage.now, **late)


# --- Races --------------------------------------------------------------------------------------------


@race
def test_of_two_reviewers_at_once_one_decides(raise_stage) -> None:
    stage = raise_stage()
    for name in ("reviewer", "reviewer2"):
        stage.staff(name)
    for _ in range(5):
        ticket = stage.ticket("IN_REVIEW")
        ends = at_once(
            lambda t=ticket: stage.approve(t, by="reviewer"),
            lambda t=ticket: act(stage, review.reject, t, by="reviewer2"),
        )
        decided = [end for end in ends if isinstance(end, ClosureTicket)]
        lost = [end for end in ends if isinstance(end, AlreadyDecided | NotPossible)]
        assert (len(decided), len(lost)) == (1, 1), ends
        assert stage.fresh(ticket).state == decided[0].state


@race
def test_an_approval_and_new_debt_at_once_never_approve_the_debt(raise_stage) -> None:
    stage = raise_stage()
    stage.staff("reviewer")
    for _ in range(5):
        ticket = stage.ticket("IN_REVIEW")
        stage.simulator.patch_account(ticket.account.account_no, principal="10.00")
        ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=stage.now)
        at_once(lambda t=ticket: stage.approve(t), stage.assess)
        for _ in range(3):
            stage.assess()
            stage.clock.skip(timedelta(minutes=2))
        assert stage.fresh(ticket).state in ("BLOCKED", "NOTICE_PERIOD")
        if stage.fresh(ticket).state == "NOTICE_PERIOD":  # approved first: the import's change then voids it
            stage.clock.skip()
            ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=stage.now)
            stage.assess()
            stage.assess()
        assert stage.fresh(ticket).state == "BLOCKED"


@race
def test_cancelling_while_tasks_are_worked_never_dies_of_a_deadlock(raise_stage) -> None:
    stage = raise_stage()
    for name in ("reviewer", "reviewer2"):
        stage.staff(name)
    for _ in range(10):
        ticket = stage.ticket("UNBINDING", ALIPAY, WECHAT)
        for agreement in ticket.account.agreements.all():
            stage.simulator.end_agreement(agreement.partner, agreement.agreement_no)
        act(stage, review.ask_cancellation, ticket, by="reviewer")
        ends = at_once(
            lambda: unbinding.run(clock=stage.clock),
            lambda t=ticket: act(stage, review.cancel, t, by="reviewer2"),
            lambda: unbinding.start(now=stage.now),
        )
        assert isinstance(ends[1], ClosureTicket), ends
        assert isinstance(ends[0], int) and isinstance(ends[2], int), ends
        for task in ticket.tasks.select_related("agreement"):
            assert (task.state, task.agreement.state) in (("CANCELLED", "BOUND"), ("UNBOUND", "UNBOUND"))
    assert not LedgerCommand.objects.filter(verb="CLOSE").exists()
