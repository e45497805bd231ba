"""Whatever is thrown at the customer's pages, the answer is a page of ours and never a 500."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.actors import Actor
from closures.models import ClosureTicket, IdentityCode
from closures.selectors import status_links
from closures.services import identity_codes
from tests.stage import Stage
from tests.visitor import Visitor

INPUTS = int(os.environ.get("FUZZ_INPUTS", "200"))  # of each kind; 1200 makes more than 5,000 in all
ODD = st.sampled_from(
    ["", "\x00", "\u202e123456", "𠮷𠮷", "=1+1", "123456", "１２３４５６", "%00", "' OR 1=1 --", "<script>",
     "0" * 3000, "-1", "None", "\ud7ff", "123 456", "\r\nSet-Cookie: a=b", "٣٤٥٦٧٨"]
)  # fmt: skip
TEXT = ODD | st.text(max_size=40)
NAME = st.sampled_from(
    ["code", "send", "csrfmiddlewaretoken", "next", "language", "topic", "text", "wish", "do"]
) | st.text(min_size=1, max_size=12)
FIELDS = st.dictionaries(NAME, TEXT | st.lists(TEXT, max_size=3), max_size=6)
PLACE = st.sampled_from(
    ["", "code/request/", "code/details/", "code/withdraw/", "withdraw/", "certificate/", "code/complain/",
     "complain/", "complain/CP1/"]
) | st.text(max_size=20).map(lambda text: quote(text, safe="/"))  # fmt: skip
METHOD = st.sampled_from(["get", "post", "post", "head", "put", "delete", "options", "patch"])
TYPE = st.sampled_from(
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data",
     "application/json", "text/plain; charset=utf-16",
     "application/x-www-form-urlencoded; charset=latin-1", ""]
)  # fmt: skip
RUN = settings(
    max_examples=INPUTS,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
RIGHT = {200, 301, 302, 400, 403, 404, 405, 409, 410, 422, 429}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def ticket(stage: Stage, settings: Any) -> ClosureTicket:
    """In cooling-off, with a code that could be guessed; the client answers a 500 instead of raising."""
    settings.STATUS_GUESSES_PER_HOUR = 10**6
    cache.clear()
    ticket = stage.fresh(stage.ticket("NOTICE_PERIOD"))
    identity_codes.issue(
        ticket_id=ticket.pk,
        purpose=IdentityCode.Purpose.WITHDRAW,
        actor=Actor.customer(ticket.account.customer),
        now=stage.now,
    )
    return ticket


def judged(answer: Any) -> None:
    assert answer.status_code in RIGHT, answer.status_code
    if answer.status_code not in (301, 302, 405) and answer.content:
        assert b"<html lang=" in answer.content or answer.status_code in (400, 404)
        assert b"Traceback" not in answer.content


def test_forms_of_every_kind(stage: Stage, ticket: ClosureTicket) -> None:
    client = Client(raise_request_exception=False)
    base = f"/s/{status_links.token(ticket, now=stage.now)}/"

    @RUN
    @given(place=PLACE, method=METHOD, fields=FIELDS)
    def throw(place: str, method: str, fields: dict[str, Any]) -> None:
        data = fields if method in ("get", "post", "head") else "x"
        judged(getattr(client, method)(base + place, data))

    with time_machine.travel(stage.now, tick=False):
        throw()
    assert IdentityCode.objects.filter(tries__gt=5).count() == 0
    assert stage.fresh(ticket).state == "NOTICE_PERIOD", "no heap of forms withdraws a request"


def test_bodies_of_every_kind(stage: Stage, ticket: ClosureTicket) -> None:
    client = Client(raise_request_exception=False)
    base = f"/s/{status_links.token(ticket, now=stage.now)}/"

    @RUN
    @given(place=PLACE, body=st.binary(max_size=200), kind=TYPE)
    def throw(place: str, body: bytes, kind: str) -> None:
        judged(client.generic("POST", base + place, body, content_type=kind))

    with time_machine.travel(stage.now, tick=False):
        throw()
    assert stage.fresh(ticket).state == "NOTICE_PERIOD"


def test_links_of_every_kind(stage: Stage, ticket: ClosureTicket) -> None:
    client = Client(raise_request_exception=False)
    good = status_links.token(ticket, now=stage.now)
    torn = st.integers(0, len(good) - 1).map(lambda n: good[:n])
    swapped = st.tuples(st.integers(0, len(good) - 1), st.characters()).map(
        lambda change: good[: change[0]] + change[1] + good[change[0] + 1 :]
    )
    links = (
        torn | swapped | TEXT | st.from_regex(r"[0-9a-z]{1,13}\.[0-9a-z]{1,13}\.[0-9a-z]{1,13}\.[\w-]{16}")
    )

    @RUN
    @given(link=links.filter(lambda link: link != good), place=PLACE)
    def throw(link: str, place: str) -> None:
        answer = client.get(f"/s/{quote(link, safe='', errors='surrogatepass')}/{place}")
        judged(answer)
        assert answer.status_code != 200, link

    with time_machine.travel(stage.now, tick=False):
        throw()


def test_cookies_of_every_kind(stage: Stage, ticket: ClosureTicket) -> None:
    client = Client(raise_request_exception=False)
    base = f"/s/{status_links.token(ticket, now=stage.now)}/"

    @RUN
    @given(status=TEXT, language=TEXT, csrf=TEXT)
    def throw(status: str, language: str, csrf: str) -> None:
        for name, value in (("status", status), ("django_language", language), ("csrftoken", csrf)):
            client.cookies[name] = quote(value)
        judged(client.get(base + "certificate/"))

    with time_machine.travel(stage.now, tick=False):
        throw()


def test_digits_of_every_kind_are_tries_only_when_they_are_six(stage: Stage, ticket: ClosureTicket) -> None:
    client = Client(raise_request_exception=False)
    url = f"/s/{status_links.token(ticket, now=stage.now)}/code/withdraw/"

    @settings(RUN, max_examples=INPUTS // 2)
    @given(code=TEXT | st.from_regex(r"[0-9]{6}", fullmatch=True))
    def throw(code: str) -> None:
        judged(client.post(url, {"code": code}))

    with time_machine.travel(stage.now, tick=False):
        throw()
    code = IdentityCode.objects.get()
    assert code.tries <= 5 and code.state in ("PENDING", "USED_UP")


def test_complaints_of_every_kind(stage: Stage, ticket: ClosureTicket) -> None:
    """With a code in hand: whatever is typed is a complaint, or a page says why not."""
    visitor = Visitor(stage, ticket)
    visitor.enters_code("complain")
    visitor.client.raise_request_exception = False

    @settings(RUN, max_examples=INPUTS // 3)
    @given(topic=TEXT | st.sampled_from(["FEES", "OTHER", "WRONG_CLOSING"]), text=TEXT, wish=TEXT, do=TEXT)
    def throw(topic: str, text: str, wish: str, do: str) -> None:
        sent = {"topic": topic, "text": text, "wish": wish, "do": do}
        judged(visitor.post("status_complain", **sent))
        complaint = ticket.complaints.order_by("-pk").first()
        if complaint is not None:
            judged(visitor.post("status_complaint", complaint.number, **sent))
            judged(visitor.get("status_complaint", complaint.number))

    throw()
    assert ticket.complaints.exists()
