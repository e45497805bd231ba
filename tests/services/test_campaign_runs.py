"""Campaigns under way: opened through one door, approved as a whole, stopped, resumed, called off, over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.roles import Role
from accounts.tracking import NotPermitted, NotPossible
from closures.errors import GroundMissing
from closures.models import Campaign, ClosureTicket, LedgerCommand, UnbindTask
from closures.models.tickets import Reason
from closures.services import (
    assessment,
    campaigns,
    closing,
    commands,
    complaints,
    cooling_off,
    intake,
    notices,
    review,
    settling,
    unbinding,
)
from closures.services.campaigns import running
from closures.services.campaigns.finishing import ReportChanged
from closures.services.campaigns.terms import SameAuthor
from tests import factories
from tests.campaigning import Camp
from tests.races import at_once, race
from tests.stage import PERIOD, Stage, refused, seen, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)


def told(camp: Camp, campaign: Campaign) -> list[ClosureTicket]:
    return [camp.stage.fresh(member.ticket) for member in camp.members(campaign, "OPENED")]


def pass_period(stage: Stage) -> None:
    notices.deliver(clock=stage.clock)
    stage.clock.skip()
    notices.deliver(clock=stage.clock)
    stage.clock.skip(PERIOD)
    cooling_off.end_periods(now=stage.now)


# --- The one door -------------------------------------------------------------------------------------


def columns(ticket: ClosureTicket) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row and its history, without what tells two rows apart by birth."""
    row = ClosureTicket.objects.filter(pk=ticket.pk).values().get()
    history = ticket.history.values().get()
    own = {"id", "number", "account_id", "request_digest", "history_id"}
    return (
        {k: v for k, v in row.items() if k not in own},
        {k: v for k, v in history.items() if k not in own},
    )


def test_a_set_of_requests_leaves_the_rows_of_single_ones(camp: Camp) -> None:
    stage = camp.stage
    one, two = camp.accounts(2)
    asked = {
        "reason": Reason.POLICY, "channel": ClosureTicket.Channel.CAMPAIGN, "ground": " 依据 ",
        "actor": stage.staff("lead"), "now": stage.now,
    }  # fmt: skip
    single = intake.request_closure(account_id=one.pk, **asked).ticket
    (many,) = intake.request_closures(account_ids=[two.pk], **asked).tickets
    assert columns(many) == columns(single)
    assert many.number != single.number and many.request_digest != single.request_digest
    assert many.request_digest == intake.digest(two.pk, "POLICY", "CAMPAIGN", "依据", "NONE", "")


def test_a_set_of_requests_refuses_what_a_single_one_refuses(camp: Camp) -> None:
    stage = camp.stage
    fine, busy, closed = camp.accounts(3)
    stage.request(busy)
    type(closed)._base_manager.filter(pk=closed.pk).update(line_state="CLOSED", closed_at=stage.now)
    asked: dict[str, Any] = {
        "account_ids": [fine.pk, busy.pk, closed.pk, 10**9], "channel": ClosureTicket.Channel.CAMPAIGN,
        "now": stage.now,
    }  # fmt: skip
    by = stage.staff("lead")
    with refused(NotPermitted):
        intake.request_closures(**asked, reason=Reason.POLICY, ground="x", actor=stage.staff("agent"))
    with refused(NotPermitted):
        intake.request_closures(**asked, reason=Reason.CUSTOMER_REQUEST, ground="x", actor=by)
    with refused(intake.GroundMissing):
        intake.request_closures(**asked, reason=Reason.POLICY, ground=" ", actor=by)
    made = intake.request_closures(**asked, reason=Reason.POLICY, ground="x", actor=by)
    assert [ticket.account_id for ticket in made.tickets] == [fine.pk]
    assert made.refused == {busy.pk: "already_requested", closed.pk: "already_closed", 10**9: "gone"}
    again = intake.request_closures(**asked, reason=Reason.POLICY, ground="x", actor=by)
    assert again.tickets == [] and again.refused[fine.pk] == "already_requested"


# --- Opening ------------------------------------------------------------------------------------------


