"""A campaign on the stage: its plan, its people, and the moves to any of its states."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from accounts.models import CreditAccount, CreditProduct
from closures.models import Campaign, CampaignMember
from closures.selectors import campaign_progress
from closures.services import campaigns
from tests.stage import Stage

PLAN: dict[str, Any] = {
    "title": "白条停办",
    "legal_basis": "业务调整决定 2026-7，合同第九条",
    "population": 'product = "BAITIAO"',
    "effective_on": date(2026, 1, 12),
    "pilot_percent": 1,
    "wave_percents": [50, 100],
    "minimum_sample": 1,
}
ORDER = ("DRAFT", "APPROVED", "FROZEN", "PILOT", "RUNNING")


class Camp:
    """`lead` writes the plan, `lead2` approves it; the accounts are BAITIAO's."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def accounts(self, number: int, **fields: Any) -> list[CreditAccount]:
        return [self.stage.account(product="BAITIAO", **fields) for _ in range(number)]

    def draft(self, **plan: Any) -> Campaign:
        product = CreditProduct.objects.get(code="BAITIAO")
        given = {**PLAN, "product": product, **plan}
        return campaigns.draft(actor=self.stage.staff("lead"), now=self.stage.now, **given)

    def dry_run(self, campaign: Campaign) -> Any:
        return self.do("dry_run", campaign)

    def do(self, act: str, campaign: Campaign, *, by: str = "lead", **given: Any) -> Any:
        service = getattr(campaigns, act)
        return service(campaign_id=campaign.pk, actor=self.stage.staff(by), now=self.stage.now, **given)

    def approve(self, campaign: Campaign, *, by: str = "lead2", **given: Any) -> Campaign:
        shown = campaign.dry_runs.order_by("-pk").first()
        seen = {"seen_plan": shown.plan_hash, "seen_population": shown.population_hash} if shown else {}
        return self.do("approve", campaign, by=by, **{"ground": "依据充分", **seen, **given})

    def at(self, state: str, **plan: Any) -> Campaign:
        """A campaign brought to this state by the services."""
        campaign = self.draft(**plan)
        for reached in ORDER[: ORDER.index(state) + 1]:
            if reached == "APPROVED":
                self.dry_run(campaign)
                self.approve(campaign)
            elif reached == "FROZEN":
                self.do("freeze", campaign)
            elif reached == "PILOT":
                self.do("start_pilot", campaign)
            elif reached == "RUNNING":
                self.do("start_waves", campaign)
        campaign.refresh_from_db()
        assert campaign.state == state, campaign.voided
        return campaign

    def run(self) -> int:
        return campaigns.run(clock=self.stage.clock)

    def fresh(self, campaign: Campaign) -> Campaign:
        return Campaign.objects.get(pk=campaign.pk)

    def progress(self, campaign: Campaign) -> campaign_progress.Progress:
        found = campaign_progress.progress(campaign)
        assert found.adds_up
        return found

    def members(self, campaign: Campaign, entry: str) -> list[CampaignMember]:
        rows = campaign.members.filter(entry=entry).select_related("ticket", "account")
        return list(rows.order_by("pk"))


@pytest.fixture
def camp(stage: Stage) -> Camp:
    return Camp(stage)
