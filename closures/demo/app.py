"""One of the institution's apps, as it would be written by others: it signs its calls and hears its events.

Imports nothing of the product: what it knows of signatures is what docs/api.md says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import httpx

TIMEOUT = 15  # seconds
PREFIX = "/api/v1"


def signed(*, key_id: str, secret: str, method: str, target: str, body: bytes = b"") -> dict[str, str]:
    """The headers of one call; each call has its own."""
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    text = f"{timestamp}.{nonce}.{method}.{target}.".encode() + body
    return {
        "X-Key-Id": key_id,
        "X-Timestamp": timestamp,
        "X-Nonce": nonce,
        "X-Signature": hmac.new(secret.encode(), text, hashlib.sha256).hexdigest(),
        "Content-Type": "application/json",
    }


class App:
    """An app with its key: `get` and `post` answer like httpx. `web` is an address or a transport."""

    def __init__(
        self, web: httpx.BaseTransport | str, *, key_id: str, secret: str, language: str = "zh-CN"
    ) -> None:
        self.key_id, self.secret, self.language = key_id, secret, language
        address, transport = (web, None) if isinstance(web, str) else ("http://127.0.0.1", web)
        self._client = httpx.Client(base_url=address, transport=transport, timeout=TIMEOUT, trust_env=False)

    def get(self, path: str, **query: str) -> httpx.Response:
        target = str(httpx.URL(PREFIX + path, params=query)) if query else PREFIX + path
        return self.call("GET", target)

    def post(self, path: str, body: dict[str, Any], *, key: str = "") -> httpx.Response:
        raw = json.dumps(body, ensure_ascii=False).encode()
        return self.call("POST", PREFIX + path, raw, **({"Idempotency-Key": key} if key else {}))

    def call(self, method: str, target: str, body: bytes = b"", **headers: str) -> httpx.Response:
        proof = signed(key_id=self.key_id, secret=self.secret, method=method, target=target, body=body)
        sent = {**proof, "Accept-Language": self.language, **headers}
        return self._client.request(method, target, content=body or None, headers=sent)

    def close(self) -> None:
        self._client.close()


@dataclass
class Receiver:
    """A real HTTP server on loopback that takes an app's events and keeps those that are proved."""

    secrets: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    forged: int = 0
    answers: list[int] = field(default_factory=list)  # statuses to give first, before 204

    def __enter__(self) -> Receiver:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/events?from=closures"

    @property
    def types(self) -> list[str]:
        """The types of the events received, one each, in the order in which they happened."""
        once = {event["event_id"]: event for event in self.events}
        return [event["type"] for event in sorted(once.values(), key=happened)]

    def take(self, headers: Any, raw: bytes) -> int:
        proved = any(
            hmac.compare_digest(signature, given)
            for signature in (_signature(secret, headers, raw) for secret in self.secrets)
            for given in headers.get("Webhook-Signature", "").split(" ")
        )
        if not proved:
            self.forged += 1
            return 401
        if self.answers:
            return self.answers.pop(0)
        self.events.append(json.loads(raw))
        return 204


def happened(event: dict[str, Any]) -> tuple[str, int]:
    return event["occurred_at"], int(event["event_id"].rpartition(".")[2])


def _signature(secret: str, headers: Any, raw: bytes) -> str:
    text = f"{headers.get('Webhook-Id')}.{headers.get('Webhook-Timestamp')}.".encode() + raw
    return "v1," + base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(receiver.take(self.headers, raw))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    return Handler
