"""Seen before it acts: a dry run that changes nothing, an approval bound to it, a freeze that must agree."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.services.rights import require
from accounts.tracking import NotPossible, move, move_label, permitted, save_as
from closures import jobs
from closures.errors import said
from closures.jobs import Job
from closures.models import Campaign, CampaignMember, DryRun
from closures.models.campaigns import APPROVE, DRAFT, RUN
from closures.rules import campaigns as rules
from closures.rules.deadlines import china_date
from closures.selectors import campaign_population
from closures.selectors.campaign_population import Population
from closures.services.campaigns.plan import void
from closures.services.campaigns.terms import (
    DryRunStale,
    InAnotherCampaign,
    NobodyMeant,
    NotEditable,
    SameAuthor,
    locked,
    plan_hash,
    shows_the_plan,
)


@decision
def dry_run(*, campaign_id: int, actor: Actor, now: datetime) -> DryRun:
    """What the plan would meet if it began now is on record; nothing else has changed. Safe to repeat.

    Raises: NotPermitted, NotEditable, ConditionRefused, ConditionTooSlow.
    """
    person = require(actor=actor, right=DRAFT, move=_("Dry run"))
    campaign = Campaign.objects.select_related("product").get(pk=campaign_id)
    if campaign.state not in Campaign.EDITABLE:
        raise NotEditable(number=campaign.number, state=campaign.get_state_display())
    population = campaign_population.take(campaign, now=now)
    return DryRun.objects.create(
        campaign=campaign,
        made_by=person,
        made_at=now,
        plan_hash=plan_hash(campaign),
        population_hash=population.hash,
        total=population.total,
        included=population.included,
        excluded=population.excluded,
        exclusions=dict(population.exclusions),
        forecast=forecast(campaign, population.included, now=now),
    )


def forecast(campaign: Campaign, members: int, *, now: datetime) -> dict[str, Any]:
    """`rules.campaigns.forecast`, JSON-ready."""
    told = rules.forecast(
        members=members,
        pilot=campaign.pilot_percent,
        waves=campaign.wave_percents,
        daily_cap=campaign.daily_cap,
        start_on=china_date(moment=now),
        effective_on=campaign.effective_on,
        notice_lead=campaign.product.notice_lead,
    )
    return {
        "sizes": list(told.sizes),
        "opening_days": told.opening_days,
        "last_opened_on": str(told.last_opened_on),
        "finish_on": str(told.finish_on),
        "load": [[str(day), number] for day, number in told.load],
    }


@decision
def approve(
    *, campaign_id: int, seen_plan: str, seen_population: str, ground: str, actor: Actor, now: datetime
) -> Campaign:
    """The plan is approved as the newest dry run shows it: these accounts, left alone for these reasons.

    `seen_plan` and `seen_population` are the hashes that the approver was shown. Raises: NotPermitted,
    SameAuthor, DryRunStale, NobodyMeant, GroundMissing, NotPossible.
    """
    person = require(actor=actor, right=APPROVE, move=_("Approve the campaign"))
    ground = said(ground)
    campaign = locked(campaign_id)
    if person.pk in (campaign.author_id, campaign.drafted_by_id):
        raise SameAuthor
    shown = campaign.dry_runs.order_by("-pk").first()
    if shown is None or (campaign.state == Campaign.State.DRAFT and not shows_the_plan(shown, campaign)):
        raise DryRunStale
    if (seen_plan, seen_population) != (shown.plan_hash, shown.population_hash):
        raise DryRunStale
    if not shown.included:
        raise NobodyMeant
    return move(
        campaign,
        "approve",
        actor=actor,
        reason=ground,
        now=now,
        approved_by=person,
        approved_at=now,
        plan_hash=shown.plan_hash,
        population_hash=shown.population_hash,
    )


@decision
def ask_freeze(*, campaign_id: int, actor: Actor, now: datetime) -> Campaign:
    """The machine freezes the population next, in this person's name: it may take longer than a page.

    Raises: NotPermitted, NotPossible. Safe to repeat.
    """
    person = require(actor=actor, right=RUN, move=_("Freeze the population"))
    campaign = locked(campaign_id)
    if campaign.state != Campaign.State.APPROVED:
        raise NotPossible(
            move=move_label(campaign, "freeze"), row=campaign, state=campaign.get_state_display()
        )
    if campaign.freeze_asked_by_id is None:
        campaign.freeze_asked_by = person
        save_as(campaign, actor=actor, reason="freeze asked", now=now)
    jobs.enqueue(Job.RUN_CAMPAIGNS)
    return campaign


@decision
def freeze(*, campaign_id: int, actor: Actor, now: datetime) -> Campaign:
    """The population is written down, member by member, if it is the one that was approved.

    Else the approval is void and the campaign DRAFT again, with what has changed. All or nothing.
    Raises: NotPermitted, NotPossible, InAnotherCampaign, ConditionRefused, ConditionTooSlow.
    """
    campaign = locked(campaign_id)
    if campaign.state != Campaign.State.APPROVED or not permitted(campaign, "freeze", actor):
        return move(campaign, "freeze", actor=actor, reason="population frozen", now=now)
    population = campaign_population.take(campaign, now=now)
    if voided := _difference(campaign, population):
        void(campaign, voided=voided, actor=actor, now=now)
        return campaign
    try:
        with transaction.atomic():
            _write_members(campaign, population, now=now)
    except IntegrityError as taken:
        raise InAnotherCampaign from taken
    return move(campaign, "freeze", actor=actor, reason="population frozen", now=now)


def _difference(campaign: Campaign, population: Population) -> dict[str, Any]:
    """What is not as it was approved, JSON-ready; empty if all is."""
    if plan_hash(campaign) != campaign.plan_hash:
        return {"why": "EDITED"}
    if population.hash == campaign.population_hash:
        return {}
    shown = campaign.dry_runs.filter(population_hash=campaign.population_hash).order_by("-pk").first()
    was = {"total": shown.total, "included": shown.included, **shown.exclusions} if shown else {}
    now_is = {"total": population.total, "included": population.included, **population.exclusions}
    return {"why": "POPULATION", "was": was, "is": now_is}


def _write_members(campaign: Campaign, population: Population, *, now: datetime) -> None:
    """One row for everybody; who goes in which wave is drawn, so that the pilot is like the rest."""
    included = [(pk, number) for pk, number, reason in population.rows if not reason]
    included.sort(key=lambda row: rules.drawn(campaign=campaign.number, account_no=row[1]))
    ends = rules.ends_of_waves(
        members=len(included), pilot=campaign.pilot_percent, waves=campaign.wave_percents
    )
    begin = 0
    for wave, end in enumerate(ends):
        for start in range(begin, end, settings.BATCH_SIZE):
            keys = [pk for pk, _number in included[start : min(end, start + settings.BATCH_SIZE)]]
            hashes = campaign_population.facts_hashes(keys, now=now)
            CampaignMember.objects.bulk_create(
                CampaignMember(campaign=campaign, account_id=pk, wave=wave, facts_hash=hashes[pk])
                for pk in keys
            )
        begin = end
    CampaignMember.objects.bulk_create(
        (
            CampaignMember(
                campaign=campaign,
                account_id=pk,
                entry=CampaignMember.Entry.EXCLUDED,
                reason_code=reason,
                live=False,
            )  # fmt: skip
            for pk, _number, reason in population.rows
            if reason
        ),
        batch_size=settings.BATCH_SIZE,
    )
