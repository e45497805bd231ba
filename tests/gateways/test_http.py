"""What the end of an HTTP call means, whatever the other side sends."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from closures.demo.simulator_control import SimulatorControl
from closures.gateways import http
from closures.gateways.errors import RAW_LIMIT, GatewayError, Refused, Unclear, Unreachable
from tests.gateways.conftest import Puppet


@pytest.fixture
def endpoint(puppet: Puppet) -> http.Endpoint:
    return http.Endpoint.of("X", {"url": f"{puppet.url}/base", "key_id": "k", "secret": "s"})


def test_an_object_is_an_answer(puppet: Puppet, endpoint: http.Endpoint) -> None:
    puppet.says('{"a": 1}')
    answer = http.get(endpoint, "x y", query={"q": "&="})
    assert answer.success().values == {"a": 1}
    head = puppet.requests[0].decode()
    assert head.startswith("GET /base/x%20y?q=%26%3D HTTP/1.1\r\n")
    assert "accept-encoding: identity" in head.lower()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff" * 100,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"200 OK\r\n\r\n{}",
    ],
)
def test_what_is_no_whole_answer_is_unclear(puppet: Puppet, endpoint: http.Endpoint, raw: bytes) -> None:
    puppet.answer = raw
    with pytest.raises(Unclear):
        http.post(endpoint, "x", body={})


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff{}", b"[" * 100_000, b"9" * 5000],
)
def test_a_body_that_is_not_one_strict_object_is_unclear(
    puppet: Puppet, endpoint: http.Endpoint, body: bytes
) -> None:
    puppet.says(body)
    with pytest.raises(Unclear, match="unreadable answer") as unclear:
        http.get(endpoint, "x")
    assert unclear.value.raw == body[:RAW_LIMIT]


@pytest.mark.parametrize(
    "status", ["201 Created", "202 Accepted", "204 No Content", "401 X", "403 X", "500 X", "503 X"]
)
def test_an_unexpected_status_is_unclear(puppet: Puppet, endpoint: http.Endpoint, status: str) -> None:
    puppet.says("" if status.startswith("204") else '{"code": "X"}', status=status)
    with pytest.raises(Unclear, match=f"http {status[:3]}"):
        http.post(endpoint, "x", body={})


@pytest.mark.parametrize("status", ["301 X", "302 X", "307 X", "308 X"])
def test_a_redirect_is_not_followed(puppet: Puppet, endpoint: http.Endpoint, status: str) -> None:
    puppet.says("{}", status=status, headers=f"Location: {puppet.url}/elsewhere\r\n")
    with pytest.raises(Unclear):
        http.post(endpoint, "x", body={})
    assert len(puppet.requests) == 1


def test_an_endless_body_is_cut_off(puppet: Puppet, endpoint: http.Endpoint) -> None:
    puppet.says(b'{"a": "' + b"x" * (http.ANSWER_LIMIT + 1) + b'"}')
    with pytest.raises(Unclear, match="too large") as unclear:
        http.get(endpoint, "x")
    assert len(unclear.value.raw) == RAW_LIMIT


def test_a_body_that_drips_past_the_deadline_is_cut_off(
    puppet: Puppet, endpoint: http.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "ANSWER_DEADLINE", -1.0)
    puppet.says("{}")
    with pytest.raises(Unclear, match="too slow"):
        http.get(endpoint, "x")


def test_a_compressed_body_is_not_opened(puppet: Puppet, endpoint: http.Endpoint) -> None:
    puppet.says(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n")
    with pytest.raises(Unclear, match="compressed"):
        http.get(endpoint, "x")


@pytest.mark.parametrize("status", [400, 409, 422])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"code": "ORDER_RUNNING"}', Refused),
        ('{"code": "order running!"}', Unclear),
        ('{"code": 7}', Unclear),
        ("{}", Unclear),
    ],
)
def test_only_a_code_makes_a_refusal(
    puppet: Puppet, endpoint: http.Endpoint, status: int, body: str, kind: type[GatewayError]
) -> None:
    puppet.says(body, status=f"{status} No")
    with pytest.raises(kind):
        http.post(endpoint, "x", body={}).success()


def test_a_name_that_does_not_exist_is_unreachable(
    endpoint: http.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror("no such name")

    with monkeypatch.context() as patched, pytest.raises(Unreachable, match="no such host"):
        patched.setattr(socket, "getaddrinfo", unknown)
        http.get(endpoint, "x")


def test_a_private_address_is_refused_after_resolving_where_they_are_not_allowed(
    puppet: Puppet, settings: Any
) -> None:
    port = puppet.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost"):
        endpoint = http.Endpoint("X", f"https://{host}:{port}", "k", b"s")
        settings.PARTNER_PRIVATE_ADDRESSES_ALLOWED = False
        with pytest.raises(Unreachable, match="private address"):
            http.get(endpoint, "x")
    assert puppet.requests == []


def test_plain_http_is_refused_where_private_addresses_are_not_allowed(settings: Any) -> None:
    settings.PARTNER_PRIVATE_ADDRESSES_ALLOWED = False
    with pytest.raises(ImproperlyConfigured, match="https"):
        http.Endpoint.of("X", {"url": "http://partner.example", "key_id": "k", "secret": "s"})


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2400:3200::1", True),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("172.31.255.255", False),
        ("172.32.0.1", True),
        ("192.168.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("239.1.1.1", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fd12:3456::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("2002:7f00:1::", False),
        ("2002:808:808::", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert http.is_public(address) is public


def test_a_child_process_makes_its_own_connection(simulated: SimulatorControl) -> None:
    endpoint = http.Endpoint.of(
        "ALIPAY",
        {"url": f"{simulated.base_url}/partners/ALIPAY", "key_id": "k", "secret": "local-simulator-secret"},
    )
    assert http.get(endpoint, "agreements", "CANARY").status == 200
    child = os.fork()
    if child == 0:  # pragma: no cover - the child reports by its exit code only
        try:
            os._exit(0 if http.get(endpoint, "agreements", "CANARY").status == 200 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert http.get(endpoint, "agreements", "CANARY").status == 200


def test_no_secret_shows_in_what_is_printed() -> None:
    assert "sesame" not in repr(http.Endpoint("X", "https://x", "k", b"sesame"))
