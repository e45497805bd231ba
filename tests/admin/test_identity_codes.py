"""One-time codes at the counter: sent and entered by an agent, shown to readers without digits or phone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import pii
from accounts.actors import Actor
from closures.models import ClosureTicket, IdentityCode
from closures.selectors import status_links
from closures.services import identity_codes, intake
from tests import factories
from tests.admin import scenes

pytestmark = pytest.mark.django_db


def unproved(agent: Any) -> ClosureTicket:
    account = scenes.an_account()
    return intake.request_closure(
        account_id=account.pk,
        reason="CUSTOMER_REQUEST",
        channel="AGENT",
        actor=Actor.staff(agent),
        now=timezone.now(),
        accepted_disclosure=intake.disclosure_version(account.product),
    ).ticket


def digits_of(code: IdentityCode) -> str:
    text = pii.reveal(code.body.text_sealed, subject=code.key, field="text")
    return re.search(r"\d{6}", text)[0]  # type: ignore[index]


def open_intake(client: Any, agent: Any) -> tuple[str, dict[str, str]]:
    from closures.admin.intake import account_url  # noqa: PLC0415

    url = account_url(scenes.an_account(), agent)
    form = client.get(url).context["form"]
    hidden = {name: form[name].value() for name in ("disclosure", "key")}
    return url, hidden


def test_intake_by_a_code_asks_for_no_document_and_sends_it(at_desk: Any) -> None:
    client = at_desk("agent")
    url, hidden = open_intake(client, client.user)
    answer = client.post(url, {**hidden, "proof": "CODE", "accepted": "on"})
    ticket = ClosureTicket.objects.get()
    assert answer.status_code == 302 and ticket.identity_level == "NONE"
    code = ticket.identity_codes.get()
    assert (code.purpose, code.asked_by) == ("PROVE_REQUEST", client.user)


@pytest.mark.parametrize("proof", ["AGENT", ""])
def test_intake_by_the_agents_own_check_still_needs_both_ticks(at_desk: Any, proof: str) -> None:
    client = at_desk("agent")
    url, hidden = open_intake(client, client.user)
    answer = client.post(url, {**hidden, "proof": proof, "accepted": "on"})
    assert answer.status_code == 200 and set(answer.context["form"].errors) == {"id_document", "phone"}
    client.post(url, {**hidden, "proof": proof, "accepted": "on", "id_document": "on", "phone": "on"})
    assert ClosureTicket.objects.get().identity_level == "AGENT"
    assert not IdentityCode.objects.exists()


def test_without_a_phone_on_file_the_ticket_stands_and_the_agent_is_told(at_desk: Any) -> None:
    client = at_desk("agent")
    url, hidden = open_intake(client, client.user)
    from accounts.models import CustomerIdentity  # noqa: PLC0415

    CustomerIdentity.objects.update(phone_sealed="", phone_index="")
    page = client.post(url, {**hidden, "proof": "CODE", "accepted": "on"}, follow=True).content.decode()
    assert ClosureTicket.objects.exists() and "no phone number on file" in page


def test_the_ticket_page_offers_to_enter_the_code_and_to_send_another(at_desk: Any) -> None:
    client = at_desk("agent")
    ticket = unproved(client.user)
    page = scenes.page(client, ticket)
    assert scenes.dialog_url(ticket, "send_code") in page and scenes.dialog_url(ticket, "enter_code") in page

    client.post(scenes.dialog_url(ticket, "send_code"))
    code = ticket.identity_codes.get()
    again = client.post(scenes.dialog_url(ticket, "send_code")).content.decode()
    assert 'data-code="too_many_codes"' in again

    digits = digits_of(code)
    wrong = f"{(int(digits) + 1) % 1_000_000:06d}"
    refused = client.post(scenes.dialog_url(ticket, "enter_code"), {"code": wrong}).content.decode()
    assert 'data-code="wrong_code"' in refused and "Tries left: 4" in refused
    assert client.post(scenes.dialog_url(ticket, "enter_code"), {"code": digits}).status_code == 302
    assert ClosureTicket.objects.get().identity_level == "CODE"
    assert scenes.dialog_url(ticket, "enter_code") not in scenes.page(client, ticket)


def test_whoever_may_not_request_may_not_send_or_enter(at_desk: Any) -> None:
    ticket = unproved(factories.a_user("agent"))
    for role in ("reviewer", "lead", "risk", "auditor"):
        client = at_desk(role)
        for name in ("send_code", "enter_code", "status_link", "renew_link"):
            answer = client.post(scenes.dialog_url(ticket, name), {"code": "123456"})
            assert answer.status_code == 403, (role, name)
    assert not IdentityCode.objects.exists()


def test_the_status_link_is_shown_and_can_be_renewed(at_desk: Any) -> None:
    client = at_desk("agent")
    ticket = unproved(client.user)
    link = status_links.url(ticket, now=timezone.now())
    assert link in client.post(scenes.dialog_url(ticket, "status_link")).content.decode()
    renewed = client.post(scenes.dialog_url(ticket, "renew_link")).content.decode()
    ticket = ClosureTicket.objects.get()
    assert link not in renewed and status_links.url(ticket, now=timezone.now()) in renewed
    newest = ticket.history.latest("history_id")
    assert newest.history_actor == f"staff:{client.user.staff_no}"


def test_the_list_and_the_page_show_neither_digits_nor_phone(at_desk: Any) -> None:
    ticket = unproved(factories.a_user("agent"))
    code = identity_codes.issue(
        ticket_id=ticket.pk,
        purpose="PROVE_REQUEST",
        actor=Actor.customer(ticket.account.customer),
        now=timezone.now(),
    )
    digits = digits_of(code)
    client = at_desk("auditor")
    urls = [
        reverse("admin:closures_identitycode_changelist"),
        reverse("admin:closures_identitycode_change", args=[code.pk]),
        reverse("admin:closures_identitycode_history", args=[code.pk]),
    ]
    for url in urls:
        page = client.get(url).content.decode()
        for secret in (digits, code.code_hash, code.key, scenes.PERSON["phone"], scenes.PERSON["phone"][-4:]):
            assert secret not in page, (url, secret)
    assert "0 of 5" in client.get(urls[0]).content.decode()
