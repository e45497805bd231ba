"""Callbacks out of the simulator: signed, repeated until heard, doubled or lost on request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from closures.demo.simulator_control import SimulatorControl
from tests.simulator.conftest import Call
from tests.simulator_process import SECRET

UNSIGN = "/partners/ALIPAY/agreements/AL1/unsign"
BODY = {"key": "k1", "account_no": "A1"}


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    raw: bytes


@dataclass
class Listener:
    """A door for callbacks: what came in, and the statuses to answer with first."""

    url: str
    heard: queue.Queue[Heard] = field(default_factory=queue.Queue)
    statuses: list[int] = field(default_factory=list)

    def next(self) -> Heard:
        return self.heard.get(timeout=5)


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            status = found.statuses.pop(0) if found.statuses else 204
            self.send_response(status)
            self.end_headers()
            found.heard.put(Heard(self.path, dict(self.headers), raw))

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    found = Listener(url=f"http://127.0.0.1:{server.server_port}/callbacks")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def listening(scene: SimulatorControl, listener: Listener) -> Iterator[SimulatorControl]:
    scene.tune(callback_url=listener.url)
    yield scene
    scene.tune(callback_url="")


def test_an_end_is_told_signed_to_the_systems_own_address(
    listening: SimulatorControl, listener: Listener, call: Call
) -> None:
    call("POST", UNSIGN, BODY)
    heard = listener.next()
    event = json.loads(heard.raw)
    assert heard.path == "/callbacks/ALIPAY"
    assert (event["type"], event["agreement_no"], event["account_no"], event["status"]) == (
        "agreement.ended",
        "AL1",
        "A1",
        "ENDED",
    )
    assert heard.headers["webhook-id"] == event["event_id"]
    signed = f"{event['event_id']}.{heard.headers['webhook-timestamp']}.".encode() + heard.raw
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert heard.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_a_receipt_is_told(listening: SimulatorControl, listener: Listener, call: Call) -> None:
    call("POST", "/sms/messages", {"key": "n1", "to": "19900000001", "text": "x"})
    heard = listener.next()
    event = json.loads(heard.raw)
    assert heard.path == "/callbacks/SMS"
    assert (event["type"], event["key"], event["status"]) == ("sms.receipt", "n1", "DELIVERED")


def test_a_callback_is_repeated_until_it_is_heard(
    listening: SimulatorControl, listener: Listener, call: Call
) -> None:
    listener.statuses[:] = [500]
    call("POST", UNSIGN, BODY)
    assert listener.next().raw == listener.next().raw


def test_a_duplicate_callback_is_the_same_event_twice(
    listening: SimulatorControl, listener: Listener, call: Call
) -> None:
    listening.fault(system="ALIPAY", kind="duplicate_callback", times=1)
    call("POST", UNSIGN, BODY)
    first, second = listener.next(), listener.next()
    assert first.raw == second.raw
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_lost_callback_is_never_told(listening: SimulatorControl, listener: Listener, call: Call) -> None:
    listening.fault(system="ALIPAY", kind="no_callback", times=1)
    call("POST", UNSIGN, BODY)
    listening.end_agreement("JD", "JD1")
    assert listener.next().path == "/callbacks/JD"
    assert listener.heard.empty()
