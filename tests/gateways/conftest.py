"""A server that answers with exactly the bytes it is told, whatever HTTP thinks of them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.simulator_process import point_at


@dataclass
class Puppet:
    """A listening socket. `answer` is sent to each request, then the connection is closed."""

    url: str
    answer: bytes = b""
    requests: list[bytes] = field(default_factory=list)

    def says(self, body: bytes | str, *, status: str = "200 OK", headers: str = "") -> None:
        """Answer a well-formed response with this body."""
        raw = body.encode() if isinstance(body, str) else body
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n{headers}\r\n"
        self.answer = head.encode() + raw


@pytest.fixture
def puppet(settings: Any) -> Iterator[Puppet]:
    """Partners, ledger and SMS provider are the puppet."""
    listening = socket.create_server(("127.0.0.1", 0))
    found = Puppet(url=f"http://127.0.0.1:{listening.getsockname()[1]}")

    def serve() -> None:
        while True:
            connection, _ = listening.accept()
            connection.settimeout(5)
            # The client may hang up first: it is the one under test.
            with connection, contextlib.suppress(OSError):
                request = b""
                while b"\r\n\r\n" not in request and (chunk := connection.recv(65536)):
                    request += chunk
                if request == b"stop\r\n\r\n":
                    return
                found.requests.append(request)
                connection.sendall(found.answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    point_at(settings, found.url)
    yield found
    with socket.create_connection(listening.getsockname(), timeout=5) as connection:
        connection.sendall(b"stop\r\n\r\n")
    thread.join()
    listening.close()


@pytest.fixture
def nobody(settings: Any) -> None:
    """Partners, ledger and SMS provider are an address on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    point_at(settings, f"http://127.0.0.1:{port}")
