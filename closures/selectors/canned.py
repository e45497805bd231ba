"""Canned replies: which fields a text may have, and the text with them filled for one complaint.

Only the fields of the list and nothing else of a template: no tags, no filters, so that a text can say
nothing but what stands in it and in these few values.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.template import Context
from django.utils.translation import gettext_lazy as _

from closures.errors import ClosureError
from closures.models import CannedReply, Complaint
from closures.selectors import complaint_letters
from closures.selectors.letters import ENGINE

FIELDS: dict[str, Any] = {
    "number": _("number of the complaint"),
    "received_on": _("day of receipt"),
    "due_on": _("due date"),
    "topic": _("topic"),
    "brand": _("brand of the product"),
    "lender": _("lender"),
    "account_tail": _("last four digits of the account"),
    "ticket": _("number of the closing"),
    "decided_on": _("day of the decision"),
    "outcome": _("outcome"),
    "remedy": _("remedy"),
    "compensation": _("compensation"),
    "review_until": _("last day for a review"),
    "today": _("today"),
}
MARK = re.compile(r"\{\{(.*?)\}\}|\{%.*?%\}|\{#.*?#\}|\{\{|\}\}|\{%|%\}|\{#|#\}", re.S)


class UnknownField(ClosureError):
    code = "unknown_field"
    template = _("“{field}” is no field of a reply. There are: {fields}.")


def check(text: str) -> None:
    """Every mark in the text is a field of the list. Raises UnknownField."""
    for found in MARK.finditer(text):
        name = (found[1] or "").strip()
        if name not in FIELDS:
            raise UnknownField(field=found[0].strip("{}%# ")[:40], fields=", ".join(FIELDS))


def fill(text: str, complaint: Complaint, *, now: datetime, **more: Any) -> str:
    """The text with its fields filled, in the language of the notices. Raises UnknownField."""
    check(text)
    values = complaint_letters.values_for(complaint, language="zh-hans", now=now, **more)
    known = {name: values.get(name, "") for name in FIELDS}
    known["number"] = complaint.number
    # A rendered template calls itself safe HTML; this is plain text, so it must be escaped where it is shown.
    return ENGINE.from_string(text).render(Context(known, autoescape=False)) + ""


def offered(complaint: Complaint) -> QuerySet[CannedReply]:
    """The canned replies in use that fit this complaint, the closest first."""
    fits = Q(topic__in=("", complaint.topic)) & Q(outcome__in=("", complaint.outcome))
    return CannedReply.objects.filter(fits, state=CannedReply.State.ACTIVE).order_by(
        "-topic", "-outcome", "title"
    )
