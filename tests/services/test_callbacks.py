"""A callback is verified on its raw bytes, stored before it is answered, applied by a job, in any order."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.utils import timezone

from closures.models import Notice, PartnerCallback, UnbindTask
from closures.services import callbacks, notices, partner_calls, unbinding
from closures.services.callbacks import CallbackRefused
from tests.races import at_once, race
from tests.simulator_process import SECRET
from tests.stage import Stage, seen, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)


def signed(event: dict[str, Any], at: datetime, *, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
    """The raw body and headers by the text of the Standard Webhooks scheme; no code of the product."""
    raw = json.dumps(event).encode()
    stamp = str(int(at.timestamp()))
    mac = hmac.new(secret.encode(), f"{event['event_id']}.{stamp}.".encode() + raw, hashlib.sha256)
    return raw, {
        "Webhook-Id": event["event_id"],
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": "v1," + base64.b64encode(mac.digest()).decode(),
    }


def ended(agreement_no: str, event_id: str = "evt_1", **more: Any) -> dict[str, Any]:
    return {"event_id": event_id, "type": "agreement.ended", "agreement_no": agreement_no, **more}


def hear(stage: Stage, event: dict[str, Any], *, partner: str = "ALIPAY") -> PartnerCallback:
    raw, headers = signed(event, stage.now)
    return callbacks.receive(partner=partner, raw=raw, headers=headers, now=stage.now)


def apply(stage: Stage) -> list[tuple[str, str]]:
    callbacks.apply(clock=stage.clock)
    return list(PartnerCallback.objects.order_by("pk").values_list("outcome", "detail"))


def task_in(stage: Stage, state: str) -> UnbindTask:
    ticket = stage.ticket("UNBINDING", ALIPAY)
    if state == "UNKNOWN":
        stage.simulator.fault(system="ALIPAY", kind="http_500", method="POST", times=1)
    if state == "DEAD":
        stage.simulator.fault(system="ALIPAY", kind="refuse", method="POST", times=1)
    if state != "PENDING":
        unbinding.run(clock=stage.clock)
    if state == "UNBOUND":
        stage.clock.skip()
        unbinding.run(clock=stage.clock)
    task = ticket.tasks.select_related("agreement").get()
    assert task.state == state
    return task


# --- Receiving ----------------------------------------------------------------------------------------


def test_a_verified_event_is_stored_sealed_and_waits_for_the_job(stage: Stage) -> None:
    row = hear(stage, ended("ALIPAY-SECRET-7"))
    assert (row.partner, row.event_id, row.kind, row.outcome) == (
        "ALIPAY",
        "evt_1",
        "agreement.ended",
        "WAITING",
    )
    assert (row.due_at, row.received_at) == (stage.now, stage.now)
    assert "SECRET-7" not in row.body_sealed


def test_the_same_event_is_one_row_however_often_it_comes(stage: Stage) -> None:
    task = task_in(stage, "CONFIRMING")
    for _ in range(3):
        hear(stage, ended(task.agreement.agreement_no))
    assert PartnerCallback.objects.get().repeats == 2
    assert apply(stage) == [("APPLIED", "CALLBACK_ENDED")]
    hear(stage, ended(task.agreement.agreement_no))
    assert callbacks.apply(clock=stage.clock) == 0
    assert task.history.filter(state="UNBOUND").count() == 1


def tampered(raw: bytes, headers: dict[str, str], how: str) -> tuple[bytes, dict[str, str]]:
    if how == "another body":
        return raw.replace(b"evt_1", b"evt_1 ", 1), headers
    if how == "another id":
        return raw, {**headers, "Webhook-Id": "evt_2"}
    if how == "no signature":
        return raw, {k: v for k, v in headers.items() if k != "Webhook-Signature"}
    if how == "no headers":
        return raw, {}
    return raw, {**headers, "Webhook-Timestamp": str(int(headers["Webhook-Timestamp"]) + 1)}


@pytest.mark.parametrize("how", ["another body", "another id", "no signature", "no headers", "another time"])
def test_what_is_not_signed_as_it_is_leaves_no_row(stage: Stage, how: str) -> None:
    raw, headers = tampered(*signed(ended("A-1"), stage.now), how)
    with pytest.raises(CallbackRefused):
        callbacks.receive(partner="ALIPAY", raw=raw, headers=headers, now=stage.now)
    assert not PartnerCallback.objects.exists()


@pytest.mark.parametrize("late", [timedelta(minutes=6), -timedelta(minutes=6)])
def test_an_old_signature_is_a_replay(stage: Stage, late: timedelta) -> None:
    raw, headers = signed(ended("A-1"), stage.now - late)
    with pytest.raises(CallbackRefused):
        callbacks.receive(partner="ALIPAY", raw=raw, headers=headers, now=stage.now)


def test_one_partners_key_signs_for_no_other(stage: Stage, settings: Any) -> None:
    settings.CALLBACK_SECRETS = {"ALIPAY": ["a-secret"], "WECHAT": [SECRET]}
    for partner in ("ALIPAY", "NOBODY"):
        with pytest.raises(CallbackRefused):
            hear(stage, ended("A-1"), partner=partner)


def test_two_keys_are_live_while_one_replaces_the_other(stage: Stage, settings: Any) -> None:
    settings.CALLBACK_SECRETS = {"ALIPAY": ["the-new-one", SECRET]}
    assert hear(stage, ended("A-1")).pk
    raw, headers = signed(ended("A-1", "evt_2"), stage.now, secret="the-new-one")
    assert callbacks.receive(partner="ALIPAY", raw=raw, headers=headers, now=stage.now).pk


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b'{"event_id": "evt_1"}', b"\xff\xfe", b"x" * 70_000]
)
def test_what_is_signed_and_still_nonsense_is_refused(stage: Stage, body: bytes) -> None:
    stamp = str(int(stage.now.timestamp()))
    mac = hmac.new(SECRET.encode(), f"evt_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": "v1," + base64.b64encode(mac).decode(),
    }
    with pytest.raises(CallbackRefused):
        callbacks.receive(partner="ALIPAY", raw=body, headers=headers, now=stage.now)
    assert not PartnerCallback.objects.exists()


def test_the_page_answers_200_only_once_it_is_stored(stage: Stage, client: Any) -> None:
    raw, headers = signed(ended("A-1"), timezone.now())
    sent = {"content_type": "application/json", "headers": headers}
    assert client.post("/callbacks/ALIPAY", raw, **sent).status_code == 200
    assert client.post("/callbacks/ALIPAY", raw, **sent).status_code == 200
    assert client.post("/callbacks/ALIPAY", raw + b" ", **sent).status_code == 401
    assert client.get("/callbacks/ALIPAY").status_code == 405
    assert PartnerCallback.objects.count() == 1


# --- Applying -----------------------------------------------------------------------------------------


def test_it_proves_the_end_of_what_was_being_confirmed(stage: Stage) -> None:
    task = task_in(stage, "CONFIRMING")
    hear(stage, ended(task.agreement.agreement_no))
    assert apply(stage) == [("APPLIED", "CALLBACK_ENDED")]
    task = UnbindTask.objects.select_related("agreement").get(pk=task.pk)
    assert (task.state, task.agreement.state) == ("UNBOUND", "UNBOUND")
    assert written(task) == ("partner:ALIPAY", "CALLBACK_ENDED")


@pytest.mark.parametrize("state", ["PENDING", "UNKNOWN"])
def test_it_is_a_reason_to_ask_now_but_no_proof(stage: Stage, state: str) -> None:
    task = task_in(stage, state)
    UnbindTask.objects.filter(pk=task.pk).update(due_at=stage.now + timedelta(days=1))
    hear(stage, ended(task.agreement.agreement_no))
    assert apply(stage) == [("APPLIED", "CALLBACK_TO_BE_CHECKED")]
    task.refresh_from_db()
    assert (task.state, task.due_at) == (state, stage.now)


@pytest.mark.parametrize("state", ["UNBOUND", "DEAD"])
def test_out_of_its_order_it_changes_nothing(stage: Stage, state: str) -> None:
    task = task_in(stage, state)
    before = seen(task), seen(task.agreement)
    hear(stage, ended(task.agreement.agreement_no))
    assert apply(stage) == [("APPLIED", "RECORDED_ONLY")]
    assert (seen(task), seen(task.agreement)) == before


def test_a_lie_told_before_anything_was_sent_unbinds_nobody(stage: Stage) -> None:
    task = task_in(stage, "PENDING")
    hear(stage, ended(task.agreement.agreement_no))
    apply(stage)
    stage.task_until(task, "UNBOUND")
    assert stage.effects("UNSIGN", task.agreement.agreement_no) == 1, "we asked, it was bound, we ended it"


def test_the_worker_who_holds_the_task_finds_that_he_has_lost_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The callback is applied while a worker asks the partner, who says that it is still bound."""
    task = task_in(stage, "CONFIRMING")
    stage.clock.skip()
    enquire = partner_calls.enquire

    def slow(row: UnbindTask, partner: Any) -> Any:
        stage.simulator.put_agreements(
            [{"partner": "ALIPAY", "agreement_no": task.agreement.agreement_no, "account_no": "X"}]
        )
        answer = enquire(row, partner)
        hear(stage, ended(task.agreement.agreement_no))
        callbacks.apply(clock=stage.clock)
        return answer

    monkeypatch.setattr(partner_calls, "enquire", slow)
    unbinding.run(clock=stage.clock)
    task.refresh_from_db()
    assert (task.state, written(task)[1]) == ("UNBOUND", "CALLBACK_ENDED")


