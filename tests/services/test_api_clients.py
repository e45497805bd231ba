"""Apps are let in by the security officer alone; a secret is seen once and never stored in the clear."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import pii
from accounts.actors import Actor
from accounts.roles import Role
from accounts.services import keys
from accounts.tracking import NotPermitted, NotPossible
from closures.models import ApiClient
from closures.services import api_clients
from closures.services.api_clients import AddressRefused, Issued, RateRefused, UnknownScope
from tests import factories
from tests.races import at_once, race
from tests.stage import Stage, refused, written

FIELDS: dict[str, Any] = {
    "name": "手机应用",
    "scopes": ["closures:read"],
    "requests_per_minute": 60,
    "webhook_url": "",
    "reason": "上线",
}


def officer() -> Actor:
    return factories.staff(Role.SECURITY)


def made(stage: Stage, **given: Any) -> Issued:
    return api_clients.create(**{**FIELDS, "actor": officer(), "now": stage.now, **given})


def test_a_client_is_made_with_a_secret_that_is_stored_sealed(stage: Stage) -> None:
    who = officer()
    issued = made(stage, actor=who)
    client = ApiClient.objects.get()
    assert client.live_secrets(now=stage.now) == [issued.secret.encode()]
    assert issued.secret not in client.secret_sealed
    assert written(client) == (str(who), "上线")
    names = {field.name for field in ApiClient.history.model._meta.get_fields()}
    assert not {name for name in names if "secret" in name}


def test_two_clients_share_nothing(stage: Stage) -> None:
    one, other = made(stage), made(stage)
    assert one.client.key_id != other.client.key_id and one.secret != other.secret


@pytest.mark.parametrize("role", [role for role in Role if role != Role.SECURITY])
def test_nobody_else_may(stage: Stage, role: Role) -> None:
    client = made(stage).client
    actor = factories.staff(role)
    with refused(NotPermitted, client):
        made(stage, actor=actor)
    for act in (api_clients.rotate, api_clients.disable):
        with refused(NotPermitted, client):
            act(client_id=client.pk, reason="x", actor=actor, now=stage.now)
    with refused(NotPermitted, client):
        api_clients.edit(client_id=client.pk, **FIELDS, actor=actor, now=stage.now)
    with refused(NotPermitted, client):
        api_clients.rotate(client_id=client.pk, reason="x", actor=Actor.job("x"), now=stage.now)


def test_a_change_is_recorded_and_safe_twice(stage: Stage) -> None:
    client = made(stage).client
    change = {**FIELDS, "client_id": client.pk, "actor": officer(), "now": stage.now}
    for _ in range(2):
        client = api_clients.edit(**{**change, "scopes": ["closures:write", "closures:read"], "name": " 新 "})
    assert (client.scopes, client.name) == (["closures:read", "closures:write"], "新")
    assert client.live_secrets(now=stage.now), "the secret stays"


@pytest.mark.parametrize("scopes", [["everything"], ["closures:read", ""]])
def test_an_unknown_scope_is_refused(stage: Stage, scopes: list[str]) -> None:
    with refused(UnknownScope):
        made(stage, scopes=scopes)


@pytest.mark.parametrize("rate", [0, -1, 60_001])
def test_a_limit_that_is_none_is_refused(stage: Stage, rate: int) -> None:
    with refused(RateRefused):
        made(stage, requests_per_minute=rate)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/x", "127.0.0.1", "http://elsewhere.example/x", "http://user:pw@127.0.0.1/x",
        "http://127.0.0.1/#x", "http://127.0.0.1.elsewhere.example/", "http://" + "x" * 400, "http://[",
        "//x",
    ],
)  # fmt: skip
def test_an_address_beside_the_allow_list_is_refused(stage: Stage, url: str) -> None:
    with refused(AddressRefused):
        made(stage, webhook_url=url)


def test_where_private_addresses_are_none_it_must_be_https(stage: Stage, settings: Any) -> None:
    settings.PARTNER_PRIVATE_ADDRESSES_ALLOWED = False
    settings.WEBHOOK_HOSTS = ["app.example"]
    with refused(AddressRefused):
        made(stage, webhook_url="http://app.example/x")
    assert made(stage, webhook_url="https://app.example/x").client.webhook_url


def test_disabling_twice_is_not_possible(stage: Stage) -> None:
    client, who = made(stage).client, officer()
    api_clients.disable(client_id=client.pk, reason="x", actor=who, now=stage.now)
    client.refresh_from_db()
    with refused(NotPossible, client):
        api_clients.disable(client_id=client.pk, reason="x", actor=who, now=stage.now)
    assert api_clients.enable(client_id=client.pk, reason="x", actor=who, now=stage.now).state == "ACTIVE"


def test_rotating_the_field_keys_keeps_the_secrets(stage: Stage, settings: Any) -> None:
    issued = made(stage)
    api_clients.rotate(client_id=issued.client.pk, reason="x", actor=officer(), now=stage.now)
    before = ApiClient.objects.get().live_secrets(now=stage.now)
    settings.FIELD_KEYS = "next:" + "A" * 43 + "=," + settings.FIELD_KEYS
    table = next(table for table in pii.sealed_tables() if table.model is ApiClient)
    assert keys.rotate(table=table).resealed == 1
    row = ApiClient.objects.get()
    assert row.secret_sealed.startswith("next.") and row.previous_secret_sealed.startswith("next.")
    assert row.live_secrets(now=stage.now) == before


@race
def test_two_rotations_at_once_leave_two_secrets_that_work(raise_stage: Any) -> None:
    stage = raise_stage()
    client, who = made(stage).client, officer()
    ends = at_once(
        *[lambda: api_clients.rotate(client_id=client.pk, reason="x", actor=who, now=stage.now)] * 2
    )
    secrets = {one.secret.encode() for one in ends}
    assert set(ApiClient.objects.get().live_secrets(now=stage.now)) == secrets
