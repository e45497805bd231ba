"""Stories of the institution's own app: everything over HTTP, signed, with its events coming back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import CreditAccount
from closures.demo.app import App, Receiver
from closures.demo.stories import Story, Told, closed_for_good
from closures.demo.world import World
from closures.models import ClosureTicket
from closures.models.api import Scope
from closures.services import api_clients

WAY = [
    "closure.received",
    "closure.in_review",
    "closure.decided",
    "closure.unbinding",
    "closure.closing",
    "closure.closed",
]


def by_api(world: World) -> Told:
    """From the first question to the certificate, as an app does it, with a webhook for every step."""
    account = world.account("HUABEI", ("ALIPAY", "AUTO_REPAY", 1), principal="260.00")
    named = {"customer_no": account.customer.customer_no, "account_no": account.account_no}
    with Receiver() as receiver, an_app(world, receiver) as app:
        before = app.post("/eligibility", named).json()
        world.simulator.repay(account.account_no)
        body = request_body(app, account, now=timezone.now())
        first = app.post("/closures", body, key=f"story-{account.account_no}")
        again = app.post("/closures", body, key=f"story-{account.account_no}")
        another = app.post("/closures", body, key=f"other-{account.account_no}")
        ticket = ClosureTicket.objects.get(number=first.json()["number"])
        world.approve(ticket, by="reviewer")
        told = closed_for_good(world, ticket)
        shown = app.get(f"/closures/{ticket.number}", **named).json()
        world.wait(lambda: "closure.closed" in receiver.types, "the app has heard of the end")
        world.wait(lambda: len(receiver.types) >= len(WAY), "the app has heard of every step")
    told.check("in the way at first", ["OUTSTANDING_PRINCIPAL"], codes(before, "BLOCK"))
    told.check(
        "first call, repeat, another", [201, 200, 409], [a.status_code for a in (first, again, another)]
    )
    told.check("the repeat's answer", first.json(), again.json())
    told.check("the 409 names", ticket.number, another.json().get("open_ticket"))
    told.check("certificate by API", f"CERT-{ticket.number}", shown["certificate_no"])
    told.check("webhooks", WAY, [kind for kind in receiver.types if kind != "closure.blocked"])
    told.check("forged webhooks", 0, receiver.forged)
    return told


def withdrawn_by_api(world: World) -> Told:
    """The customer takes it back in the app while he still can; a second time there is nothing to take."""
    account = world.account("JIEBEI", ("WECHAT", "WITHHOLDING", 0))
    named = {"customer_no": account.customer.customer_no, "account_no": account.account_no}
    with Receiver() as receiver, an_app(world, receiver) as app:
        body = request_body(app, account, now=timezone.now())
        number = app.post("/closures", body, key=f"story-{account.account_no}").json()["number"]
        taken = app.post(f"/closures/{number}/withdraw", named)
        twice = app.post(f"/closures/{number}/withdraw", named)
        world.wait(lambda: "closure.withdrawn" in receiver.types, "the app has heard of the withdrawal")
        strange = app.get(f"/closures/{number}", **{**named, "customer_no": "NOBODY"})
    told = Told(ClosureTicket.objects.select_related("account").get(number=number))
    told.check("state", "WITHDRAWN", told.ticket.state)
    told.check(
        "withdrawn, again, by a stranger", [200, 409, 404], [a.status_code for a in (taken, twice, strange)]
    )
    told.check("agreement", "BOUND", account.agreements.get().state)
    return told


STORIES = (
    Story("by-api", _("By API from request to certificate"), by_api),
    Story("withdrawn-by-api", _("Withdrawn in the app"), withdrawn_by_api),
)


@contextmanager
def an_app(world: World, receiver: Receiver) -> Iterator[App]:
    """An app that the security officer has let in, with an address for its events."""
    issued = api_clients.create(
        name="演示应用",
        scopes=Scope.values,
        requests_per_minute=600,
        webhook_url=receiver.url,
        reason="演示",
        actor=world.staff("security"),
        now=timezone.now(),
    )
    receiver.secrets.append(issued.secret)
    app = App(world.web, key_id=issued.client.key_id, secret=issued.secret)
    try:
        yield app
    finally:
        app.close()


def request_body(app: App, account: CreditAccount, *, now: datetime) -> dict[str, Any]:
    """What the app sends once the customer has read the effects and has been identified."""
    products = {product["code"]: product for product in app.get("/products").json()["products"]}
    return {
        "customer_no": account.customer.customer_no,
        "account_no": account.account_no,
        "identity": {"level": "FACE_COMPARED", "asserted_at": now.isoformat()},
        "accepted_disclosure": products[account.product.code]["disclosure_version"],
    }


def codes(eligibility: dict[str, Any], severity: str) -> list[str]:
    return [item["code"] for item in eligibility["blockers"] if item["severity"] == severity]


def statuses(*answers: httpx.Response) -> list[int]:
    return [answer.status_code for answer in answers]
