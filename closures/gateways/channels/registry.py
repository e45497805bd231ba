"""Which code means which channel."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from closures.gateways.channels.base import Channel
from closures.gateways.channels.email import EmailChannel
from closures.gateways.channels.inbox import InboxChannel
from closures.gateways.channels.letter import LetterChannel
from closures.gateways.channels.sms import SmsChannel

CHANNELS: dict[str, Channel] = {
    channel.code: channel for channel in (InboxChannel(), SmsChannel(), EmailChannel(), LetterChannel())
}


def get(code: str) -> Channel:
    """The channel. Raises ImproperlyConfigured for an unknown code."""
    try:
        return CHANNELS[code]
    except KeyError as error:
        raise ImproperlyConfigured(f"no channel {code!r}; there are: {', '.join(CHANNELS)}") from error
