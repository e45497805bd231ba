"""One signed JSON call over HTTP, and what its end means. Knows no partner's protocol.

# Note [What an HTTP call's end means]

- The connection was never made (refused, no such name, connect timeout, TLS failed, address not
  allowed), or the answer is 429: `Unreachable`, nothing happened.
- 200, 400, 404, 409 or 422 with one JSON object in it: an `Answer`, for the protocol to judge.
- Everything else, also a bare 404 from a proxy, a redirect, a body cut short: `Unclear`.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from closures.gateways.errors import RAW_LIMIT, Refused, Unclear, Unreachable
from closures.gateways.signing import request_headers
from closures.gateways.wire import CODE, Fields, parse_json

KEY_ID = re.compile(r"[\x21-\x7e]{1,100}")
ANSWER_LIMIT = 1024 * 1024  # bytes
ANSWER_DEADLINE = 15.0  # seconds for the whole body: a read timeout alone lets a slow drip run for ever
READABLE = frozenset({200, 400, 404, 409, 422})
REFUSING = frozenset({400, 409, 422})
ADDRESSES_TRIED = 2
CONNECTIONS = httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=20)

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

# One client per process and address. A client made before a fork is left alone in the child, never
# closed: its sockets belong to the parent.
_clients: dict[tuple[int, str, float, float], httpx.Client] = {}


@dataclass(frozen=True)
class Endpoint:
    """Where one system is reached and with which key. Made from settings only: the allow-list."""

    system: str
    url: str
    key_id: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, system: str, entry: Mapping[str, str]) -> Endpoint:
        """The endpoint a settings entry describes. Raises ImproperlyConfigured when it cannot be one."""
        endpoint = cls(
            system=system,
            url=entry.get("url", "").rstrip("/"),
            key_id=entry.get("key_id", ""),
            secret=entry.get("secret", "").encode(),
        )
        if problems := endpoint.problems():
            raise ImproperlyConfigured("; ".join(problems))
        return endpoint

    def problems(self) -> list[str]:
        """What is wrong with the entry, seen without calling anybody; empty when nothing is."""
        found = []
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL:
            return [f"{self.system}: the address is not a URL"]
        if url.scheme not in ("http", "https") or not url.host:
            found.append(f"{self.system}: the address must start with http:// or https:// and name a host")
        if url.userinfo or url.query or url.fragment:
            found.append(f"{self.system}: the address may hold no user, query or fragment")
        if url.scheme == "http" and not settings.PARTNER_PRIVATE_ADDRESSES_ALLOWED:
            found.append(f"{self.system}: the address must be https")
        if not KEY_ID.fullmatch(self.key_id) or not self.secret:
            found.append(f"{self.system}: the key or its id is missing or not printable")
        return found


@dataclass(frozen=True)
class Answer:
    """A readable answer: its status and its one JSON object."""

    status: int
    fields: Fields

    @property
    def code(self) -> str:
        """Their code, or "" when there is none that fits."""
        value = self.fields.values.get("code")
        return value if isinstance(value, str) and CODE.fullmatch(value) else ""

    def success(self) -> Fields:
        """The fields of a 200. Raises `Refused` for a definite no, `Unclear` for everything else."""
        if self.status == 200:
            return self.fields
        if self.status in REFUSING and self.code:
            raise Refused(self.code, raw=self.fields.raw)
        raise Unclear(f"unexpected answer: http {self.status}", raw=self.fields.raw)

    def not_found(self) -> bool:
        """They say, in their own protocol, that they do not know it. A bare 404 is `Unclear`.

        Not a proof of absence: a wrong route or a wrong tenant says the same.
        """
        if self.status != 404:
            return False
        if self.code != "NOT_FOUND":
            raise Unclear("unexpected answer: http 404", raw=self.fields.raw)
        return True


def get(endpoint: Endpoint, *path: str, query: Mapping[str, str] | None = None) -> Answer:
    """Ask. Changes nothing at the other side. Raises `Unreachable`, `Unclear`."""
    return _call(endpoint, "GET", path, query or {}, b"")


def post(endpoint: Endpoint, *path: str, body: Mapping[str, Any]) -> Answer:
    """Command. Raises `Unreachable` (nothing happened) or `Unclear` (it may have happened)."""
    return _call(endpoint, "POST", path, {}, json.dumps(body, ensure_ascii=False).encode())


def _call(
    endpoint: Endpoint, method: str, path: Sequence[str], query: Mapping[str, str], body: bytes
) -> Answer:
    url = httpx.URL(_address(endpoint.url, path, query))
    client = client_of(endpoint.system)
    failure: Exception | None = None
    for address in resolve(url)[:ADDRESSES_TRIED]:
        request = _request(client, endpoint, method, url, address, body)
        try:
            response = client.send(request, stream=True)
        except NOT_SENT as error:
            failure = error
            continue
        except httpx.HTTPError as error:
            raise Unclear(f"no answer: {type(error).__name__}") from error
        try:
            return _read(response)
        finally:
            response.close()
    raise Unreachable(f"not reached: {type(failure).__name__}") from failure


def _address(base: str, path: Sequence[str], query: Mapping[str, str]) -> str:
    """The base from settings and quoted segments: no value can leave its place in the path."""
    if any(part in ("", ".", "..") for part in path):
        raise Unreachable("empty number: nothing to ask for")
    tail = "".join("/" + quote(part, safe="") for part in path)
    return base + tail + ("?" + urlencode(query) if query else "")


def client_of(system: str) -> httpx.Client:
    connect, read = float(settings.PARTNER_CONNECT_TIMEOUT), float(settings.PARTNER_READ_TIMEOUT)
    key = (os.getpid(), system, connect, read)
    client = _clients.get(key)
    if client is None:
        made = httpx.Client(
            timeout=httpx.Timeout(read, connect=connect, pool=connect),
            limits=CONNECTIONS,
            follow_redirects=False,
            trust_env=False,
        )
        client = _clients.setdefault(key, made)
        if client is not made:
            made.close()
    return client


def _request(
    client: httpx.Client, endpoint: Endpoint, method: str, url: httpx.URL, address: str, body: bytes
) -> httpx.Request:
    """The signed request, sent to exactly the address that was checked (no second look-up)."""
    target = url.raw_path.decode("ascii")
    headers = request_headers(
        key_id=endpoint.key_id,
        secret=endpoint.secret,
        method=method,
        target=target,
        body=body,
        timestamp=int(time.time()),
    )
    headers |= {
        "Host": url.netloc.decode("ascii"),
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    if body:
        headers["Content-Type"] = "application/json"
    return client.build_request(
        method,
        url.copy_with(host=address),
        content=body or None,
        headers=headers,
        extensions={"sni_hostname": url.host} if url.scheme == "https" else {},
    )


def resolve(url: httpx.URL) -> list[str]:
    """The addresses of the host, all of them allowed. Raises `Unreachable`."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable("not reached: no such host") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not settings.PARTNER_PRIVATE_ADDRESSES_ALLOWED and not all(map(is_public, addresses)):
        raise Unreachable("not reached: a private address is not allowed")
    return addresses