def test_an_end_that_nobody_asked_for_raises_an_alarm(stage: Stage) -> None:
    account = stage.account(ALIPAY)
    hear(stage, ended(account.agreements.get().agreement_no))
    assert apply(stage) == [("ALARM", "NO_TASK")]
    assert account.agreements.get().state == "BOUND"


def test_signing_again_after_unbinding_raises_an_alarm(stage: Stage) -> None:
    task = task_in(stage, "UNBOUND")
    fresh = stage.account(ALIPAY).agreements.get()
    for n, number in enumerate((task.agreement.agreement_no, fresh.agreement_no)):
        hear(stage, {"event_id": f"evt_{n}", "type": "agreement.signed", "agreement_no": number})
    assert apply(stage) == [("ALARM", "SIGNED_AGAIN"), ("NO_EFFECT", "")]
    task.refresh_from_db()
    assert task.state == "UNBOUND"


def test_an_event_of_an_unknown_kind_raises_an_alarm(stage: Stage) -> None:
    hear(stage, {"event_id": "evt_1", "type": "agreement.exploded"})
    assert apply(stage) == [("ALARM", "UNKNOWN_EVENT")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "out of order"])
def test_two_events_end_the_same_in_any_order(stage: Stage, order: tuple[int, int]) -> None:
    task = task_in(stage, "CONFIRMING")
    number = task.agreement.agreement_no
    events = [
        {"event_id": "evt_0", "type": "agreement.signed", "agreement_no": number},
        ended(number, "evt_1"),
    ]
    for n in order:
        hear(stage, events[n])
        apply(stage)
    assert UnbindTask.objects.get(pk=task.pk).state == "UNBOUND"


