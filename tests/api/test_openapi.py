"""The OpenAPI file, and the odd requests that schemathesis makes of it, signed: never a 500."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from closures.api.v1 import api
from tests.api.conftest import DeskApp, a_request, named
from tests.stage import Stage

EXAMPLES = 60  # of each operation; 8 operations, two kinds each
QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def published() -> dict[str, Any]:
    return json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/"), default=str))


def test_the_file_is_published_and_the_docs_page_is_not(client: Client, db: None) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert set(answer.json()["paths"]) == {
        "/api/v1/products",
        "/api/v1/eligibility",
        "/api/v1/closures",
        "/api/v1/closures/{number}",
        "/api/v1/closures/{number}/withdraw",
        "/api/v1/complaints",
        "/api/v1/complaints/{number}",
    }
    assert client.get("/api/v1/docs").status_code == 404


def test_every_operation_says_how_it_is_signed_and_which_problems_it_has() -> None:
    for path, operations in published()["paths"].items():
        for method, operation in operations.items():
            assert operation["security"], (method, path)
            for status in ("401", "403", "429"):
                content = operation["responses"][status]["content"]
                assert list(content) == ["application/problem+json"], (method, path)
            if method == "post":
                assert "413" in operation["responses"] and "415" in operation["responses"]


def operations() -> list[Any]:
    schema = schemathesis.openapi.from_dict(published())
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
def test_no_made_up_request_breaks_it(app: DeskApp, stage: Stage, operation: Any, mode: Any) -> None:
    """Whatever it is sent, it answers below 500, as the file says, and with a problem where it says no."""
    asked: list[int] = []

    @QUICK
    @given(case=operation.as_strategy(generation_mode=mode))
    def try_one(case: Any) -> None:
        answer = sent(app, case)
        asked.append(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.json()["status"] == answer.status_code
        documented = {int(code) for code in operation.definition.raw["responses"]}
        assert answer.status_code in documented | {404, 405}, (answer.status_code, documented)

    try_one()
    assert len(asked) >= 1


def test_true_numbers_with_odd_surroundings(app: DeskApp, stage: Stage) -> None:
    """The same, but about an account that is there, so that the services are reached."""
    account = stage.account(principal="5.00")
    body = a_request(account, stage)

    @QUICK
    @given(
        name=st.sampled_from(sorted(body)),
        value=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=5,
        ),
        key=st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=70),
    )
    def try_one(name: str, value: Any, key: str) -> None:
        raw = json.dumps({**body, name: value}).encode()
        answer = app.call("POST", "/api/v1/closures", raw, **{"Idempotency-Key": key})
        assert 400 <= answer.status_code < 500, answer.text

    try_one()
    assert app.get("/closures", **named(account)).json()["closures"] == []


def sent(app: DeskApp, case: Any) -> Any:
    """The case as schemathesis would send it, with our proof over exactly those bytes."""
    import requests  # noqa: PLC0415 - schemathesis' own

    made = case.as_transport_kwargs(base_url="http://127.0.0.1")
    made = {
        name: made[name] for name in ("method", "url", "params", "data", "json", "headers") if name in made
    }
    prepared = requests.Request(**made).prepare()
    body = prepared.body or b""
    raw = body.encode() if isinstance(body, str) else bytes(body)
    ours = {"x-key-id", "x-timestamp", "x-nonce", "x-signature", "content-length", "cookie"}
    headers = {k: v for k, v in prepared.headers.items() if k.lower() not in ours and str(v).isascii()}
    return app.call(prepared.method or "", prepared.path_url, raw, **headers)
