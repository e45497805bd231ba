"""Whatever stands in an address is answered: with a page, a 400 or a 404, never with a 500."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.admin.base import ReadOnlyAdmin, UntrackedAdmin
from accounts.admin.signing_in import client_address
from tests import factories
from tests.admin import scenes

pytestmark = pytest.mark.django_db

PAGES = [page for page in admin.site._registry.values() if isinstance(page, ReadOnlyAdmin | UntrackedAdmin)]


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(factories.a_user(is_superuser=True))
    return client


def list_of(page: Any) -> str:
    opts = page.model._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.model.__name__)
def test_every_filter_answers_its_own_links_and_forms(page: Any, boss: Client) -> None:
    request = RequestFactory().get("/")
    request.user = factories.a_user(is_superuser=True)
    changelist = page.get_changelist_instance(request)
    asked = {name for spec in changelist.filter_specs for name in spec.expected_parameters() if name}
    for name in asked:
        assert boss.get(list_of(page), {name: "1"}).status_code in (200, 302), name
        assert boss.get(list_of(page), {name: "9" * 20}).status_code < 500, name


def test_a_history_of_no_version_is_not_found(boss: Client) -> None:
    ticket = scenes.a_request(scenes.an_account(), by=factories.a_user("agent"))
    page = reverse("admin:closures_closureticket_history", args=[ticket.pk])
    for version in ("abc", "9" * 30, "0", "-1", "１"):
        assert boss.get(f"{page}{version}/").status_code == 404


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "6.6.6.6", "10.0.0.9"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 10.0.0.8", "1.2.3.4"),
        (1, "", "10.0.0.9"),
        (2, "1.2.3.4", "10.0.0.9"),
        (1, "nonsense", "10.0.0.9"),
    ],
)
def test_the_address_is_what_our_own_proxy_saw(
    proxies: int, forwarded: str, seen: str, settings: Any, now: datetime
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    given = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    assert client_address(RequestFactory().get("/", REMOTE_ADDR="10.0.0.9", **given)) == seen
