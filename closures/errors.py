"""The root of every refusal in the closing process."""

from accounts.errors import Refusal


class ClosureError(Refusal):
    """A closing step may not happen now; nothing was changed."""