def test_the_pilot_opens_its_share_in_the_authors_name(camp: Camp) -> None:
    camp.accounts(4)
    campaign = camp.at("FROZEN", pilot_percent=25)
    assert camp.run() == 0, "frozen is not started"
    with refused(NotPermitted, campaign):
        camp.do("start_pilot", campaign, by="operator")
    camp.do("start_pilot", campaign)
    with refused(NotPossible, campaign):
        camp.do("start_pilot", campaign, by="lead2")
    camp.run()
    camp.run()
    (member,) = camp.members(campaign, "OPENED")
    ticket = member.ticket
    assert (member.wave, ticket.reason, ticket.channel) == (0, "POLICY", "CAMPAIGN")
    assert (ticket.requested_by, ticket.ground) == (campaign.author, campaign.legal_basis)
    assert camp.progress(campaign).waiting == 3
    camp.do("start_waves", campaign)
    camp.run()
    assert len(camp.members(campaign, "OPENED")) == 4
    assert ClosureTicket.objects.count() == 4


def test_the_days_cap_counts(camp: Camp) -> None:
    camp.accounts(3)
    campaign = camp.at("RUNNING", daily_cap=2)
    camp.run()
    camp.run()
    assert len(camp.members(campaign, "OPENED")) == 2
    camp.stage.clock.skip(timedelta(days=1))
    camp.run()
    assert len(camp.members(campaign, "OPENED")) == 3


def test_each_member_is_looked_at_again_before_it_is_opened(camp: Camp) -> None:
    one, two, three = camp.accounts(3)
    campaign = camp.at("RUNNING")
    camp.stage.request(one)
    complaints.register(
        account_id=two.pk, kind="COMPLAINT", channel="PHONE", topic="FEES", text="x",
        actor=camp.stage.staff("agent"), now=camp.stage.now,
    )  # fmt: skip
    camp.run()
    assert [m.account_id for m in camp.members(campaign, "OPENED")] == [three.pk]
    why = {m.account_id: (m.reason_code, m.live) for m in camp.members(campaign, "EXCLUDED")}
    assert why == {one.pk: ("OPEN_TICKET", False), two.pk: ("COMPLAINT", False)}
    assert camp.progress(campaign).population == 3


def test_a_worker_killed_in_mid_batch_leaves_nothing_and_the_next_begins_again(
    camp: Camp, monkeypatch: pytest.MonkeyPatch
) -> None:
    camp.accounts(2)
    campaign = camp.at("RUNNING")

    def die(name: str) -> None:
        assert name == "campaign.after_tickets"
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "reach", die)
    with pytest.raises(KeyboardInterrupt):
        camp.run()
    assert not ClosureTicket.objects.exists() and camp.progress(campaign).waiting == 2
    monkeypatch.undo()
    camp.run()
    camp.run()
    assert ClosureTicket.objects.count() == 2 == camp.progress(campaign).under_way


def test_an_author_without_the_right_stops_the_campaign(camp: Camp) -> None:
    camp.accounts(1)
    campaign = camp.at("RUNNING")
    campaign.author.groups.clear()
    camp.run()
    campaign = camp.fresh(campaign)
    assert (campaign.state, campaign.pause_code) == ("PAUSED", "AUTHOR_WITHOUT_RIGHT")
    assert not ClosureTicket.objects.exists()


# --- Approved as a whole ------------------------------------------------------------------------------


def test_a_ticket_whose_facts_are_those_approved_needs_no_second_look(camp: Camp) -> None:
    camp.accounts(1, credit_balance="3.00")
    campaign = camp.at("RUNNING")
    camp.run()
    camp.stage.assess()
    (ticket,) = told(camp, campaign)
    assert (ticket.state, ticket.decided_by, ticket.straight_through) == (
        "NOTICE_PERIOD", campaign.approver, True,
    )  # fmt: skip
    assert ticket.approved_hash == ticket.examined_hash != ""
    assert ticket.account.line_state == "FROZEN"
    (notice,) = ticket.notices.filter(kind="NOTICE_OF_CLOSING", courtesy=False)
    assert notice.values["not_before"] and ticket.period_ends_at is None


