"""Numbers that people read to each other."""

import secrets
from datetime import datetime

from django.utils.timezone import localtime

NUMBER_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: nothing that is misread on the phone


def new_number(now: datetime, *, prefix: str = "CT") -> str:
    """A number (CT: of a ticket): the day in China, 8 random letters; impossible to guess from another."""
    letters = "".join(secrets.choice(NUMBER_LETTERS) for _letter in range(8))
    return f"{prefix}{localtime(now):%y%m%d}{letters}"