def is_public(address: str) -> bool:
    """The address is somewhere on the open internet, also when IPv6 wraps an IPv4 one."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        wrapped = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo and parsed.teredo[1])
        if wrapped:
            return is_public(str(wrapped))
        if parsed in NAT64:
            return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)))
    return parsed.is_global and not parsed.is_multicast


NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _read(response: httpx.Response) -> Answer:
    """The answer, if its status and its body can be read. Raises `Unreachable` (429) or `Unclear`."""
    status = response.status_code
    raw = _body(response)
    if status == 429:
        raise Unreachable("not now: http 429", raw=raw)
    if status not in READABLE:
        raise Unclear(f"unexpected answer: http {status}", raw=raw)
    try:
        values = parse_json(raw)
    except ValueError as error:
        raise Unclear(f"unreadable answer: http {status}, not JSON", raw=raw) from error
    if not isinstance(values, dict):
        raise Unclear(f"unreadable answer: http {status}, not an object", raw=raw)
    return Answer(status=status, fields=Fields(values, raw[:RAW_LIMIT]))


def _body(response: httpx.Response) -> bytes:
    """The whole body as it was sent, within its size and its time. Raises `Unclear`."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unclear("unreadable answer: compressed")
    deadline = time.monotonic() + ANSWER_DEADLINE
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > ANSWER_LIMIT:
                raise Unclear("unreadable answer: too large", raw=bytes(body[:RAW_LIMIT]))
            if time.monotonic() > deadline:
                raise Unclear("unreadable answer: too slow", raw=bytes(body[:RAW_LIMIT]))
    except httpx.HTTPError as error:
        raise Unclear(f"answer cut short: {type(error).__name__}", raw=bytes(body[:RAW_LIMIT])) from error
    return bytes(body)
