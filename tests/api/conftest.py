"""An app that calls the real API, right here, at the hour that the stage's clock shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
import time_machine
from django.core.cache import cache

from accounts.models import CreditAccount
from accounts.roles import Role
from closures.demo.app import App, signed
from closures.models import ApiClient
from closures.models.api import Scope
from closures.services import api_clients
from closures.services.api_clients import Issued
from closures.services.intake import disclosure_version
from tests import factories
from tests.stage import Clock, Stage
from tests.visitor import Visitor
from tests.worlds import here

KEY = "key-of-the-first-request"


class Hour:
    """What the app's and our machine's clock show during a call: the stage's hour, until it is moved.

    Only then: the simulator is another process and compares signatures with the real time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._moved = clock, None

    def move_to(self, moment: datetime) -> None:
        self._moved = moment

    def travel(self) -> Any:
        return time_machine.travel(self._moved or self._clock.now, tick=False)


class ThatHour(httpx.BaseTransport):
    """The application right here, at that hour."""

    def __init__(self, hour: Hour) -> None:
        self._hour, self._inner = hour, here()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._hour.travel():
            return self._inner.handle_request(request)


class DeskApp(App):
    """An app whose clock is the hour's too."""

    hour: Hour

    def call(self, method: str, target: str, body: bytes = b"", **headers: str) -> httpx.Response:
        with self.hour.travel():
            return super().call(method, target, body, **headers)

    def prove(self, method: str, target: str, body: bytes = b"") -> dict[str, str]:
        """The headers of one call, for a test that sends something else."""
        with self.hour.travel():
            return signed(key_id=self.key_id, secret=self.secret, method=method, target=target, body=body)

    def send(self, method: str, target: str, body: bytes = b"", **headers: str) -> httpx.Response:
        return self._client.request(method, target, content=body or None, headers=headers)


@pytest.fixture
def hour(clock: Clock) -> Hour:
    return Hour(clock)


def issued(stage: Stage, **given: Any) -> Issued:
    values = {
        "name": "手机应用",
        "scopes": Scope.values,
        "requests_per_minute": 10_000,
        "webhook_url": "",
        "reason": "test",
        **given,
    }
    return api_clients.create(actor=factories.staff(Role.SECURITY), now=stage.now, **values)


@pytest.fixture
def make_app(stage: Stage, hour: Hour) -> Iterator[Callable[..., DeskApp]]:
    made: list[DeskApp] = []

    def make(language: str = "en", **given: Any) -> DeskApp:
        new = issued(stage, **given)
        app = DeskApp(ThatHour(hour), key_id=new.client.key_id, secret=new.secret, language=language)
        app.hour = hour
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


@pytest.fixture
def app(make_app: Callable[..., DeskApp]) -> DeskApp:
    return make_app()


def client_of(app: App) -> ApiClient:
    return ApiClient.objects.get(key_id=app.key_id)


def named(account: CreditAccount) -> dict[str, str]:
    return {"customer_no": account.customer.customer_no, "account_no": account.account_no}


def a_request(account: CreditAccount, stage: Stage, **given: Any) -> dict[str, Any]:
    """The body of POST /closures."""
    return {
        **named(account),
        "identity": {"level": "TWO_FACTORS", "asserted_at": stage.now.isoformat()},
        "accepted_disclosure": disclosure_version(account.product),
        **given,
    }


@pytest.fixture
def visit(stage: Stage) -> Iterator[Callable[..., Visitor]]:
    cache.clear()
    yield lambda ticket, **more: Visitor(stage, ticket, **more)
    cache.clear()
