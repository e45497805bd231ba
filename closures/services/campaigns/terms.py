"""What every act of a campaign shares: its refusals, its lock, and what its plan's hash says."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from closures.errors import ClosureError
from closures.models import Campaign, DryRun
from closures.rules.approval import fingerprint

JOB = Actor.job("campaigns")


class SameAuthor(ClosureError):
    code = "same_author"
    template = _("You drafted this plan or edited it last; somebody else has to approve it.")


class PlanUnsound(ClosureError):
    code = "plan_unsound"
    template = _("The plan cannot stand: {why}")


class NotEditable(ClosureError):
    code = "not_editable"
    template = _("Campaign {number} is {state}; its plan cannot be changed any more.")


class DryRunStale(ClosureError):
    code = "dry_run_stale"
    template = _("The plan is not the one of this dry run. Run it dry again and look at the result.")


class NobodyMeant(ClosureError):
    code = "nobody_meant"
    template = _("Nobody is left to be closed: there is nothing to approve.")


class InAnotherCampaign(ClosureError):
    code = "in_another_campaign"
    template = _("Another campaign has just taken some of these accounts. Run the plan dry again.")


def locked(campaign_id: int) -> Campaign:
    """The campaign, locked: whoever opens a wave, starts, pauses or edits waits here for the other."""
    rows = Campaign.objects.select_for_update(of=("self",)).select_related("product", "author", "approver")
    return rows.get(pk=campaign_id)


def plan_hash(campaign: Campaign) -> str:
    """The hash of everything in the plan that people decide: fields, departments with owners, milestones."""
    plan: dict[str, Any] = {name: getattr(campaign, name) for name in Campaign.PLAN}
    plan["effective_on"] = str(campaign.effective_on)
    plan["departments"] = [
        [row.department, row.owner_id, row.duty, row.resources]
        for row in campaign.departments.filter(removed_at__isnull=True).order_by("pk")
    ]
    plan["milestones"] = [
        [row.title, str(row.due_on), row.department_id]
        for row in campaign.milestones.filter(removed_at__isnull=True).order_by("pk")
    ]
    return fingerprint(plan)


def shows_the_plan(run: DryRun, campaign: Campaign) -> bool:
    """The dry run is of the plan as it is, and no approval has become void since it was made."""
    return run.made_at >= campaign.state_since and run.plan_hash == plan_hash(campaign)