def test_a_ticket_whose_facts_have_changed_goes_to_a_person(camp: Camp) -> None:
    account = camp.accounts(1)[0]
    campaign = camp.at("RUNNING")
    camp.run()
    camp.stage.simulator.spend(account.account_no, "12.00")
    camp.stage.assess()
    (ticket,) = told(camp, campaign)
    assert (ticket.state, ticket.decided_by) == ("IN_REVIEW", None)


def test_a_policy_ticket_of_no_campaign_goes_to_a_person(stage: Stage) -> None:
    ticket = stage.request(stage.account(), reason="POLICY")
    stage.assess()
    assert stage.fresh(ticket).state == "IN_REVIEW"


# --- Standing still -----------------------------------------------------------------------------------


def paused(camp: Camp, campaign: Campaign, by: str = "operator") -> Campaign:
    return camp.do("pause", campaign, by=by, ground="核查异常")


def test_an_operator_pauses_and_a_lead_resumes_to_where_it_was(camp: Camp) -> None:
    camp.accounts(3)
    campaign = camp.at("PILOT")
    for name in ("risk", "auditor", "agent"):
        with refused(NotPermitted, campaign):
            paused(camp, campaign, by=name)
    with refused(GroundMissing, campaign):
        camp.do("pause", campaign, ground=" ")
    campaign = paused(camp, campaign)
    assert (campaign.state, campaign.pause_code, campaign.paused_from) == ("PAUSED", "BY_HAND", "PILOT")
    assert written(campaign) == (str(camp.stage.staff("operator")), "核查异常")
    assert camp.run() == 0 and not ClosureTicket.objects.exists()
    with refused(NotPermitted, campaign):
        camp.do("resume", campaign, by="operator", ground="x")
    assert camp.do("resume", campaign, ground="已核实").state == "PILOT"
    with refused(NotPossible, campaign):
        camp.do("resume", campaign, ground="x")
    camp.do("start_waves", campaign)
    paused(camp, campaign)
    assert camp.do("resume", campaign, ground="已核实").state == "RUNNING"


def test_nothing_is_decided_while_the_campaign_is_paused(camp: Camp) -> None:
    camp.accounts(1)
    campaign = camp.at("RUNNING")
    camp.run()
    paused(camp, campaign)
    camp.stage.assess()
    assert told(camp, campaign)[0].state == "SUBMITTED"
    camp.do("resume", campaign, ground="x")
    camp.stage.clock.skip(timedelta(days=2))
    camp.stage.assess()
    assert told(camp, campaign)[0].state == "NOTICE_PERIOD"


def test_a_paused_campaigns_ticket_neither_settles_nor_unbinds(camp: Camp) -> None:
    stage = camp.stage
    camp.accounts(1, credit_balance="3.00")
    stage.account(ALIPAY, product="BAITIAO")
    campaign = camp.at("RUNNING")
    camp.run()
    stage.assess()
    paused(camp, campaign)
    pass_period(stage)
    assert {t.state for t in told(camp, campaign)} == {"NOTICE_PERIOD"}
    camp.do("resume", campaign, ground="x")
    cooling_off.end_periods(now=stage.now)
    assert {t.state for t in told(camp, campaign)} == {"SETTLING", "UNBINDING"}
    paused(camp, campaign)
    unbinding.start(now=stage.now)
    unbinding.run(clock=stage.clock)
    settling.run(clock=stage.clock)
    task = UnbindTask.objects.get()
    assert task.state == "PENDING" and stage.effects("UNSIGN", task.agreement.agreement_no) == 0
    assert not LedgerCommand.objects.filter(verb="PAY_OUT").exists()
    camp.do("resume", campaign, ground="x")
    stage.task_until(task, "UNBOUND")


def test_nothing_irreversible_happens_before_the_effective_day(camp: Camp) -> None:
    stage = camp.stage
    camp.accounts(1)
    campaign = camp.at("RUNNING", effective_on=(stage.now + timedelta(days=3)).date())
    camp.run()
    stage.assess()
    pass_period(stage)
    (ticket,) = told(camp, campaign)
    assert ticket.state == "NOTICE_PERIOD" and ticket.period_ends_at <= stage.now
    stage.clock.skip(timedelta(days=3))
    cooling_off.end_periods(now=stage.now)
    assert told(camp, campaign)[0].state == "UNBINDING"


