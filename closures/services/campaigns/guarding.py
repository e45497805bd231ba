"""Guard-rails: a campaign that hurts more than its plan allows is paused by itself, with the values."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from closures.models import Campaign
from closures.rules.campaigns import Reading
from closures.selectors import campaign_progress
from closures.services.campaigns import steering
from closures.services.campaigns.terms import JOB


def watch(*, now: datetime) -> int:
    """Campaigns under way whose guard-rails trip are paused; returns how many. Safe to repeat."""
    paused = 0
    under_way = Campaign.objects.filter(state__in=Campaign.MOVING).order_by("pk")
    for pk in list(under_way.values_list("pk", flat=True)):
        with transaction.atomic():
            rows = Campaign.objects.select_for_update(of=("self",)).filter(state__in=Campaign.MOVING)
            campaign = rows.filter(pk=pk).first()
            if campaign is not None:
                paused += judge(campaign, now=now)
    return paused


def judge(campaign: Campaign, *, now: datetime) -> bool:
    """The locked campaign is paused if a guard-rail trips; returns whether it was."""
    tripped = [
        reading
        for reading in campaign_progress.guard_rails(campaign)
        if reading.trips(minimum_sample=campaign.minimum_sample)
    ]
    if not tripped:
        return False
    worst = tripped[0]
    steering.stop(
        campaign,
        code=str(worst.guard),
        values={str(reading.guard): values(reading) for reading in tripped},
        actor=JOB,
        reason=f"guard-rail {worst.guard}",
        now=now,
    )
    return True


def values(reading: Reading) -> dict[str, float]:
    return {
        "failures": reading.failures,
        "sample": reading.sample,
        "percent": reading.percent,
        "most": reading.most,
    }
