"""Numbers that people read to each other."""

import secrets
from datetime import datetime

from django.utils.timezone import localtime

NUMBER_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: nothing that is misread on the phone


def new_number(now: datetime, *, prefix: str = "CT") -> str:
    """A number of a case: the day in China and 8 random letters, impossible to guess from another.

    `prefix` says of what: CT a closure ticket, CP a complaint, RV a reversal, PM money after closing, EP an
    evidence pack, DR a deletion request, DL a destruction list, BR a bureau file, CM a campaign, RA a risk
    alert, AP an appeal against one.
    """
    letters = "".join(secrets.choice(NUMBER_LETTERS) for _letter in range(8))
    return f"{prefix}{localtime(now):%y%m%d}{letters}"
