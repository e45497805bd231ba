"""Who had a part in a closing: whoever reverses it or hears a complaint about it must be none of them."""

from __future__ import annotations

from closures.models import ClosureTicket, UnbindTask

ON_TICKET = (
    "requested_by",
    "last_edited_by",
    "decided_by",
    "notice_waiver_asked_by",
    "notice_waived_by",
    "cancel_asked_by",
    "cancelled_by",
)
ON_TASK = ("evidence_by", "confirmed_by", "waiver_asked_by", "waived_by")


def in_the_closing(ticket_id: int) -> frozenset[int]:
    """The keys of all staff who asked for, edited, decided, waived or proved anything in the closing.

    Read from history: an approval that was voided, or evidence that was replaced, was a part too.
    """
    tickets = ClosureTicket.history.filter(id=ticket_id).values_list(*ON_TICKET)
    tasks = UnbindTask.history.filter(ticket_id=ticket_id).values_list(*ON_TASK)
    rows = [*tickets.order_by().distinct(), *tasks.order_by().distinct()]
    return frozenset(person for row in rows for person in row if person is not None)
