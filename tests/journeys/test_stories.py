"""The demo's stories, each judged by our database and by the simulator's own ledger."""

import pytest

from closures.demo.programme import STORIES
from closures.demo.told import Story
from closures.demo.world import World


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_story_ends_as_it_says(story: Story, world: World) -> None:
    told = story.play(world)

    assert told.checks
    assert [check for check in told.checks if check[1] != check[2]] == []
