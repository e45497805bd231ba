"""What the API says when it says no: RFC 9457, in the language of Accept-Language, never an inner reason.

A refusal of a service is known here by its code. Its own sentence is a clerk's and stays inside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation.trans_real import parse_accept_lang_header

from accounts.errors import Refusal

MEDIA_TYPE = "application/problem+json"
NAMESPACE = "urn:closures:problem:"
CHINESE, ENGLISH = "zh-hans", "en"

# code → (HTTP status, title, what it means and what to do)
KNOWN: dict[str, tuple[int, Any, Any]] = {
    "not_json": (400, _("Not readable"), _("The body is not one JSON text in UTF-8.")),
    "bad_request": (400, _("Not readable"), _("The request cannot be read.")),
    "not_authenticated": (
        401,
        _("Not authenticated"),
        _("The signature, its time or its key is not right. Sign the request as docs/api.md shows."),
    ),
    "replayed": (401, _("Replayed"), _("This nonce was used before. Sign every call with a new one.")),
    "scope_missing": (403, _("Not allowed"), _("This client has no right to this operation.")),
    "not_permitted": (403, _("Not allowed"), _("This client has no right to this operation.")),
    "not_found": (404, _("Not found"), _("Nothing of this customer and account is known under this name.")),
    "not_their_account": (
        404,
        _("Not found"),
        _("Nothing of this customer and account is known under this name."),
    ),
    "method_not_allowed": (405, _("Method not allowed"), _("This address does not know this method.")),
    "already_requested": (
        409,
        _("Already requested"),
        _("A closing of this account is under way; open_ticket names it."),
    ),
    "already_closed": (409, _("Already closed"), _("The account is closed; nothing is left to close.")),
    "not_possible": (
        409,
        _("Not possible any more"),
        _("The closing has gone too far for this, or has ended. Ask for its status."),
    ),
    "in_flight": (
        409,
        _("Still at work"),
        _("The first call under this idempotency key is still at work. Try again after Retry-After."),
    ),
    "too_large": (413, _("Too large"), _("The body may have at most 65,536 bytes.")),
    "not_json_type": (415, _("Wrong content type"), _("Send the body as application/json in UTF-8.")),
    "invalid_request": (
        422,
        _("Not valid"),
        _("Some values are missing or do not have the form the API asks for; errors lists them."),
    ),
    "text_missing": (422, _("No words"), _("Send what happened, in the customer's own words.")),
    "effects_not_accepted": (
        422,
        _("Effects not accepted"),
        _("Show the present effects of closing and send the version that was accepted."),
    ),
    "assertion_stale": (
        422,
        _("Identity check too old"),
        _("Check the customer's identity again and send when it was done."),
    ),
    "key_reused": (
        422,
        _("Key used before"),
        _("This idempotency key was used for another request. Send a new one."),
    ),
    "too_many_requests": (
        429,
        _("Too many requests"),
        _("The requests of this minute are used up. Try again after Retry-After."),
    ),
    "defect": (500, _("Our mistake"), _("This could not be done. Nothing may be taken for done; ask again.")),
    "no_regulation": (
        503,
        _("Not at present"),
        _("An answer date cannot be given at present. Try again later."),
    ),
    "calendar_incomplete": (
        503,
        _("Not at present"),
        _("An answer date cannot be given at present. Try again later."),
    ),
}
OTHER_REFUSAL = (409, _("Not possible"), _("This cannot be done at present. Ask for the status."))
BY_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "not_json_type",
    429: "too_many_requests",
}
# What a refusal's facts may tell an app besides its code.
TOLD = {
    "already_requested": {"number": "open_ticket"},
    "effects_not_accepted": {"version": "disclosure_version"},
}


def language_of(request: HttpRequest) -> str:
    """The first language of Accept-Language that we speak; Chinese where none is."""
    for language, _weight in parse_accept_lang_header(request.headers.get("Accept-Language", "").lower()):
        if language.startswith("en"):
            return ENGLISH
        if language.startswith("zh"):
            return CHINESE
    return CHINESE


def of_refusal(refusal: Refusal, *, headers: Mapping[str, str] | None = None) -> HttpResponse:
    told = TOLD.get(refusal.code, {})
    more = {name: str(refusal.facts[fact]) for fact, name in told.items() if fact in refusal.facts}
    return of_code(refusal.code, headers=headers, **more)


def of_status(status: int) -> HttpResponse:
    """For answers that Django gives by itself: a wrong address, a wrong method."""
    return of_code(BY_STATUS.get(status, "defect" if status >= 500 else "bad_request"))


def of_code(code: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> HttpResponse:
    """The problem of this code; `more` are members of its own. Call it where the language is active."""
    status, title, detail = KNOWN.get(code, OTHER_REFUSAL)
    body = {
        "type": NAMESPACE + code,
        "title": str(title),
        "status": status,
        "code": code,
        "detail": str(detail),
        **more,
    }
    answer = HttpResponse(
        json.dumps(body), status=status, content_type=MEDIA_TYPE, headers=dict(headers or {})
    )
    answer.problem = code  # type: ignore[attr-defined]  # what the edge keeps of it
    return answer
