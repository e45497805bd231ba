"""Laws of every page of the console: it reads, it asks little, and nothing is changed by looking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.paginator import Paginator
from django.test import Client, RequestFactory
from django.urls import reverse
from django_fsm import FSMField

from accounts.admin.base import COLOURS, CappedPaginator, ReadOnlyAdmin, UntrackedAdmin
from accounts.admin.dialogs import came_from, sign_in_page
from accounts.models import Customer, RefusedAction
from closures.models import Blocker, ClosureTicket, Hold
from tests import factories
from tests.admin import scenes

pytestmark = pytest.mark.django_db

NOUNS = sorted(admin.site._registry.values(), key=lambda noun: noun.opts.label)


def signed_in(*roles: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(factories.a_user(*roles, **fields))
    return client


@pytest.fixture
def root() -> Client:
    return signed_in(is_superuser=True)


@pytest.fixture
def rows() -> dict[Any, Any]:
    """One row of as many nouns as one closing makes."""
    agent, reviewer = factories.a_user("agent"), factories.a_user("reviewer")
    account = scenes.an_account()
    factories.an_agreement(account)
    ticket = scenes.approved(scenes.examined(scenes.a_request(account, by=agent)), by=reviewer)
    ticket = scenes.unbinding(ticket)
    scenes.dead(ticket.tasks.get())
    scenes.dead_command(ticket)
    scenes.held(ticket, kind="MANUAL", by=reviewer)
    return {
        noun.model: noun.model._default_manager.first()
        for noun in NOUNS
        if noun.model._default_manager.exists()
    }


def fsm_states() -> Iterator[tuple[str, str, str]]:
    for model in apps.get_models():
        if model._meta.app_label not in ("accounts", "closures") or "Historical" in model.__name__:
            continue
        for field in model._meta.get_fields():
            if isinstance(field, FSMField):
                for value, label in field.choices:
                    yield f"{model.__name__}.{field.name}", value, str(label)


def test_every_state_has_a_label_and_a_colour() -> None:
    states = list(fsm_states())
    assert len({noun for noun, _value, _label in states}) >= 9
    assert [s for s in states if not s[2].strip() or s[2] == s[1]] == []
    assert [s for s in states if s[1] not in COLOURS] == []
    assert set(Blocker.Severity.values) <= set(COLOURS)
    assert set(COLOURS.values()) <= {"info", "primary", "success", "warning", "danger", ""}


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.opts.label)
def test_nobody_adds_changes_or_deletes_not_even_a_superuser(noun: Any, rf: RequestFactory) -> None:
    assert isinstance(noun, ReadOnlyAdmin | UntrackedAdmin)
    request = rf.get("/")
    request.user = factories.a_user(is_superuser=True)
    assert not noun.has_add_permission(request)
    assert not noun.has_change_permission(request)
    assert not noun.has_delete_permission(request)
    assert noun.get_actions(request) == {}
    assert not noun.show_full_result_count
    assert noun.date_hierarchy is None


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.opts.label)
def test_no_page_shows_a_proxy_or_the_fsm_admin(noun: Any) -> None:
    assert not noun.model._meta.proxy
    assert "FSMAdminMixin" not in {parent.__name__ for parent in type(noun).__mro__}


def test_posting_to_history_is_refused_on_every_tracked_noun_and_changes_nothing(
    root: Client, rows: dict[Any, Any]
) -> None:
    tried = 0
    for noun in NOUNS:
        row = rows.get(noun.model)
        if row is None or not isinstance(noun, ReadOnlyAdmin):
            continue
        tried += 1
        oldest = row.history.earliest("history_id")
        before, kept = row.history.count(), noun.model._default_manager.values().get(pk=row.pk)
        name = f"admin:{noun.opts.app_label}_{noun.opts.model_name}_simple_history"
        url = reverse(name, args=[row.pk, oldest.history_id])
        answer = root.post(url, {"state": "x", "ground": "x", "_change_history": "1"})
        assert answer.status_code == 405, noun
        assert row.history.count() == before
        assert noun.model._default_manager.values().get(pk=row.pk) == kept
        assert root.get(url).status_code == 200, noun
    assert tried >= 8


def test_posting_to_a_page_changes_nothing(root: Client, rows: dict[Any, Any]) -> None:
    for model, row in rows.items():
        opts = model._meta
        kept = model._default_manager.values().get(pk=row.pk)
        for what in ("change", "delete"):
            answer = root.post(reverse(f"admin:{opts.app_label}_{opts.model_name}_{what}", args=[row.pk]), {})
            assert answer.status_code == 403, (model, what)
        assert model._default_manager.values().get(pk=row.pk) == kept


def test_every_list_and_page_opens_for_whoever_may_see_it(root: Client, rows: dict[Any, Any]) -> None:
    for noun in NOUNS:
        stem = f"admin:{noun.opts.app_label}_{noun.opts.model_name}"
        assert root.get(reverse(f"{stem}_changelist")).status_code == 200, noun
        if noun.model in rows:
            page = root.get(reverse(f"{stem}_change", args=[rows[noun.model].pk]))
            assert page.status_code == 200, noun
            assert "(&#x27;" not in page.content.decode()  # a badge that shows its tuple


def test_a_list_asks_a_fixed_number_of_questions(
    root: Client, rows: dict[Any, Any], django_assert_max_num_queries: Any
) -> None:
    for noun in NOUNS:
        url = reverse(f"admin:{noun.opts.app_label}_{noun.opts.model_name}_changelist")
        root.get(url)
        with django_assert_max_num_queries(14):
            root.get(url)


@pytest.mark.parametrize(
    "query",
    [
        "account__customer__customer_no__startswith=TC",
        "ground__contains=order",
        "requested_by__password__startswith=md5",
        "certificate_hash__gte=a",
        "examined__holds__0__kind=AML",
    ],
)
def test_a_column_that_is_no_filter_cannot_be_probed_by_url(
    root: Client, rows: dict[Any, Any], query: str
) -> None:
    plain = root.get(reverse("admin:closures_closureticket_changelist"))
    answer = root.get(reverse("admin:closures_closureticket_changelist") + "?" + query)
    assert plain.status_code == 200
    assert answer.status_code in (302, 400)  # Django sends bad lookups away, or calls them suspicious


def test_the_filters_that_are_offered_work(root: Client, rows: dict[Any, Any]) -> None:
    stem = reverse("admin:closures_closureticket_changelist")
    product = ClosureTicket.objects.get().account.product_id
    for query, found in (
        ("state__exact=UNBINDING", 1),
        ("state__exact=CLOSED", 0),
        ("reason__exact=CUSTOMER_REQUEST", 1),
        (f"account__product__id__exact={product}", 1),
        ("due=soon", 0),
        ("due=later", 0),
    ):
        answer = root.get(f"{stem}?{query}")
        assert answer.status_code == 200
        assert answer.context["cl"].result_count == found, query


def test_counting_stops_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CappedPaginator, "CAP", 3)
    for _n in range(3):
        factories.a_customer()
    pages = CappedPaginator(Customer.objects.order_by("pk"), 2)
    assert (pages.count, pages.shown_count) == (3, "3")
    factories.a_customer()
    pages = CappedPaginator(Customer.objects.order_by("pk"), 2)
    assert (pages.count, pages.shown_count, pages.num_pages) == (3, "3+", 2)
    assert Paginator(Customer.objects.order_by("pk"), 2).count == 4


def test_the_way_back_never_leaves_the_console(rf: RequestFactory) -> None:
    def back(url: str) -> str:
        return came_from(rf.post("/", headers={"HX-Current-URL": url}), otherwise="/admin/x/")

    assert back("http://testserver/admin/closures/hold/?state=OPEN") == "/admin/closures/hold/?state=OPEN"
    for url in ("http://evil.test/admin/", "//evil.test/admin/", "javascript:alert(1)", "/elsewhere/", ""):
        assert back(url) == "/admin/x/"


def test_a_decision_needs_a_fresh_sign_in(settings: Any, rows: dict[Any, Any]) -> None:
    settings.STEP_UP_REQUIRED = True
    client, hold = signed_in("reviewer"), Hold.objects.get()
    url = reverse("admin:closures_hold_lift", args=[hold.pk])
    session = client.session
    session["signed_in_at"] = session["signed_in_at"] - 301
    session.save()
    answer = client.post(url, {"ground": "order withdrawn"})
    assert answer.status_code == 200
    assert 'data-code="sign_in_again"' in answer.content.decode()
    assert Hold.objects.get().state == "OPEN"
    assert RefusedAction.objects.filter(code="sign_in_again").count() == 1
    fresh = signed_in("reviewer")
    assert fresh.post(url, {"ground": "order withdrawn"}).status_code == 302
    assert Hold.objects.get().state == "LIFTED"


def test_signing_in_again_leads_back_to_the_page(rows: dict[Any, Any]) -> None:
    client = signed_in("reviewer")
    back = reverse("admin:closures_closureticket_change", args=[ClosureTicket.objects.get().pk])
    answer = client.post(reverse("admin:logout"), {"next": sign_in_page(back=back)})
    assert answer.status_code == 302
    assert answer["Location"] == sign_in_page(back=back)
    assert "username" in client.get(answer["Location"]).content.decode()


def test_a_light_move_needs_no_fresh_sign_in(settings: Any, rows: dict[Any, Any]) -> None:
    settings.STEP_UP_REQUIRED = True
    client = signed_in("agent")
    session = client.session
    del session["signed_in_at"]
    session.save()
    ticket = ClosureTicket.objects.get()
    url = reverse("admin:closures_closureticket_hold", args=[ticket.pk])
    assert client.post(url, {"kind": "LEGAL", "ground": "letter 4"}).status_code == 302
    assert ticket.holds.filter(kind="LEGAL").exists()
