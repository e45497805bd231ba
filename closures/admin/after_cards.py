"""The home page's cards of what comes after a closing: reversals, credit reports, later money."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from closures.admin.cards import Card, Row, ago, days_left, page_of
from closures.selectors import casefile

SOON = 5  # days before a due date from which a row stands out
OLD = 7  # days in suspense from which a row stands out


def of_reversal(row: Any, now: datetime) -> Row:
    note = " · ".join((row.ticket.number, row.get_root_cause_display(), row.asked_by.name))
    return Row(what=row.number, note=note, when=ago(row.asked_at, now), url=page_of(row))


def by_bureau(row: Any, now: datetime) -> Row:
    left = days_left(row.bureau_due_on, now)
    note = " · ".join((row.ticket.number, row.get_state_display()))
    return Row(what=row.number, note=note, when=str(row.bureau_due_on), url=page_of(row), late=left < SOON)


def of_money(item: Any, now: datetime) -> Row:
    owner = item.owner.name if item.owner else gettext("nobody yet")
    note = " · ".join(
        (item.get_state_display(), item.get_direction_display(), item.account.account_no, owner)
    )
    late = (now - item.found_at).days >= OLD
    return Row(
        what=f"{item.number} {casefile.yuan(item.amount)}", note=note, when=ago(item.found_at, now),
        url=page_of(item), late=late,
    )  # fmt: skip


CARDS: dict[str, Card] = {
    "REVERSALS": Card(
        title=_("Reversals to decide"),
        nothing=_("No reversal waits for your decision."),
        icon="settings_backup_restore",
        page="closures_reversal",
        line=of_reversal,
    ),
    "BUREAU_CORRECTIONS": Card(
        title=_("Credit reports to correct"),
        nothing=_("No credit report has to be corrected."),
        icon="fact_check",
        page="closures_reversal",
        line=by_bureau,
    ),
    "LATER_MONEY": Card(
        title=_("Money after closing, oldest first"),
        nothing=_("No money after closing waits."),
        icon="payments",
        page="closures_postclosureitem",
        line=of_money,
    ),
    "WRITE_OFFS": Card(
        title=_("Write-offs to decide"),
        nothing=_("Nobody has asked for a write-off."),
        icon="money_off",
        page="closures_postclosureitem",
        line=of_money,
    ),
}
