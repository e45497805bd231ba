"""What people do about tasks the machine gave up: try again, take over, show evidence, waive.

Evidence and waivers name two different people, here and in the database (SPEC §4, §8 invariant 3).
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import PartnerAgreement, User
from accounts.tracking import NotPermitted, move, save_as
from closures import jobs
from closures.errors import ClosureError, GroundMissing
from closures.jobs import Job
from closures.models import ClosureTicket, Hold, LedgerCommand, UnbindTask
from closures.selectors import facts
from closures.services import commands, restrictions

State = UnbindTask.State


class EvidenceMissing(ClosureError):
    code = "evidence_missing"
    template = _("Say what shows that the agreement has ended: a reference, a date, a document number.")


class NeedsSecondPerson(ClosureError):
    code = "needs_second_person"
    template = _("Another person has to do this: it takes two.")


class NotAsked(ClosureError):
    code = "not_asked"
    template = _("Nobody has asked for this yet; a first person must, and a second agrees.")


class NoLongerWanted(ClosureError):
    code = "no_longer_wanted"
    template = _("Ticket {number} is {state} now and does not want this command any more. Nothing was sent.")


class StillOwed(ClosureError):
    code = "still_owed"
    template = _("Ticket {number} is {state}: while money is owed or a hold is open this agreement stays.")


class EvidenceChanged(ClosureError):
    code = "evidence_changed"
    template = _("The evidence has changed since you looked. Read it again and decide then.")


class NotStuck(ClosureError):
    code = "not_stuck"
    template = _("The task is {state}; there is nothing for a person to do.")


@decision
def revive(*, task_id: int, ground: str, actor: Actor, now: datetime) -> UnbindTask:
    """A dead task is tried again with the same key and fresh attempts. Raises NotPermitted, NotPossible.

    What was asked for or shown of the first try is not inherited by the second.
    """
    task = _lock(task_id)
    _check_ground(ground)
    task.attempts = 0
    task.waiver_asked_by, task.evidence_by, task.evidence = None, None, ""
    task.release(due_at=now)
    move(task, "revive", actor=actor, reason=ground.strip(), now=now)
    jobs.enqueue(Job.RETRY_UNBINDING)
    return task


@decision
def take_over(*, task_id: int, ground: str, actor: Actor, now: datetime) -> UnbindTask:
    """A person does by hand what the machine could not; evidence starts afresh.

    Raises: NotPermitted, NotPossible, GroundMissing.
    """
    task = _lock(task_id)
    _check_ground(ground)
    task.evidence_by, task.evidence = None, ""
    return move(task, "take_over", actor=actor, reason=ground.strip(), now=now)


@decision
def give_evidence(*, task_id: int, evidence: str, actor: Actor, now: datetime) -> UnbindTask:
    """A first person states what shows that the agreement has ended; a second must confirm it.

    Raises: NotPermitted, EvidenceMissing, NotStuck.
    """
    task = _lock(task_id)
    person = _person(actor, "closures.give_evidence")
    if not evidence.strip():
        raise EvidenceMissing
    if task.state != State.MANUAL:
        raise NotStuck(state=task.get_state_display())
    task.evidence, task.evidence_by = evidence.strip(), person
    return save_as(task, actor=actor, reason="evidence given", now=now)


@decision
def confirm_evidence(
    *, task_id: int, ground: str, actor: Actor, now: datetime, seen_evidence: str | None = None
) -> UnbindTask:
    """A second person has seen the evidence: the agreement is ended.

    `seen_evidence` is what he was shown. A repayment agreement stays while money is owed or a hold is open
    (SPEC §8, 7).

    Raises: NotPermitted, NotAsked, NeedsSecondPerson, EvidenceChanged, StillOwed, NotPossible.
    """
    task = _lock(task_id)
    _check_ground(ground)
    person = _person(actor, "closures.confirm_evidence")
    if task.evidence_by_id is None:
        raise NotAsked
    if task.evidence_by_id == person.pk:
        raise NeedsSecondPerson
    if seen_evidence is not None and seen_evidence.split() != task.evidence.split():
        raise EvidenceChanged
    _check_settled(task, now=now)
    move(task, "confirm", actor=actor, reason=ground.strip(), now=now, confirmed_by=person)
    _end_agreement(task, "unbind", actor=actor, reason="evidence confirmed", now=now)
    jobs.enqueue(Job.FINISH_UNBINDING)
    return task


@decision
def abandon(*, task_id: int, ground: str, actor: Actor, now: datetime) -> UnbindTask:
    """It cannot be done by hand either; the task is dead again. Raises NotPermitted, NotPossible."""
    task = _lock(task_id)
    _check_ground(ground)
    return move(
        task, "abandon", actor=actor, reason=ground.strip(), now=now, reason_code="NOT_POSSIBLE_BY_HAND"
    )


@decision
def ask_waiver(*, task_id: int, ground: str, actor: Actor, now: datetime) -> UnbindTask:
    """A first person asks that the closing go on although this agreement stays.

    Raises: NotPermitted, GroundMissing, NotStuck.
    """
    task = _lock(task_id)
    person = _person(actor, "closures.waive")
    _check_ground(ground)
    if task.state not in (State.DEAD, State.MANUAL):
        raise NotStuck(state=task.get_state_display())
    task.waiver_asked_by = person
    return save_as(task, actor=actor, reason=f"waiver asked: {ground.strip()}", now=now)


@decision
def grant_waiver(*, task_id: int, ground: str, actor: Actor, now: datetime) -> UnbindTask:
    """A second person agrees: the agreement stays, the closing goes on.

    Raises: NotPermitted, NotAsked, NeedsSecondPerson, GroundMissing, NotPossible.
    """
    task = _lock(task_id)
    _check_ground(ground)
    person = _person(actor, "closures.waive")
    if task.waiver_asked_by_id is None:
        raise NotAsked
    if task.waiver_asked_by_id == person.pk:
        raise NeedsSecondPerson
    move(task, "waive", actor=actor, reason=ground.strip(), now=now, waived_by=person)
    _end_agreement(task, "keep", actor=actor, reason="waived", now=now)
    jobs.enqueue(Job.FINISH_UNBINDING)
    return task


def release_asked(*, user: User, actor: Actor, now: datetime) -> None:
    """What a person who leaves had asked for or shown, and nobody has answered, is taken back.

    For `accounts.services.staff.on_leave`: a second person must not agree with one who is not there to be
    asked. Safe to repeat.
    """
    unanswered = UnbindTask.objects.select_for_update(of=("self",)).filter(
        Q(waiver_asked_by=user, waived_by__isnull=True) | Q(evidence_by=user, confirmed_by__isnull=True),
        state__in=(State.DEAD, State.MANUAL),
    )
    for task in unanswered:
        if task.waiver_asked_by_id == user.pk:
            task.waiver_asked_by = None
        if task.evidence_by_id == user.pk:
            task.evidence_by, task.evidence = None, ""
        save_as(task, actor=actor, reason="who asked has left", now=now)


@decision
def revive_command(*, command_id: int, ground: str, actor: Actor, now: datetime) -> LedgerCommand:
    """A ledger command that was refused is tried again with the same key, while its ticket still wants it.

    Raises: NotPermitted, GroundMissing, NoLongerWanted, NotPossible.
    """
    _check_ground(ground)
    ticket_id = LedgerCommand.objects.values_list("ticket_id", flat=True).get(pk=command_id)
    ticket = ClosureTicket.objects.lock(ticket_id) if ticket_id else None
    command = LedgerCommand.objects.select_for_update(of=("self",)).get(pk=command_id)
    if ticket is not None and not _wanted(command, ticket):
        raise NoLongerWanted(number=ticket.number, state=ticket.get_state_display())
    command.attempts = 0
    command.release(due_at=now)
    move(command, "revive", actor=actor, reason=ground.strip(), now=now)
    jobs.enqueue(Job.COMMAND_LEDGER)
    return command


def _wanted(command: LedgerCommand, ticket: ClosureTicket) -> bool:
    """A freeze is wanted while its ticket is open, an unfreeze while nothing else limits the line."""
    if command.verb == LedgerCommand.Verb.FREEZE:
        return ticket.is_open
    if command.verb == LedgerCommand.Verb.UNFREEZE:
        return ticket.account.line_state in restrictions.THAWED
    return commands.still_wanted(command, ticket)


def _lock(task_id: int) -> UnbindTask:
    """The account, the ticket, the agreement, then the task: the order every service keeps."""
    ticket_id, agreement_id = UnbindTask.objects.values_list("ticket_id", "agreement_id").get(pk=task_id)
    ClosureTicket.objects.lock(ticket_id)
    PartnerAgreement.objects.select_for_update(of=("self",)).get(pk=agreement_id)
    return UnbindTask.objects.select_for_update(of=("self",)).get(pk=task_id)


def _check_settled(task: UnbindTask, *, now: datetime) -> None:
    ticket = task.ticket
    if not task.agreement.repayment_depends:
        return
    held = ticket.holds.filter(state=Hold.State.OPEN).exists()
    unbinding = ticket.state == ClosureTicket.State.UNBINDING
    if not unbinding or held or not facts.settled(ticket.account, now=now):
        raise StillOwed(number=ticket.number, state=ticket.get_state_display())


def _end_agreement(task: UnbindTask, name: str, *, actor: Actor, reason: str, now: datetime) -> None:
    agreement = PartnerAgreement.objects.get(pk=task.agreement_id)  # locked by _lock
    if agreement.state == PartnerAgreement.State.UNBINDING:
        move(agreement, name, actor=actor, reason=reason, now=now)


def _person(actor: Actor, right: str) -> User:
    if actor.kind is not ActorKind.STAFF or actor.user is None or not actor.user.has_perm(right):
        raise NotPermitted(move=_("Settle a task by hand"))
    return actor.user


def _check_ground(ground: str) -> None:
    if not ground.strip():
        raise GroundMissing
