"""Every address of the console × every role, from the live table of addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.admin.base import UntrackedAdmin
from accounts.roles import VIEWS, Role

pytestmark = [pytest.mark.django_db, pytest.mark.once]

# Pages of installed apps, for those who run or guard the system (accounts.admin.security).
GUARDED = {"otp_totp.totpdevice", "axes.accessattempt", "axes.accessfailurelog"}
GUARDS = {Role.ADMINISTRATOR, Role.SECURITY}


def may_see(role: Role, label: str) -> bool:
    return label in VIEWS[role] or (label in GUARDED and role in GUARDS)


def addresses() -> Iterator[tuple[str, URLPattern]]:
    """Every named address of the console with its pattern."""

    def walk(patterns: Any, prefix: str) -> Iterator[tuple[str, URLPattern]]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, prefix)
            elif pattern.name:
                yield pattern.name, pattern

    for resolver in get_resolver().url_patterns:
        if isinstance(resolver, URLResolver) and resolver.namespace == "admin":
            yield from walk(resolver.url_patterns, "")


# Of a ticket that is not closed, and before a complaint is answered, there is none.
PAGES_THAT_MAY_NOT_EXIST = {"certificate", "certificate_pdf", "download", "letter"}
DIALOG = {200, 403}  # it opens, or not for this right


def expected(role: Role, name: str) -> tuple[set[int], str] | None:
    """Status codes that are right for a GET, and the model's label where there is one."""
    for model, noun in admin.site._registry.items():
        opts = model._meta
        stem = f"{opts.app_label}_{opts.model_name}_"
        if not name.startswith(stem):
            continue
        rest, sees = name.removeprefix(stem), may_see(role, f"{opts.app_label}.{opts.model_name}")
        if rest in ("add", "delete"):
            return {403}, opts.label_lower
        if rest == "changelist":
            return {200} if sees else {403}, opts.label_lower
        if rest == "change":
            return {200} if sees else {403}, opts.label_lower
        if rest in ("history", "simple_history"):
            if isinstance(noun, UntrackedAdmin):
                return {403, 404}, opts.label_lower
            return {200} if sees else {403}, opts.label_lower
        if rest in PAGES_THAT_MAY_NOT_EXIST:
            return {200, 404} if sees else {403, 404}, opts.label_lower
        return DIALOG if sees else {403}, opts.label_lower
    return None


OTHERS: dict[str, Callable[[Role], set[int]]] = {
    "index": lambda role: {200},
    "search": lambda role: {200},
    "login": lambda role: {302},
    "logout": lambda role: {405},
    "password_change": lambda role: {200},
    "password_change_done": lambda role: {200},
    "autocomplete": lambda role: {403},
    "jsi18n": lambda role: {200},
    "view_on_site": lambda role: {404},
    "app_list": lambda role: {200, 404},
    "intake": lambda role: {200} if role == Role.AGENT else {403},
    "intake_customer": lambda role: {302} if role == Role.AGENT else {403},
    "intake_account": lambda role: {302} if role == Role.AGENT else {403},
    "complaint_new": lambda role: {200} if role == Role.AGENT else {403},
    "complaint_figures": lambda role: {200} if may_see(role, "closures.complaint") else {403},
    "canned_new": lambda role: {200} if role == Role.LEAD else {403},
    "campaign_new": lambda role: {200} if role == Role.LEAD else {403},
    "destruction_propose": lambda role: {200} if role in (Role.LEAD, Role.REVIEWER) else {403},
    "risk_rule_new": lambda role: {200} if role == Role.RISK else {403},
    "risk_try": lambda role: {405} if role in (Role.RISK, Role.LEAD) else {403},
    "staff_invite": lambda role: {200} if role == Role.ADMINISTRATOR else {403},
    "api_client_new": lambda role: {200} if role == Role.SECURITY else {403},
    "calendar_load": lambda role: {200} if role in (Role.ADMINISTRATOR, Role.LEAD) else {403},
}


def arguments(name: str, pattern: URLPattern, label: str) -> list[str] | None:
    """Arguments that name a row that exists; None where there is no row."""
    if name == "app_list":  # a regular expression
        return ["accounts"]
    wanted = list(pattern.pattern.converters) or ["object_id"] * name.endswith("simple_history")
    if not wanted:
        return []
    if not label:
        values = {
            "signed": "x",
            "app_label": "accounts",
            "content_type_id": "1",
            "object_id": "1",
            "url": "x",
        }
        return [values[key] for key in wanted]
    model = next(m for m in admin.site._registry if m._meta.label_lower == label)
    row = model._default_manager.order_by("pk").first()
    if row is None:
        return None
    found = [quote(row.pk)]
    if name.endswith("simple_history"):  # a regular expression without names
        found.append(str(row.history.first().history_id))
    return found


def first_to_see(role: Role, label: str) -> bool:
    """Whether no role before this one sees the noun: its pages are asked for in Chinese once, not by all."""
    return role == next((other for other in Role if not label or may_see(other, label)), None)


@pytest.mark.parametrize("role", list(Role))
def test_every_address_answers_every_role_as_the_table_of_rights_says(
    at_desk: Any, world: dict[str, Any], role: Role
) -> None:
    english, asked = at_desk(role), set()
    chinese = at_desk(user=english.user, language="zh-hans")
    for name, pattern in addresses():
        known = expected(role, name)
        codes, label = known if known is not None else (OTHERS[name](role), "")
        args = arguments(name, pattern, label)
        if args is None or name == "set_language":
            continue
        url = reverse(f"admin:{name}", args=args)
        answer = english.get(url)
        assert answer.status_code in codes, f"{role} {url}: {answer.status_code}, not {codes}"
        if answer.status_code == 200 and (codes == DIALOG or first_to_see(role, label)):
            assert chinese.get(url).status_code == 200, url
        asked.add(label)
    nouns = {model._meta.label_lower for model in admin.site._registry}
    assert nouns - asked == set()


@pytest.mark.parametrize("role", list(Role))
def test_every_noun_is_on_the_menu_of_whoever_may_read_it(
    at_desk: Any, world: dict[str, Any], role: Role
) -> None:
    page = at_desk(role).get("/admin/").content.decode()
    for model in admin.site._registry:
        opts = model._meta
        link = f'href="{reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")}"'
        if not may_see(role, opts.label_lower):
            assert link not in page
        elif opts.label_lower not in NOT_ON_THE_MENU:
            assert link in page, opts.label


NOT_ON_THE_MENU: set[str] = set()


def test_a_stranger_sees_nothing(client: Any, world: dict[str, Any]) -> None:
    for name, pattern in addresses():
        if name in ("login", "jsi18n", "logout"):
            continue
        known = expected(Role.AGENT, name)
        args = arguments(name, pattern, known[1] if known else "")
        if args is not None:
            answer = client.get(reverse(f"admin:{name}", args=args))
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, reverse("admin:login")), (
                name
            )
