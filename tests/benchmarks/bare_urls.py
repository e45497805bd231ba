"""A bare django-ninja endpoint beside ours: the same reads and writes, and nothing of what ours is for.

No signature, limit, scope, strict JSON, idempotency, seal, language or problem; rows are written as they are.
"""

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.urls import path
from django.utils import timezone
from ninja import NinjaAPI, Schema

from closures.models import ApiCall, ApiClient, ClosureTicket

bare = NinjaAPI(docs_url=None, urls_namespace="bare")


class Ask(Schema):
    number: str
    nonce: str
    key_id: str


class Look(Schema):
    number: str
    state: str
    lender: str
    obstacles: list[dict[str, Any]]
    linked: list[dict[str, Any]]
    steps: list[dict[str, Any]]


@bare.get("/closures/{number}", response=Look)
def closure(request: HttpRequest, number: str, nonce: str, key_id: str) -> Any:
    call = _admit(key_id, nonce)
    ticket = ClosureTicket.objects.select_related("account__customer", "account__product__lender").get(
        number=number
    )
    seen = _look(ticket)
    ApiCall.objects.filter(pk=call.pk).update(state="DONE", status=200)
    return seen


@bare.post("/eligibility")
def eligibility(request: HttpRequest, ask: Ask) -> Any:
    call = _admit(ask.key_id, ask.nonce)
    ticket = ClosureTicket.objects.select_related("account__customer", "account__product__lender").get(
        number=ask.number
    )
    account = ticket.account
    found = {
        "open": account.tickets.filter(state__in=ClosureTicket.OPEN).values_list("number", flat=True).first(),
        "agreements": list(account.agreements.filter(state="BOUND").values("kind", "partner")),
        "holds": list(ticket.holds.filter(state="OPEN").values("pk", "kind")),
        "others": type(account).objects.filter(customer=account.customer_id).count(),
        "identities": list(account.customer.identities.filter(superseded_at__isnull=True).values("pk")),
        "changed": account.customer.identities.filter(superseded_at__gt=timezone.now()).exists(),
        "newest": account.agreements.order_by("-pk").values_list("pk", flat=True).first(),
        "owed": str(account.principal),
    }
    ApiCall.objects.filter(pk=call.pk).update(state="DONE", status=200)
    return found


def _admit(key_id: str, nonce: str) -> ApiCall:
    now = timezone.now()
    client = ApiClient.objects.get(key_id=key_id)
    with transaction.atomic():
        ApiClient.objects.filter(pk=client.pk).update(window_calls=1, window_at=now)
        return ApiCall.objects.create(client=client, nonce=nonce, received_at=now, expires_at=now)


def _look(ticket: ClosureTicket) -> dict[str, Any]:
    tasks = list(ticket.tasks.values("agreement_id", "state"))
    touched = ticket.blockers.filter(cured_at__isnull=True).values_list("agreement_id", flat=True)
    blockers = ticket.blockers.filter(cured_at__isnull=True, severity="BLOCK").select_related("hold")
    return {
        "number": ticket.number,
        "state": ticket.state,
        "lender": ticket.account.product.lender.legal_name,
        "obstacles": [{"code": row.code, "amount": str(row.amount)} for row in blockers],
        "linked": list(ticket.account.agreements.filter(pk__in=[*touched, *tasks]).values("kind", "partner")),
        "steps": list(ticket.history.order_by("history_id").values("state", "history_date")),
    }


urlpatterns = [path("bare/", bare.urls)]
