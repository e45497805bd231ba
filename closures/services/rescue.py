"""What people do about tasks the machine gave up: try again, take over, show evidence, waive.

Evidence and waivers name two different people, here and in the database (SPEC §4, §8 invariant 3).
"""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import PartnerAgreement, User
from accounts.tracking import NotPermitted, move, save_as
from closures import jobs
from closures.errors import ClosureError
from closures.jobs import Job
from closures.models import ClosureTicket, LedgerCommand, UnbindTask
from closures.services.holds import GroundMissing

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
def confirm_evidence(*, task_id: int, ground: str, actor: Actor, now: datetime) -> UnbindTask:
    """A second person has seen the evidence: the agreement is ended.

    Raises: NotPermitted, NotAsked, NeedsSecondPerson, NotPossible.
    """
    task = _lock(task_id)
    _check_ground(ground)
    person = _person(actor, "closures.confirm_evidence")
    if task.evidence_by_id is None:
        raise NotAsked
    if task.evidence_by_id == person.pk:
        raise NeedsSecondPerson
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


@decision
def revive_command(*, command_id: int, ground: str, actor: Actor, now: datetime) -> LedgerCommand:
    """A ledger command that was refused or given up is tried again with the same key.

    Raises: NotPermitted, GroundMissing, NotPossible.
    """
    _check_ground(ground)
    command = LedgerCommand.objects.select_for_update(of=("self",)).get(pk=command_id)
    command.attempts = 0
    command.release(due_at=now)
    move(command, "revive", actor=actor, reason=ground.strip(), now=now)
    jobs.enqueue(Job.COMMAND_LEDGER)
    return command


def _lock(task_id: int) -> UnbindTask:
    """The account, the ticket, the agreement, then the task: the order every service keeps."""
    ticket_id, agreement_id = UnbindTask.objects.values_list("ticket_id", "agreement_id").get(pk=task_id)
    ClosureTicket.objects.lock(ticket_id)
    PartnerAgreement.objects.select_for_update(of=("self",)).get(pk=agreement_id)
    return UnbindTask.objects.select_for_update(of=("self",)).get(pk=task_id)


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
