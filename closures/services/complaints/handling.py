"""Work on a complaint: who handles it, what he notes and asks, what is new, the mark at the credit bureau."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import User
from accounts.tracking import NotPermitted, move, save_as
from closures.errors import ClosureError
from closures.models import Complaint, ComplaintPause, ComplaintText
from closures.models.complaints import DECIDE, HANDLE
from closures.models.notices import NoticeKind
from closures.rules.deadlines import china_date
from closures.selectors import complaint_clocks
from closures.services.complaints import desk
from closures.services.complaints.extending import lapse_asked

State = Complaint.State
WORKED_ON = (State.REGISTERED, State.INVESTIGATING)


class CannotHandle(ClosureError):
    code = "cannot_handle"
    template = _("{person} may not handle complaints; choose somebody who may.")


class AlreadyWaiting(ClosureError):
    code = "already_waiting"
    template = _("Complaint {number} waits for the customer already.")


class NotWaiting(ClosureError):
    code = "not_waiting"
    template = _("Complaint {number} does not wait for the customer.")


class TimeIsOver(ClosureError):
    code = "time_is_over"
    template = _(
        "Complaint {number} was due on {day}; new facts give a time that is over no new beginning. "
        "Note them and decide."
    )


class NoBureauDispute(ClosureError):
    code = "no_bureau_dispute"
    template = _("Complaint {number} is no credit-bureau dispute; there is nothing to mark.")


@decision
def assign(*, complaint_id: int, handler: User, actor: Actor, now: datetime) -> Complaint:
    """Somebody handles the complaint from now on. Safe to repeat.

    Raises: NotPermitted, CannotHandle, Recused (the person it is given to), NotPossible.
    """
    if actor.kind is not ActorKind.STAFF or not _may_assign(actor.user):
        raise NotPermitted(move=_("Assign a complaint"))
    if not handler.has_perm(HANDLE):
        raise CannotHandle(person=handler.name)
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, handler)
    desk.in_states(complaint, State.RECEIVED, *WORKED_ON, move=_("Assign a complaint"))
    complaint.handler = handler
    return save_as(complaint, actor=actor, reason="complaint assigned", now=now)  # type: ignore[no-any-return]


@decision
def investigate(*, complaint_id: int, actor: Actor, now: datetime) -> Complaint:
    """The investigation has begun; whoever begins it handles it from now on.

    Raises: NotPermitted, Recused, NotPossible.
    """
    person = desk.staff(actor)
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    return move(  # type: ignore[no-any-return]
        complaint, "investigate", actor=actor, reason="the investigation begins", now=now, handler=person
    )


@decision
def note(*, complaint_id: int, text: str, actor: Actor, now: datetime) -> Complaint:
    """Something was found out or said; the note is sealed and ours alone.

    Raises: NotPermitted, Recused, TextMissing, TextTooLong.
    """
    if actor.kind is not ActorKind.STAFF or not _may_assign(actor.user):
        raise NotPermitted(move=_("Add a note"))
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, actor.user)
    desk.keep(complaint, ComplaintText.Kind.NOTE, text, actor=actor, now=now)
    return complaint


@decision
def wait_for_customer(*, complaint_id: int, text: str, actor: Actor, now: datetime) -> ComplaintPause:
    """The complainant was asked; our own target waits for his answer, the statutory date does not.

    Raises: NotPermitted, Recused, NotPossible, AlreadyWaiting, TextMissing.
    """
    person = desk.staff(actor)
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    desk.in_states(complaint, *WORKED_ON, move=_("Wait for the customer"))
    if complaint.pauses.filter(ended_on__isnull=True).exists():
        raise AlreadyWaiting(number=complaint.number)
    desk.keep(complaint, ComplaintText.Kind.QUESTION, text, actor=actor, now=now)
    pause = ComplaintPause(complaint=complaint, started_on=china_date(moment=now))
    return save_as(pause, actor=actor, reason="the complainant was asked", now=now)  # type: ignore[no-any-return]


@decision
def resume(*, complaint_id: int, text: str, actor: Actor, now: datetime) -> ComplaintPause:
    """The complainant has answered, himself or by an agent's hand; our own target runs again.

    Raises: NotPermitted, NotTheirComplaint, NotWaiting, TextMissing.
    """
    complaint = desk.locked(complaint_id)
    desk.own(complaint, actor)
    if actor.kind is not ActorKind.CUSTOMER:
        desk.staff(actor)
    pause = complaint.pauses.select_for_update(of=("self",)).filter(ended_on__isnull=True).first()
    if pause is None:
        raise NotWaiting(number=complaint.number)
    desk.keep(complaint, ComplaintText.Kind.ANSWER, text, actor=actor, now=now)
    pause.ended_on = china_date(moment=now)
    return save_as(pause, actor=actor, reason="the complainant answered", now=now)  # type: ignore[no-any-return]


@decision
def add_new_facts(*, complaint_id: int, text: str, actor: Actor, now: datetime) -> Complaint:
    """What is new starts a new clock today; the complainant is told its date.

    Extensions of the old clock go with it. A time that is over begins anew for nobody: that would hide a
    breach (our choice).

    Raises: NotPermitted, NotTheirComplaint, NotPossible, TimeIsOver, TextMissing.
    Source: 投诉办法 (FACTS L11: new facts restart the clock).
    """
    complaint = desk.locked(complaint_id)
    desk.own(complaint, actor)
    if actor.kind is not ActorKind.CUSTOMER:
        desk.staff(actor)
    desk.in_states(complaint, *Complaint.UNDECIDED, move=_("Add new facts"))
    today = china_date(moment=now)
    if today > complaint.due_on:
        raise TimeIsOver(number=complaint.number, day=complaint.due_on)
    desk.keep(complaint, ComplaintText.Kind.NEW_FACTS, text, actor=actor, now=now)
    lapse_asked(complaint, actor=actor, now=now)
    counted = complaint_clocks.first_due(kind=complaint.kind, started_on=today)
    complaint.clock, complaint.clock_of = complaint.clock + 1, None
    complaint.clock_started_on, complaint.due_on = today, counted.due_on
    complaint.due_rule, complaint.due_calendar = counted.rule, counted.calendar
    save_as(complaint, actor=actor, reason="new facts start a new clock", now=now)
    desk.tell(complaint, NoticeKind.COMPLAINT_ACKNOWLEDGED, actor=actor, now=now, new_facts=True)
    return complaint


@decision
def answer_bureau_mark(*, complaint_id: int, actor: Actor, now: datetime) -> Complaint:
    """The record at the credit bureau carries the mark "disputed" since today. Safe to repeat.

    Raises: NotPermitted, Recused, NoBureauDispute, NotPossible.
    Source: 征信业管理条例 25.
    """
    person = desk.staff(actor)
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    if complaint.kind != Complaint.Kind.BUREAU_DISPUTE:
        raise NoBureauDispute(number=complaint.number)
    if complaint.marked_on is not None:
        return complaint
    desk.in_states(complaint, *WORKED_ON, move=_("Mark the record"))
    complaint.marked_on = china_date(moment=now)
    return save_as(complaint, actor=actor, reason="marked at the credit bureau", now=now)  # type: ignore[no-any-return]


def _may_assign(person: User | None) -> bool:
    return person is not None and (person.has_perm(HANDLE) or person.has_perm(DECIDE))
