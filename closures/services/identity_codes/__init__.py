"""One-time codes: issue one, send it by SMS from a task, and judge the digits that come back."""

from closures.services.identity_codes.issuing import (
    MAY_ISSUE,
    NoPhone,
    NothingToProve,
    NotTheirTicket,
    TooManyCodes,
    issue,
)
from closures.services.identity_codes.sending import deliver, hear_receipt
from closures.services.identity_codes.verifying import (
    IdentityChanged,
    NoLiveCode,
    NotSixDigits,
    TriesUsedUp,
    WrongCode,
    verify,
)

__all__ = [
    "MAY_ISSUE",
    "IdentityChanged",
    "NoLiveCode",
    "NoPhone",
    "NotSixDigits",
    "NotTheirTicket",
    "NothingToProve",
    "TooManyCodes",
    "TriesUsedUp",
    "WrongCode",
    "deliver",
    "hear_receipt",
    "issue",
    "verify",
]
