"""Start, pause, resume, abort: acts under the campaign's lock, so that of two people exactly one wins."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.models import CreditProduct
from accounts.services import products
from accounts.services.rights import require
from accounts.tracking import move
from closures import jobs
from closures.errors import said
from closures.jobs import Job
from closures.models import Campaign, CampaignMember, ClosureTicket
from closures.models.campaign_members import ExclusionReason
from closures.models.tickets import Reason
from closures.rules.campaigns import Guard
from closures.selectors import campaign_progress
from closures.services import intake
from closures.services.campaigns.terms import SameAuthor, locked

State = ClosureTicket.State
LOOKED_AT = (State.SUBMITTED, State.BLOCKED, State.IN_REVIEW, State.NOTICE_PERIOD, State.SETTLING)
BY_HAND = "BY_HAND"
NO_AUTHOR = "AUTHOR_WITHOUT_RIGHT"


@decision
def start_pilot(*, campaign_id: int, actor: Actor, now: datetime) -> Campaign:
    """The pilot's members are opened from now on; a product that the plan withdraws is suspended.

    Raises: NotPermitted, NotPossible (also for whoever pressed Start second).
    """
    campaign = locked(campaign_id)
    move(campaign, "start_pilot", actor=actor, reason="pilot started", now=now)
    if campaign.withdraws_product and campaign.product.state == CreditProduct.State.OFFERED:
        products.suspend(
            product_id=campaign.product_id, actor=actor, reason=f"campaign {campaign.number}", now=now
        )
    jobs.enqueue(Job.RUN_CAMPAIGNS)
    return campaign


@decision
def start_waves(*, campaign_id: int, actor: Actor, now: datetime) -> Campaign:
    """After the pilot, wave by wave, the rest. Raises: NotPermitted, NotPossible."""
    campaign = move(locked(campaign_id), "start_waves", actor=actor, reason="waves started", now=now)
    jobs.enqueue(Job.RUN_CAMPAIGNS)
    return campaign


@decision
def pause(*, campaign_id: int, ground: str, actor: Actor, now: datetime) -> Campaign:
    """Nothing is opened and nothing irreversible begins for any of its tickets until it is resumed.

    Raises: NotPermitted, GroundMissing, NotPossible.
    """
    ground = said(ground)
    return stop(locked(campaign_id), code=BY_HAND, values={}, actor=actor, reason=ground, now=now)


def stop(
    campaign: Campaign, *, code: str, values: dict[str, Any], actor: Actor, reason: str, now: datetime
) -> Campaign:
    """The locked campaign is paused for this reason. Its tickets ask for its state (models.conditions)."""
    return move(
        campaign,
        "pause",
        actor=actor,
        reason=reason,
        now=now,
        paused_from=campaign.state,
        pause_code=code,
        pause_values=values,
    )


@decision
def resume(*, campaign_id: int, ground: str, actor: Actor, now: datetime) -> Campaign:
    """The campaign goes on where it was: in its pilot or in its waves.

    Dead tasks and lost notices have to be cured first, else their guard-rail stops it again; complaints that
    were made stay made: whoever resumes accepts them, and only more of them stop it again. Where the author
    has lost his right, whoever resumes takes his place.
    Raises: NotPermitted, GroundMissing, SameAuthor, NotPossible.
    """
    ground = said(ground)
    campaign = locked(campaign_id)
    readings = campaign_progress.guard_rails(campaign)
    accepted = {str(r.guard): r.failures for r in readings if r.guard == Guard.COMPLAINTS}
    author = campaign.author
    if campaign.pause_code == NO_AUTHOR:  # somebody has to ask for the closings from now on
        author = require(actor=actor, right=intake.RIGHTS[Reason.POLICY], move=_("Take the campaign over"))
        if author.pk == campaign.approver_id:
            raise SameAuthor
    name = "resume_pilot" if campaign.paused_from == Campaign.State.PILOT else "resume_waves"
    move(campaign, name, actor=actor, reason=ground, now=now, author=author, accepted=accepted)
    tickets = ClosureTicket.objects.filter(campaign_member__campaign=campaign, state__in=LOOKED_AT)
    ClosureTicket.objects.filter(pk__in=tickets.values("pk")).update(due_at=now)
    for job in (Job.RUN_CAMPAIGNS, Job.ASSESS, Job.END_PERIODS, Job.SETTLE, Job.FINISH_UNBINDING, Job.CLOSE):
        jobs.enqueue(job)
    return campaign


@decision
def abort(*, campaign_id: int, ground: str, actor: Actor, now: datetime) -> Campaign:
    """Nobody else is opened; tickets whose unbinding has not begun stand still and are cancelled by the job.

    Those that have begun go to their end: half an unbinding helps nobody. Raises: NotPermitted,
    GroundMissing, NotPossible.
    """
    ground = said(ground)
    campaign = move(locked(campaign_id), "abort", actor=actor, reason=ground, now=now)
    Entry = CampaignMember.Entry
    CampaignMember.objects.filter(campaign=campaign, entry=Entry.PENDING).update(
        entry=Entry.EXCLUDED, reason_code=ExclusionReason.ABORTED, live=False
    )
    CampaignMember.objects.filter(campaign=campaign, live=True).update(live=False)
    jobs.enqueue(Job.RUN_CAMPAIGNS)
    return campaign
