"""Signatures: of requests, sent by us and to us, and of events, the partners' and our own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from closures.gateways.wire import parse_json

CALLBACK_LIMIT = 64 * 1024  # bytes, checked before anything is parsed
CALLBACK_SKEW = timedelta(minutes=5)  # Source: Standard Webhooks, ASVS 4.1.5
EVENT_ID = re.compile(r"[A-Za-z0-9_.:-]{1,80}", re.ASCII)
EVENT_TYPE = re.compile(r"[a-z0-9_.]{1,40}", re.ASCII)
TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)
TEXT_LIMIT = 200
KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)  # without a dot: the parts of what is signed stay apart
SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)

Scalar = str | int | bool | None


def request_headers(
    *, key_id: str, secret: bytes, method: str, target: str, body: bytes, timestamp: int, nonce: str = ""
) -> dict[str, str]:
    """The headers that prove whose a request is. `target` is the raw path with its query, as sent.

    With a `nonce` it is spent once: the API that our apps call asks for one, partners do not.
    """
    signed = _signed_request(timestamp=str(timestamp), nonce=nonce, method=method, target=target, body=body)
    headers = {
        "X-Key-Id": key_id,
        "X-Timestamp": str(timestamp),
        "X-Signature": hmac.new(secret, signed, hashlib.sha256).hexdigest(),
    }
    return headers | ({"X-Nonce": nonce} if nonce else {})


def _signed_request(*, timestamp: str, nonce: str, method: str, target: str, body: bytes) -> bytes:
    spent = f"{nonce}." if nonce else ""
    return f"{timestamp}.{spent}{method}.{target}.".encode() + body


@dataclass(frozen=True)
class Credentials:
    """What a request says about its sender; believed only after `verify_request`."""

    key_id: str
    timestamp: str
    nonce: str
    signature: str


def credentials(headers: Mapping[str, str]) -> Credentials:
    """The four headers of a signed request. Raises `Forged` (UNSIGNED) when one does not fit its form."""
    found = {name.lower(): value for name, value in headers.items()}
    said = Credentials(
        key_id=found.get("x-key-id", ""),
        timestamp=found.get("x-timestamp", ""),
        nonce=found.get("x-nonce", ""),
        signature=found.get("x-signature", ""),
    )
    well_formed = (
        KEY_ID.fullmatch(said.key_id)
        and TIMESTAMP.fullmatch(said.timestamp)
        and NONCE.fullmatch(said.nonce)
        and SIGNATURE.fullmatch(said.signature)
    )
    if not well_formed:
        raise Forged("UNSIGNED")
    return said


def verify_request(
    said: Credentials, *, method: str, target: str, body: bytes, secrets: Sequence[bytes], now: datetime
) -> None:
    """The request was signed with one of the live secrets, at most five minutes ago. Raises `Forged`.

    Every secret is tried, in constant time. Replays pass here: the caller spends the nonce.
    Source: PITFALLS "Security"; ASVS 4.1.5.
    """
    signed = _signed_request(
        timestamp=said.timestamp, nonce=said.nonce, method=method, target=target, body=body
    )
    matches = False
    for secret in secrets:
        expected = hmac.new(secret, signed, hashlib.sha256).hexdigest()
        matches |= hmac.compare_digest(expected, said.signature)
    if not matches:
        raise Forged("BAD_SIGNATURE")
    if abs(now.timestamp() - int(said.timestamp)) > CALLBACK_SKEW.total_seconds():
        raise Forged("CLOCK_SKEW")


def event_headers(*, event_id: str, body: bytes, secrets: Sequence[bytes], timestamp: int) -> dict[str, str]:
    """The headers that prove an event is ours, signed with every live secret: what `verify_callback` reads.

    Source: the Standard Webhooks scheme, HMAC over id.timestamp.body.
    """
    signed = f"{event_id}.{timestamp}.".encode() + body
    digests = [hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets]
    return {
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": " ".join("v1," + base64.b64encode(digest).decode() for digest in digests),
    }


class Forged(Exception):
    """A callback or a request is not proved to be the sender's; nothing in it may be believed or kept.

    Codes: TOO_LARGE, UNSIGNED, CLOCK_SKEW, BAD_SIGNATURE, NOT_JSON, BAD_EVENT.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class CallbackEvent:
    """One verified event. `payload` is flat: every value a short text, a whole number, a truth or null."""

    event_id: str
    type: str
    payload: Mapping[str, Scalar]


def callback_secrets(system: str) -> list[bytes]:
    """The live keys of a system's callbacks, newest first; none for a system that sends none."""
    return [secret.encode() for secret in settings.CALLBACK_SECRETS.get(system, []) if secret]


def verify_callback(
    raw: bytes, headers: Mapping[str, str], secrets: Sequence[bytes], now: datetime
) -> CallbackEvent:
    """The event the partner signed. Raises `Forged`; changes nothing, so it is safe to repeat.

    Two keys may be live while one replaces the other. Replays within the five minutes pass here: the
    caller folds them by `event_id`. Source: the Standard Webhooks scheme, HMAC over id.timestamp.body.
    """
    if len(raw) > CALLBACK_LIMIT:
        raise Forged("TOO_LARGE")
    found = {name.lower(): value for name, value in headers.items()}
    event_id, timestamp = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not EVENT_ID.fullmatch(event_id) or not TIMESTAMP.fullmatch(timestamp):
        raise Forged("UNSIGNED")
    if abs(now.timestamp() - int(timestamp)) > CALLBACK_SKEW.total_seconds():
        raise Forged("CLOCK_SKEW")
    signed = f"{event_id}.{timestamp}.".encode() + raw
    if not _signed_by_one(signed, found.get("webhook-signature", ""), secrets):
        raise Forged("BAD_SIGNATURE")
    return _event(raw, event_id)


def _signed_by_one(signed: bytes, signatures: str, secrets: Sequence[bytes]) -> bool:
    """One of the signatures belongs to one of the live keys; every pair is compared, in constant time."""
    given = [part.encode("utf-8", "replace") for part in signatures.split(" ")[:5]]
    matches = False
    for secret in secrets:
        digest = hmac.new(secret, signed, hashlib.sha256).digest()
        expected = b"v1," + base64.b64encode(digest)
        for one in given:
            matches |= hmac.compare_digest(expected, one)
    return matches


def _event(raw: bytes, event_id: str) -> CallbackEvent:
    try:
        payload = parse_json(raw)
    except ValueError as error:
        raise Forged("NOT_JSON") from error
    if not isinstance(payload, dict) or payload.get("event_id") != event_id:
        raise Forged("BAD_EVENT")
    kind = payload.get("type")
    if not isinstance(kind, str) or not EVENT_TYPE.fullmatch(kind):
        raise Forged("BAD_EVENT")
    if not all(_scalar(value) for value in payload.values()):
        raise Forged("BAD_EVENT")
    return CallbackEvent(event_id=event_id, type=kind, payload=payload)


def _scalar(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= TEXT_LIMIT
    return value is None or isinstance(value, bool | int)
