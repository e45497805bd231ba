"""Everything that is told, in order: closings, the customer's side, risk control, then whole products."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from closures.demo import stories, stories_api, stories_campaign, stories_risk
from closures.demo.told import Story

STORIES = (
    *stories.STORIES,
    *stories_api.STORIES,
    *stories_risk.STORIES,
    Story(
        "campaign",
        _("A campaign that stops itself, is cured and finished"),
        stories_campaign.stopped_and_finished,
    ),
)
