"""The console in a real browser: sign in, decide in a dialog, change the language; no policy violated."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Page, sync_playwright

from closures.models import ClosureTicket, Complaint
from tests import factories
from tests.admin import scenes

CHROMIUM = shutil.which("chromium")
PASSWORD = "correct horse battery"  # what factories.a_user sets

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="Debian's chromium is not here"),
]


@pytest.fixture
def page(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """An empty browser at the console's address; the test fails on any error in its console."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright runs a loop of its own
    complaints: list[str] = []
    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        page = browser.new_page(base_url=live_server.url, locale="zh-CN")
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        try:
            yield page
        finally:
            connections.close_all()  # the running loop gives this thread connections of its own
            browser.close()
    assert complaints == []


def sign_in(page: Page, staff_no: str) -> None:
    page.goto("/admin/login/")
    page.fill("input[name=username]", staff_no)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/admin/")


def test_a_reviewer_approves_in_a_dialog_and_the_page_says_what_comes_next(page: Page) -> None:
    agent, reviewer = factories.a_user("agent"), factories.a_user("reviewer", staff_no="R1")
    ticket = scenes.examined(scenes.a_request(scenes.an_account(), by=agent))
    sign_in(page, reviewer.staff_no)

    page.goto(f"/admin/closures/closureticket/{ticket.pk}/change/")
    page.locator("[hx-get*=approve]").first.click()
    page.locator("#modal-content textarea").fill("材料齐全")
    page.locator("#modal-content button[type=submit]").click()
    page.wait_for_url("**/change/")
    page.get_by_text("材料齐全").first.wait_for()

    ticket = ClosureTicket.objects.get(pk=ticket.pk)
    assert (ticket.state, ticket.decided_by) == ("NOTICE_PERIOD", reviewer)
    assert ticket.number in page.inner_text("body")


def test_a_canned_reply_fills_the_text_and_its_preview_follows_the_typing(page: Page) -> None:
    clerk = factories.a_user("agent", staff_no="A7")
    ticket = scenes.examined(scenes.a_request(scenes.an_account(), by=factories.a_user("agent")))
    complaint = scenes.decided(scenes.a_complaint(ticket, by=clerk))
    sign_in(page, clerk.staff_no)

    page.goto(f"/admin/closures/complaint/{complaint.pk}/change/")
    page.locator("[hx-get*=reply]").first.click()
    page.locator("#id_canned").select_option(index=1)
    page.locator("#reply-preview").get_by_text(f"投诉 {complaint.number}：投诉不成立").wait_for()
    page.locator("#id_text").press_sequentially("再见")
    page.locator("#reply-preview").get_by_text("再见").wait_for()
    page.locator("#modal-content button[type=submit]").click()
    page.wait_for_url("**/change/")
    page.get_by_text("已答复").first.wait_for()

    assert Complaint.objects.get(pk=complaint.pk).state == "REPLIED"


def test_the_language_switch_holds_on_the_next_page(page: Page) -> None:
    agent = factories.a_user("agent", staff_no="A1")
    sign_in(page, agent.staff_no)
    assert page.locator("html").get_attribute("lang") == "zh-hans"

    with page.expect_navigation():
        page.locator(".console-language button:visible").first.click()
    page.goto("/admin/closures/closureticket/")

    assert page.locator("html").get_attribute("lang") == "en"
