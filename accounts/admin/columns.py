"""Columns that several list pages share."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from unfold.decorators import display


def yes(field: str, *, description: Any) -> Any:
    """“yes” or nothing for a yes/no field: a red cross would cry wolf where “no” is the rule."""

    @display(description=description, ordering=field)
    def shown(self: Any, row: Any) -> str:
        return gettext("yes") if getattr(row, field) else "—"

    return shown
