"""Everything that is told, in order: the closings first, then what came with the customer's side."""

from __future__ import annotations

from closures.demo import stories, stories_api

STORIES = (*stories.STORIES, *stories_api.STORIES)
