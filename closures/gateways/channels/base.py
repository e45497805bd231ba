"""What every notice channel can do. What counts as arrival is the notice's business, not the channel's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Receipt(StrEnum):
    """What is known about a message. NOT_FOUND: the provider does not know the key."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    NOT_FOUND = "NOT_FOUND"


@dataclass(frozen=True)
class Sent:
    """The channel took the message. `provider_id` is how the provider names it."""

    provider_id: str


class Channel(Protocol):
    """One rung. `send` may raise `Unreachable`, `Refused` and `Unclear`; `receipt` never sends.

    `gives_receipts`: `receipt` can tell the truth about a message whose sending was `Unclear`.
    `automatic`: the message leaves without a person's hand.
    """

    code: str
    gives_receipts: bool
    automatic: bool

    def send(self, *, key: str, to: str, subject: str, text: str) -> Sent:
        """The channel took the message. The same key sends nothing twice where `gives_receipts`."""
        ...

    def receipt(self, *, key: str) -> Receipt:
        """What is known about the message of this key. Raises `Unreachable`, `Unclear`."""
        ...

    def check_config(self) -> list[str]:
        """What is wrong with the channel's settings; empty when nothing is. Calls nobody."""
        ...
