"""What every test stands on: the network is off beyond loopback, and time is a fixture."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.utils.timezone import make_aware
from hypothesis import HealthCheck, settings

# A busy machine stalls; how long one example takes is no law.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")

pytest_plugins = ["tests.simulator_process", "tests.smtp_process", "tests.worlds", "tests.stage"]
pytest_plugins += ["tests.own_database", "tests.workers", "tests.risk_cases"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    from pytest_socket import socket_allow_hosts  # noqa: PLC0415

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture
def now() -> datetime:
    """Monday 2026-11-23 10:00 in Shanghai: a working day, at a working hour."""
    return make_aware(datetime(2026, 11, 23, 10, 0))
