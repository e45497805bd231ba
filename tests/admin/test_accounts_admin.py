"""The pages of people and what they hold: what they cost, what they say, and their buttons."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import (
    CreditAccount,
    CreditProduct,
    Customer,
    IdentityReveal,
    RefusedAction,
    Regulation,
    User,
    WorkCalendarDay,
)
from accounts.roles import Role
from accounts.services import lines
from tests import factories
from tests.admin import scenes

pytestmark = pytest.mark.django_db

# --- Prices -----------------------------------------------------------------------------------------

NOUNS = (
    "customer",
    "customeridentity",
    "lender",
    "lenderrelationship",
    "creditproduct",
    "creditaccount",
    "linerestriction",
    "partneragreement",
    "regulation",
    "workcalendarday",
    "refusedaction",
    "user",
)


def price(client: Any, url: str) -> int:
    client.get(url)  # content types and the like are read once per process
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def rows(n: int) -> None:
    for _n in range(n):
        account = scenes.an_account()
        factories.an_agreement(account)
        lines.restrict(
            account_id=account.pk,
            cause="CUSTOMER_LOCK",
            reference="",
            actor=factories.staff(Role.RISK),
            reason="asked for it",
            now=timezone.now(),
        )
        RefusedAction.objects.create(actor="staff:x", action="a", code="c", message="m")


@pytest.mark.parametrize("noun", NOUNS)
def test_a_lists_price_does_not_grow_with_its_rows(at_desk: Any, noun: str) -> None:
    client = at_desk(Role.SECURITY if noun == "user" else Role.AUDITOR)
    url = reverse(f"admin:accounts_{noun}_changelist")
    rows(2)
    before = price(client, url)
    rows(6)
    assert price(client, url) == before
    assert before <= 12, noun


def test_a_customers_page_costs_the_same_however_much_he_holds(at_desk: Any) -> None:
    client, customer = at_desk(Role.AGENT), factories.a_customer()
    scenes.identified(customer)
    url = reverse("admin:accounts_customer_change", args=[customer.pk])

    def hold(product: str) -> None:
        account = factories.an_account(product, customer=customer)
        factories.an_agreement(account)
        factories.an_agreement(account, kind="WEALTH_LINK")

    hold("HUABEI")
    before = price(client, url)
    for product in ("JIEBEI", "BAITIAO", "WANGSHANGDAI"):
        hold(product)
    assert price(client, url) == before
    assert before <= 25


# --- What the pages say -----------------------------------------------------------------------------


def page_of(client: Any, row: Any) -> str:
    opts = row._meta
    answer = client.get(reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk]))
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize("role", [Role.AGENT, Role.REVIEWER, Role.LEAD, Role.RISK, Role.AUDITOR])
def test_identities_are_masked_on_every_page_for_everybody(
    at_desk: Any, world: dict[str, Any], role: Role
) -> None:
    client, customer = at_desk(role), world["account"].customer
    identity = customer.identities.get()
    shown = [page_of(client, customer), page_of(client, identity)]
    shown += [client.get(reverse(f"admin:accounts_{n}_changelist")).content.decode() for n in NOUNS[:2]]
    for page in shown:
        for value in scenes.PERSON.values():
            assert value not in page
        assert identity.name_sealed not in page and identity.id_number_index not in page
    assert "110***********721X" in shown[0]


def test_the_customers_page_says_what_he_holds_why_it_is_limited_and_what_is_linked(
    at_desk: Any, world: dict[str, Any]
) -> None:
    client, account = at_desk(Role.AGENT), world["account"]
    page = page_of(client, account.customer)
    for words in (account.account_no, "Limited since", world["ticket"].number, "What stays open"):
        assert words in page
    assert account.agreements.get().agreement_no in page


def test_the_same_id_number_on_another_customer_is_flagged(at_desk: Any) -> None:
    one, twin = scenes.an_account(), scenes.an_account()
    page = page_of(at_desk(Role.AGENT), one.customer)
    assert "same ID number" in page and twin.customer.customer_no in page


def test_a_reveal_needs_the_right_and_a_reason_and_is_recorded(at_desk: Any, world: dict[str, Any]) -> None:
    customer = world["account"].customer
    url = reverse("admin:accounts_customer_reveal", args=[customer.pk])
    IdentityReveal.objects.all().delete()
    assert at_desk(Role.AGENT).post(url, {"reason": "curious"}).status_code == 403
    client = at_desk(Role.REVIEWER)
    assert scenes.PERSON["id_number"] not in client.post(url, {"reason": " "}).content.decode()
    assert scenes.PERSON["id_number"] not in client.get(url).content.decode()
    assert not IdentityReveal.objects.exists()
    shown = client.post(url, {"reason": "compare with the letter"})
    assert scenes.PERSON["id_number"] in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert IdentityReveal.objects.get().user == client.user
    assert scenes.PERSON["id_number"] not in page_of(client, customer)


def test_a_whole_number_is_found_and_a_part_of_it_is_not(at_desk: Any) -> None:
    account = scenes.an_account()
    client = at_desk(Role.AGENT)
    url = reverse("admin:accounts_creditaccount_changelist")
    for term in (account.account_no, account.customer.customer_no, f" {account.account_no} "):
        assert account.account_no in client.get(url, {"q": term}).content.decode()
    assert client.get(url, {"q": "\x00"}).status_code == 200
    for term in (account.account_no[:-1], "%", "'", "9" * 400):
        answer = client.get(url, {"q": term})
        assert answer.status_code == 200
        assert f">{account.account_no}<" not in answer.content.decode()


@pytest.mark.parametrize(
    "query", ["?state__exact=NOPE", "?p=999", "?o=99", "?customer__identities__name_sealed=x", "?e=1"]
)
def test_a_strange_query_never_breaks_a_list(at_desk: Any, world: dict[str, Any], query: str) -> None:
    client = at_desk(Role.AUDITOR)
    for noun in NOUNS:
        assert client.get(reverse(f"admin:accounts_{noun}_changelist") + query).status_code in (200, 302, 400)


# --- Dialogs ----------------------------------------------------------------------------------------


def test_staff_are_invited_activated_and_given_roles_by_two_different_people(at_desk: Any) -> None:
    administrator, security = at_desk(Role.ADMINISTRATOR), at_desk(Role.SECURITY)
    form = {"staff_no": "N-1", "name": "新人", "password": "correct horse 1", "reason": "joins the desk"}
    assert security.post(reverse("admin:staff_invite"), form).status_code == 403
    answer = administrator.post(reverse("admin:staff_invite"), form)
    person = User.objects.get(staff_no="N-1")
    assert answer["Location"] == reverse("admin:accounts_user_change", args=[person.pk])
    administrator.post(reverse("admin:accounts_user_activate", args=[person.pk]), {"reason": "vouched for"})
    roles = reverse("admin:accounts_user_set_roles", args=[person.pk])
    assert administrator.post(roles, {"roles": ["agent"], "reason": "x"}).status_code == 403
    both = security.post(roles, {"roles": ["agent", "auditor"], "reason": "x"})
    assert "cannot hold these roles" in both.content.decode()
    security.post(roles, {"roles": ["agent"], "reason": "desk 4"})
    person.refresh_from_db()
    assert (person.state, [group.name for group in person.groups.all()]) == ("ACTIVE", ["agent"])


@pytest.mark.parametrize(
    "bad",
    [
        {"staff_no": ""},
        {"staff_no": "a b"},
        {"staff_no": "x" * 30},
        {"password": "short"},
        {"name": ""},
        {"reason": ""},
    ],
)
def test_a_bad_invitation_is_a_form_error(at_desk: Any, bad: dict[str, str]) -> None:
    client = at_desk(Role.ADMINISTRATOR)
    good = {"staff_no": "N-1", "name": "新人", "password": "correct horse 1", "reason": "joins"}
    answer = client.post(reverse("admin:staff_invite"), good | bad)
    assert answer.status_code == 200 and answer.context["form"].errors
    assert not User.objects.filter(name="新人").exists()


def test_a_staff_number_in_use_is_refused_and_recorded(at_desk: Any) -> None:
    client = at_desk(Role.ADMINISTRATOR)
    form = {
        "staff_no": client.user.staff_no,
        "name": "新人",
        "password": "correct horse 1",
        "reason": "joins",
    }
    answer = client.post(reverse("admin:staff_invite"), form)
    assert "is taken" in answer.content.decode()
    assert RefusedAction.objects.get().code == "staff_number_taken"


def test_an_invitation_needs_a_fresh_sign_in(at_desk: Any, settings: Any) -> None:
    settings.STEP_UP_REQUIRED = True
    client = at_desk(Role.ADMINISTRATOR)
    session = client.session
    session["signed_in_at"] = timezone.now().timestamp() - 3600
    session.save()
    form = {"staff_no": "N-1", "name": "新人", "password": "correct horse 1", "reason": "joins"}
    answer = client.post(reverse("admin:staff_invite"), form)
    assert "again=1" in answer["Location"]
    assert client.get(answer["Location"]).status_code == 200  # the form, though signed in
    assert not User.objects.filter(staff_no="N-1").exists()


POLICY = {
    "cooling_off": "3天 12小时",
    "notice_lead": "30d",
    "settle_window": "90s",
    "straight_through": "on",
    "sampling_percent": "25",
    "reason": "decision 7",
}


def test_the_lead_edits_the_closing_policy_and_nobody_else(at_desk: Any) -> None:
    product = CreditProduct.objects.get(code="HUABEI")
    url = reverse("admin:accounts_creditproduct_edit_policy", args=[product.pk])
    assert at_desk(Role.RISK).post(url, POLICY).status_code == 403
    client = at_desk(Role.LEAD)
    assert 'value="7d"' in client.get(url).content.decode()
    client.post(url, POLICY)
    edited = CreditProduct.objects.get(pk=product.pk)
    assert edited.cooling_off == timedelta(days=3, hours=12)
    assert (edited.settle_window, edited.sampling_percent, edited.straight_through) == (
        timedelta(seconds=90),
        25,
        True,
    )
    assert edited.version == product.version + 1
    assert "3 days 12 hours" in page_of(client, edited)


@pytest.mark.parametrize(
    "bad",
    [
        {"cooling_off": "soon"},
        {"cooling_off": "-1d"},
        {"notice_lead": ""},
        {"settle_window": "99999999d"},
        {"settle_window": "999999d"},
        {"sampling_percent": "101"},
        {"sampling_percent": "x"},
        {"reason": ""},
    ],
)
def test_a_bad_policy_is_a_form_error(at_desk: Any, bad: dict[str, str]) -> None:
    product = CreditProduct.objects.get(code="HUABEI")
    url = reverse("admin:accounts_creditproduct_edit_policy", args=[product.pk])
    answer = at_desk(Role.LEAD).post(url, POLICY | bad)
    assert answer.status_code == 200 and answer.context["form"].errors
    assert CreditProduct.objects.get(pk=product.pk).version == product.version


def test_a_product_leaves_the_market_and_comes_back(at_desk: Any) -> None:
    product, client = CreditProduct.objects.get(code="BAITIAO"), at_desk(Role.LEAD)
    for name, state in (("suspend", "SUSPENDED"), ("resume", "OFFERED"), ("withdraw", "WITHDRAWN")):
        client.post(
            reverse(f"admin:accounts_creditproduct_{name}", args=[product.pk]), {"reason": "decision"}
        )
        product.refresh_from_db()
        assert product.state == state


def test_a_legal_number_is_proposed_by_one_and_approved_by_another(at_desk: Any) -> None:
    known = Regulation.objects.get(code="ANSWER_DUE")
    proposal = {
        "value": "10",
        "valid_from": "2027-03-01",
        "source": "notice 3",
        "certainty": "C",
        "reason": "new law",
    }
    first, second = at_desk(Role.LEAD), at_desk(Role.LEAD)
    first.post(reverse("admin:accounts_regulation_propose", args=[known.pk]), proposal)
    row = Regulation.objects.get(state="PROPOSED")
    approve = reverse("admin:accounts_regulation_approve", args=[row.pk])
    assert approve not in page_of(first, row)
    assert "another person" in first.post(approve, {"reason": "fine"}).content.decode()
    assert approve in page_of(second, row)
    second.post(approve, {"reason": "read and agreed"})
    row.refresh_from_db()
    assert (row.state, row.approved_by, row.valid_from) == ("IN_FORCE", second.user, date(2027, 3, 1))


@pytest.mark.parametrize("value", ["", "ten", "0", "1.5", "99999"])
def test_a_value_that_does_not_fit_is_refused(at_desk: Any, value: str) -> None:
    known = Regulation.objects.get(code="ANSWER_DUE")
    form = {"value": value, "valid_from": "2027-03-01", "source": "s", "certainty": "C", "reason": "r"}
    answer = at_desk(Role.LEAD).post(reverse("admin:accounts_regulation_propose", args=[known.pk]), form)
    assert answer.status_code == 200
    assert not Regulation.objects.filter(state="PROPOSED").exists()


def test_the_calendar_of_a_year_is_loaded_from_the_notice(at_desk: Any) -> None:
    off = ["01-01", "05-01", "10-01"]
    weekdays = ["02-08", "02-09", "02-10", "02-11", "02-12", "04-05", "05-03", "06-09", "09-15", "10-04"]
    days = "\n".join(["date,working", *(f"2027-{day},0" for day in [*off, *weekdays, "10-02", "10-03"])])
    form = {"year": "2027", "days": days, "source": "国办 2026", "reason": "the notice is out"}
    url = reverse("admin:calendar_load")
    assert at_desk(Role.AGENT).post(url, form).status_code == 403
    client = at_desk(Role.LEAD)
    for bad in ("", "x", "date,working\n2027-13-01,1", "date,working\n2026-01-01,0"):
        answer = client.post(url, {**form, "days": bad})
        assert answer.status_code == 200 and answer.context["form"].errors, bad
    assert client.post(url, form).status_code == 302
    assert not WorkCalendarDay.objects.filter(date__year=2027, provisional=True).exists()


def test_the_accounts_and_customers_pages_know_of_closings() -> None:
    from closures.admin.accounts import ClosableAccountAdmin, CustomerWithTicketsAdmin  # noqa: PLC0415

    assert isinstance(admin.site.get_model_admin(CreditAccount), ClosableAccountAdmin)
    assert isinstance(admin.site.get_model_admin(Customer), CustomerWithTicketsAdmin)
