"""Everything that is told, in order: closings first, then the customer's side, then risk control."""

from __future__ import annotations

from closures.demo import stories, stories_api, stories_risk

STORIES = (*stories.STORIES, *stories_api.STORIES, *stories_risk.STORIES)
