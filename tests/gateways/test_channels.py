"""The channels: SMS against the simulator, e-mail against a real SMTP server, the two that stay here."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from closures.demo.simulator_control import SimulatorControl
from closures.gateways.channels import registry
from closures.gateways.channels.base import Receipt
from closures.gateways.errors import GatewayError, Refused, Unclear, Unreachable
from tests.gateways.conftest import Puppet
from tests.smtp_process import MailServer

PHONE = "19900000001"


def send(
    channel: str, *, key: str = "notice:1", to: str, subject: str = "关闭通知", text: str = "您好"
) -> str:
    return registry.get(channel).send(key=key, to=to, subject=subject, text=text).provider_id


def test_every_channel_fits_the_ladder() -> None:
    facts = {
        code: (registry.get(code).gives_receipts, registry.get(code).automatic)
        for code in ("INBOX", "SMS", "EMAIL", "LETTER")
    }
    assert facts == {
        "INBOX": (True, True),
        "SMS": (True, True),
        "EMAIL": (False, True),
        "LETTER": (False, False),
    }
    assert all(registry.get(code).check_config() == [] for code in facts)
    with pytest.raises(ImproperlyConfigured, match="'PIGEON'"):
        registry.get("PIGEON")


# SMS


def test_an_sms_is_sent_once_per_key_and_its_receipt_is_asked_for(simulated: SimulatorControl) -> None:
    assert registry.get("SMS").receipt(key="notice:1") is Receipt.NOT_FOUND
    assert send("SMS", to=PHONE) == send("SMS", to=PHONE)
    assert registry.get("SMS").receipt(key="notice:1") is Receipt.DELIVERED
    assert simulated.messages("notice:1") == [{"key": "notice:1", "recipient": PHONE, "text": "您好"}]
    assert len(simulated.effects(kind="SMS")) == 1


@pytest.mark.parametrize(
    ("kind", "receipt"), [("receipt_failed", Receipt.FAILED), ("receipt_missing", Receipt.PENDING)]
)
def test_sent_is_not_delivered(simulated: SimulatorControl, kind: str, receipt: Receipt) -> None:
    simulated.fault(system="SMS", kind=kind)
    send("SMS", to=PHONE)
    assert registry.get("SMS").receipt(key="notice:1") is receipt


def test_an_sms_without_an_answer_is_unclear_and_the_receipt_tells(simulated: SimulatorControl) -> None:
    simulated.fault(system="SMS", kind="timeout_after_success", times=1)
    with pytest.raises(Unclear):
        send("SMS", to=PHONE)
    assert registry.get("SMS").receipt(key="notice:1") is Receipt.DELIVERED


@pytest.mark.parametrize(
    ("to", "text", "code"),
    [("", "x", "BAD_ADDRESS"), ("+1 2", "x", "BAD_ADDRESS"), ("x@y.cn", "x", "BAD_ADDRESS")]
    + [
        ("１９９０００００００１", "x", "BAD_ADDRESS"),
        (PHONE, "", "BAD_TEXT"),
        (PHONE, "x" * 2001, "BAD_TEXT"),
    ],
)
def test_an_sms_that_cannot_be_sent_is_refused_before_any_call(
    puppet: Puppet, to: str, text: str, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        send("SMS", to=to, text=text)
    assert refused.value.code == code
    assert puppet.requests == []


@pytest.mark.parametrize(
    "body", ['{"message_id": "", "status": "DELIVERED"}', '{"message_id": "m", "status": "NOT_FOUND"}', "{}"]
)
def test_a_receipt_that_does_not_fit_is_unclear(puppet: Puppet, body: str) -> None:
    puppet.says(body)
    with pytest.raises(Unclear):
        registry.get("SMS").receipt(key="notice:1")


@pytest.mark.usefixtures("nobody")
def test_where_no_provider_listens_nothing_was_sent() -> None:
    with pytest.raises(Unreachable):
        send("SMS", to=PHONE)


# E-mail


def test_a_mail_arrives_at_a_real_server_under_an_id_made_from_its_key(mail_server: MailServer) -> None:
    first = send("EMAIL", to="c1@example.com")
    send("EMAIL", to="c1@example.com")
    send("EMAIL", to="c1@example.com", key="notice:2")
    mails = mail_server.mails()
    assert [mail["Message-ID"] == first for mail in mails] == [True, True, False]
    assert (mails[0]["To"], mails[0]["Auto-Submitted"]) == ("c1@example.com", "auto-generated")
    payload = mails[0].get_payload(decode=True)
    assert isinstance(payload, bytes) and payload.decode().strip() == "您好"


@pytest.mark.parametrize(
    ("name", "kind", "detail"),
    [
        ("refused", Refused, "SMTP 550"),
        ("busy", Unreachable, "not now: SMTP 450"),
        ("spam", Refused, "SMTP 554"),
        ("full", Unreachable, "not now: SMTP 452"),
        ("dropped", Unclear, "SMTP session broke"),
    ],
)
def test_what_the_mail_server_says_decides(
    mail_server: MailServer, name: str, kind: type[GatewayError], detail: str
) -> None:
    with pytest.raises(kind, match=detail) as caught:
        send("EMAIL", to=f"{name}@example.com")
    assert name + "@" not in str(caught.value)


def test_where_no_mail_server_listens_nothing_was_sent(mail_server: MailServer, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.EMAIL_PORT = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="no SMTP session"):
        send("EMAIL", to="c1@example.com")


@pytest.mark.parametrize(
    ("to", "subject", "code"),
    [
        ("c1", "x", "BAD_ADDRESS"),
        ("", "x", "BAD_ADDRESS"),
        ("c1@example.com, c2@example.com", "x", "BAD_ADDRESS"),
        ("c1@example.com\nBcc: c2@example.com", "x", "BAD_ADDRESS"),
        ("c1@example.com", "x\r\nBcc: c2@example.com", "BAD_SUBJECT"),
        ("c1@example.com", "", "BAD_SUBJECT"),
    ],
)
def test_a_mail_that_smuggles_headers_is_refused(
    mail_server: MailServer, to: str, subject: str, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        send("EMAIL", to=to, subject=subject)
    assert refused.value.code == code
    assert mail_server.mails() == []


def test_nobody_can_say_what_became_of_a_mail() -> None:
    with pytest.raises(Unclear):
        registry.get("EMAIL").receipt(key="notice:1")


# The two that stay here


def test_the_inbox_takes_everything_at_once_and_a_letter_waits_for_a_person() -> None:
    assert send("INBOX", to="") == "notice:1"
    assert registry.get("INBOX").receipt(key="notice:1") is Receipt.DELIVERED
    assert send("LETTER", to="") == "notice:1"
    assert registry.get("LETTER").receipt(key="notice:1") is Receipt.PENDING
