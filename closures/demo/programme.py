"""Everything that is told, in order: closings first, then what came with the customer's side, then sets."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from closures.demo import stories, stories_api, stories_campaign
from closures.demo.told import Story

STORIES = (
    *stories.STORIES,
    *stories_api.STORIES,
    Story(
        "campaign",
        _("A campaign that stops itself, is cured and finished"),
        stories_campaign.stopped_and_finished,
    ),
)
