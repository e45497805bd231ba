"""E-mail over SMTP: a courtesy copy, never arrival.

SMTP knows no idempotency key and gives no receipt. The Message-ID is made from our key, so that a
mail sent twice is recognised as one by mail programs that look.
"""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.validators import validate_email

from closures.gateways.channels.base import Receipt, Sent
from closures.gateways.errors import Refused, Unclear, Unreachable


class EmailChannel:
    """One message to one address through Django's mail backend."""

    code = "EMAIL"
    gives_receipts = False
    automatic = True

    def send(self, *, key: str, to: str, subject: str, text: str) -> Sent:
        """The mail server took the message.

        Raises `Refused` (bad address or subject, or a 5xx from the server), `Unreachable` (no session,
        or a 4xx before or instead of taking it), `Unclear` (the session broke once it had begun).
        """
        message_id = _message_id(key)
        message = _message(to=to, subject=subject, text=text, message_id=message_id)
        connection = get_connection()
        try:
            connection.open()
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(f"no SMTP session: {type(error).__name__}") from error
        try:
            _hand_over(connection, message)
        finally:
            # The message is with them or not by now; a broken good-bye changes nothing.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.close()
        return Sent(provider_id=message_id)

    def receipt(self, *, key: str) -> Receipt:
        """Always raises `Unclear`: nobody can say what became of a mail."""
        raise Unclear("e-mail gives no receipt")

    def check_config(self) -> list[str]:
        return [] if settings.DEFAULT_FROM_EMAIL else ["EMAIL: DEFAULT_FROM_EMAIL is empty"]


def _message_id(key: str) -> str:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def _message(*, to: str, subject: str, text: str, message_id: str) -> EmailMessage:
    """The message, built once to see that it can be. Raises `Refused`."""
    try:
        validate_email(to)
    except ValidationError as error:
        raise Refused("BAD_ADDRESS") from error
    if not subject or any(ord(mark) < 32 or ord(mark) == 127 for mark in subject):
        # A line break in a subject is somebody's own header.
        raise Refused("BAD_SUBJECT")
    headers = {"Message-ID": message_id, "Auto-Submitted": "auto-generated"}
    message = EmailMessage(subject=subject, body=text, to=[to], headers=headers)
    try:
        message.message()
    except ValueError as error:
        raise Refused("BAD_MESSAGE") from error
    return message


def _hand_over(connection: Any, message: EmailMessage) -> None:
    """The server said yes to the whole message. Raises as `EmailChannel.send` says."""
    try:
        taken = connection.send_messages([message])
    except smtplib.SMTPRecipientsRefused as error:
        raise _no(
            min((code for code, _ in error.recipients.values()), default=0), "RECIPIENT_REFUSED"
        ) from error
    except smtplib.SMTPSenderRefused as error:
        raise _no(error.smtp_code, "SENDER_REFUSED") from error
    except smtplib.SMTPDataError as error:
        raise _no(error.smtp_code, "MESSAGE_REFUSED") from error
    except (smtplib.SMTPException, OSError) as error:
        raise Unclear(f"SMTP session broke: {type(error).__name__}") from error
    if taken == 0:
        raise Unclear("the mail backend took nothing")


def _no(smtp_code: int, code: str) -> Exception:
    """5xx is for ever, 4xx is "not now"; both mean that the message was not taken (RFC 5321 §4.2.1)."""
    detail = f"SMTP {smtp_code}"
    if 500 <= smtp_code <= 599:
        return Refused(code, detail=detail)
    if 400 <= smtp_code <= 499:
        return Unreachable(f"not now: {detail}")
    return Unclear(f"unexpected answer: {detail}")
