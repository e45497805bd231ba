"""SMS through the provider, with the carrier's delivery receipt."""

from __future__ import annotations

import re
from enum import StrEnum

from django.conf import settings

from closures.gateways import http
from closures.gateways.channels.base import Receipt, Sent
from closures.gateways.errors import Refused, Unclear

PHONE = re.compile(r"\+?\d{5,20}", re.ASCII)
TEXT_LIMIT = 2000  # characters


class _Status(StrEnum):
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class SmsChannel:
    """The subject is not sent: an SMS has none."""

    code = "SMS"
    gives_receipts = True
    automatic = True

    def send(self, *, key: str, to: str, subject: str, text: str) -> Sent:
        """The provider took the message. Raises `Refused` BAD_ADDRESS or BAD_TEXT before any call."""
        if not PHONE.fullmatch(to):
            raise Refused("BAD_ADDRESS")
        if not 1 <= len(text) <= TEXT_LIMIT:
            raise Refused("BAD_TEXT")
        answer = http.post(_endpoint(), "messages", body={"key": key, "to": to, "text": text})
        return Sent(provider_id=answer.success().text("message_id"))

    def receipt(self, *, key: str) -> Receipt:
        answer = http.get(_endpoint(), "messages", key)
        if answer.not_found():
            return Receipt.NOT_FOUND
        try:
            fields = answer.success()
        except Refused as refused:
            raise Unclear("a question was refused", raw=refused.raw) from refused
        fields.text("message_id")
        return Receipt(fields.choice("status", _Status))

    def check_config(self) -> list[str]:
        entry = settings.SMS
        return http.Endpoint("SMS", entry["url"], entry["key_id"], entry["secret"].encode()).problems()


def _endpoint() -> http.Endpoint:
    return http.Endpoint.of("SMS", settings.SMS)
