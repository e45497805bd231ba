"""What every partner gateway can do, and what its answers do and do not prove.

# Note [A partner's answer is a claim]

ACCEPTED, ALREADY_ENDED and NOT_FOUND on a command prove nothing. Only a status query that says ENDED
does, or absence by both keys with the canary found by both: if everything is "not found", the
canary is too, and nobody is unbound.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

CANARY = "CANARY"  # number of an agreement and account of ours that every partner always has, bound


class UnsignAnswer(StrEnum):
    """What a partner says to the command. See Note [A partner's answer is a claim]."""

    ACCEPTED = "ACCEPTED"
    ALREADY_ENDED = "ALREADY_ENDED"
    NOT_FOUND = "NOT_FOUND"


class AgreementStatus(StrEnum):
    """What a partner says to a question. NOT_FOUND by one key is not absence."""

    BOUND = "BOUND"
    ENDED = "ENDED"
    NOT_FOUND = "NOT_FOUND"


class Partner(Protocol):
    """One partner. Every call may raise `Unreachable`, `Refused` and `Unclear`; questions change nothing."""

    code: str
    has_api: bool

    def unsign(self, *, agreement_no: str, account_no: str, key: str) -> UnsignAnswer:
        """The command was given. Safe to repeat with the same key only; ask first."""
        ...

    def status(self, *, agreement_no: str, account_no: str) -> AgreementStatus:
        """What the agreement is, by its own number."""
        ...

    def listed(self, *, account_no: str, agreement_no: str) -> AgreementStatus:
        """What the agreement is by the second key: the list of the account's agreements."""
        ...

    def canary_found(self) -> bool:
        """The canary is BOUND by both keys, so a "not found" about another agreement means something."""
        ...

    def knows(self, *, key: str) -> bool:
        """The partner carried out the command of this key. False may still change while it settles."""
        ...

    def check_config(self) -> list[str]:
        """What is wrong with the partner's settings; empty when nothing is. Calls nobody."""
        ...
