"""API clients on the console: made, shown once, rotated, disabled; dead webhooks on the operator's home."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse

from accounts.roles import Role
from closures.models import ApiClient, Webhook
from tests.admin import scenes

FORM = {
    "name": "手机应用",
    "scopes": ["products:read", "closures:read"],
    "requests_per_minute": "120",
    "webhook_url": "http://127.0.0.1:9/events",
    "reason": "上线",
}
NEW = "admin:api_client_new"


def the_client() -> ApiClient:
    return ApiClient.objects.latest("pk")


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_secret_is_shown_once_and_stored_nowhere(at_desk: Any, language: str) -> None:
    desk = at_desk(Role.SECURITY, language=language)
    answer = desk.post(reverse(NEW), FORM)
    assert answer.status_code == 200 and "no-store" in answer["Cache-Control"]
    secret = the_client().live_secrets(now=the_client().state_since)[0].decode()
    assert secret in answer.content.decode()
    assert the_client().scopes == ["closures:read", "products:read"]
    page = reverse("admin:closures_apiclient_change", args=[the_client().pk])
    history = reverse("admin:closures_apiclient_history", args=[the_client().pk])
    for url in (page, history, reverse("admin:closures_apiclient_changelist")):
        shown = desk.get(url).content.decode()
        assert the_client().key_id in shown or "history" in url
        assert secret not in shown and the_client().secret_sealed not in shown
    assert secret not in str(desk.cookies)


def test_an_address_that_is_not_allowed_is_said_so(at_desk: Any) -> None:
    answer = at_desk(Role.SECURITY).post(reverse(NEW), {**FORM, "webhook_url": "https://evil.example/"})
    assert "WEBHOOK_HOSTS" in answer.content.decode()
    assert not ApiClient.objects.exists()


def test_a_rotation_shows_the_new_secret_in_its_dialog(at_desk: Any, world: dict[str, Any]) -> None:
    desk, client = at_desk(Role.SECURITY), the_client()
    answer = desk.post(scenes.dialog_url(client, "rotate"), {"reason": "到期"})
    secret = the_client().live_secrets(now=the_client().rotated_at)[0].decode()
    assert answer.status_code == 200 and secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]


def test_changing_disabling_and_enabling(at_desk: Any, world: dict[str, Any]) -> None:
    desk, client = at_desk(Role.SECURITY), the_client()
    form = desk.get(scenes.dialog_url(client, "edit")).content.decode()
    assert client.name in form and client.webhook_url in form
    desk.post(scenes.dialog_url(client, "edit"), {**FORM, "requests_per_minute": "7"})
    assert the_client().requests_per_minute == 7
    desk.post(scenes.dialog_url(client, "disable"), {"reason": "x"})
    assert the_client().state == "DISABLED"
    desk.post(scenes.dialog_url(client, "enable"), {"reason": "x"})
    assert the_client().state == "ACTIVE"


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR, Role.LEAD])
def test_only_the_security_officer_may(at_desk: Any, world: dict[str, Any], role: Role) -> None:
    desk, before = at_desk(role), ApiClient.objects.values().get()
    assert desk.post(reverse(NEW), FORM).status_code == 403
    for name in ("edit", "rotate", "disable"):
        assert desk.post(scenes.dialog_url(the_client(), name), FORM).status_code == 403
    assert ApiClient.objects.values().get() == before


def test_a_dead_webhook_is_on_the_operators_home_and_sent_again_from_its_page(
    at_desk: Any, world: dict[str, Any]
) -> None:
    webhook = Webhook.objects.first()
    Webhook.objects.filter(pk=webhook.pk).update(state="DEAD", reason_code="HTTP_410", due_at=None)
    desk = at_desk(Role.OPERATOR)
    home = desk.get("/admin/").content.decode()
    page = reverse("admin:closures_webhook_change", args=[webhook.pk])
    assert page in home and "the receiver wants no more events" in home
    assert scenes.dialog_url(webhook, "revive") in desk.get(page).content.decode()
    desk.post(scenes.dialog_url(webhook, "revive"), {"ground": "已修复"})
    webhook.refresh_from_db()
    assert (webhook.state, webhook.attempts) == ("PENDING", 0)


def test_lists_ask_the_database_little(
    at_desk: Any, world: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    desk = at_desk(Role.AUDITOR)
    for noun in ("apiclient", "apicall", "apprequest", "webhook"):
        url = reverse(f"admin:closures_{noun}_changelist")
        desk.get(url)
        with django_assert_max_num_queries(12):
            shown = desk.get(url).content.decode()
        assert not re.search(r"(closures|products|eligibility):(read|write)", shown), "codes show raw"
