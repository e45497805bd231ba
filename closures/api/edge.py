"""The edge of the API: its language, its errors, and the record of each call. No session, cookie or CSRF."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import translation

from closures.api import problems
from closures.services import api_calls
from closures.services.api_calls import Answer

PREFIX = "/api/"


class ApiEdge:
    """Middleware, the innermost: what it makes of an API answer is what the app sees."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        with translation.override(problems.language_of(request)):
            answer = self.get_response(request)
            if answer.status_code >= 400 and not hasattr(answer, "problem"):
                answer = _as_problem(answer)
            keep(request, answer)
            answer.headers.setdefault("Content-Language", translation.get_language() or "")
            answer.headers.setdefault("Cache-Control", "no-store")
        return answer


def _as_problem(answer: HttpResponse) -> HttpResponse:
    problem = problems.of_status(answer.status_code)
    if "Allow" in answer.headers:
        problem["Allow"] = answer["Allow"]
    return problem


def keep(request: Any, answer: HttpResponse) -> None:
    """An admitted call is on record with what it was answered."""
    call = getattr(request, "api_call", None)
    if call is not None:
        api_calls.finish(
            call=call,
            answer=Answer(
                status=answer.status_code,
                body=answer.content.decode(),
                code=getattr(answer, "problem", ""),
            ),
            keyed=getattr(request, "api_keyed", False),
            replayed="Idempotent-Replay" in answer.headers,
        )
