"""The customer's page in a real browser: on a phone and on a desk, in both languages, without a script."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from django.utils import timezone
from playwright.sync_api import Page, sync_playwright

from closures.models import ClosureTicket, IdentityCode
from closures.selectors import status_links
from closures.services import identity_codes
from tests.stage import Clock, Stage

CHROMIUM = shutil.which("chromium")
WIDTHS = (390, 1280)
LANGUAGES = ("zh-hans", "en")
ALIPAY = ("ALIPAY", "AUTO_REPAY", True)
PICTURES = os.environ.get("STATUS_PICTURES", "")  # a folder: keep what was seen, to look at it

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="Debian's chromium is not here"),
]


@pytest.fixture
def open_page(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Page]]:
    """A phone or a desk in a language; the test fails on any error in the browser's console."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright runs a loop of its own
    cache.clear()
    complaints: list[str] = []
    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)

        def open_(width: int, language: str) -> Page:
            context = browser.new_context(
                base_url=live_server.url,
                viewport={"width": width, "height": 844},
                locale="en-US",  # which decides nothing: the switch does
            )
            context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
            page = context.new_page()
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            return page

        try:
            yield open_
        finally:
            connections.close_all()  # the running loop gives this thread connections of its own
            browser.close()
    assert [said for said in complaints if "422" not in said] == []  # the wrong code was meant to be wrong


@pytest.fixture
def today(simulated: Any) -> Stage:
    """The server in the test reads the machine's clock, so the stage is set to it."""
    return Stage(simulated, Clock(timezone.now()))


def link(ticket: ClosureTicket) -> str:
    return f"/s/{status_links.token(ticket, now=timezone.now())}/"


def digits(stage: Stage) -> str:
    identity_codes.deliver(clock=timezone.now)
    (message,) = stage.simulator.messages(IdentityCode.objects.latest("pk").key)
    return re.search(r"\d{6}", message["text"])[0]  # type: ignore[index]


def follow(page: Page, selector: str) -> None:
    """Click what leads to another page, and wait until that page is there."""
    with page.expect_navigation():
        page.click(selector)


def seen(page: Page, name: str) -> None:
    """The page fits its window, has one heading, and every field its label."""
    width = page.viewport_size["width"]  # type: ignore[index]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    assert page.locator("h1").count() == 1
    for field in page.locator("input:visible").all():
        assert page.locator(f"label[for={field.get_attribute('id')}]").count() == 1
    for button in page.locator(".button:visible").all():
        assert button.bounding_box()["height"] >= 44, "too small for a finger"  # type: ignore[index]
    if PICTURES:
        page.screenshot(
            path=f"{PICTURES}/{name}-{width}-{page.get_attribute('html', 'lang')}.png", full_page=True
        )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_customer_reads_enters_a_code_and_withdraws(
    today: Stage, open_page: Callable[..., Page], width: int, language: str
) -> None:
    ticket = today.fresh(today.ticket("BLOCKED", ALIPAY, principal="1234.56", unbilled="20.00"))
    page = open_page(width, language)
    page.goto(link(ticket))
    seen(page, "blocked")
    assert "1,234.56" not in page.inner_text("main")

    follow(page, "a[href$='code/details/']")
    seen(page, "code-before")
    follow(page, "button[name=send]")
    seen(page, "code-sent")
    page.fill("#code", "000000" if digits(today) != "000000" else "000001")
    follow(page, ".button")
    assert page.get_by_role("alert").is_visible()
    seen(page, "code-wrong")
    page.fill("#code", digits(today))
    follow(page, ".button")
    seen(page, "blocked-open")
    assert "1,234.56" in page.inner_text("main")

    follow(page, "a[href$='withdraw/']")
    follow(page, "button[name=send]")
    page.fill("#code", digits(today))
    follow(page, ".button")
    seen(page, "withdraw")
    follow(page, "button.button")
    seen(page, "withdrawn")
    assert today.fresh(ticket).state == "WITHDRAWN"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_along_the_way_fit_their_window(
    today: Stage, open_page: Callable[..., Page], width: int, language: str
) -> None:
    page = open_page(width, language)
    asked = today.fresh(today.request(today.account(), identity_level="NONE"))
    page.goto(link(asked))
    seen(page, "to-be-proved")
    for state in ("NOTICE_PERIOD", "UNBINDING"):
        page.goto(link(today.fresh(today.ticket(state, ALIPAY))))
        seen(page, state.lower())
    page.goto(link(today.fresh(today.ticket("NOTICE_PERIOD", reason="RISK_CONTROL", principal="9.00"))))
    seen(page, "adverse")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_certificate_fits_its_window(
    today: Stage, open_page: Callable[..., Page], width: int, language: str
) -> None:
    page = open_page(width, language)
    ticket = today.fresh(today.ticket("CLOSED", ALIPAY, ("ALIPAY", "WEALTH_LINK", False)))
    page.goto(f"{link(ticket)}code/details/")
    follow(page, "button[name=send]")
    page.fill("#code", digits(today))
    follow(page, ".button")
    seen(page, "closed-open")
    follow(page, "a[href$='certificate/']")
    seen(page, "certificate")
    assert ticket.certificate_no in page.inner_text("main")


def test_the_switch_changes_the_language_and_stays_on_the_page(
    today: Stage, open_page: Callable[..., Page]
) -> None:
    ticket = today.fresh(today.ticket("SUBMITTED"))
    page = open_page(390, "zh-hans")
    page.goto(link(ticket))
    follow(page, ".top button")
    assert page.get_attribute("html", "lang") == "en" and page.url.endswith(link(ticket))