# --- Guard-rails --------------------------------------------------------------------------------------


def test_dead_tasks_pause_the_campaign_by_themselves(camp: Camp) -> None:
    stage = camp.stage
    account = stage.account(ALIPAY, product="BAITIAO")
    campaign = camp.at("RUNNING")
    camp.run()
    stage.assess()
    pass_period(stage)
    stage.simulator.fault(
        system="ALIPAY", kind="refuse", subject=account.agreements.get().agreement_no, code="ORDER_RUNNING"
    )
    unbinding.start(now=stage.now)
    task = UnbindTask.objects.get()
    stage.task_until(task, "DEAD")
    assert campaigns.watch(now=stage.now) == 1
    assert campaigns.watch(now=stage.now) == 0
    campaign = camp.fresh(campaign)
    assert (campaign.state, campaign.pause_code) == ("PAUSED", "UNBIND_FAILURES")
    assert campaign.pause_values == {
        "UNBIND_FAILURES": {"failures": 1, "sample": 1, "percent": 100.0, "most": 5}
    }  # fmt: skip
    assert written(campaign) == ("job:campaigns", "guard-rail UNBIND_FAILURES")
    camp.do("resume", campaign, ground="看看")
    assert campaigns.watch(now=stage.now) == 1, "not cured: it stops again"


def test_complaints_pause_the_campaign_before_the_next_batch(camp: Camp) -> None:
    camp.accounts(2)
    campaign = camp.at("RUNNING", daily_cap=1, max_complaints=10)
    camp.run()
    (ticket,) = told(camp, campaign)
    complaints.register(
        ticket_id=ticket.pk, kind="COMPLAINT", channel="PHONE", topic="WRONG_CLOSING", text="x",
        actor=camp.stage.staff("agent"), now=camp.stage.now,
    )  # fmt: skip
    camp.stage.clock.skip(timedelta(days=1))
    assert camp.run() == 0
    assert camp.fresh(campaign).pause_code == "COMPLAINTS"


def test_undelivered_notices_pause_the_campaign_and_the_sample_protects_it(camp: Camp) -> None:
    stage = camp.stage
    camp.accounts(1)
    campaign = camp.at("RUNNING", minimum_sample=2)
    camp.run()
    stage.assess()
    stage.simulator.fault(system="SMS", kind="receipt_failed")
    for _ in range(2):
        notices.deliver(clock=stage.clock)
        stage.clock.skip()
    assert told(camp, campaign)[0].notices.filter(state="FAILED").exists()
    assert campaigns.watch(now=stage.now) == 0
    Campaign._base_manager.filter(pk=campaign.pk).update(minimum_sample=1)
    assert campaigns.watch(now=stage.now) == 1
    assert camp.fresh(campaign).pause_code == "UNDELIVERED"


# --- Abort --------------------------------------------------------------------------------------------


def test_an_abort_cancels_what_has_not_begun_and_frees_the_lines(camp: Camp) -> None:
    stage = camp.stage
    begun = stage.account(ALIPAY, product="BAITIAO")
    campaign = camp.at("RUNNING", daily_cap=1)
    camp.run()
    stage.assess()
    pass_period(stage)
    unbinding.start(now=stage.now)
    assert stage.fresh(begun.tickets.get()).state == "UNBINDING"
    Campaign._base_manager.filter(pk=campaign.pk).update(state="ABORTED", ended_at=stage.now)
    camp.accounts(3)
    other = camp.at("RUNNING", daily_cap=2)
    camp.run()
    stage.assess()
    assert {t.state for t in told(camp, other)} == {"NOTICE_PERIOD"}
    with refused(NotPermitted, other):
        camp.do("abort", other, by="operator", ground="x")
    camp.do("abort", other, ground="监管要求暂缓")
    cooling_off.end_periods(now=stage.now + timedelta(days=9))
    camp.run()
    camp.run()
    tickets = told(camp, other)
    assert {t.state for t in tickets} == {"CANCELLED"} and all(t.ended_at for t in tickets)
    assert {t.account.line_state for t in tickets} == {"ACTIVE"}
    assert LedgerCommand.objects.filter(verb="UNFREEZE").count() == 2
    assert not tickets[0].notices.filter(state="PENDING").exists()
    found = camp.progress(other)
    assert (found.failed, found.excluded, found.pending) == (2, 2, 0)
    assert other.members.filter(reason_code="ABORTED").count() == 1
    assert not other.members.filter(live=True).exists()
    assert stage.fresh(begun.tickets.get()).state == "UNBINDING", "what has begun goes to its end"
    stage.until(begun.tickets.get(), "CLOSED")
    with refused(NotPossible, other):
        camp.do("abort", other, ground="x")


