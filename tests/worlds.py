"""A world for the stories: a real simulator process, the demo's staff, and every job run right here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone

from closures.demo import people
from closures.demo.simulator_control import SimulatorControl
from closures.demo.world import World, quicken
from closures.services import (
    assessment,
    callbacks,
    campaigns,
    closing,
    commands,
    cooling_off,
    identity_codes,
    later_money,
    notices,
    reversal,
    settling,
    unbinding,
    webhooks,
)

REACHES = (
    campaigns.run,
    assessment.run,
    settling.run,
    unbinding.run,
    commands.run,
    notices.deliver,
    identity_codes.deliver,
    closing.run,
    reversal.run,
    callbacks.apply,
    later_money.run,
    webhooks.send,
)
SWEEPS = (
    campaigns.watch,
    assessment.wake_changed,
    cooling_off.end_periods,
    unbinding.start,
    unbinding.finish,
    later_money.take_movements,
    webhooks.derive,
)


def work(clock: Callable[[], datetime] = timezone.now) -> None:
    """Every job once, in the order a closing passes through them."""
    for sweep in SWEEPS:
        sweep(now=clock())
    for reach in REACHES:
        reach(clock=clock)


@contextmanager
def connections_kept() -> Iterator[None]:
    """A request closes its connection, which here is the test's own, in the middle of its transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


def here() -> httpx.WSGITransport:
    """The whole web application, right here, as an app reaches it over HTTP."""
    inner = get_wsgi_application()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        # httpx gives the path as text; WSGI has it as bytes spelled in Latin-1 (PEP 3333).
        environ["PATH_INFO"] = environ["PATH_INFO"].encode().decode("latin-1")
        with connections_kept():
            answer = inner(environ, start_response)
            body = list(answer)
            answer.close()
        return body

    return httpx.WSGITransport(app=app, raise_app_exceptions=True)


@pytest.fixture
def pace(settings: Any) -> None:
    """Engineering limits for a story that is watched, not waited for."""
    settings.RETRY_BASE = timedelta(seconds=0.05)
    settings.RETRY_CAP = timedelta(seconds=0.2)
    settings.LATE_EFFECT_WINDOW = timedelta(seconds=0.3)
    settings.UNBIND_ATTEMPT_LIMIT = 200  # at this pace a story would use up twelve in two seconds
    settings.FIRST_LOOK = timedelta(0)
    settings.REASSESS_EVERY = timedelta(seconds=0.1)
    settings.SETTLE_POLL = timedelta(seconds=0.1)


@pytest.fixture
def world(db: None, pace: None, simulated: SimulatorControl) -> Iterator[World]:
    people.hire(now=timezone.now())
    quicken(now=timezone.now())
    yield World(simulated, work=work, patience=30, web=here())


@pytest.fixture
def run_all() -> Callable[[], None]:
    return work
