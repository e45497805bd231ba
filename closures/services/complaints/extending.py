"""More time for a complaint: asked by one, approved by another, told before the date that it moves."""

from __future__ import annotations

from datetime import date, datetime

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.models import User
from accounts.tracking import move, save_as
from closures.errors import ClosureError, GroundMissing
from closures.models import Complaint, ComplaintExtension
from closures.models.complaint_rows import APPROVE_RIGHT, Level
from closures.models.notices import NoticeKind
from closures.rules.complaints import told_in_time
from closures.rules.deadlines import china_date
from closures.selectors import complaint_clocks
from closures.services.complaints import desk

WORKED_ON = (Complaint.State.REGISTERED, Complaint.State.INVESTIGATING)
Asked = ComplaintExtension.State.ASKED
Approved = ComplaintExtension.State.APPROVED


class TooLateToExtend(ClosureError):
    code = "too_late_to_extend"
    template = _(
        "Complaint {number} is due on {day}: the complainant must be told of more time before that day, "
        "so it can no longer be extended. Decide it."
    )


class NoExtension(ClosureError):
    code = "no_extension"
    template = _("The law gives complaint {number} no such extension.")


class AlreadyAsked(ClosureError):
    code = "extension_already_asked"
    template = _("An extension of complaint {number} is asked for already; it has to be decided first.")


class SameApprover(ClosureError):
    code = "same_approver"
    template = _("You asked for this extension; somebody else has to decide on it.")


class ClockHasChanged(ClosureError):
    code = "clock_has_changed"
    template = _("The due date of complaint {number} has changed since this was asked. Ask again.")


@decision
def ask_extension(
    *, complaint_id: int, level: str, ground: str, actor: Actor, now: datetime
) -> ComplaintExtension:
    """More time is asked for: first as a complex case, then once for special circumstances.

    Raises: NotPermitted, Recused, GroundMissing, NotPossible, TooLateToExtend, NoExtension, AlreadyAsked.
    Source: 投诉办法 (FACTS L11: 15 days, complex 30, special 30 more); 征信业管理条例 25 gives none.
    """
    person = desk.staff(actor)
    if not ground.strip():
        raise GroundMissing
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    desk.in_states(complaint, *WORKED_ON, move=_("Ask for an extension"))
    _in_time(complaint, due_on=complaint.due_on, now=now)
    if complaint.extensions.filter(state=Asked).exists():
        raise AlreadyAsked(number=complaint.number)
    _next_level(complaint, Level(level))
    counted = complaint_clocks.extended_due(complaint, level=level)
    if counted.due_on <= complaint.due_on:
        raise NoExtension(number=complaint.number)
    extension = ComplaintExtension(
        complaint=complaint,
        clock=complaint.clock,
        level=Level(level),
        from_due_on=complaint.due_on,
        from_rule=complaint.due_rule,
        from_calendar=complaint.due_calendar,
        to_due_on=counted.due_on,
        to_rule=counted.rule,
        to_calendar=counted.calendar,
        asked_by=person,
        asked_at=now,
    )
    return save_as(extension, actor=actor, reason=ground.strip(), now=now)  # type: ignore[no-any-return]


@decision
def approve_extension(*, extension_id: int, actor: Actor, now: datetime) -> ComplaintExtension:
    """The complaint is due later, and the complainant is told so in the same moment.

    Raises: NotPermitted, SameApprover, Recused, NotPossible, TooLateToExtend, ClockHasChanged.
    """
    person, complaint, extension = _open(extension_id, actor=actor)
    _in_time(complaint, due_on=extension.from_due_on, now=now)
    current = (complaint.clock, complaint.due_on)
    if not complaint.is_undecided or (extension.clock, extension.from_due_on) != current:
        raise ClockHasChanged(number=complaint.number)
    move(
        extension,
        "approve",
        actor=actor,
        reason="extension approved",
        now=now,
        approved_by=person,
        told_at=now,
    )
    complaint.due_on, complaint.due_rule = extension.to_due_on, extension.to_rule
    complaint.due_calendar = extension.to_calendar
    save_as(complaint, actor=actor, reason="extension approved", now=now)
    desk.tell(
        complaint,
        NoticeKind.COMPLAINT_EXTENDED,
        actor=actor,
        now=now,
        from_due_on=extension.from_due_on.isoformat(),
        level=str(extension.level),
    )
    return extension


@decision
def refuse_extension(*, extension_id: int, ground: str, actor: Actor, now: datetime) -> ComplaintExtension:
    """The date stays what it was.

    Raises: NotPermitted, SameApprover, Recused, GroundMissing, NotPossible.
    """
    if not ground.strip():
        raise GroundMissing
    person, _complaint, extension = _open(extension_id, actor=actor)
    return move(  # type: ignore[no-any-return]
        extension, "refuse", actor=actor, reason=ground.strip(), now=now, approved_by=person
    )


def lapse_asked(complaint: Complaint, *, actor: Actor, now: datetime) -> None:
    """What was asked for the clock that ran is asked no more. The caller holds the complaint's lock."""
    for extension in complaint.extensions.select_for_update(of=("self",)).filter(state=Asked):
        move(extension, "lapse", actor=actor, reason="the clock runs no more", now=now)


def _open(extension_id: int, *, actor: Actor) -> tuple[User, Complaint, ComplaintExtension]:
    complaint_id = ComplaintExtension.objects.values_list("complaint_id", flat=True).get(pk=extension_id)
    complaint = desk.locked(complaint_id)
    extension = ComplaintExtension.objects.select_for_update(of=("self",)).get(pk=extension_id)
    person = desk.staff(actor, APPROVE_RIGHT[Level(extension.level)], move=_("Decide on an extension"))
    if person.pk == extension.asked_by_id:
        raise SameApprover
    desk.recuse(complaint, person)
    desk.in_states(extension, Asked, move=_("Decide on an extension"))
    return person, complaint, extension


def _in_time(complaint: Complaint, *, due_on: date, now: datetime) -> None:
    if not told_in_time(told_on=china_date(moment=now), due_on=due_on):
        raise TooLateToExtend(number=complaint.number, day=due_on)


def _next_level(complaint: Complaint, level: Level) -> None:
    """COMPLEX comes first and once, SPECIAL after it and once; a bureau dispute has neither."""
    if complaint.kind != Complaint.Kind.COMPLAINT:
        raise NoExtension(number=complaint.number)
    given = set(_approved_levels(complaint))
    fits = not given if level == Level.COMPLEX else given == {Level.COMPLEX}
    if not fits:
        raise NoExtension(number=complaint.number)


def _approved_levels(complaint: Complaint) -> list[str]:
    """The levels that the clock that stands has had, those before a merger included."""
    levels: list[str] = []
    row: Complaint | None = complaint
    while row is not None:
        levels += row.extensions.filter(state=Approved, clock=row.clock).values_list("level", flat=True)
        row = row.clock_of
    return levels