def test_called_off_by_set_is_as_a_single_cancellation_leaves_it(camp: Camp) -> None:
    """Row for row: line, restriction and command; and the ticket apart from who decided."""
    stage = camp.stage
    camp.accounts(2)
    campaign = camp.at("RUNNING")
    camp.run()
    stage.assess()
    single, many = told(camp, campaign)
    review.cancel(ticket_id=single.pk, ground="x", actor=stage.staff("lead2"), now=stage.now)
    camp.do("abort", campaign, ground="x")
    camp.run()
    apart = {"id", "number", "account_id", "key", "ticket_id", "reference", "cancelled_by_id", "examined",
             "approved", "examined_hash", "approved_hash", "request_digest", "examined_agreement_id",
             "examined_as_of", "ledger_as_of", "customer_id", "account_no"}  # fmt: skip

    def rows(ticket: ClosureTicket) -> list[dict[str, Any]]:
        found = [
            seen(ticket)[0],
            seen(ticket.account)[0],
            seen(ticket.account.restrictions.get())[0],
            seen(ticket.commands.get(verb="UNFREEZE"))[0],
        ]
        return [{k: v for k, v in row.items() if k not in apart} for row in found]

    assert rows(stage.fresh(single)) == rows(stage.fresh(many))


# --- The end ------------------------------------------------------------------------------------------


def test_a_campaign_is_over_when_everybody_is_accounted_for(camp: Camp) -> None:
    stage = camp.stage
    camp.accounts(1)
    camp.accounts(1, principal="20.00")
    late = camp.accounts(1)[0]
    campaign = camp.at("RUNNING", withdraws_product=True)
    assert camp.fresh(campaign).product.state == "SUSPENDED"
    camp.run()
    stage.assess()
    review.cancel(ticket_id=late.tickets.get().pk, ground="x", actor=stage.staff("lead2"), now=stage.now)
    for _ in range(12):
        stage.work()
        camp.run()
        camp.progress(campaign)
        stage.clock.skip()
    campaign = camp.fresh(campaign)
    found = camp.progress(campaign)
    assert (found.closed, found.settling, found.failed) == (1, 1, 1)
    assert campaign.state == "COMPLETED" and campaign.product.state == "WITHDRAWN"
    report = campaigns.checked(campaign)
    assert report["parts"]["settling"] == 1 and report["failed"] == {"CANCELLED": 1}
    assert b"sha256" in campaigns.as_csv(campaign)
    assert not campaign.members.filter(live=True).exists()
    campaign.report["population"] = 7
    with pytest.raises(ReportChanged):
        campaigns.checked(campaign)


# --- Races --------------------------------------------------------------------------------------------


def attempt(act: Any) -> Any:
    try:
        return act()
    except NotPossible as refusal:
        return refusal


@race
def test_of_two_people_who_press_start_exactly_one_wins(raise_stage: Any) -> None:
    camp = Camp(raise_stage())
    camp.accounts(1)
    campaign = camp.at("FROZEN")
    camp.stage.staff("lead2")
    ends = at_once(
        *[lambda by=by: attempt(lambda: camp.do("start_pilot", campaign, by=by)) for by in ("lead", "lead2")]
    )
    assert sorted(type(end).__name__ for end in ends) == ["Campaign", "NotPossible"]
    assert campaign.history.filter(state="PILOT").count() == 1


@race
def test_two_workers_open_every_member_once(raise_stage: Any, settings: Any) -> None:
    settings.BATCH_SIZE = 2
    camp = Camp(raise_stage())
    camp.accounts(5)
    campaign = camp.at("RUNNING")
    at_once(camp.run, camp.run)
    camp.run()
    assert ClosureTicket.objects.count() == 5 == len(camp.members(campaign, "OPENED"))


