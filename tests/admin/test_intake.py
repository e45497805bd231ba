"""The agent's intake: from a number a customer gives to exactly one ticket, nothing personal left over."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.core import signing
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import CreditProduct, RefusedAction, WorkCalendarDay
from accounts.roles import Role
from closures.admin import intake as pages
from closures.models import ClosureTicket
from closures.services import intake
from tests import factories
from tests.admin import scenes

pytestmark = pytest.mark.django_db
FIND = "/admin/intake/"


@pytest.fixture
def account() -> Any:
    return scenes.an_account()


@pytest.fixture
def agent(at_desk: Any) -> Client:
    return at_desk(Role.AGENT)


def step3(client: Client, account: Any) -> str:
    return pages.account_url(account, client.user)


def form_of(client: Client, account: Any, **changes: Any) -> dict[str, Any]:
    """What the browser would send from step 3 with every box ticked."""
    initial = client.get(step3(client, account)).context["form"].initial
    form = {"id_document": "on", "phone": "on", "accepted": "on", **initial, **changes}
    return {name: value for name, value in form.items() if value is not None}


# --- Finding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        {"id_number": "11010119900307721X"},
        {"id_number": " 110101 19900307 721x "},
        {"phone": "13800138000"},
        {"phone": "+86 138-0013-8000"},
        {"id_number": "11010119900307721X", "phone": "13800138000"},
    ],
)
def test_a_customer_is_found_by_the_exact_number_however_it_is_typed(
    agent: Client, account: Any, typed: dict[str, str]
) -> None:
    answer = agent.post(FIND, typed, follow=True)
    assert answer.status_code == 200
    assert account.customer.customer_no in answer.content.decode()


def test_no_number_is_ever_in_an_address_or_in_the_session(agent: Client, account: Any) -> None:
    answer = agent.post(FIND, {"id_number": scenes.PERSON["id_number"]}, follow=True)
    visited = " ".join(url for url, _status in answer.redirect_chain)
    kept = repr(dict(agent.session.items()))
    for value in scenes.PERSON.values():
        assert value not in visited and value not in kept
    assert agent.get(FIND, {"id_number": scenes.PERSON["id_number"]}).context["found"] == []


def test_what_is_found_is_masked(agent: Client, account: Any) -> None:
    page = agent.post(FIND, {"phone": scenes.PERSON["phone"]}, follow=True).content.decode()
    for value in scenes.PERSON.values():
        assert value not in page
    assert "138****8000" in page


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"id_number": "", "phone": " "},
        {"id_number": "1101011990"},
        {"phone": "9" * 200},
        {"id_number": "\x00"},
        {"id_number": "'; drop table --"},
        {"id_number": "𠮷" * 20},
    ],
)
def test_a_number_of_nobody_is_a_form_error(agent: Client, account: Any, typed: dict[str, str]) -> None:
    answer = agent.post(FIND, typed)
    assert answer.status_code == 200
    assert answer.context["form"].errors


def test_two_customers_with_one_id_number_are_both_shown(agent: Client, account: Any) -> None:
    twin = scenes.an_account("JIEBEI")
    answer = agent.post(FIND, {"id_number": scenes.PERSON["id_number"]})
    page = answer.content.decode()
    assert account.customer.customer_no in page and twin.customer.customer_no in page
    chosen = agent.get(answer.context["found"][0]["url"]).content.decode()
    assert twin.customer.customer_no in chosen  # flagged, never rejected


@pytest.mark.parametrize("role", [role for role in Role if role != Role.AGENT])
def test_only_agents_take_requests(at_desk: Any, account: Any, role: Role) -> None:
    client = at_desk(role)
    for url in (FIND, pages.customer_url(account.customer, client.user), step3(client, account)):
        assert client.get(url).status_code == 403
        assert client.post(url, {"id_number": scenes.PERSON["id_number"]}).status_code == 403
    assert not ClosureTicket.objects.exists()


# --- Signed steps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["x", "a:b:c", "…"])
def test_an_altered_step_leads_back_to_the_start(agent: Client, account: Any, bad: str) -> None:
    for name in ("admin:intake_customer", "admin:intake_account"):
        assert agent.get(reverse(name, args=[bad]))["Location"] == FIND


def test_a_step_of_somebody_else_or_of_another_kind_leads_back(agent: Client, account: Any) -> None:
    other = factories.a_user(Role.AGENT)
    theirs = pages.account_url(account, other)
    mixed = reverse("admin:intake_account", args=[pages.token("customer", account.pk, agent.user)])
    odd = reverse("admin:intake_account", args=[signing.dumps([1], salt=pages.SALT)])
    for url in (theirs, mixed, odd):
        assert agent.get(url)["Location"] == FIND


def test_an_old_step_leads_back(agent: Client, account: Any, monkeypatch: Any) -> None:
    url = step3(agent, account)
    monkeypatch.setattr(pages, "GOOD_FOR", -1)
    assert agent.get(url)["Location"] == FIND


# --- Choosing ---------------------------------------------------------------------------------------


def test_an_account_under_closing_explains_itself_and_links_to_its_ticket(
    agent: Client, account: Any
) -> None:
    ticket = scenes.a_request(account, by=factories.a_user(Role.AGENT))
    for url in (pages.customer_url(account.customer, agent.user), step3(agent, account)):
        page = agent.get(url).content.decode()
        assert ticket.number in page
        assert reverse("admin:closures_closureticket_change", args=[ticket.pk]) in page
        assert 'id="confirm"' not in page


def test_a_closed_account_explains_itself(agent: Client) -> None:
    closed = scenes.an_account("BAITIAO", line_state="CLOSED", closed_at=timezone.now())
    page = agent.get(pages.customer_url(closed.customer, agent.user)).content.decode()
    assert "Closed on" in page and "Ask to close this account" not in page
    assert 'id="confirm"' not in agent.get(step3(agent, closed)).content.decode()


def test_a_customer_without_accounts_is_said_so(agent: Client) -> None:
    customer = factories.a_customer()
    page = agent.get(pages.customer_url(customer, agent.user)).content.decode()
    assert "nothing to close" in page


# --- Confirming -------------------------------------------------------------------------------------


def test_step_3_lists_every_blocker_at_once_with_amount_and_cure(agent: Client) -> None:
    owing = scenes.an_account(principal="800.00", unbilled="12.50", pending_orders=2)
    factories.an_agreement(owing)
    page = agent.get(step3(agent, owing)).content.decode()
    for words in ("800.00", "12.50", "× 2", "repay the principal", "we end this agreement"):
        assert words in page


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_effects_are_read_in_the_pages_language_with_their_version(
    at_desk: Any, account: Any, language: str
) -> None:
    client = at_desk(Role.AGENT, language=language)
    page = unescape(client.get(step3(client, account)).content.decode())
    for effect in account.product.effects:
        assert effect[language] in page
    assert account.product.agreement_version in page
    assert intake.disclosure_version(account.product) in page


def test_a_confirmed_request_is_one_ticket_with_what_was_checked_and_accepted(
    agent: Client, account: Any
) -> None:
    answer = agent.post(step3(agent, account), form_of(agent, account))
    ticket = ClosureTicket.objects.get()
    assert answer["Location"] == reverse("admin:closures_closureticket_change", args=[ticket.pk])
    assert (ticket.channel, ticket.reason, ticket.identity_level) == ("AGENT", "CUSTOMER_REQUEST", "AGENT")
    assert ticket.requested_by == agent.user
    assert ticket.disclosure_version == intake.disclosure_version(account.product)
    assert ticket.disclosure_accepted_at is not None
    assert ticket.number in agent.get(answer["Location"]).content.decode()


def test_the_same_form_sent_twice_is_the_same_ticket(agent: Client, account: Any) -> None:
    form = form_of(agent, account)
    first = agent.post(step3(agent, account), form)
    second = agent.post(step3(agent, account), form)
    assert first["Location"] == second["Location"]
    assert ClosureTicket.objects.count() == 1


def test_a_second_form_for_the_account_names_the_open_ticket(agent: Client, account: Any) -> None:
    forms = [form_of(agent, account) for _tab in range(2)]
    agent.post(step3(agent, account), forms[0])
    answer = agent.post(step3(agent, account), forms[1])
    assert answer.status_code == 200
    assert ClosureTicket.objects.get().number in answer.content.decode()
    assert RefusedAction.objects.get().code == "already_requested"


@pytest.mark.parametrize("missing", ["id_document", "phone", "accepted"])
def test_nothing_is_requested_without_each_check(agent: Client, account: Any, missing: str) -> None:
    answer = agent.post(step3(agent, account), form_of(agent, account, **{missing: None}))
    assert answer.status_code == 200
    assert missing in answer.context["form"].errors
    assert not ClosureTicket.objects.exists()


@pytest.mark.parametrize(
    "bad", [{"key": None}, {"key": "x"}, {"key": "intake-" + "g" * 32}, {"disclosure": None}]
)
def test_a_form_that_was_tampered_with_is_refused(agent: Client, account: Any, bad: dict[str, Any]) -> None:
    answer = agent.post(step3(agent, account), form_of(agent, account, **bad))
    assert answer.status_code == 200
    assert "Open this step again" in answer.content.decode()
    assert not ClosureTicket.objects.exists()


def test_effects_that_changed_meanwhile_are_read_again(agent: Client, account: Any) -> None:
    form = form_of(agent, account)
    CreditProduct.objects.filter(pk=account.product_id).update(version=99)
    answer = agent.post(step3(agent, account), form)
    assert answer.status_code == 200
    assert not ClosureTicket.objects.exists()
    assert answer.context["form"]["disclosure"].value().split("/")[1] == "99"
    again = {name: answer.context["form"][name].value() for name in ("key", "disclosure")}
    answer = agent.post(step3(agent, account), {**form, **again})
    assert answer.status_code == 302
    assert ClosureTicket.objects.get().disclosure_version.split("/")[1] == "99"


def test_a_calendar_that_ends_too_soon_is_a_form_error(agent: Client, account: Any) -> None:
    form = form_of(agent, account)
    days = WorkCalendarDay.objects.all()
    days._raw_delete(days.db)
    answer = agent.post(step3(agent, account), form)
    assert answer.status_code == 200
    assert "work calendar" in str(answer.context["form"].non_field_errors())
    assert not ClosureTicket.objects.exists()


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(agent: Client, account: Any, method: str) -> None:
    assert getattr(agent, method)(FIND).status_code == 405
    assert getattr(agent, method)(step3(agent, account)).status_code == 405


# --- The lender's own requests ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "name", "reason"),
    [
        (Role.RISK, "request_risk", "RISK_CONTROL"),
        (Role.LEAD, "request_policy", "POLICY"),
    ],
)
def test_risk_and_lead_ask_from_the_accounts_page(
    at_desk: Any, account: Any, role: Role, name: str, reason: str
) -> None:
    client = at_desk(role)
    page = reverse("admin:accounts_creditaccount_change", args=[account.pk])
    dialog = reverse(f"admin:accounts_creditaccount_{name}", args=[account.pk])
    assert dialog in client.get(page).content.decode()
    assert client.post(dialog, {"ground": " "}).status_code == 200
    assert not ClosureTicket.objects.exists()
    client.post(dialog, {"ground": "overdue three months"})
    ticket = ClosureTicket.objects.get()
    assert (ticket.reason, ticket.ground, ticket.requested_by) == (
        reason,
        "overdue three months",
        client.user,
    )
    assert dialog not in client.get(page).content.decode()


@pytest.mark.parametrize("role", [Role.AGENT, Role.REVIEWER, Role.AUDITOR])
def test_nobody_else_closes_against_a_customer(at_desk: Any, account: Any, role: Role) -> None:
    client = at_desk(role)
    for name in ("request_risk", "request_policy"):
        dialog = reverse(f"admin:accounts_creditaccount_{name}", args=[account.pk])
        assert client.post(dialog, {"ground": "because"}).status_code == 403
    assert not ClosureTicket.objects.exists()
