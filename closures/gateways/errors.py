"""The three things a gateway may raise. Services decide by the kind, never by the text.

# Note [Unclear is not failed]

When a call was sent and no clear answer came, the other side may have done it. Only `Unreachable`
and `Refused` say that nothing happened; after `Unclear` the truth must be asked for before anything
else is sent. Whatever is in doubt is therefore `Unclear`.
"""

from __future__ import annotations

RAW_LIMIT = 4096  # bytes of an answer kept for the caller to seal
DETAIL_LIMIT = 200


class GatewayError(Exception):
    """A call to the outside did not end in a readable success.

    `detail` is short and never personal; `raw` holds the beginning of what came back, which may be:
    the caller seals it or drops it.
    """

    def __init__(self, detail: str, *, raw: bytes = b"") -> None:
        self.detail = detail[:DETAIL_LIMIT]
        self.raw = raw[:RAW_LIMIT]
        super().__init__(self.detail)


class Unreachable(GatewayError):
    """Nothing happened at the other side: it was not reached, or it said "not now" before acting."""


class Refused(GatewayError):
    """A definite no: nothing happened and asking again will not help. `code` is theirs."""

    def __init__(self, code: str, *, detail: str = "", raw: bytes = b"") -> None:
        self.code = code
        super().__init__(detail or f"refused: {code}", raw=raw)


class Unclear(GatewayError):
    """It was sent and no clear answer came: ask before anything else. See Note [Unclear is not failed]."""