@race
def test_a_pause_that_races_a_batch_is_before_or_after_it(raise_stage: Any) -> None:
    camp = Camp(raise_stage())
    camp.accounts(2)
    campaign = camp.at("RUNNING")
    camp.stage.staff("operator")
    at_once(camp.run, lambda: paused(camp, campaign))
    opened = len(camp.members(campaign, "OPENED"))
    assert camp.fresh(campaign).state == "PAUSED" and opened in (0, 2)
    camp.run()
    assert ClosureTicket.objects.count() == opened
    assert assessment.run(clock=camp.stage.clock) == opened
    assert not ClosureTicket.objects.exclude(state="SUBMITTED").exists()


# --- A pause reaches what waits -----------------------------------------------------------------------


def test_a_paused_campaign_lets_no_queued_command_out_that_cannot_be_undone(camp: Camp) -> None:
    stage = camp.stage
    account = stage.account(product="BAITIAO")
    campaign = camp.at("RUNNING")
    camp.run()
    stage.assess()
    (ticket,) = told(camp, campaign)
    stage.until(ticket, "CLOSING")
    closing.run(clock=stage.clock)
    assert ticket.commands.filter(verb="CLOSE", state="PENDING").exists()
    camp.do("pause", campaign, ground="先停")
    commands.run(clock=stage.clock)
    assert stage.effects("CLOSE", account.account_no) == 0

    camp.do("resume", campaign, ground="继续")
    stage.clock.skip()
    commands.run(clock=stage.clock)
    assert stage.effects("CLOSE", account.account_no) == 1


def test_a_resumed_campaign_looks_at_its_tickets_at_once(camp: Camp) -> None:
    camp.accounts(1)
    campaign = camp.at("RUNNING")
    camp.run()
    camp.do("pause", campaign, ground="先停")
    camp.stage.assess()
    assert told(camp, campaign)[0].due_at > camp.stage.now
    camp.do("resume", campaign, ground="继续")
    assert told(camp, campaign)[0].due_at == camp.stage.now


def test_a_complaint_that_was_accepted_stops_the_campaign_no_second_time(camp: Camp) -> None:
    camp.accounts(2)
    campaign = camp.at("RUNNING", daily_cap=1, max_complaints=10)
    camp.run()
    (ticket,) = told(camp, campaign)
    complaints.register(
        ticket_id=ticket.pk, kind="COMPLAINT", channel="PHONE", topic="WRONG_CLOSING", text="x",
        actor=camp.stage.staff("agent"), now=camp.stage.now,
    )  # fmt: skip
    assert campaigns.watch(now=camp.stage.now) == 1
    camp.do("resume", campaign, ground="已答复")
    assert campaigns.watch(now=camp.stage.now) == 0
    assert camp.fresh(campaign).accepted == {"COMPLAINTS": 1}


def test_who_resumes_after_the_author_has_left_takes_his_place(camp: Camp) -> None:
    camp.accounts(1)
    campaign = camp.at("RUNNING")
    campaign.author.groups.clear()
    camp.run()
    with refused(SameAuthor, campaign):
        camp.do("resume", campaign, by="lead2", ground="继续")
    third = factories.staff(Role.LEAD)
    campaigns.resume(campaign_id=campaign.pk, ground="接手", actor=third, now=camp.stage.now)
    camp.run()
    assert told(camp, campaign)[0].requested_by == third.user


@pytest.mark.parametrize("change", ["amended", "approver gone"])
def test_what_the_approver_did_not_see_or_may_not_decide_goes_to_a_person(camp: Camp, change: str) -> None:
    camp.accounts(1)
    campaign = camp.at("RUNNING")
    camp.run()
    (ticket,) = told(camp, campaign)
    if change == "amended":
        review.amend(
            ticket_id=ticket.pk, ground="另一依据", actor=camp.stage.staff("lead"), now=camp.stage.now
        )
    else:
        campaign.approver.groups.clear()
    camp.stage.assess()
    assert told(camp, campaign)[0].state == "IN_REVIEW"
