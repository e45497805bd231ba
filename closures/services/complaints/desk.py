"""What every move of a complaint stands on: its lock, who may not touch it, its sealed texts, its holds."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.actors import Actor, ActorKind
from accounts.models import Customer, User
from accounts.tracking import NotPermitted, NotPossible
from closures.errors import ClosureError
from closures.models import ClosureTicket, Complaint, ComplaintText, Hold, UnbindTask
from closures.models.complaints import HANDLE
from closures.models.notices import NoticeKind
from closures.selectors import complaint_letters
from closures.services import holds, notices

LONGEST_TEXT = 10_000  # characters: more is an attachment, not a complaint
# Whoever did one of these on a ticket or on its tasks has a part in the closing.
PARTS_IN_TICKET = (
    "requested_by",
    "last_edited_by",
    "decided_by",
    "notice_waiver_asked_by",
    "notice_waived_by",
    "cancel_asked_by",
    "cancelled_by",
)
HANDLING = _("Handle a complaint")
PARTS_IN_TASK = ("evidence_by", "confirmed_by", "waiver_asked_by", "waived_by")


class TextMissing(ClosureError):
    code = "text_missing"
    template = _("Write what is to be kept: an empty text is not recorded.")


class TextTooLong(ClosureError):
    code = "text_too_long"
    template = _("The text is longer than {most} characters. Shorten it.")


class Recused(ClosureError):
    code = "recused"
    template = _(
        "{person} had a part in what complaint {number} is about, or is complained about. "
        "Somebody else has to do this."
    )


class NotTheirComplaint(ClosureError):
    code = "not_their_complaint"
    template = _("This complaint is not this customer's.")


# --- The lock ---------------------------------------------------------------------------------------


def locked(complaint_id: int) -> Complaint:
    """The complaint, locked after the tickets that it or its holds are about (parents first)."""
    lock_tickets(ticket_ids(complaint_id))
    return Complaint.objects.select_for_update(of=("self",)).get(pk=complaint_id)


def lock_tickets(ids: set[int]) -> dict[int, ClosureTicket]:
    rows = ClosureTicket.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk")
    return {ticket.pk: ticket for ticket in rows}


def ticket_ids(complaint_id: int) -> set[int]:
    """Tickets of a complaint and of everything that was merged into it."""
    rows = Complaint.objects.filter(pk__in=family(complaint_id))
    return {ticket for pair in rows.values_list("ticket_id", "hold__ticket_id") for ticket in pair if ticket}


def family(complaint_id: int) -> set[int]:
    """The complaint and those that were merged into it, however often."""
    found, newest = {complaint_id}, {complaint_id}
    while newest:
        rows = Complaint.objects.filter(merged_into__in=newest).values_list("pk", flat=True)
        newest = set(rows) - found
        found |= newest
    return found


# --- Who may ----------------------------------------------------------------------------------------


def staff(actor: Actor, right: str = HANDLE, *, move: Any = HANDLING) -> User:
    """The member of staff who acts, with the right. Raises NotPermitted."""
    if actor.kind is not ActorKind.STAFF or actor.user is None or not actor.user.has_perm(right):
        raise NotPermitted(move=move)
    return actor.user


def own(complaint: Complaint, actor: Actor) -> None:
    """A customer touches his own complaints only. Raises NotTheirComplaint."""
    if actor.kind is ActorKind.CUSTOMER and actor.customer_id != complaint.customer_id:
        raise NotTheirComplaint


def recuse(complaint: Complaint, person: User | None) -> None:
    """Nobody handles what he had a part in. Raises Recused.

    Part is: having requested, edited, decided, waived or cancelled the closing, at any time; having given
    evidence or waived one of its tasks; being complained about. Superusers are no exception.
    Source: 投诉办法, 回避 (FACTS L12); SPEC §6.
    """
    if person is not None and person.pk in parts_in(complaint):
        raise Recused(person=person.name, number=complaint.number)


def parts_in(complaint: Complaint) -> set[int]:
    """Who had a part in the closings that a complaint, or one merged into it, is about."""
    alike = Complaint.objects.filter(pk__in=family(complaint.pk))
    found = set(alike.exclude(about_staff=None).values_list("about_staff_id", flat=True))
    tickets = {pk for pk in alike.values_list("ticket_id", flat=True) if pk}
    if tickets:
        # History too: an approval that became void has cleared who gave it.
        found |= _named(ClosureTicket.history.filter(id__in=tickets), PARTS_IN_TICKET)
        found |= _named(UnbindTask.history.filter(ticket_id__in=tickets), PARTS_IN_TASK)
    return found


def _named(rows: QuerySet[Any], fields: tuple[str, ...]) -> set[int]:
    columns = [f"{field}_id" for field in fields]
    found = rows.order_by().values_list(*columns).distinct()
    return {person for row in found for person in row if person}


def in_states(row: Any, *states: str, move: Any) -> None:
    """Raises NotPossible from any other state."""
    if row.state not in states:
        raise NotPossible(move=move, row=row, state=row.get_state_display())


# --- Texts ------------------------------------------------------------------------------------------


def readable(text: str) -> str:
    """The text as it was typed, blanks around it aside. Raises TextMissing, TextTooLong."""
    text = text.strip()
    if not text:
        raise TextMissing
    if len(text) > LONGEST_TEXT:
        raise TextTooLong(most=LONGEST_TEXT)
    return text


def keep(complaint: Complaint, kind: ComplaintText.Kind, text: str, *, actor: Actor, now: datetime) -> None:
    """The text is sealed beside the complaint. Raises TextMissing, TextTooLong."""
    key = f"{complaint.number}:{kind.lower()}:{secrets.token_hex(8)}"
    ComplaintText.objects.create(
        complaint=complaint,
        kind=kind,
        key=key,
        written_at=now,
        written_by=str(actor),
        text_sealed=pii.seal(readable(text), subject=key, field="text"),
    )


# --- Holds and notices ------------------------------------------------------------------------------


def hold(complaint: Complaint, ticket: ClosureTicket, *, actor: Actor, now: datetime) -> None:
    """The closing that is disputed waits. The caller holds both locks and saves the complaint."""
    bureau = complaint.kind == Complaint.Kind.BUREAU_DISPUTE
    complaint.hold = holds.put(
        ticket=ticket,
        kind=Hold.Kind.BUREAU_DISPUTE if bureau else Hold.Kind.COMPLAINT,
        ground=_about(complaint),
        actor=actor,
        now=now,
    )


def free(complaint: Complaint, *, actor: Actor, now: datetime) -> None:
    """Every hold of the complaint, and of what was merged into it, is over. Safe to repeat."""
    rows = Hold.objects.filter(complaints__in=family(complaint.pk), state=Hold.State.OPEN)
    tickets = lock_tickets(set(rows.values_list("ticket_id", flat=True)))
    for row in rows.distinct():
        holds.end(ticket=tickets[row.ticket_id], hold=row, ground=_about(complaint), actor=actor, now=now)


def _about(complaint: Complaint) -> str:
    """A hold's ground, which the ticket's page shows; in the house's language, like every ground."""
    with translation.override(notices.LANGUAGE):
        return translate("complaint %(number)s") % {"number": complaint.number}


def tell(complaint: Complaint, kind: NoticeKind, *, actor: Actor, now: datetime, **more: Any) -> None:
    """The complainant will be told. Values are codes, dates and amounts; what was written stays sealed."""
    customer = Customer.objects.get(pk=complaint.customer_id)
    values = complaint_letters.values_for(complaint, language=notices.LANGUAGE, now=now, **more)
    notices.tell(customer=customer, about=complaint.number, kind=kind, values=values, actor=actor, now=now)