@pytest.fixture
def letterbox() -> Iterator[tuple[str, list[tuple[bytes, dict[str, str]]]]]:
    """An address that takes callbacks and keeps them, raw, as they came; and what has come."""
    came: list[tuple[bytes, dict[str, str]]] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((raw, dict(self.headers)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/callbacks", came
        server.shutdown()
        thread.join()


def test_the_partners_own_duplicate_callback_is_one_effect(stage: Stage, letterbox: Any) -> None:
    """The simulator's callback comes twice, over HTTP, signed by its own code."""
    url, came = letterbox
    stage.simulator.tune(callback_url=url)
    stage.simulator.fault(system="ALIPAY", kind="duplicate_callback")
    task = task_in(stage, "CONFIRMING")
    deadline = time.monotonic() + 20
    while len(came) < 2:
        assert time.monotonic() < deadline, came
        time.sleep(0.02)
    stage.simulator.tune(callback_url="")
    stage.clock.now = timezone.now()
    for raw, headers in came:
        callbacks.receive(partner="ALIPAY", raw=raw, headers=headers, now=stage.now)
    assert PartnerCallback.objects.get().repeats == 1
    assert apply(stage) == [("APPLIED", "CALLBACK_ENDED")]
    assert task.history.filter(state="UNBOUND").count() == 1


# --- Receipts -----------------------------------------------------------------------------------------


def test_a_receipt_makes_the_provider_be_asked_now(stage: Stage) -> None:
    ticket = stage.request(stage.account())
    stage.simulator.tune(receipt_delay=3600)
    notices.deliver(clock=stage.clock)
    notice = ticket.notices.get(channel="SMS")
    assert notice.state == "SENT"
    Notice.objects.filter(pk=notice.pk).update(due_at=stage.now + timedelta(days=1))
    hear(
        stage,
        {"event_id": "e", "type": "sms.receipt", "key": notice.key, "status": "DELIVERED"},
        partner="SMS",
    )
    assert apply(stage) == [("APPLIED", "")]
    notice.refresh_from_db()
    assert (notice.state, notice.due_at) == ("SENT", stage.now), "the callback is no proof"


def test_a_receipt_of_a_message_that_is_not_ours_raises_an_alarm(stage: Stage) -> None:
    hear(stage, {"event_id": "e", "type": "sms.receipt", "key": "x", "status": "DELIVERED"}, partner="SMS")
    assert apply(stage) == [("ALARM", "NO_NOTICE")]


@race
def test_one_event_many_times_at_once_is_one_row_and_one_effect(raise_stage: Any) -> None:
    stage = raise_stage()
    for n in range(5):
        task = task_in(stage, "CONFIRMING")
        event = ended(task.agreement.agreement_no, f"evt_{n}")
        ends = at_once(*(lambda e=event: hear(stage, e) for _ in range(5)))
        assert len({end.pk for end in ends}) == 1
        assert PartnerCallback.objects.get(event_id=f"evt_{n}").repeats == 4
        at_once(*(lambda: callbacks.apply(clock=stage.clock) for _ in range(3)))
        assert task.history.filter(state="UNBOUND").count() == 1
