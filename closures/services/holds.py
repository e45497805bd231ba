"""Placing and lifting holds. An open hold stops every irreversible step of its ticket (SPEC §3)."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import User
from accounts.tracking import NotPermitted, move, save_as
from closures import jobs
from closures.errors import ClosureError, GroundMissing
from closures.jobs import Job
from closures.models import ClosureTicket, Hold

EXAMINED_AGAIN = (
    ClosureTicket.State.SUBMITTED,
    ClosureTicket.State.BLOCKED,
    ClosureTicket.State.IN_REVIEW,
    ClosureTicket.State.NOTICE_PERIOD,
)


class TicketEnded(ClosureError):
    code = "ticket_ended"
    template = _("Ticket {number} has ended; nothing can be held any more.")


@decision
def place(
    *, ticket_id: int, kind: Hold.Kind, ground: str, actor: Actor, now: datetime, owner: User | None = None
) -> Hold:
    """No irreversible step of the ticket happens until the hold is lifted; the ticket is looked at again.

    A hold placed before unbinding voids an approval, because it is a material change. Not folded: two
    orders of one kind are two holds.

    Raises: NotPermitted, GroundMissing, TicketEnded.
    """
    if actor.kind is ActorKind.STAFF and not (actor.user and actor.user.has_perm("closures.place_hold")):
        raise NotPermitted(move=_("Place a hold"))
    if not ground.strip():
        raise GroundMissing
    ticket = ClosureTicket.objects.select_for_update(of=("self",)).get(pk=ticket_id)
    if not ticket.is_open:
        raise TicketEnded(number=ticket.number)
    return put(ticket=ticket, kind=kind, ground=ground.strip(), actor=actor, now=now, owner=owner)


def put(
    *,
    ticket: ClosureTicket,
    kind: Hold.Kind,
    ground: str,
    actor: Actor,
    now: datetime,
    owner: User | None = None,
) -> Hold:
    """A hold as a consequence of a move whose right was checked. The caller holds the open ticket's lock."""
    hold = Hold(ticket=ticket, kind=Hold.Kind(kind), ground=ground, opened_at=now, owner=owner or actor.user)
    save_as(hold, actor=actor, reason=ground, now=now)
    look_again(ticket, now=now)
    return hold


def end(*, ticket: ClosureTicket, hold: Hold, ground: str, actor: Actor, now: datetime) -> None:
    """What the hold was placed for is over, as a consequence of another move; others stay.

    Safe to repeat: a hold that a person has lifted meanwhile stays as it is. The caller holds the ticket's
    lock.
    """
    hold = Hold.objects.select_for_update(of=("self",)).get(pk=hold.pk)
    if hold.state != Hold.State.OPEN:
        return
    move(hold, "end", actor=actor, reason=ground, now=now, lifted_at=now)
    if ticket.is_open:
        look_again(ticket, now=now)


@decision
def lift(*, hold_id: int, ground: str, actor: Actor, now: datetime) -> Hold:
    """This hold is over; others stay. The ticket is looked at again.

    Raises: NotPermitted, NotPossible (already lifted), GroundMissing.
    """
    if not ground.strip():
        raise GroundMissing
    ticket_id = Hold.objects.values_list("ticket_id", flat=True).get(pk=hold_id)
    ticket = ClosureTicket.objects.select_for_update(of=("self",)).get(pk=ticket_id)
    hold = Hold.objects.select_for_update(of=("self",)).get(pk=hold_id)
    move(hold, "lift", actor=actor, reason=ground.strip(), now=now, lifted_at=now)
    if ticket.is_open:
        look_again(ticket, now=now)
    return hold


def release_owned(*, user: User, actor: Actor, now: datetime) -> None:
    """Nobody's any more are the open holds of a person who leaves; the worklists show them to everybody.

    For `accounts.services.staff.on_leave`; the holds themselves stand. Safe to repeat.
    """
    for hold in Hold.objects.select_for_update(of=("self",)).filter(owner=user, state=Hold.State.OPEN):
        hold.owner = None
        save_as(hold, actor=actor, reason="its owner has left", now=now)


def look_again(ticket: ClosureTicket, *, now: datetime) -> None:
    """The job that owns the ticket's state examines it at once."""
    if ticket.state in EXAMINED_AGAIN or ticket.state == ClosureTicket.State.SETTLING:
        ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=now)
    jobs.enqueue(Job.SETTLE if ticket.state == ClosureTicket.State.SETTLING else Job.ASSESS)
