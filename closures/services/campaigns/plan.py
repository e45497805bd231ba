"""The plan: drafted and edited by one lead; whoever edits it last can never approve it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import check_written, decision
from accounts.models import CreditProduct, User
from accounts.services.rights import require
from accounts.tracking import move, save_as
from closures.models import Campaign, CampaignDepartment, CampaignMilestone
from closures.models.campaigns import DRAFT
from closures.models.numbers import new_number
from closures.rules import campaigns as rules
from closures.selectors import rule_language
from closures.services.campaigns.terms import NotEditable, PlanUnsound, locked

FIELDS = frozenset(Campaign.PLAN) - {"product_id", "file_digest"} | {"product"}
SHARES = ("max_unbind_failures", "max_undelivered", "max_complaints", "pilot_percent")


@decision
def draft(*, actor: Actor, now: datetime, **plan: Any) -> Campaign:
    """A campaign exists, DRAFT, with this plan (`Campaign.PLAN`, `product` a row).

    Raises: NotPermitted, PlanUnsound, ConditionRefused.
    """
    author = require(actor=actor, right=DRAFT, move=_("Draft a campaign"))
    campaign = Campaign(number=new_number(now, prefix="CM"), state_since=now, drafted_by=author)
    _write(campaign, plan, author=author)
    return save_as(campaign, actor=actor, reason="drafted", now=now)


@decision
def edit(*, campaign_id: int, actor: Actor, now: datetime, **plan: Any) -> Campaign:
    """The plan says this now, its editor is its author, and whatever approval it had is void.

    Raises: NotPermitted, NotEditable (it has begun or ended), PlanUnsound, ConditionRefused.
    """
    campaign = opened(campaign_id, actor=actor, now=now)
    _write(campaign, plan, author=campaign.author)
    return save_as(campaign, actor=actor, reason="plan edited", now=now)


def opened(campaign_id: int, *, actor: Actor, now: datetime) -> Campaign:
    """The campaign, locked, DRAFT and in the hands of this author; an approval it had is void.

    Raises: NotPermitted, NotEditable.
    """
    author = require(actor=actor, right=DRAFT, move=_("Edit the plan"))
    campaign = locked(campaign_id)
    if campaign.state not in Campaign.EDITABLE:
        raise NotEditable(number=campaign.number, state=campaign.get_state_display())
    void(campaign, voided={"why": "EDITED"}, actor=actor, now=now)
    campaign.author = author
    return campaign


def void(campaign: Campaign, *, voided: dict[str, Any], actor: Actor, now: datetime) -> None:
    """The approval, if there is one, is void and nobody is a member any more. The caller holds the lock."""
    if campaign.state == Campaign.State.DRAFT:
        return
    campaign.members.all().delete()
    move(campaign, "void", actor=actor, reason=f"approval void: {voided['why']}", now=now, voided=voided)


@decision
def add_department(
    *, campaign_id: int, department: str, owner: User, duty: str, actor: Actor, now: datetime,
    resources: str = "",
) -> CampaignDepartment:  # fmt: skip
    """The department has a part in the plan, and `owner` answers for it. Raises as `edit`."""
    campaign = opened(campaign_id, actor=actor, now=now)
    texts = {"department": department.strip(), "duty": duty.strip(), "resources": resources.strip()}
    if not texts["department"] or not texts["duty"]:
        raise PlanUnsound(why=_("a department needs its name and its duty"))
    _clean(texts)
    row = CampaignDepartment(campaign=campaign, owner=owner, **texts)
    try:
        with transaction.atomic():
            save_as(row, actor=actor, reason="department added", now=now)
    except IntegrityError as twice:
        raise PlanUnsound(why=_("this department is in the plan already")) from twice
    save_as(campaign, actor=actor, reason="department added", now=now)
    return row


@decision
def add_milestone(
    *, campaign_id: int, title: str, due_on: date, actor: Actor, now: datetime,
    department: CampaignDepartment | None = None,
) -> CampaignMilestone:  # fmt: skip
    """The plan has this milestone. Raises as `edit`."""
    campaign = opened(campaign_id, actor=actor, now=now)
    if not title.strip():
        raise PlanUnsound(why=_("a milestone needs its title"))
    if department is not None and department.campaign_id != campaign.pk:
        raise PlanUnsound(why=_("this department is not in the plan"))
    _clean({"title": title})
    row = CampaignMilestone(campaign=campaign, title=title.strip(), due_on=due_on, department=department)
    save_as(row, actor=actor, reason="milestone added", now=now)
    save_as(campaign, actor=actor, reason="milestone added", now=now)
    return row


@decision
def remove(
    *, campaign_id: int, part: CampaignDepartment | CampaignMilestone, actor: Actor, now: datetime
) -> Campaign:
    """The department or milestone is no part of the plan any more; history keeps it. Safe to repeat."""
    campaign = opened(campaign_id, actor=actor, now=now)
    row = type(part).objects.select_for_update(of=("self",)).get(pk=part.pk, campaign=campaign)
    if row.removed_at is None:
        row.removed_at = now
        save_as(row, actor=actor, reason="removed from the plan", now=now)
    return save_as(campaign, actor=actor, reason="plan edited", now=now)


@decision
def reach_milestone(
    *, campaign_id: int, milestone: CampaignMilestone, actor: Actor, now: datetime
) -> CampaignMilestone:
    """The milestone was reached: a fact, no edit of the plan. Safe to repeat: the first moment stands.

    Raises: NotPermitted.
    """
    person = require(actor=actor, right=DRAFT, move=_("Enter a milestone"))
    campaign = locked(campaign_id)
    row = campaign.milestones.select_for_update(of=("self",)).get(pk=milestone.pk)
    if row.done_at is None:
        row.done_at, row.done_by = now, person
        save_as(row, actor=actor, reason="reached", now=now)
    return row


def _write(campaign: Campaign, plan: dict[str, Any], *, author: User | None) -> None:
    """Put the given part of the plan into the row. Raises PlanUnsound, ConditionRefused."""
    if unknown := plan.keys() - FIELDS:
        raise ValueError(f"no part of a plan: {sorted(unknown)}")
    _clean(plan)
    for name, value in plan.items():
        setattr(campaign, name, value.strip() if isinstance(value, str) else value)
    campaign.author = author
    _check(campaign)


def _clean(texts: dict[str, Any]) -> None:
    """The plan is kept in the open like every reason is. Raises PersonalDataWritten."""
    for text in texts.values():
        if isinstance(text, str):
            check_written({"ground": text})


def _check(campaign: Campaign) -> None:
    if not campaign.title or not campaign.legal_basis:
        raise PlanUnsound(why=_("a title and a legal basis are needed"))
    if any(not 0 <= getattr(campaign, name) <= 100 for name in SHARES):
        raise PlanUnsound(why=_("a percentage is out of bounds"))
    if not rules.waves_are_sound(pilot=campaign.pilot_percent, waves=campaign.wave_percents):
        raise PlanUnsound(why=_("the waves must rise from the pilot's share to 100"))
    if campaign.daily_cap < 1 or campaign.minimum_sample < 1:
        raise PlanUnsound(why=_("the daily cap and the sample are at least one"))
    if campaign.product.state not in (CreditProduct.State.OFFERED, CreditProduct.State.SUSPENDED):
        raise PlanUnsound(why=_("the product is not on the market"))
    if campaign.source == Campaign.Source.CONDITION:
        rule_language.read(campaign.population)
