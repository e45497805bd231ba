"""Events to the institution's own apps: one signed POST to an address of the allow-list, no redirects.

Only the status of the answer counts, nothing of its body is read. Sending twice does no harm: the event's
id is the same, and receivers fold by it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from django.conf import settings

from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.gateways.http import ADDRESSES_TRIED, NOT_SENT, client_of, resolve
from closures.gateways.signing import event_headers

LONGEST = 300
GONE = 410  # Source: Standard Webhooks: the receiver wants no more of them


def problem(url: str) -> str:
    """Why nothing is ever sent to this address, as a code; "" for one that is fine. Calls nobody."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "NOT_A_URL"
    if len(url) > LONGEST or parsed.scheme not in ("http", "https") or not parsed.host:
        return "NOT_A_URL"
    if parsed.userinfo or parsed.fragment:
        return "NOT_A_URL"
    if parsed.scheme == "http" and not settings.PARTNER_PRIVATE_ADDRESSES_ALLOWED:
        return "NOT_HTTPS"
    if parsed.host not in settings.WEBHOOK_HOSTS:
        return "NOT_ALLOWED"
    return ""


def content(body: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and sent; equal events give equal bytes."""
    return json.dumps(body, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()


def send(*, url: str, event_id: str, body: bytes, secrets: Sequence[bytes]) -> None:
    """The receiver said 2xx.

    Raises `Unreachable` (nothing was sent), `Refused` (they want no more, or the address is not allowed),
    `Unclear` for every other answer or none.
    """
    if code := problem(url):
        raise Refused(code)
    target = httpx.URL(url)
    # A client per host: a kept connection was opened under one name and must not carry another's events.
    client, failure = client_of(f"WEBHOOK {target.host}"), None
    for address in resolve(target)[:ADDRESSES_TRIED]:
        request = _request(client, target, address, event_id=event_id, body=body, secrets=secrets)
        try:
            response = client.send(request, stream=True)
        except NOT_SENT as error:
            failure = error
            continue
        except httpx.HTTPError as error:
            raise Unclear(f"no answer: {type(error).__name__}") from error
        response.close()
        return _judge(response.status_code)
    raise Unreachable(f"not reached: {type(failure).__name__}") from failure


def _request(
    client: httpx.Client,
    url: httpx.URL,
    address: str,
    *,
    event_id: str,
    body: bytes,
    secrets: Sequence[bytes],
) -> httpx.Request:
    """Sent to exactly the address that was checked: no second look-up."""
    headers = event_headers(event_id=event_id, body=body, secrets=secrets, timestamp=int(time.time()))
    headers |= {"Host": url.netloc.decode("ascii"), "Content-Type": "application/json"}
    secure = {"sni_hostname": url.host} if url.scheme == "https" else {}
    return client.build_request(
        "POST", url.copy_with(host=address), content=body, headers=headers, extensions=secure
    )


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if status == GONE:
        raise Refused("HTTP_410")
    raise Unclear(f"http {status}")
