"""Events to the apps: signed as callbacks are read, to allowed places only, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from closures.demo.app import Receiver
from closures.gateways import webhooks
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.gateways.signing import (
    Forged,
    credentials,
    event_headers,
    request_headers,
    verify_callback,
    verify_request,
)

BODY = webhooks.content({"event_id": "CT1.7", "type": "closure.closed", "number": "CT1"})
SECRET = "the-secret"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(secrets=[SECRET]) as made:
        yield made


def send(url: str) -> None:
    webhooks.send(url=url, event_id="CT1.7", body=BODY, secrets=[SECRET.encode()])


def test_what_we_sign_is_what_we_would_believe(now: datetime) -> None:
    headers = event_headers(
        event_id="CT1.7", body=BODY, secrets=[b"new", b"old"], timestamp=int(now.timestamp())
    )
    for secret in (b"new", b"old"):
        assert verify_callback(BODY, headers, [secret], now).type == "closure.closed"
    with pytest.raises(Forged):
        verify_callback(BODY, headers, [b"other"], now)


def test_it_arrives_whole_and_once(receiver: Receiver) -> None:
    send(receiver.url)
    assert receiver.events == [json.loads(BODY)] and receiver.forged == 0


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_will_do(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    send(receiver.url)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 429, 500, 503])
def test_everything_else_is_tried_again_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.answers = [status, 204]
    with pytest.raises(Unclear):
        send(receiver.url)
    assert receiver.answers == [204], "one request was made"


def test_gone_is_a_definite_no(receiver: Receiver) -> None:
    receiver.answers = [410]
    with pytest.raises(Refused):
        send(receiver.url)


def test_nobody_there_is_not_reached() -> None:
    with pytest.raises(Unreachable):
        send("http://127.0.0.1:9/x")


@pytest.mark.parametrize(
    "url", ["http://elsewhere.example/x", "ftp://127.0.0.1/x", "http://a@127.0.0.1/", ""]
)
def test_an_address_that_is_not_allowed_is_never_called(url: str) -> None:
    with pytest.raises(Refused):
        send(url)


def test_a_private_address_behind_an_allowed_name_is_never_called(settings: Any) -> None:
    settings.PARTNER_PRIVATE_ADDRESSES_ALLOWED = False
    settings.WEBHOOK_HOSTS = ["localhost"]
    with pytest.raises(Unreachable):
        send("https://localhost/x")


def test_a_request_with_a_nonce_is_believed_as_it_was_sent_and_no_other(now: datetime) -> None:
    stamp = int(now.timestamp())
    sent = {"method": "POST", "target": "/a?b=c", "body": b"{}"}
    headers = request_headers(key_id="k", secret=b"new", timestamp=stamp, nonce="n" * 16, **sent)
    said = credentials(headers)
    verify_request(said, **sent, secrets=[b"old", b"new"], now=datetime.fromtimestamp(stamp, UTC))
    for change in ({"method": "PUT"}, {"target": "/a"}, {"body": b"{} "}):
        with pytest.raises(Forged):
            verify_request(said, **{**sent, **change}, secrets=[b"new"], now=now)


@pytest.mark.parametrize("name", ["X-Key-Id", "X-Timestamp", "X-Nonce", "X-Signature"])
@pytest.mark.parametrize("value", ["", "é" * 64, "١٢٣", "a" * 65, "a b", "x\n"])
def test_headers_that_do_not_fit_are_unsigned(now: datetime, name: str, value: str) -> None:
    good = request_headers(
        key_id="k", secret=b"s", method="GET", target="/", body=b"", timestamp=1, nonce="n" * 16
    )
    with pytest.raises(Forged) as caught:
        credentials({**good, name: value})
    assert caught.value.code == "UNSIGNED"
