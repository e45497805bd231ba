"""The root of every "no" this product says on purpose. Anything else that is raised is a defect."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _


class Refusal(Exception):
    """Something was asked for that may not happen; nothing was changed.

    Subclasses are named for the fact and live beside the function that raises them. `code` is stable
    and for machines, `message` is a sentence fit for a clerk, in the reader's language.
    """

    code = "refused"
    template: Any = _("This cannot be done.")

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.code)

    @property
    def message(self) -> str:
        return str(self.template).format(**self.facts)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
