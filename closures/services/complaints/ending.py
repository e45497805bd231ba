"""A complaint ends before it is decided: taken back by the complainant, or merged into another of his."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.tracking import move, save_as
from closures.errors import ClosureError
from closures.models import Complaint
from closures.services.complaints import desk
from closures.services.complaints.extending import lapse_asked


class CannotMerge(ClosureError):
    code = "cannot_merge"
    template = _(
        "Complaints {number} and {other} cannot be merged: both must be undecided, of the same customer and "
        "of the same kind."
    )


@decision
def withdraw(*, complaint_id: int, actor: Actor, now: datetime) -> Complaint:
    """The complainant has taken it back: the procedure ends now, and what it held goes on.

    Raises: NotPermitted, NotTheirComplaint, NotPossible.
    Source: 投诉办法 15 (the procedure ends on the day of the withdrawal).
    """
    complaint = desk.locked(complaint_id)
    desk.own(complaint, actor)
    if actor.kind is not ActorKind.CUSTOMER:
        desk.staff(actor, move=_("Withdraw the complaint"))
    move(complaint, "withdraw", actor=actor, reason="withdrawn by the complainant", now=now)
    lapse_asked(complaint, actor=actor, now=now)
    desk.free(complaint, actor=actor, now=now)
    return complaint


@decision
def merge(*, complaint_id: int, into_id: int, actor: Actor, now: datetime) -> Complaint:
    """This complaint goes on as part of the other, which keeps the earlier due date of the two.

    What this one holds stays held until the other ends. Returns the complaint that goes on.

    Raises: NotPermitted, Recused, CannotMerge.
    Source: 投诉办法 (FACTS L11: a complaint repeated in its time may be merged).
    """
    person = desk.staff(actor, move=_("Merge a complaint"))
    desk.lock_tickets(desk.ticket_ids(complaint_id) | desk.ticket_ids(into_id))
    pair = Complaint.objects.select_for_update(of=("self",)).filter(pk__in=(complaint_id, into_id))
    rows = {row.pk: row for row in pair.order_by("pk")}
    complaint, other = rows[complaint_id], rows[into_id]
    desk.recuse(complaint, person)
    desk.recuse(other, person)
    alike = (complaint.customer_id, complaint.kind) == (other.customer_id, other.kind)
    if complaint.pk == other.pk or not alike or not (complaint.is_undecided and other.is_undecided):
        raise CannotMerge(number=complaint.number, other=other.number)
    lapse_asked(complaint, actor=actor, now=now)
    move(complaint, "merge", actor=actor, reason="merged into another", now=now, merged_into=other)
    _take_over(other, complaint)
    # Of two that are due on one day the clock that started first stands: extensions are counted from it.
    if (complaint.due_on, complaint.clock_started_on) < (other.due_on, other.clock_started_on):
        lapse_asked(other, actor=actor, now=now)
        _take_clock(other, complaint)
    return save_as(other, actor=actor, reason="another was merged into it", now=now)  # type: ignore[no-any-return]


def _take_over(other: Complaint, complaint: Complaint) -> None:
    """What the one that goes on did not know: the regulator's number, and the nearer of two deadlines."""
    other.regulator_number = other.regulator_number or complaint.regulator_number
    deadlines = [day for day in (other.regulator_deadline, complaint.regulator_deadline) if day]
    other.regulator_deadline = min(deadlines, default=None)


def _take_clock(other: Complaint, complaint: Complaint) -> None:
    other.clock, other.clock_of = other.clock + 1, complaint
    other.clock_started_on, other.due_on = complaint.clock_started_on, complaint.due_on
    other.due_rule, other.due_calendar = complaint.due_rule, complaint.due_calendar
