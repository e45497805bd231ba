"""The registered letter: a work order for a person, who prints, posts and enters the tracking proof."""

from __future__ import annotations

from closures.gateways.channels.base import Receipt, Sent


class LetterChannel:
    """Taking the message opens the work order; nothing has left yet. Safe to repeat."""

    code = "LETTER"
    gives_receipts = False
    automatic = False

    def send(self, *, key: str, to: str, subject: str, text: str) -> Sent:
        return Sent(provider_id=key)

    def receipt(self, *, key: str) -> Receipt:
        """For ever pending here: only a person's entry of the proof ends it."""
        return Receipt.PENDING

    def check_config(self) -> list[str]:
        return []
