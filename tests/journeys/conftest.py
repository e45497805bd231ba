"""Who does the work of the stories: every job right here, or real workers where a broker is named."""

from __future__ import annotations

import os

import pytest

from closures.demo.world import World
from tests.workers import Workers

if os.environ.get("TEST_BROKER_URL"):

    @pytest.fixture
    def world(workers: Workers, real_world: World) -> World:
        """The stories run as they do in the demo: workers and beat are other processes."""
        workers.start(concurrency=2)
        return real_world
