"""One word, one colour: a state, a severity or an outcome as every page of the console shows it."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

# One word, one colour, whatever the noun. Unfold: info blue, primary, success green, warning orange,
# danger red, "" grey. A guard walks every state of every model.
COLOURS: dict[str, str] = {
    # a person has to do something
    "BLOCKED": "danger",
    "IN_REVIEW": "warning",
    "MANUAL": "warning",
    "DEAD": "danger",
    "PROPOSED": "warning",
    "OPEN": "warning",
    "FAILED": "danger",
    "RECEIVED": "warning",
    "PREPARED": "warning",
    "EXPIRED": "danger",
    "DECIDED": "warning",
    "NEW": "warning",
    "TRIAGED": "info",
    "TICKETED": "primary",
    "DISMISSED": "",
    "SHADOW": "info",
    "GRANTED": "success",
    "DENIED": "danger",
    "REVIEW_REQUESTED": "warning",
    "ASKED": "warning",
    "ALARM": "danger",
    "SUSPENSE": "warning",
    "RECEIVABLE": "warning",
    # nobody knows yet
    "UNKNOWN": "warning",
    # under way by itself
    "SUBMITTED": "info",
    "NOTICE_PERIOD": "info",
    "SETTLING": "info",
    "UNBINDING": "info",
    "CLOSING": "info",
    "PENDING": "",
    "SENDING": "info",
    "CONFIRMING": "info",
    "SENT": "info",
    "WAITING": "info",
    "OPENING": "info",
    "PAYING": "info",
    "IN_FLIGHT": "info",
    "INVITED": "info",
    "REGISTERED": "info",
    "INVESTIGATING": "info",
    "APPROVED": "info",
    "DRAFT": "",
    "PILOT": "info",
    "RUNNING": "info",
    "UNDER_WAY": "info",
    "OPENED": "info",
    # as it should be
    "ACTIVE": "success",
    "OFFERED": "success",
    "IN_FORCE": "success",
    "BOUND": "primary",
    "CLOSED": "success",
    "DONE": "success",
    "UNBOUND": "success",
    "ABSENT": "success",
    "DELIVERED": "success",
    "APPLIED": "success",
    "REPLIED": "success",
    "REVIEWED": "success",
    "UPHELD": "danger",
    "PARTLY_UPHELD": "warning",
    "NOT_UPHELD": "",
    "PAID_OUT": "success",
    "SETTLED": "success",
    "VERIFIED": "success",
    "LIFTED": "",
    "ANSWERED": "success",
    "ACCEPTED": "success",
    # limited
    "LOCKED": "warning",
    "FROZEN": "warning",
    "SUSPENDED": "warning",
    "DISABLED": "warning",
    "RESTRICTED": "warning",
    # over
    "PAUSED": "warning",
    "COMPLETED": "success",
    "ABORTED": "",
    "EXCLUDED": "",
    "REJECTED": "danger",
    "USED_UP": "danger",
    "WITHDRAWN": "",
    "CANCELLED": "",
    "WAIVED": "primary",
    "LAPSED": "",
    "LEFT": "",
    "ERASED": "",
    "SKIPPED": "warning",
    "CORRECTED": "",
    "NO_EFFECT": "",
    "OUT_OF_SCOPE": "",
    "MERGED": "",
    "REFUSED": "danger",
    "RETIRED": "",
    "REVERSED": "warning",
    "WRITTEN_OFF": "",
    "OFFSET": "",
    # scans and severities of risk rules
    "CAPPED": "warning",
    "DRIFT": "danger",
    "KILLED": "warning",
    "TOO_SLOW": "danger",
    "LOW": "",
    "MEDIUM": "warning",
    "HIGH": "danger",
    # severities of blockers
    "BLOCK": "danger",
    "SETTLE": "warning",
    "UNBIND": "info",
    "WARN": "",
}


class Badge(tuple):
    """A value and its label: Unfold colours it in a list, and it draws itself on a page to read."""

    colour: str

    def __new__(cls, value: str, label: Any, *, colours: dict[str, str] = COLOURS) -> Badge:
        made = super().__new__(cls, (value, str(label)))
        made.colour = colours[value]
        return made

    def __html__(self) -> str:
        return render_to_string("unfold/helpers/label.html", {"type": self.colour, "text": self[1]})


def badge(field: str, *, description: Any) -> Any:
    """A coloured badge for a field with choices; the raw value never shows."""

    @display(description=description, label=COLOURS, ordering=field)
    def shown(self: Any, obj: Any) -> Badge:
        return Badge(getattr(obj, field), getattr(obj, f"get_{field}_display")())

    return shown


def plain(field: str, *, description: Any) -> Any:
    """A related row by name only: stock Django links to its page, whoever may open it or not."""

    @display(description=description)
    def shown(self: Any, obj: Any) -> str:
        return str(getattr(obj, field) or "—")

    return shown


def state_badge(field: str = "state") -> Any:
    """The badge of a row's state, for `list_display` and `fields`: `badge = state_badge()`."""
    return badge(field, description=_("state"))
