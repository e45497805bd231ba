"""Plans: who writes them, what they may say, and what becomes of an approval when anything is changed."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pytest

from accounts.actors import SHIPPED
from accounts.decisions import PersonalDataWritten
from accounts.models import Customer, LineRestriction, RefusedAction
from accounts.roles import Role
from accounts.tracking import NotPermitted, NotPossible, save_as
from closures.models import Campaign, CampaignMember, ClosureTicket, Hold
from closures.selectors import campaign_population
from closures.selectors.rule_language import ConditionRefused
from closures.services import campaigns, complaints
from closures.services.campaigns import files
from closures.services.campaigns.files import FileRefused
from closures.services.campaigns.terms import (
    DryRunStale,
    InAnotherCampaign,
    NobodyMeant,
    NotEditable,
    PlanUnsound,
    SameAuthor,
)
from tests import factories
from tests.campaigning import PLAN, Camp
from tests.stage import refused, seen, written

pytestmark = pytest.mark.django_db


def test_a_lead_drafts_a_plan_and_nobody_else_does(camp: Camp) -> None:
    campaign = camp.draft()
    assert (campaign.state, campaign.author) == ("DRAFT", camp.stage.staff("lead").user)
    assert campaign.number.startswith("CM")
    assert written(campaign) == (str(camp.stage.staff("lead")), "drafted")
    for name in ("operator", "risk", "auditor", "reviewer"):
        with refused(NotPermitted, campaign):
            camp.do("edit", campaign, by=name, title="x")
        with refused(NotPermitted):
            campaigns.draft(
                actor=camp.stage.staff(name), now=camp.stage.now, **PLAN, product=campaign.product
            )


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": " "}, {"legal_basis": ""}, {"wave_percents": [50]}, {"wave_percents": []},
        {"pilot_percent": 0},
        {"daily_cap": 0}, {"minimum_sample": 0}, {"max_complaints": 101},
    ],
)  # fmt: skip
def test_a_plan_that_cannot_stand_is_refused(camp: Camp, wrong: dict[str, Any]) -> None:
    campaign = camp.draft()
    with refused(PlanUnsound, campaign):
        camp.do("edit", campaign, **wrong)


@pytest.mark.parametrize("text", ["", "nonsense ~~", "customer__name = 'x'", "days_past_due >", "a" * 3000])
def test_a_population_that_cannot_be_read_is_refused(camp: Camp, text: str) -> None:
    campaign = camp.draft()
    with refused(ConditionRefused, campaign):
        camp.do("edit", campaign, population=text)


def test_no_personal_data_is_written_into_a_plan(camp: Camp) -> None:
    campaign = camp.draft()
    with refused(PersonalDataWritten, campaign):
        camp.do("edit", campaign, risks="客户 13800138000 可能投诉")


def test_departments_and_milestones_are_parts_of_the_plan(camp: Camp) -> None:
    camp.accounts(1)
    campaign = camp.draft()
    owner = camp.stage.staff("lead2").user
    legal = camp.do("add_department", campaign, department="法务部", owner=owner, duty="通知文本")
    mark = camp.do("add_milestone", campaign, title="试点完成", due_on=date(2026, 2, 1), department=legal)
    with refused(PlanUnsound, campaign):
        camp.do("add_department", campaign, department="法务部", owner=owner, duty="重复")
    camp.dry_run(campaign)
    camp.approve(campaign)
    camp.do("reach_milestone", campaign, milestone=mark)
    camp.do("reach_milestone", campaign, milestone=mark)
    mark.refresh_from_db()
    assert mark.done_at and mark.history.count() == 2, "reached once, and no edit of the plan"
    assert camp.fresh(campaign).state == "APPROVED"
    camp.do("remove", campaign, part=legal)
    assert camp.fresh(campaign).state == "DRAFT", "a plan without its department is another plan"


# --- Dry run and approval -----------------------------------------------------------------------------


def everybody(camp: Camp) -> dict[str, Any]:
    """One account for each reason to leave it alone, and two that are to be closed."""
    stage = camp.stage
    good = camp.accounts(2)
    open_ticket, held, judicial, complained, died, set_aside, owing = camp.accounts(7)
    stage.request(open_ticket)
    for account, kind in ((held, "AML"), (judicial, "JUDICIAL")):
        ticket = stage.request(account)
        save_as(Hold(ticket=ticket, kind=kind, ground="x", opened_at=stage.now), actor=SHIPPED, reason="x")
        ClosureTicket._base_manager.filter(pk=ticket.pk).update(state="WITHDRAWN")
    save_as(
        LineRestriction(account=judicial, cause="JUDICIAL", reference="J", since=stage.now),
        actor=SHIPPED,
        reason="x",
    )
    complaints.register(
        account_id=complained.pk, kind="COMPLAINT", channel="PHONE", topic="FEES", text="x",
        actor=stage.staff("agent"), now=stage.now,
    )  # fmt: skip
    Customer._base_manager.filter(pk=died.customer_id).update(deceased_on=date(2025, 1, 1))
    Customer._base_manager.filter(pk=set_aside.customer_id).update(merged_into=good[0].customer_id)
    type(owing)._base_manager.filter(pk=owing.pk).update(principal="5.00")
    return {"good": good, "held": held, "owing": owing}


def test_a_dry_run_counts_everybody_with_a_reason_and_changes_nothing_but_its_row(camp: Camp) -> None:
    everybody(camp)
    stage = camp.stage
    campaign = camp.draft(excludes_debt=True)
    before = (seen(campaign), ClosureTicket.objects.count(), CampaignMember.objects.count())
    run = camp.dry_run(campaign)
    assert (run.total, run.included, run.excluded) == (9, 2, 7)
    assert run.exclusions == {
        "OPEN_TICKET": 1, "COMPLAINT": 1, "JUDICIAL": 1, "DECEASED": 1, "SET_ASIDE": 2, "DEBT": 1
    }  # fmt: skip
    assert run.forecast["finish_on"] >= str(stage.now.date())
    assert (seen(campaign), ClosureTicket.objects.count(), CampaignMember.objects.count()) == before
    again = camp.dry_run(campaign)
    assert (again.plan_hash, again.population_hash) == (run.plan_hash, run.population_hash)


def test_a_silent_hold_reads_like_a_merged_customer(camp: Camp) -> None:
    """Whoever compares lists learns of no silent hold: the reason is the same, its word names no hold."""
    everybody(camp)
    run = camp.dry_run(camp.draft())
    assert run.exclusions["SET_ASIDE"] == 2 and "AML" not in str(run.exclusions)


def test_a_second_lead_approves_what_he_was_shown(camp: Camp) -> None:
    camp.accounts(2)
    campaign = camp.draft()
    with refused(DryRunStale, campaign):
        camp.do("approve", campaign, by="lead2", ground="x", seen_plan="", seen_population="")
    run = camp.dry_run(campaign)
    with refused(SameAuthor, campaign):
        camp.approve(campaign, by="lead")
    with refused(DryRunStale, campaign):
        camp.approve(campaign, seen_population="0" * 64)
    for name in ("operator", "risk", "auditor"):
        with refused(NotPermitted, campaign):
            camp.approve(campaign, by=name)
    campaign = camp.approve(campaign)
    assert (campaign.state, campaign.plan_hash, campaign.population_hash) == (
        "APPROVED", run.plan_hash, run.population_hash,
    )  # fmt: skip
    assert campaign.approver == camp.stage.staff("lead2").user
    with refused(NotPossible, campaign):
        camp.approve(campaign)


def test_who_edits_last_is_the_author_and_cannot_approve(camp: Camp) -> None:
    camp.accounts(1)
    campaign = camp.draft()
    camp.do("edit", campaign, by="lead2", title="第二稿")
    camp.dry_run(campaign)
    for hand in ("lead2", "lead"):  # who edited last, and who drafted
        with refused(SameAuthor, campaign):
            camp.approve(campaign, by=hand)
    shown = campaign.dry_runs.latest("pk")
    approved = campaigns.approve(
        campaign_id=campaign.pk, seen_plan=shown.plan_hash, seen_population=shown.population_hash,
        ground="依据充分", actor=factories.staff(Role.LEAD), now=camp.stage.now,
    )  # fmt: skip
    assert approved.state == "APPROVED"


def test_nobody_to_close_is_nothing_to_approve(camp: Camp) -> None:
    campaign = camp.draft()
    camp.dry_run(campaign)
    with refused(NobodyMeant, campaign):
        camp.approve(campaign)


@pytest.mark.parametrize("state", ["APPROVED", "FROZEN"])
def test_an_edit_voids_the_approval(camp: Camp, state: str) -> None:
    camp.accounts(2)
    campaign = camp.at(state)
    camp.do("edit", campaign, daily_cap=7)
    campaign = camp.fresh(campaign)
    assert (campaign.state, campaign.approver, campaign.plan_hash) == ("DRAFT", None, "")
    assert campaign.voided == {"why": "EDITED"} and not campaign.members.exists()
    with refused(DryRunStale, campaign):
        camp.approve(campaign)


def test_a_plan_under_way_cannot_be_edited(camp: Camp) -> None:
    camp.accounts(2)
    campaign = camp.at("PILOT")
    with refused(NotEditable, campaign):
        camp.do("edit", campaign, daily_cap=7)
    with refused(NotEditable, campaign):
        camp.dry_run(campaign)


# --- Freeze -------------------------------------------------------------------------------------------


def test_a_freeze_writes_everybody_down(camp: Camp) -> None:
    everybody(camp)
    campaign = camp.at("FROZEN", excludes_debt=True)
    members = campaign.members.all()
    assert members.count() == 9 and members.filter(live=True).count() == 2
    assert sorted(members.filter(entry="PENDING").values_list("wave", flat=True)) == [0, 2]
    assert all(len(m.facts_hash) == 64 for m in members.filter(entry="PENDING"))
    assert camp.progress(campaign).excluded == 7
    with refused(NotPossible, campaign):
        camp.do("freeze", campaign)


def test_a_population_that_has_changed_voids_the_approval(camp: Camp) -> None:
    camp.accounts(2)
    campaign = camp.at("APPROVED")
    camp.stage.request(camp.accounts(1)[0])
    camp.do("freeze", campaign)
    campaign = camp.fresh(campaign)
    assert campaign.state == "DRAFT" and not campaign.members.exists()
    assert campaign.voided["why"] == "POPULATION"
    assert (campaign.voided["was"]["total"], campaign.voided["is"]["total"]) == (2, 3)
    assert campaign.voided["is"]["OPEN_TICKET"] == 1


def test_the_machine_freezes_in_the_name_of_who_asked(camp: Camp) -> None:
    camp.accounts(1)
    campaign = camp.at("APPROVED")
    with refused(NotPermitted, campaign):
        camp.do("ask_freeze", campaign, by="operator")
    camp.do("ask_freeze", campaign)
    camp.do("ask_freeze", campaign)
    camp.run()
    campaign = camp.fresh(campaign)
    assert campaign.state == "FROZEN" and campaign.freeze_asked_by is None
    assert written(campaign)[0] == str(camp.stage.staff("lead"))


def test_no_account_is_in_two_live_campaigns(camp: Camp) -> None:
    camp.accounts(2)
    first, second = camp.at("APPROVED"), camp.at("APPROVED")
    camp.do("freeze", first)
    camp.do("freeze", second)
    second = camp.fresh(second)
    assert second.voided["is"] == {"total": 2, "included": 0, "OTHER_CAMPAIGN": 2}
    member = first.members.first()
    late = camp.draft()
    clash = CampaignMember(campaign=late, account=member.account)
    with pytest.raises(Exception, match="(?i)unique"):
        clash.save()


def test_a_race_for_the_same_accounts_leaves_the_second_approved(camp: Camp, monkeypatch: Any) -> None:
    """Both looked before either wrote: the database tells them apart, and nothing of the second stays."""
    camp.accounts(1)
    first, second = camp.at("APPROVED"), camp.at("APPROVED")
    taken = campaign_population.take(second, now=camp.stage.now)
    camp.do("freeze", first)
    monkeypatch.setattr(campaign_population, "take", lambda *args, **kwargs: taken)
    with refused(InAnotherCampaign, second):
        camp.do("freeze", second)
    assert not second.members.exists()


# --- Files --------------------------------------------------------------------------------------------


def load(camp: Camp, campaign: Campaign, content: bytes) -> Campaign:
    return camp.do("load", campaign, file=io.BytesIO(content))


def test_a_file_names_the_population_and_every_line_is_accounted_for(camp: Camp) -> None:
    one, two = camp.accounts(2)
    campaign = camp.draft()
    text = (
        f"﻿account_no\n{one.account_no}\r\n{two.account_no},x\n{one.account_no}\nNOBODY1\n\n坏 行\n"
        + "9" * 500
    )
    campaign = load(camp, campaign, text.encode())
    assert campaign.source == "FILE" and campaign.file_report == {
        "lines": 6, "taken": 2, "twice": 1, "unknown": 1, "unreadable": 2,
        "examples": {"twice": [4], "unknown": [5], "unreadable": [7, 8]},
    }  # fmt: skip
    run = camp.dry_run(campaign)
    assert (run.total, run.included) == (2, 2)
    camp.approve(campaign)
    load(camp, campaign, one.account_no.encode())
    assert camp.fresh(campaign).state == "DRAFT" and campaign.entries.count() == 1


def test_a_file_of_closed_and_foreign_accounts_says_so(camp: Camp) -> None:
    ours = camp.accounts(1)[0]
    foreign, closed = camp.stage.account(), camp.accounts(1)[0]
    type(closed)._base_manager.filter(pk=closed.pk).update(line_state="CLOSED", closed_at=camp.stage.now)
    campaign = load(camp, camp.draft(), "\n".join(a.account_no for a in (ours, foreign, closed)).encode())
    run = camp.dry_run(campaign)
    assert (run.included, run.exclusions) == (1, {"WRONG_PRODUCT": 1, "CLOSED": 1})


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"account_no\n", "STAGE1\n".encode("utf-16"), b"PK\x03\x04\x00\x00", b"\x00" * 999],
    ids=["empty", "blank", "header", "utf-16", "zip", "zeros"],
)  # fmt: skip
def test_a_file_that_names_nobody_is_refused_and_the_old_one_stands(camp: Camp, content: bytes) -> None:
    account = camp.accounts(1)[0]
    campaign = load(camp, camp.draft(), account.account_no.encode())
    with refused(FileRefused, campaign):
        load(camp, campaign, content)
    assert campaign.entries.count() == 1


def test_a_file_of_too_many_lines_is_refused(camp: Camp, monkeypatch: Any) -> None:
    monkeypatch.setattr(files, "MOST_LINES", 10)
    account = camp.accounts(1)[0]
    with refused(FileRefused):
        load(camp, camp.draft(), f"{account.account_no}\n".encode() * 11)


def test_a_drills_invented_customer_is_unknown_to_a_file(camp: Camp) -> None:
    real = camp.accounts(1)[0]
    drill = camp.stage.account(product="BAITIAO", customer=factories.a_customer(synthetic=True))
    campaign = load(camp, camp.draft(), f"{real.account_no}\n{drill.account_no}".encode())
    assert campaign.file_report["unknown"] == 1 and RefusedAction.objects.count() == 0


def test_an_approval_that_became_void_needs_a_new_look(camp: Camp) -> None:
    """The dry run of before shows a population that is no more; the plan alone is the same."""
    camp.accounts(2)
    campaign = camp.at("APPROVED")
    camp.stage.request(camp.accounts(1)[0])
    camp.stage.clock.skip()
    camp.do("freeze", campaign)
    with refused(DryRunStale, camp.fresh(campaign)):
        camp.approve(campaign)
    camp.dry_run(campaign)
    assert camp.approve(campaign).state == "APPROVED"
