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
pytest_plugins += ["tests.own_database", "tests.workers", "tests.campaigning", "tests.risk_cases"]


DATABASE = {"db", "transactional_db", "template"}  # fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only-database",
        action="store_true",
        help="leave out what uses no database: on a second one it would only be repeated",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--only-database"):
        return
    left_out = {
        item
        for item in items
        if item.get_closest_marker("once")
        or not item.get_closest_marker("django_db")
        and DATABASE.isdisjoint(getattr(item, "fixturenames", ()))
    }
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def pytest_runtest_setup(item: pytest.Item) -> None:
    from pytest_socket import socket_allow_hosts  # noqa: PLC0415

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture
def now() -> datetime:
    """Monday 2026-11-23 10:00 in Shanghai: a working day, at a working hour."""
    return make_aware(datetime(2026, 11, 23, 10, 0))
