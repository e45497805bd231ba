"""Which callbacks are believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from closures.gateways.signing import CALLBACK_LIMIT, Forged, callback_secrets, verify_callback

EVENT = {"event_id": "evt_1", "type": "agreement.ended", "agreement_no": "N1", "status": "ENDED"}
OLD, NEW = b"old", b"new"


def signed(
    raw: bytes, *, now: datetime, secret: bytes = NEW, event_id: str = "evt_1", **headers: str
) -> dict[str, str]:
    timestamp = str(int(now.timestamp()))
    digest = hmac.new(secret, f"{event_id}.{timestamp}.".encode() + raw, hashlib.sha256).digest()
    return {
        "Webhook-Id": event_id,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": "v1," + base64.b64encode(digest).decode(),
        **headers,
    }


def forged(raw: bytes, headers: dict[str, str], now: datetime, secrets: list[bytes] | None = None) -> str:
    with pytest.raises(Forged) as caught:
        verify_callback(raw, headers, [NEW, OLD] if secrets is None else secrets, now)
    return caught.value.code


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_an_event_signed_with_either_live_key_is_believed(now: datetime, secret: bytes) -> None:
    raw = json.dumps(EVENT).encode()
    event = verify_callback(raw, signed(raw, now=now, secret=secret), [NEW, OLD], now)
    assert (event.event_id, event.type, event.payload["agreement_no"]) == ("evt_1", "agreement.ended", "N1")


def test_one_good_signature_among_several_is_enough(now: datetime) -> None:
    raw = json.dumps(EVENT).encode()
    headers = signed(raw, now=now)
    headers["Webhook-Signature"] = "v1,AAAA v2,xyz " + headers["Webhook-Signature"]
    assert verify_callback(raw, headers, [NEW], now).event_id == "evt_1"


def test_one_changed_byte_anywhere_is_a_forgery(now: datetime) -> None:
    raw = json.dumps(EVENT).encode()
    headers = signed(raw, now=now)
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert forged(changed, headers, now) == "BAD_SIGNATURE"
    assert forged(raw, {**headers, "Webhook-Id": "evt_2"}, now) == "BAD_SIGNATURE"


@pytest.mark.parametrize("secrets", [[], [b"other"], [OLD]])
def test_a_key_that_is_not_live_signs_nothing(now: datetime, secrets: list[bytes]) -> None:
    raw = json.dumps(EVENT).encode()
    assert forged(raw, signed(raw, now=now), now, secrets) == "BAD_SIGNATURE"


@pytest.mark.parametrize(("shift", "believed"), [(-299, True), (299, True), (-302, False), (302, False)])
def test_five_minutes_either_way_is_the_limit(now: datetime, shift: int, believed: bool) -> None:
    raw = json.dumps(EVENT).encode()
    headers = signed(raw, now=now + timedelta(seconds=shift))
    if believed:
        assert verify_callback(raw, headers, [NEW], now)
    else:
        assert forged(raw, headers, now) == "CLOCK_SKEW"


@pytest.mark.parametrize(
    "change",
    [
        {"Webhook-Id": ""},
        {"Webhook-Id": "a b"},
        {"Webhook-Id": "x" * 81},
        {"Webhook-Timestamp": ""},
        {"Webhook-Timestamp": "-1"},
        {"Webhook-Timestamp": "1e9"},
        {"Webhook-Timestamp": "9" * 13},
        {"Webhook-Timestamp": "١٢٣"},
    ],
)
def test_headers_that_do_not_fit_are_unsigned(now: datetime, change: dict[str, str]) -> None:
    raw = json.dumps(EVENT).encode()
    assert forged(raw, {**signed(raw, now=now), **change}, now) == "UNSIGNED"
    assert forged(raw, {}, now) == "UNSIGNED"


def test_size_is_checked_before_anything_is_read(now: datetime) -> None:
    raw = b" " * (CALLBACK_LIMIT + 1)
    assert forged(raw, signed(raw, now=now), now) == "TOO_LARGE"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "NOT_JSON"),
        (b"{", "NOT_JSON"),
        (b"[" * 60_000, "NOT_JSON"),
        (b"9" * 5000, "NOT_JSON"),
        (b'{"event_id": "evt_1", "event_id": "evt_1"}', "NOT_JSON"),
        (b'{"a": NaN}', "NOT_JSON"),
        (b"[]", "BAD_EVENT"),
        (b"{}", "BAD_EVENT"),
        (json.dumps(EVENT | {"event_id": "evt_2"}).encode(), "BAD_EVENT"),
        (json.dumps(EVENT | {"type": "Weird Type"}).encode(), "BAD_EVENT"),
        (json.dumps(EVENT | {"type": None}).encode(), "BAD_EVENT"),
        (json.dumps(EVENT | {"more": {}}).encode(), "BAD_EVENT"),
        (json.dumps(EVENT | {"more": "x" * 201}).encode(), "BAD_EVENT"),
        (json.dumps(EVENT | {"more": 1.5}).encode(), "BAD_EVENT"),
    ],
)
def test_a_signed_body_that_is_no_event_is_not_believed(now: datetime, raw: bytes, code: str) -> None:
    assert forged(raw, signed(raw, now=now), now) == code


@pytest.mark.parametrize("signature", ["", "v1,", "v1,é", "v2,AAAA", " " * 1000, "v1," + "A" * 9000])
def test_a_signature_that_is_no_signature_is_refused(now: datetime, signature: str) -> None:
    raw = json.dumps(EVENT).encode()
    assert forged(raw, {**signed(raw, now=now), "Webhook-Signature": signature}, now) == "BAD_SIGNATURE"


def test_a_system_without_keys_has_none(settings: Any) -> None:
    settings.CALLBACK_SECRETS = {"ALIPAY": ["new", "", "old"]}
    assert callback_secrets("ALIPAY") == [NEW, OLD]
    assert callback_secrets("PAYPAL") == []
