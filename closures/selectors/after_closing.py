"""What happened to a closing afterwards: its reversal, and the money that turned up. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from closures.models import ClosureTicket, LedgerCommand, PostClosureItem, Reversal

Money = PostClosureItem.State
PEOPLE = ("asked_by", "approved_by", "bureau_corrected_by", "new_account", "bureau_rule")


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """Beside a closed ticket: its reversals and its later money, newest first."""

    reversals: tuple[Reversal, ...]
    money: tuple[PostClosureItem, ...]


def of_ticket(ticket: ClosureTicket) -> Aftermath:
    """Two queries for a ticket that was closed, none for one that was not."""
    if ticket.state not in ClosureTicket.WAS_CLOSED:
        return Aftermath(reversals=(), money=())
    money = ticket.later_money.select_related("owner", "command", "offset_with").order_by("-pk")
    return Aftermath(
        reversals=tuple(ticket.reversals.select_related(*PEOPLE).order_by("-pk")), money=tuple(money)
    )


# --- What comes next, in one sentence -----------------------------------------------------------------


def reversal_next(reversal: Reversal) -> str:
    """Whose move a reversal is; in the active language. Reads the row alone."""
    match reversal.state:
        case Reversal.State.PROPOSED:
            return translate("Compliance lead: somebody without a part in the closing approves or rejects.")
        case Reversal.State.OPENING:
            return translate("The system, by itself: the core ledger opens the new account and is read back.")
        case Reversal.State.REJECTED:
            return translate("Nobody: the closing stands.")
    if reversal.awaits_bureau:
        text = translate("Reviewer: have the credit report corrected by %(day)s and enter the proof.")
        return text % {"day": reversal.bureau_due_on}
    return translate("Nobody: the new account is open and the credit report is corrected.")


MONEY_NEXT: dict[str, Any] = {
    Money.PAYING: _(
        "The system, by itself: the core ledger returns the amount and is asked for the posting."
    ),
    Money.RECEIVABLE: _("Owner: collect the amount and enter the payment, or ask for a write-off."),
    Money.PAID_OUT: _("Nobody: the core ledger shows that the customer has it."),
    Money.SETTLED: _("Nobody: the customer has paid."),
    Money.WRITTEN_OFF: _("Nobody: two people have written it off."),
    Money.OFFSET: _("Nobody: a refund and its clawback cancel each other."),
}


def money_next(item: PostClosureItem) -> str:
    """Whose move an item is; in the active language. Reads the row and its command."""
    if item.state == Money.SUSPENSE:
        if item.direction == PostClosureItem.Direction.TO_CUSTOMER:
            return translate("Reviewer: pay it out to the customer.")
        return translate("Reviewer: book it as receivable.")
    command = item.command
    if item.state == Money.PAYING and command is not None and command.state == LedgerCommand.State.DEAD:
        return translate("Operator: the core ledger has refused the payout; find out why and try again.")
    if item.state == Money.RECEIVABLE and item.write_off_asked_by_id is not None:
        return translate("Compliance lead: a second person decides on the write-off.")
    return str(MONEY_NEXT[item.state])


# --- What the certificate adds ------------------------------------------------------------------------


def addendum(ticket: ClosureTicket) -> list[PostClosureItem]:
    """Money that came after what was certified, oldest first; the certified facts and their hash stay."""
    return list(ticket.later_money.order_by("occurred_at", "pk"))


# --- Worklists ----------------------------------------------------------------------------------------


def reversals_to_approve(user: Any, now: datetime) -> QuerySet[Reversal]:
    waiting = Reversal.objects.filter(state=Reversal.State.PROPOSED).exclude(asked_by=user)
    waiting = waiting.exclude(ticket__requested_by=user).exclude(ticket__decided_by=user)
    return waiting.select_related("ticket", "asked_by").order_by("asked_at", "pk")


def bureau_corrections(user: Any, now: datetime) -> QuerySet[Reversal]:
    waiting = Reversal.objects.filter(state__in=Reversal.GRANTED, bureau_corrected_at__isnull=True)
    return waiting.select_related("ticket").order_by("bureau_due_on", "pk")


def open_money(user: Any, now: datetime) -> QuerySet[PostClosureItem]:
    """Later money that a person has to do something about, oldest first."""
    refused = Q(state=Money.PAYING, command__state=LedgerCommand.State.DEAD)
    waiting = PostClosureItem.objects.filter(Q(state__in=(Money.SUSPENSE, Money.RECEIVABLE)) | refused)
    return waiting.select_related("account", "owner").order_by("found_at", "pk")


def write_offs_to_grant(user: Any, now: datetime) -> QuerySet[PostClosureItem]:
    asked = PostClosureItem.objects.filter(state=Money.RECEIVABLE, write_off_asked_by__isnull=False)
    return (
        asked.exclude(write_off_asked_by=user).select_related("account", "owner").order_by("found_at", "pk")
    )
