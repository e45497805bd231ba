"""A member of staff who did something to a row: the one shape such a column has."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models


def by_staff(verbose_name: Any) -> models.ForeignKey[Any, Any]:
    """Who did it, or nobody yet. Protected: people leave, their names in the records stay."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=verbose_name,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
