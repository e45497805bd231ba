"""Who calls and with what: signature, scope, strict JSON, idempotency key. What it is about comes after."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja.parser import Parser
from ninja.security.base import AuthBase

from closures.api import problems
from closures.errors import ClosureError
from closures.models import ApiClient
from closures.services import api_calls

KEY = re.compile(r"[\x21-\x7e]{1,60}")
IN_FLIGHT_PAUSE = 2  # seconds: closings are requested in far less
REPLAY = "Idempotent-Replay"


class TooLarge(ClosureError):
    code = "too_large"
    template = _("The body may have at most 65,536 bytes.")


class NotJsonType(ClosureError):
    code = "not_json_type"
    template = _("Send the body as application/json in UTF-8.")


class Signed(AuthBase):
    """The call is signed by a client that has the scope. Its row is `request.api_call` from here on."""

    openapi_type = "apiKey"
    openapi_in = "header"
    openapi_name = "X-Signature"
    openapi_description = (
        "Hex HMAC-SHA256 of `timestamp.nonce.METHOD.target.` followed by the raw body, beside X-Key-Id, "
        "X-Timestamp (Unix seconds, five minutes either way) and X-Nonce (16-64 letters, digits, - or _, "
        "used once). `target` is the raw path with its query. See docs/api.md."
    )

    def __init__(self, scope: str, operation: str) -> None:
        self.scope, self.operation = scope, operation
        super().__init__()

    def __call__(self, request: HttpRequest) -> ApiClient:
        if _length(request) > settings.API_BODY_LIMIT:
            raise TooLarge
        call = api_calls.admit(
            method=request.method or "",
            target=target_of(request),
            headers=request.headers,
            body=request.body,
            now=timezone.now(),
        )
        call.operation = self.operation
        request.api_call = call  # type: ignore[attr-defined]
        api_calls.require(call, self.scope)
        if request.method == "POST":
            if request.content_type != "application/json":
                raise NotJsonType
            request.api_json = api_calls.read_json(request.body)  # type: ignore[attr-defined]
        return call.client


def _length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0  # then Django reads nothing either


def target_of(request: HttpRequest) -> str:
    """The raw path with its query, as sent, where the server keeps it; else as Django spells it."""
    raw = request.META.get("RAW_URI") or request.META.get("REQUEST_URI")
    if not raw:
        return request.get_full_path()
    parts = urlsplit(raw)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


class StrictParser(Parser):
    """The body as `Signed` has read it: strictly, once."""

    def parse_body(self, request: HttpRequest) -> Any:
        return request.api_json  # type: ignore[attr-defined]


def idempotent(view: Callable[..., Any]) -> Callable[..., Any]:
    """A view whose first answer under an Idempotency-Key is its only one (services.api_calls).

    Below ninja's decorator: only a request that is understood takes its key.
    """

    @functools.wraps(view)
    def answer_once(request: Any, **values: Any) -> Any:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return view(request, **values)
        digest = api_calls.digest_of(
            request.method, request.path, json.dumps(request.api_json, sort_keys=True)
        )
        kept = api_calls.begin(call=request.api_call, key=key, digest=digest, now=timezone.now())
        if kept is None:
            request.api_keyed = True
            return view(request, **values)
        return _again(kept)

    return answer_once


def _again(kept: api_calls.Answer) -> HttpResponse:
    status = 200 if kept.status == 201 else kept.status
    kind = "application/json" if status < 400 else problems.MEDIA_TYPE
    answer = HttpResponse(kept.body, status=status, content_type=kind, headers={REPLAY: "true"})
    if status >= 400:
        answer.problem = kept.code  # type: ignore[attr-defined]
    return answer
