"""By an app, over HTTP: from the first question to the certificate, every event received."""

from __future__ import annotations

import pytest
from django.utils import timezone

from closures.demo.app import Receiver
from closures.demo.stories_api import WAY, an_app, by_api, request_body
from closures.demo.world import World
from closures.models import ApiCall, AppRequest, ClosureTicket, Webhook


def test_a_customer_closes_his_account_in_the_app(world: World) -> None:
    told = by_api(world)
    assert told.as_expected, told.checks
    ticket = told.ticket
    assert (ticket.channel, ticket.identity_level) == ("API", "ASSERTED")
    assert ticket.app_request.over
    world.wait(lambda: not Webhook.objects.exclude(state="DELIVERED").exists(), "every event is received")
    kinds = Webhook.objects.filter(ticket=ticket).exclude(kind="closure.blocked")
    assert list(kinds.order_by("pk").values_list("kind", flat=True)) == WAY
    assert not ApiCall.objects.exclude(state="DONE").exists()


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_he_is_told_what_blocks_cures_it_and_it_goes_on_by_itself(world: World, language: str) -> None:
    account = world.account("JIEBEI", principal="75.50")
    named = {"customer_no": account.customer.customer_no, "account_no": account.account_no}
    with Receiver() as receiver, an_app(world, receiver) as app:
        app.language = language
        number = app.post("/closures", request_body(app, account, now=timezone.now()), key="k").json()[
            "number"
        ]
        ticket = ClosureTicket.objects.get(number=number)
        world.until(ticket, "BLOCKED")
        shown = app.get(f"/closures/{number}", **named).json()
        assert [item["code"] for item in shown["obstacles"]] == ["OUTSTANDING_PRINCIPAL"]
        assert shown["obstacles"][0]["amount"] == "75.50" and shown["obstacles"][0]["cure"]
        world.simulator.repay(account.account_no)
        world.until(ticket, "IN_REVIEW")
        world.wait(lambda: "closure.in_review" in receiver.types, "the app has heard")
    assert receiver.types[:3] == ["closure.received", "closure.blocked", "closure.in_review"]
    assert AppRequest.objects.get(ticket=ticket).assertion == "FACE_COMPARED"
