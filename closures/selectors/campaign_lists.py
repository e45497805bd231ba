"""What waits about campaigns, and what comes next for one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as translate

from closures.models import Campaign, CampaignMilestone, DryRun
from closures.rules.deadlines import china_date

State = Campaign.State


def to_approve(user: Any, now: datetime) -> QuerySet[Campaign]:
    """Plans that were run dry and whose last editor is somebody else."""
    shown = DryRun.objects.filter(campaign=OuterRef("pk"))
    waiting = Campaign.objects.filter(Exists(shown), state=State.DRAFT).exclude(author=user)
    return waiting.select_related("product", "author").order_by("state_since", "pk")


def paused(user: Any, now: datetime) -> QuerySet[Campaign]:
    rows = Campaign.objects.filter(state=State.PAUSED).select_related("product")
    return rows.order_by("state_since", "pk")


def overdue_milestones(user: Any, now: datetime) -> QuerySet[CampaignMilestone]:
    """Milestones whose day has passed, of campaigns that are neither over nor only a draft."""
    alive = Q(campaign__state__in=(State.APPROVED, State.FROZEN, *Campaign.BEGUN))
    late = Q(due_on__lt=china_date(moment=now), done_at__isnull=True, removed_at__isnull=True)
    rows = CampaignMilestone.objects.filter(alive, late).select_related("campaign", "department__owner")
    return rows.order_by("due_on", "pk")


def next_step(campaign: Campaign, *, dry_run: DryRun | None, fresh: bool) -> str:
    """What comes next; `fresh` says whether the newest dry run is of the plan as it is now."""
    if campaign.state == State.DRAFT:
        if dry_run is None or not fresh:
            return translate("Run the plan dry and look at whom it would meet.")
        return translate("Another lead than its last editor approves exactly what the dry run shows.")
    if campaign.state == State.APPROVED:
        if campaign.freeze_asked_by_id:
            return translate("The machine is writing the population down; this takes seconds or minutes.")
        return translate("Freeze the population: it is compared with the approved one first.")
    return {
        State.FROZEN: translate("Start the pilot: its share is opened, the rest waits."),
        State.PILOT: translate("Watch the pilot. If it goes well, start the waves."),
        State.RUNNING: translate("The waves open one after the other, up to the daily cap, by themselves."),
        State.PAUSED: translate(
            "Nothing is opened and nothing irreversible begins. Find out why, cure it, then resume or abort."
        ),
        State.COMPLETED: translate("Everybody is accounted for; the final report is ready."),
        State.ABORTED: translate("Aborted: what had not begun is called off, what had goes to its end."),
    }[State(campaign.state)]
