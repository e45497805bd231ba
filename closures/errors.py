"""The root of every refusal in the closing process."""

from django.utils.translation import gettext_lazy as _

from accounts.errors import Refusal


class ClosureError(Refusal):
    """A closing step may not happen now; nothing was changed."""


class GroundMissing(ClosureError):
    code = "ground_missing"
    template = _("Say why: a decision without a reason is not recorded.")


def said(ground: str) -> str:
    """The reason that a person gave, without its edges. Raises GroundMissing."""
    if not ground.strip():
        raise GroundMissing
    return ground.strip()
