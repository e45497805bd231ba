"""Callbacks out: signed, retried until a 2xx, on the scheduler's threads."""

from __future__ import annotations

import http.client
import json
import uuid
from typing import Any
from urllib.parse import urlsplit

from closures.simulator.faults import Call
from closures.simulator.signing import callback_headers
from closures.simulator.world import World

RETRY_DELAYS = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds; then the callback is lost, as in real life
TIMEOUT = 5.0  # seconds


def announce(world: World, *, call: Call, type: str, facts: dict[str, Any], delay: float = 0.0) -> None:
    """The event is on its way to the callback address, once, twice or never, as the faults say."""
    if not world.tuning.callback_url or world.faults.take(call, {"no_callback"}):
        return
    event_id = f"evt_{uuid.uuid4().hex}"
    event = {"event_id": event_id, "type": type, **facts, "at": world.moment(world.now() + delay)}
    body = json.dumps(event, ensure_ascii=False).encode()
    copies = 2 if world.faults.take(call, {"duplicate_callback"}) else 1
    url = f"{world.tuning.callback_url.rstrip('/')}/{call.system}"
    for _ in range(copies):
        world.scheduler.after(
            delay, lambda: _deliver(world, url=url, event_id=event_id, body=body, attempt=0)
        )


def _deliver(world: World, *, url: str, event_id: str, body: bytes, attempt: int) -> None:
    headers = callback_headers(event_id=event_id, body=body, secret=world.secret, now=world.now())
    if _post(url, body, headers) or attempt >= len(RETRY_DELAYS):
        return
    world.scheduler.after(
        RETRY_DELAYS[attempt],
        lambda: _deliver(world, url=url, event_id=event_id, body=body, attempt=attempt + 1),
    )


def _post(url: str, body: bytes, headers: dict[str, str]) -> bool:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(
        parts.hostname or "", parts.port, timeout=TIMEOUT
    )
    try:
        connection.request("POST", parts.path, body, headers)
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
