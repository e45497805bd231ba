"""Campaigns at the console: drafted on a page, decided in dialogs by two leads, paused by an operator."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.actors import SHIPPED
from accounts.models import CreditProduct, User
from accounts.tracking import save_as
from closures.models import Campaign, CampaignMilestone, ClosureTicket
from closures.services import campaigns
from tests import factories
from tests.admin import scenes

pytestmark = pytest.mark.django_db
Desk = Callable[..., Client]
PLAN = {
    "title": "白条停办", "legal_basis": "合同第九条", "source": "CONDITION",
    "population": 'product = "BAITIAO"',
    "effective_on": "2030-01-01", "pilot_percent": "1", "wave_percents": "10，50, 100 %", "daily_cap": "5",
    "max_unbind_failures": "5", "max_undelivered": "20", "max_complaints": "2", "minimum_sample": "20",
    "resources": "", "risks": "",
}  # fmt: skip


def url(campaign: Campaign, name: str = "change") -> str:
    return reverse(f"admin:closures_campaign_{name}", args=[campaign.pk])


@pytest.fixture
def lead() -> User:
    return factories.a_user("compliance_lead")


@pytest.fixture
def second() -> User:
    return factories.a_user("compliance_lead")


def drafted(desk: Client) -> Campaign:
    product = CreditProduct.objects.get(code="BAITIAO")
    answer = desk.post(reverse("admin:campaign_new"), {**PLAN, "product": product.pk})
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    return Campaign.objects.latest("pk")


def test_a_plan_goes_from_its_draft_to_its_pilot_through_two_leads(
    at_desk: Desk, lead: User, second: User
) -> None:
    scenes.an_account("BAITIAO")
    desk, other = at_desk(user=lead), at_desk(user=second)
    campaign = drafted(desk)
    assert (campaign.wave_percents, campaign.author) == ([10, 50, 100], lead)
    owner = {"department": "法务部", "owner": second.pk, "duty": "文本", "resources": ""}
    assert desk.post(url(campaign, "add_department"), owner).status_code == 302
    mark = {"title": "试点结束", "due_on": "2026-01-01", "department": ""}
    assert desk.post(url(campaign, "add_milestone"), mark).status_code == 302
    assert desk.post(url(campaign, "dry_run")).status_code == 302
    page = desk.get(url(campaign)).content.decode()
    assert "法务部" in page and "试点结束" in page and campaign.dry_runs.get().plan_hash in page
    assert url(campaign, "approve") not in page, "the author has no button to approve"
    dialog = other.get(url(campaign, "approve")).content.decode()
    dry = campaign.dry_runs.get()
    assert dry.population_hash in dialog and "1 of 1 accounts are closed" in dialog
    seen = {"seen_plan": dry.plan_hash, "seen_population": dry.population_hash, "ground": "ok"}
    assert other.post(url(campaign, "approve"), {**seen, "seen_plan": "0" * 64}).status_code == 200
    assert other.post(url(campaign, "approve"), seen).status_code == 302
    assert other.post(url(campaign, "freeze")).status_code == 302
    campaigns.run(clock=timezone.now)
    assert desk.post(url(campaign, "start_pilot")).status_code == 302
    campaigns.run(clock=timezone.now)
    assert ClosureTicket.objects.get().channel == "CAMPAIGN"
    campaign.refresh_from_db()
    assert campaign.state == "PILOT"


def test_editing_an_approved_plan_says_that_the_approval_is_void(
    at_desk: Desk, lead: User, second: User
) -> None:
    campaign = scenes.a_campaign(by=lead, now=timezone.now(), second=second)
    Campaign._base_manager.filter(pk=campaign.pk).update(state="FROZEN")
    campaign.members.update(ticket=None, entry="PENDING", opened_at=None)
    desk = at_desk(user=second)
    page = desk.get(url(campaign, "plan")).content.decode()
    assert "author" in page and "100" in page
    saved = desk.post(url(campaign, "plan"), {**PLAN, "product": campaign.product_id})
    assert saved.status_code == 302
    assert "the approval is void" in desk.get(url(campaign)).content.decode()


def test_a_file_is_uploaded_and_its_lines_are_accounted_for(at_desk: Desk, lead: User) -> None:
    account = scenes.an_account("BAITIAO")
    desk = at_desk(user=lead)
    campaign = drafted(desk)
    good = io.BytesIO(f"{account.account_no}\nNOBODY\n".encode())
    assert desk.post(url(campaign, "file"), {"file": good}).status_code == 302
    assert "Unknown account" in desk.get(url(campaign)).content.decode()
    for content in (b"\xff\xfe\x00", b"", b"\xd5\xca\xba\xc5\n"):
        answer = desk.post(url(campaign, "file"), {"file": io.BytesIO(content)})
        assert answer.status_code == 200 and "cannot be read" in answer.content.decode()


@pytest.mark.parametrize(
    "wrong",
    [{"population": "nonsense ("}, {"wave_percents": "ten"}, {"wave_percents": "50"}, {"effective_on": "x"}],
)
def test_a_plan_that_cannot_be_read_comes_back_as_a_form_error(
    at_desk: Desk, lead: User, wrong: dict[str, str]
) -> None:
    product = CreditProduct.objects.get(code="BAITIAO")
    answer = at_desk(user=lead).post(reverse("admin:campaign_new"), {**PLAN, "product": product.pk, **wrong})
    assert answer.status_code == 200 and not Campaign.objects.exists()


def test_an_operator_pauses_and_has_no_other_button(at_desk: Desk, lead: User) -> None:
    campaign = scenes.a_campaign(by=lead, now=timezone.now())
    desk = at_desk("operator")
    page = desk.get(url(campaign)).content.decode()
    assert url(campaign, "pause") in page
    assert not [n for n in ("start_waves", "abort", "plan", "file", "resume") if url(campaign, n) in page]
    assert desk.post(url(campaign, "pause"), {"ground": "合作方告警"}).status_code == 302
    home = desk.get("/admin/").content.decode()
    assert "Paused campaigns" in home and campaign.number in home
    again = at_desk(user=lead).post(url(campaign, "resume"), {"ground": "已核实"})
    assert again.status_code == 302
    for role in ("risk_officer", "auditor"):
        reader = at_desk(role)
        assert reader.get(url(campaign)).status_code == 200
        assert reader.post(url(campaign, "pause"), {"ground": "x"}).status_code == 403


def test_members_are_filtered_as_the_bar_counts_them(at_desk: Desk, lead: User) -> None:
    campaign = scenes.a_campaign(by=lead, now=timezone.now())
    desk = at_desk(user=lead)
    listing = reverse("admin:closures_campaignmember_changelist")
    opened = campaign.members.get(entry="OPENED")
    page = desk.get(f"{listing}?campaign__number={campaign.number}&standing=UNDER_WAY").content.decode()
    waiting = campaign.members.get(entry="PENDING")
    assert opened.account.account_no in page and waiting.account.account_no not in page
    assert desk.get(f"{listing}?standing=NONSENSE").status_code == 200


def test_the_home_page_shows_what_waits(at_desk: Desk, lead: User, second: User) -> None:
    scenes.an_account("BAITIAO")
    campaign = drafted(at_desk(user=lead))
    at_desk(user=lead).post(url(campaign, "dry_run"))
    assert campaign.number in at_desk(user=second).get("/admin/").content.decode()
    under_way = scenes.a_campaign(by=lead, now=timezone.now(), second=second)
    mark = CampaignMilestone(campaign=under_way, title="试点结束", due_on=date(2026, 1, 1))
    assert "No milestone is overdue." in at_desk(user=second).get("/admin/").content.decode()
    save_as(mark, actor=SHIPPED, reason="test")
    home = at_desk(user=second).get("/admin/").content.decode()
    assert "试点结束" in home and "2026-01-01" in home


def test_a_final_report_is_a_page_and_a_file(at_desk: Desk, lead: User, second: User) -> None:
    campaign = scenes.a_campaign(by=lead, now=timezone.now(), second=second, members=1)
    desk = at_desk(user=lead)
    assert desk.get(url(campaign, "download")).status_code == 404
    campaigns.start_waves(campaign_id=campaign.pk, actor=scenes.Actor.staff(lead), now=timezone.now())
    ClosureTicket._base_manager.update(state="CANCELLED", ended_at=timezone.now())
    campaigns.run(clock=timezone.now)
    csv = desk.get(url(campaign, "download"))
    campaign.refresh_from_db()
    assert campaign.state == "COMPLETED" and campaign.report_hash.encode() in csv.content
    html = at_desk(user=second, language="zh-hans").get(url(campaign, "download") + "?html")
    assert campaign.report_hash in html.content.decode() and "总结报告" in html.content.decode()
    Campaign._base_manager.filter(pk=campaign.pk).update(report={**campaign.report, "population": 9})
    assert desk.get(url(campaign, "download")).status_code == 302


def test_the_pages_ask_the_database_little_however_many_members_there_are(at_desk: Desk, lead: User) -> None:
    campaign = scenes.a_campaign(by=lead, now=timezone.now(), members=3)
    desk = at_desk(user=lead)
    pages = {
        url(campaign): 40,
        reverse("admin:closures_campaign_changelist"): 15,
        reverse("admin:closures_campaignmember_changelist"): 15,
    }
    for page, most in pages.items():
        desk.get(page)
        with CaptureQueriesContext(connection) as asked:
            assert desk.get(page).status_code == 200
        assert len(asked) <= most, (page, len(asked))
