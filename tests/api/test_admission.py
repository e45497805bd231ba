"""Who may call: the signature, its time, its nonce, its secrets, its scope, its limit, its size."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from accounts.models import RefusedAction
from accounts.roles import Role
from closures.demo.app import PREFIX
from closures.models import ApiCall, ApiClient
from closures.services import api_calls, api_clients
from tests import factories
from tests.api.conftest import DeskApp, client_of
from tests.stage import Stage

PRODUCTS = f"{PREFIX}/products"


def said(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def call(app: DeskApp, target: str = PRODUCTS, *, body: bytes = b"", method: str = "GET", **changed: str):
    """A call whose proof is of something else in one respect."""
    return app.send(method, target, body, **{**app.prove(method, target, body), **changed})


def test_a_signed_call_is_answered_and_on_record(app: DeskApp) -> None:
    answer = app.get("/products")
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers
    row = ApiCall.objects.get()
    assert (row.state, row.status, row.operation, row.client) == ("DONE", 200, "products", client_of(app))
    assert row.response_sealed == "", "only an answer under a key is kept"


@pytest.mark.parametrize("part", ["X-Key-Id", "X-Timestamp", "X-Nonce", "X-Signature"])
@pytest.mark.parametrize("value", ["", "x", "~" * 20, "a" * 9000, "1.2"])
def test_a_header_that_does_not_fit_is_no_proof(app: DeskApp, part: str, value: str) -> None:
    proof = app.prove("GET", PRODUCTS)
    headers = {**proof, part: value}
    assert said(app.send("GET", PRODUCTS, **headers)) == (401, "not_authenticated")
    assert not ApiCall.objects.exists()


def test_a_call_without_any_proof_is_refused_and_recorded(app: DeskApp) -> None:
    answer = app.send("GET", PRODUCTS)
    assert said(answer) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"]
    refused = RefusedAction.objects.latest("pk")
    assert (refused.action, refused.code, refused.actor) == ("api.admit", "not_authenticated", "client:?")


def test_every_part_of_a_call_is_signed(app: DeskApp) -> None:
    """Method, path, query, time, nonce and body: change one, and it is a forgery."""
    body = b'{"customer_no": "A", "account_no": "B"}'
    target = f"{PREFIX}/eligibility"
    proof = app.prove("POST", target, body)
    send = app.send
    assert said(send("POST", target, body + b" ", **proof)) == (401, "not_authenticated")
    assert said(send("POST", f"{target}?a=b", body, **proof)) == (401, "not_authenticated")
    assert said(send("POST", f"{PREFIX}/closures", body, **proof)) == (401, "not_authenticated")
    for name, value in (("X-Timestamp", str(int(proof["X-Timestamp"]) + 1)), ("X-Nonce", "f" * 32)):
        changed = {**proof, name: value}
        assert said(send("POST", target, body, **changed)) == (401, "not_authenticated")
    get = app.prove("POST", PRODUCTS)
    assert said(send("GET", PRODUCTS, **get)) == (401, "not_authenticated")
    assert said(send("POST", target, body, **proof)) == (404, "not_found"), "this one is true"


def test_a_strangers_key_is_answered_like_a_wrong_signature(app: DeskApp) -> None:
    wrong = call(app, **{"X-Signature": "0" * 64})
    strange = call(app, **{"X-Key-Id": "app_nobody"})
    assert wrong.json() == strange.json()
    assert said(strange) == (401, "not_authenticated")


@pytest.mark.parametrize(("shift", "status"), [(-299, 200), (299, 200), (-302, 401), (302, 401)])
def test_five_minutes_either_way_is_the_limit(app: DeskApp, stage: Stage, hour: Any, shift: int, status: int):
    proof = app.prove("GET", PRODUCTS)
    hour.move_to(stage.now + timedelta(seconds=shift))
    assert app.send("GET", PRODUCTS, **proof).status_code == status


def test_a_replay_is_refused_however_soon(app: DeskApp) -> None:
    proof = app.prove("GET", PRODUCTS)
    assert app.send("GET", PRODUCTS, **proof).status_code == 200
    counted = client_of(app).window_calls
    assert said(app.send("GET", PRODUCTS, **proof)) == (401, "replayed")
    assert client_of(app).window_calls == counted, "who overhears a call cannot use up the client's limit"
    assert ApiCall.objects.count() == 1


def test_one_clients_nonce_is_another_clients_too(make_app: Callable[..., DeskApp]) -> None:
    one, other = make_app(), make_app()
    nonce = {"nonce": "the-same-nonce-twice"}
    for app in (one, other):
        proof = _signed_with(app, **nonce)
        assert app.send("GET", PRODUCTS, **proof).status_code == 200


def _signed_with(app: DeskApp, *, nonce: str) -> dict[str, str]:
    from closures.gateways.signing import request_headers  # noqa: PLC0415 - the product's own spelling of it

    timestamp = int(app.prove("GET", PRODUCTS)["X-Timestamp"])
    return request_headers(
        key_id=app.key_id, secret=app.secret.encode(), method="GET", target=PRODUCTS, body=b"",
        timestamp=timestamp, nonce=nonce,
    )  # fmt: skip


def test_two_secrets_live_and_older_ones_are_dead(
    app: DeskApp, stage: Stage, hour: Any, settings: Any
) -> None:
    officer, first = factories.staff(Role.SECURITY), app.secret
    second = api_clients.rotate(client_id=client_of(app).pk, reason="x", actor=officer, now=stage.now).secret
    assert app.get("/products").status_code == 200, "the old one lives on"
    app.secret = second
    assert app.get("/products").status_code == 200
    app.secret = first
    hour.move_to(stage.now + settings.API_OLD_SECRET_LIVES)
    assert said(app.get("/products")) == (401, "not_authenticated")
    app.secret = second
    assert app.get("/products").status_code == 200
    third = api_clients.rotate(client_id=client_of(app).pk, reason="x", actor=officer, now=stage.now).secret
    api_clients.rotate(client_id=client_of(app).pk, reason="x", actor=officer, now=stage.now)
    assert said(app.get("/products")) == (401, "not_authenticated"), "rotated twice: the leaked one is dead"
    assert third != second


def test_a_disabled_client_is_outside_and_comes_back(app: DeskApp, stage: Stage) -> None:
    given = {"client_id": client_of(app).pk, "reason": "x", "actor": factories.staff(Role.SECURITY)}
    api_clients.disable(now=stage.now, **given)
    assert said(app.get("/products")) == (401, "not_authenticated")
    api_clients.enable(now=stage.now, **given)
    assert app.get("/products").status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("products:read", "GET", "/products"),
        ("eligibility:read", "POST", "/eligibility"),
        ("closures:write", "POST", "/closures"),
        ("closures:write", "POST", "/closures/CT1/withdraw"),
        ("closures:read", "GET", "/closures/CT1"),
        ("closures:read", "GET", "/closures"),
        ("complaints:write", "POST", "/complaints"),
        ("complaints:read", "GET", "/complaints/CP1"),
    ],
)
def test_each_operation_needs_its_own_scope(
    make_app: Callable[..., DeskApp], scope: str, method: str, path: str
) -> None:
    from closures.models.api import Scope  # noqa: PLC0415

    app = make_app(scopes=[value for value in Scope.values if value != scope])
    body = b"{}" if method == "POST" else b""
    assert said(app.call(method, PREFIX + path, body)) == (403, "scope_missing")
    only = make_app(scopes=[scope])
    assert only.call(method, PREFIX + path, body).status_code in (200, 422)


def test_the_limit_is_the_minutes_and_the_next_minute_is_free(
    make_app: Callable[..., DeskApp], stage: Stage, hour: Any
) -> None:
    app, other = make_app(requests_per_minute=3), make_app(requests_per_minute=3)
    assert [app.get("/products").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = app.get("/products")
    assert said(refused) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert other.get("/products").status_code == 200, "one client's flood is not another's"
    hour.move_to(stage.now + timedelta(seconds=int(refused.headers["Retry-After"])))
    assert app.get("/products").status_code == 200


def test_strangers_cannot_fill_the_table_of_refusals(app: DeskApp) -> None:
    for _ in range(api_calls.STRANGERS_RECORDED + 20):
        assert app.send("GET", PRODUCTS).status_code == 401
    assert RefusedAction.objects.filter(action="api.admit").count() == api_calls.STRANGERS_RECORDED


def test_size_is_looked_at_before_anything_is_read(app: DeskApp, settings: Any) -> None:
    body = b" " * (settings.API_BODY_LIMIT + 1)
    answer = app.call("POST", f"{PREFIX}/eligibility", body)
    assert said(answer) == (413, "too_large")
    assert not ApiCall.objects.exists()


def test_no_session_no_cookie_no_csrf(app: DeskApp) -> None:
    answer = app.post("/eligibility", {"customer_no": "A", "account_no": "B"})
    assert said(answer) == (404, "not_found")
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")


def test_old_calls_are_forgotten_and_young_ones_stay(
    app: DeskApp, stage: Stage, hour: Any, settings: Any
) -> None:
    app.get("/products")
    later = stage.now + settings.API_CALLS_KEPT
    assert api_calls.forget(now=later) == 0
    hour.move_to(later)
    app.get("/products")
    assert api_calls.forget(now=later + timedelta(seconds=1)) == 1
    assert ApiCall.objects.get().received_at == later
    assert timedelta(minutes=10) < settings.API_CALLS_KEPT, "a nonce outlives every signature with it"


def test_a_client_is_one_row(app: DeskApp) -> None:
    app.get("/products")
    assert ApiClient.history.count() == 1, "counting calls writes no history"
