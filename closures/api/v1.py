"""The first version of the API: its routers, its errors, its OpenAPI file at /api/v1/openapi.json.

Another noun is another router: a module beside this one, a scope in `closures.models.api`, a line here.
"""

from __future__ import annotations

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from accounts.decisions import record
from accounts.errors import Refusal
from closures.api import closings, complaining, problems, reading
from closures.api.signed import IN_FLIGHT_PAUSE, StrictParser
from closures.errors import ClosureError
from closures.services import api_calls

logger = logging.getLogger(__name__)
FIELD_ERRORS_SHOWN = 20


class InvalidRequest(ClosureError):
    code = "invalid_request"
    template = _("Some values of the call are missing or do not have the right form.")


class Api(NinjaAPI):
    def get_openapi_schema(self, **options: Any) -> Any:
        """Problems are application/problem+json; ninja writes one media type for everything."""
        schema = super().get_openapi_schema(**options)
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, answer in operation["responses"].items():
                    if int(status) >= 400 and "content" in answer:
                        answer["content"] = {problems.MEDIA_TYPE: answer["content"]["application/json"]}
        return schema


api = Api(
    title="Closing of credit products",
    version="1",
    description="For the institution's own apps. How to sign, with a worked example: docs/api.md.",
    docs_url=None,  # its page loads scripts that our Content-Security-Policy keeps out
    urls_namespace="api",
    parser=StrictParser(),
)
for router in (reading.router, closings.router, complaining.router):
    api.add_router("", router)


@api.exception_handler(Refusal)
def refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    keep(request, refusal)
    headers = {}
    if refusal.code == "in_flight":
        headers["Retry-After"] = str(IN_FLIGHT_PAUSE)
    if refusal.code == "too_many_requests":
        headers["Retry-After"] = str(api_calls.retry_after(timezone.now()))
    if refusal.code in ("not_authenticated", "replayed"):
        headers["WWW-Authenticate"] = "HMAC-SHA256"
    return problems.of_refusal(refusal, headers=headers)


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """By field, and never with the value that was sent."""
    keep(request, InvalidRequest())
    listed = [
        {"field": ".".join(str(part) for part in one["loc"]), "code": str(one["type"])}
        for one in error.errors[:FIELD_ERRORS_SHOWN]
    ]
    return problems.of_code("invalid_request", errors=listed)


@api.exception_handler(HttpError)
def unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problems.of_status(error.status_code)


@api.exception_handler(Exception)
def defect(request: HttpRequest, error: Exception) -> HttpResponse:
    """A defect of ours: in the log, never in the answer."""
    logger.exception("%s %s failed", request.method, request.path)
    return problems.of_code("defect")


def keep(request: Any, refusal: Refusal) -> None:
    """Whatever was refused is on record, once."""
    if getattr(refusal, "recorded", False):
        return
    call = getattr(request, "api_call", None)
    operation = call.operation if call is not None else "admit"
    who = f"client:{call.client.key_id}" if call is not None else "client:?"
    record(refusal, action=f"api.{operation}", facts={"actor": who})
