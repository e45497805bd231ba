"""The cards of the complaint desk on the home page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from closures.admin.base import brand
from closures.admin.cards import Card, Row, ago, days_left, page_of
from closures.selectors import complaint_clocks


def of_complaint(complaint: Any, now: datetime) -> Row:
    due = complaint_clocks.current_due(complaint)
    late = due is not None and days_left(due, now) <= complaint_clocks.SOON.days
    product = brand(complaint.account.product) if complaint.account else ""
    parts = [complaint.get_topic_display(), product, complaint.customer.customer_no]
    if complaint.handler:
        parts.append(complaint.handler.name)
    return Row(
        what=complaint.number,
        note=" · ".join(filter(None, parts)),
        when=str(due) if due else ago(complaint.state_since, now),
        url=page_of(complaint),
        late=late,
    )


def of_extension(extension: Any, now: datetime) -> Row:
    asked = gettext("asked by %(name)s") % {"name": extension.asked_by.name}
    return Row(
        what=extension.complaint.number,
        note=f"{extension.get_level_display()} · {asked} · → {extension.to_due_on}",
        when=str(extension.from_due_on),
        url=page_of(extension.complaint),
        late=days_left(extension.from_due_on, now) <= complaint_clocks.SOON.days,
    )


CARDS: dict[str, Card] = {
    "COMPLAINTS_TO_REGISTER": Card(
        title=_("Complaints to accept"),
        nothing=_("No complaint waits to be accepted."),
        icon="mark_as_unread",
        page="closures_complaint",
        line=of_complaint,
    ),
    "COMPLAINTS_DUE": Card(
        title=_("Complaints due soon or overdue"),
        nothing=_("No complaint is due soon."),
        icon="alarm",
        page="closures_complaint",
        line=of_complaint,
        danger=True,
    ),
    "COMPLAINTS_TO_DECIDE": Card(
        title=_("Complaints to decide"),
        nothing=_("No complaint waits for your decision."),
        icon="balance",
        page="closures_complaint",
        line=of_complaint,
    ),
    "EXTENSIONS": Card(
        title=_("Extensions of complaints to decide"),
        nothing=_("Nobody has asked for more time for a complaint."),
        icon="more_time",
        page="closures_complaintextension",
        line=of_extension,
    ),
    "REVIEWS": Card(
        title=_("Reviews of complaints to decide"),
        nothing=_("No review waits for your decision."),
        icon="rate_review",
        page="closures_complaint",
        line=of_complaint,
    ),
    "MY_COMPLAINTS": Card(
        title=_("Complaints you handle"),
        nothing=_("You handle no complaint."),
        icon="support_agent",
        page="closures_complaint",
        line=of_complaint,
    ),
}
