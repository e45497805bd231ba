"""Calls at the same moment: one request is accepted, one of two ends wins, one answer per key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from accounts.actors import Actor
from accounts.roles import Role
from closures.models import ApiCall, ApiClient, ClosureTicket
from closures.services import api_calls, api_clients, intake
from closures.services.api_calls import InFlight, TooManyRequests
from closures.services.intake import AlreadyRequested, disclosure_version
from tests import factories
from tests.races import at_once, race
from tests.stage import Stage

CALLERS, BATCHES = 20, 10  # 200 requests; a thread each at once would be more than the server's connections


@pytest.fixture
def client(raise_stage: Callable[[], Stage]) -> ApiClient:
    stage = raise_stage()
    return api_clients.create(
        name="应用", scopes=["closures:write"], requests_per_minute=30, webhook_url="", reason="x",
        actor=factories.staff(Role.SECURITY), now=stage.now,
    ).client  # fmt: skip


@race
def test_of_two_hundred_requests_for_one_account_one_is_accepted(
    raise_stage: Callable[[], Stage], client: ApiClient
) -> None:
    stage = raise_stage()
    account = stage.account()
    customer, version = account.customer, disclosure_version(account.product)
    asserted = intake.Asserted(client_id=client.pk, assertion="TWO_FACTORS", at=stage.now)

    def ask(n: int) -> Any:
        return intake.request_closure(
            account_id=account.pk, reason="CUSTOMER_REQUEST", channel="API", now=stage.now,
            actor=Actor.customer(customer), accepted_disclosure=version, asserted=asserted,
            idempotency_key=f"k{n}",
        )  # fmt: skip

    ends: list[Any] = []
    for batch in range(BATCHES):
        ends += at_once(*[lambda n=n: ask(n) for n in range(batch * CALLERS, (batch + 1) * CALLERS)])
    accepted = [end for end in ends if isinstance(end, intake.Received)]
    refused = [end for end in ends if isinstance(end, AlreadyRequested)]
    assert (len(accepted), len(refused)) == (1, CALLERS * BATCHES - 1)
    number = ClosureTicket.objects.get().number
    assert {refusal.facts["number"] for refusal in refused} == {number}


@race
def test_one_key_at_once_is_worked_on_by_one(raise_stage: Callable[[], Stage], client: ApiClient) -> None:
    stage = raise_stage()
    calls = [a_call(client, stage, n) for n in range(8)]
    ends = at_once(*[lambda c=c: api_calls.begin(call=c, key="k", digest="d", now=stage.now) for c in calls])
    assert sum(end is None for end in ends) == 1
    assert sum(isinstance(end, InFlight) for end in ends) == 7
    later = stage.now + timedelta(minutes=2)  # the first died: of many that take over, one does
    again = [a_call(client, stage, n) for n in range(8, 16)]
    ends = at_once(*[lambda c=c: api_calls.begin(call=c, key="k", digest="d", now=later) for c in again])
    assert sum(end is None for end in ends) == 1
    assert ApiCall.objects.filter(idempotency_key="k").count() == 1


@race
def test_nobody_counts_past_the_limit(raise_stage: Callable[[], Stage], client: ApiClient) -> None:
    stage = raise_stage()

    def count() -> None:
        with transaction.atomic():
            api_calls._count(client, now=stage.now)

    ends = [end for _ in range(3) for end in at_once(*[count] * 12)]
    assert sum(end is None for end in ends) == 30
    assert sum(isinstance(end, TooManyRequests) for end in ends) == 6


@race
def test_one_nonce_at_once_is_spent_once(raise_stage: Callable[[], Stage], client: ApiClient) -> None:
    stage = raise_stage()
    ends = at_once(*[lambda: api_calls._spend(client, "n" * 16, now=stage.now)] * 8)
    assert sum(isinstance(end, ApiCall) for end in ends) == 1
    assert sum(isinstance(end, api_calls.Replayed) for end in ends) == 7


def a_call(client: ApiClient, stage: Stage, n: int) -> ApiCall:
    return ApiCall.objects.create(
        client=client, nonce=f"nonce-{n:010d}", received_at=stage.now, expires_at=stage.now
    )
