"""Every no is a problem of RFC 9457, in the reader's language, by field where fields are wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.errors import Refusal
from accounts.models import RefusedAction
from closures.api import problems
from closures.services import api_calls, intake
from tests.api.conftest import KEY, DeskApp, a_request, named
from tests.stage import Stage

CLOSURES = "/api/v1/closures"
CHINESE = re.compile(r"[一-鿿]")


@pytest.mark.parametrize("code", sorted(problems.KNOWN))
@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
def test_every_problem_speaks_both_languages(rf: Any, code: str, language: str) -> None:
    from django.utils import translation  # noqa: PLC0415

    with translation.override(problems.language_of(rf.get("/", headers={"accept-language": language}))):
        said = json.loads(problems.of_code(code).content)
    assert set(said) == {"type", "title", "status", "code", "detail"}
    assert said["type"] == f"urn:closures:problem:{code}" and said["code"] == code
    for text in (said["title"], said["detail"]):
        assert bool(CHINESE.search(text)) == (language == "zh-CN"), text


def test_every_refusal_that_a_call_can_meet_is_known_by_its_code() -> None:
    met = [
        *vars(intake).values(),
        *vars(api_calls).values(),
        *(vars(__import__("closures.api.signed", fromlist=["x"])).values()),
    ]
    mine = {
        one.code
        for one in met
        if isinstance(one, type) and issubclass(one, Refusal) and one.__module__.startswith("closures.")
    }
    staff_only = {"ground_missing", "refused", "demand_missing", "demand_unclear", "demand_running"}
    assert mine - staff_only - set(problems.KNOWN) == set()


@pytest.mark.parametrize(
    ("header", "chinese"),
    [
        ("", True),
        ("zh-CN,zh;q=0.9", True),
        ("en", False),
        ("en-US,en;q=0.9,zh;q=0.8", False),
        ("fr,en;q=0.5", False),
        ("fr", True),
        ("x" * 5000, True),
        ("*;q=0.1", True),
    ],
)
def test_the_language_is_that_of_accept_language_and_else_chinese(
    make_app: Callable[..., DeskApp], header: str, chinese: bool
) -> None:
    answer = make_app(language=header).get("/closures", customer_no="A", account_no="B")
    assert answer.status_code == 404
    assert bool(CHINESE.search(answer.json()["detail"])) == chinese
    assert answer.headers["Content-Language"] == ("zh-hans" if chinese else "en")


def test_what_is_wrong_is_listed_by_field_and_never_repeated(app: DeskApp, stage: Stage) -> None:
    body = a_request(stage.account(), stage, account_no="a b", extra="13800138000")
    body["identity"] = {"level": "GUESSED", "asserted_at": "2026-01-12T10:00:00"}
    answer = app.post("/closures", body)
    assert answer.status_code == 422
    found = {error["field"] for error in answer.json()["errors"]}
    assert found == {
        "body.asked.account_no", "body.asked.extra", "body.asked.identity.level",
        "body.asked.identity.asserted_at", "header.Idempotency-Key",
    }  # fmt: skip
    assert "13800138000" not in answer.text and "GUESSED" not in answer.text
    assert RefusedAction.objects.latest("pk").code == "invalid_request"


ODD = [
    (b"", 400),
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b'{"a": NaN}', 400),
    (b'{"a": 1, "a": 2}', 400),
    (b"[" * 30_000, 400),
    (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
    (b"9" * 5000, 400),
    (b'{"customer_no": ' + b"9" * 4000 + b"}", 422),
    (b'{"customer_no": 1e999}', 422),
    (b"null", 422),
    (b"[]", 422),
    (b"7", 422),
    (b'"text"', 422),
    (b'{"customer_no": "\\u0000", "account_no": "\\ud800"}', 422),
    (b'{"customer_no": "A", "account_no": "B", "\\ud800": 1}', 422),
    (b'{"customer_no": "A\\u202e", "account_no": "B"}', 422),
    ('{"customer_no": "𠮷", "account_no": "=1+1"}'.encode(), 422),
    (b'{"customer_no": "A\\n", "account_no": "B"}', 422),
]


@pytest.mark.parametrize(("raw", "status"), ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("path", ["/eligibility", "/closures", "/closures/CT1/withdraw"])
def test_odd_json_is_refused(app: DeskApp, path: str, raw: bytes, status: int) -> None:
    answer = app.call("POST", f"/api/v1{path}", raw, **{"Idempotency-Key": KEY})
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xml", "multipart/form-data; boundary=x"])
def test_another_content_type_is_refused(app: DeskApp, kind: str) -> None:
    answer = app.call("POST", CLOSURES, b"{}", **{"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "not_json_type")


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/", 404),
        ("DELETE", CLOSURES, 405),
        ("PUT", f"{CLOSURES}/CT1", 405),
        ("GET", f"{CLOSURES}/CT%00", 422),
        ("GET", f"{CLOSURES}/%F0%A0%AE%B7", 422),
        ("GET", f"{CLOSURES}?customer_no=%00&account_no=%FF", 422),
        ("GET", f"{CLOSURES}?customer_no=A&customer_no=B&account_no=C", 404),
        ("GET", CLOSURES, 422),
    ],
)
def test_odd_addresses_are_problems_too(app: DeskApp, method: str, target: str, status: int) -> None:
    answer = app.call(method, target)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    if status == 405:
        assert answer.headers["Allow"]


def test_headers_that_are_no_ascii_are_no_proof(client: Client, db: None) -> None:
    for name in ("X-Key-Id", "X-Signature", "X-Timestamp", "X-Nonce"):
        answer = client.get("/api/v1/products", headers={name: "é١٢٣" * 16})
        assert answer.status_code == 401


def test_a_refusal_is_recorded_once_with_who_was_refused(app: DeskApp, stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    before = RefusedAction.objects.count()
    app.post("/closures", a_request(ticket.account, stage), key=KEY)
    app.get("/closures", **{**named(ticket.account), "customer_no": "NOBODY"})
    first, second = RefusedAction.objects.order_by("pk")[before:]
    assert (first.code, first.actor) == (
        "already_requested",
        f"customer:{ticket.account.customer.customer_no}",
    )
    assert (second.action, second.code, second.actor) == ("api.closures", "not_found", f"client:{app.key_id}")
