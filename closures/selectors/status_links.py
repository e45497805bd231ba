"""The signed link to a ticket's status page: short enough for an SMS, and nothing personal in it.

A token reads `ticket.generation.day.signature`: two numbers and the day it was written, in base 36, and 96
bits of HMAC-SHA256 under a key of its own. The generation is the ticket's: raising it ends every older link.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse
from django.utils.http import base36_to_int, int_to_base36
from django.utils.timezone import localtime

from closures.models import ClosureTicket

SALT = "closures.status_link"
SIGNATURE = 16  # base64 characters: 96 bits, far beyond guessing, and a third of the full length
LONGEST = 60


class LinkUnknown(LookupError):
    """No link of ours: guessed, torn, forged, or of an older generation."""


class LinkExpired(LookupError):
    """Our link, but too old; the next notice has a newer one."""


@dataclass(frozen=True)
class Link:
    ticket_id: int
    generation: int
    written_on: date


class _ShortSigner(Signer):
    def signature(self, value: str | bytes, key: str | bytes | None = None) -> str:
        return super().signature(value, key)[:SIGNATURE]


def url(ticket: ClosureTicket, *, now: datetime) -> str:
    """The whole address, for a notice or an agent; the same all day."""
    return f"{settings.PUBLIC_URL.rstrip('/')}{reverse('status', args=[token(ticket, now=now)])}"


def token(ticket: ClosureTicket, *, now: datetime) -> str:
    parts = (ticket.pk, ticket.link_generation, localtime(now).date().toordinal())
    return _signer().sign(".".join(int_to_base36(part) for part in parts))


def read(text: str, *, now: datetime) -> Link:
    """What a token says, once its signature is found right. Raises LinkUnknown, LinkExpired. No query."""
    if not text.isascii() or len(text) > LONGEST:
        raise LinkUnknown
    try:
        pk, generation, day = (base36_to_int(part) for part in _signer().unsign(text).split("."))
        written_on = date.fromordinal(day)
    except (BadSignature, ValueError, OverflowError) as error:
        raise LinkUnknown from error
    if localtime(now).date() - written_on > settings.STATUS_LINK_GOOD_FOR:
        raise LinkExpired
    return Link(ticket_id=pk, generation=generation, written_on=written_on)


def ticket_of(text: str, *, now: datetime) -> ClosureTicket:
    """The ticket that a token leads to, with what its page needs. Raises as `read` does. One query."""
    link = read(text, now=now)
    tickets = ClosureTicket.objects.select_related("account__product__lender", "account__customer")
    ticket = tickets.filter(pk=link.ticket_id, link_generation=link.generation).first()
    if ticket is None:
        raise LinkUnknown
    return ticket


def _signer() -> Signer:
    return _ShortSigner(
        key=settings.STATUS_LINK_KEY,
        sep=".",
        salt=SALT,
        algorithm="sha256",
        fallback_keys=settings.STATUS_LINK_KEY_FALLBACKS,
    )
