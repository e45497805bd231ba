"""The home page's cards of kept data and of the files for the credit bureau."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from closures.admin.cards import Card, Row, ago, days_left, page_of


def of_deletion(asked: Any, now: datetime) -> Row:
    left = days_left(asked.answer_due_on, now)
    when = gettext("today") if left == 0 else str(asked.answer_due_on)
    return Row(
        what=asked.number, note=asked.customer.customer_no, when=when, url=page_of(asked), late=left < 3
    )


def of_destruction(row: Any, now: datetime) -> Row:
    note = ngettext("%(count)s customer", "%(count)s customers", row.population) % {"count": row.population}
    return Row(what=row.number, note=note, when=ago(row.state_since, now), url=page_of(row))


def of_report(report: Any, now: datetime) -> Row:
    note = f"{report.get_state_display()} · {report.from_on} – {report.to_on} · {report.lines}"
    return Row(what=report.number, note=note, when=ago(report.state_since, now), url=page_of(report))


CARDS: dict[str, Card] = {
    "DELETIONS": Card(
        title=_("Deletion requests to answer"),
        nothing=_("No deletion request waits for its answer."),
        icon="delete",
        page="closures_deletionrequest",
        line=of_deletion,
    ),
    "DESTRUCTION_DRAFTS": Card(
        title=_("Destruction lists to propose"),
        nothing=_("Nobody's data is due for destruction."),
        icon="how_to_reg",
        page="closures_destructionlist",
        line=of_destruction,
    ),
    "DESTRUCTIONS": Card(
        title=_("Destruction lists to approve"),
        nothing=_("No destruction waits for your approval."),
        icon="delete_forever",
        page="closures_destructionlist",
        line=of_destruction,
    ),
    "BUREAU_FILES": Card(
        title=_("Files for the credit bureau"),
        nothing=_("The credit bureau has been told everything."),
        icon="outbox",
        page="closures_bureaureport",
        line=of_report,
    ),
}
