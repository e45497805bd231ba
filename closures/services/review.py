"""A second person decides. Approval is bound to what was shown, and never to whoever asked (SPEC §3, §7)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import PartnerAgreement, User
from accounts.tracking import NotPermitted, move, save_as
from closures import jobs
from closures.errors import ClosureError, GroundMissing
from closures.jobs import Job
from closures.models import ClosureTicket, LedgerCommand, UnbindTask
from closures.models.notices import NoticeKind
from closures.selectors import facts
from closures.selectors.letters import minute
from closures.services import demands, notices, restrictions

State = ClosureTicket.State
P = ParamSpec("P")
R = TypeVar("R")


class AlreadyDecided(ClosureError):
    code = "already_decided"
    template = _("Ticket {number} is {state}; it is not waiting for a decision.")


class SameReviewer(ClosureError):
    code = "same_reviewer"
    template = _("You asked for this closing or edited it last; somebody else has to decide.")


class StaleReview(ClosureError):
    code = "stale_review"
    template = _("The facts of ticket {number} have changed since you looked. Read it again and decide then.")


class NeedsSecondPerson(ClosureError):
    code = "needs_second_person"
    template = _("Unbinding has begun: another person must ask for the cancellation first.")


class TooLate(ClosureError):
    code = "too_late"
    template = _("The core ledger has been told to close this account; it cannot be cancelled any more.")


def examined_again_when_stale(approve: Callable[P, R]) -> Callable[P, R]:
    """A stale approval leaves the ticket due for examination, although its refusal undoes the rest."""

    @functools.wraps(approve)
    def decide(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return approve(*args, **kwargs)
        except StaleReview:
            with transaction.atomic():
                asked: dict[str, Any] = kwargs
                ClosureTicket.objects.filter(pk=asked["ticket_id"]).update(due_at=asked["now"])
                jobs.enqueue(Job.ASSESS)
            raise

    return decide


@examined_again_when_stale
@decision
def approve(*, ticket_id: int, seen_hash: str, ground: str, actor: Actor, now: datetime) -> ClosureTicket:
    """The closing is decided and its waiting begins: cooling-off, or the lead time once the notice arrives.

    `seen_hash` is the fingerprint of what the reviewer was shown. Approved again by the same person, nothing
    happens; by another, AlreadyDecided.

    Raises: NotPermitted, SameReviewer, AlreadyDecided, StaleReview, GroundMissing, DemandMissing.
    """
    ticket = ClosureTicket.objects.lock(ticket_id)
    if ticket.decided_by_id == _person(actor).pk and ticket.state in ClosureTicket.DECIDED_FOR:
        return ticket
    _check_decision(ticket, ground=ground, actor=actor)
    if ticket.state != State.IN_REVIEW:
        raise AlreadyDecided(number=ticket.number, state=ticket.get_state_display())
    seen = facts.examine_ticket(ticket, now=now)
    if seen_hash != ticket.examined_hash or seen.fingerprint != ticket.examined_hash or seen.blocked:
        raise StaleReview(number=ticket.number)
    demands.check_recorded(ticket, now=now)
    own = ticket.is_customers_own
    ends_at = now + timedelta(seconds=ticket.policy["cooling_off_seconds"]) if own else None
    ticket.release(due_at=None)
    move(
        ticket,
        "approve",
        actor=actor,
        reason=ground.strip(),
        now=now,
        decided_by=_person(actor),
        decided_at=now,
        period_ends_at=ends_at,
    )
    restrictions.limit_for(ticket, actor=actor, now=now)
    if own and ends_at:
        notices.queue(
            ticket=ticket, kind=NoticeKind.COOLING_OFF_STARTED, actor=actor, now=now, ends_at=minute(ends_at)
        )
    else:
        notices.announce_closing(ticket=ticket, actor=actor, now=now)
    return ticket


@decision
def reject(*, ticket_id: int, ground: str, actor: Actor, now: datetime) -> ClosureTicket:
    """The closing is refused, the line is free of this cause, the customer is told why.

    Raises: NotPermitted, SameReviewer, GroundMissing, NotPossible.
    """
    ticket = ClosureTicket.objects.lock(ticket_id)
    _check_decision(ticket, ground=ground, actor=actor)
    codes = sorted(
        set(ticket.blockers.filter(cured_at__isnull=True, severity="BLOCK").values_list("code", flat=True))
    )
    ticket.release(due_at=None)
    move(
        ticket,
        "reject",
        actor=actor,
        reason=ground.strip(),
        now=now,
        decided_by=_person(actor),
        decided_at=now,
        end_codes=[code for code in codes if code != "OPEN_HOLD"],
    )
    restrictions.lift_for(ticket, actor=actor, now=now)
    notices.cancel_pending(ticket, actor=actor, now=now)
    if ticket.is_customers_own:
        notices.queue(ticket=ticket, kind=NoticeKind.REFUSED, actor=actor, now=now)
    return ticket


@decision
def amend(*, ticket_id: int, ground: str, actor: Actor, now: datetime) -> ClosureTicket:
    """The ground of a risk or policy closing reads better; whoever amends it no longer decides it.

    Raises: NotPermitted, GroundMissing, AlreadyDecided.
    """
    ticket = ClosureTicket.objects.lock(ticket_id)
    if not ground.strip():
        raise GroundMissing
    if ticket.is_customers_own or not _person(actor).has_perm(AMEND[ticket.reason]):
        raise NotPermitted(move=_("Amend the ground"))
    if ticket.state not in ClosureTicket.BEFORE_DECISION:
        raise AlreadyDecided(number=ticket.number, state=ticket.get_state_display())
    ticket.ground, ticket.last_edited_by = ground.strip(), _person(actor)
    return save_as(ticket, actor=actor, reason="ground amended", now=now)


AMEND = {"RISK_CONTROL": "closures.request_risk_closure", "POLICY": "closures.request_policy_closure"}


@decision
def ask_cancellation(*, ticket_id: int, ground: str, actor: Actor, now: datetime) -> ClosureTicket:
    """A first person asks that a closing whose unbinding has begun be cancelled; a second must agree.

    Raises: NotPermitted, GroundMissing, AlreadyDecided.
    """
    ticket = ClosureTicket.objects.lock(ticket_id)
    _check_cancel(ticket, ground=ground, actor=actor)
    ticket.cancel_asked_by = _person(actor)
    return save_as(ticket, actor=actor, reason=f"cancellation asked: {ground.strip()}", now=now)


@decision
def cancel(*, ticket_id: int, ground: str, actor: Actor, now: datetime) -> ClosureTicket:
    """The closing is called off and the line is free of this cause.

    Tasks that cannot have reached a partner are cancelled and their agreements stay; tasks that may have are
    asked to their end and never resent. Once unbinding has begun two people are needed.

    Raises: NotPermitted, GroundMissing, NeedsSecondPerson, TooLate, NotPossible.
    """
    ticket = ClosureTicket.objects.lock(ticket_id)
    _check_cancel(ticket, ground=ground, actor=actor)
    if ticket.unbinding_started_at and ticket.cancel_asked_by_id in (None, _person(actor).pk):
        raise NeedsSecondPerson
    told = ticket.commands.filter(verb=LedgerCommand.Verb.CLOSE).exclude(state=LedgerCommand.State.DEAD)
    if told.exists():
        raise TooLate
    ticket.release(due_at=None)
    move(
        ticket,
        "cancel",
        actor=actor,
        reason=ground.strip(),
        now=now,
        cancelled_by=_person(actor),
        end_codes=[],
    )
    _cancel_tasks(ticket, actor=actor, now=now)
    restrictions.lift_for(ticket, actor=actor, now=now)
    notices.cancel_pending(ticket, actor=actor, now=now)
    return ticket


def _cancel_tasks(ticket: ClosureTicket, *, actor: Actor, now: datetime) -> None:
    """Agreements are locked before their tasks, as everywhere: a late answer may be settled just now."""
    wanted = ticket.tasks.filter(state__in=CANCELLABLE).values("agreement")
    rows = PartnerAgreement.objects.select_for_update(of=("self",)).filter(pk__in=wanted).order_by("pk")
    agreements = {row.pk: row for row in rows}
    tasks = ticket.tasks.select_for_update(of=("self",)).filter(
        agreement__in=agreements, state__in=CANCELLABLE
    )
    for task in tasks.order_by("pk"):
        task.release(due_at=None)
        move(task, "cancel", actor=actor, reason="the ticket was cancelled", now=now)
        agreement = agreements[task.agreement_id]
        if agreement.state == PartnerAgreement.State.UNBINDING:
            move(agreement, "keep", actor=actor, reason="the ticket was cancelled", now=now)


CANCELLABLE = (UnbindTask.State.PENDING, UnbindTask.State.MANUAL, UnbindTask.State.DEAD)


@decision
def ask_notice_waiver(*, ticket_id: int, ground: str, actor: Actor, now: datetime) -> ClosureTicket:
    """A first person asks that a closing go on although its notice cannot be shown to have arrived.

    Raises: NotPermitted, GroundMissing, AlreadyDecided.
    """
    ticket = ClosureTicket.objects.lock(ticket_id)
    _check_waiver(ticket, ground=ground, actor=actor)
    ticket.notice_waiver_asked_by = _person(actor)
    return save_as(ticket, actor=actor, reason=f"notice waiver asked: {ground.strip()}", now=now)


@decision
def grant_notice_waiver(*, ticket_id: int, ground: str, actor: Actor, now: datetime) -> ClosureTicket:
    """A second person agrees; the lead time runs from now.

    Raises: NotPermitted, GroundMissing, NeedsSecondPerson, AlreadyDecided.
    """
    ticket = ClosureTicket.objects.lock(ticket_id)
    _check_waiver(ticket, ground=ground, actor=actor)
    if ticket.notice_waiver_asked_by_id in (None, _person(actor).pk):
        raise NeedsSecondPerson
    ticket.notice_waived_by = _person(actor)
    ticket.period_ends_at = now + timedelta(seconds=ticket.policy["notice_lead_seconds"])
    return save_as(ticket, actor=actor, reason=f"notice waived: {ground.strip()}", now=now)


def release_asked(*, user: User, actor: Actor, now: datetime) -> None:
    """What a person who leaves had asked of a second one, unanswered yet, is taken back. Safe to repeat.

    For `accounts.services.staff.on_leave`.
    """
    mine = Q(notice_waiver_asked_by=user, notice_waived_by__isnull=True) | Q(cancel_asked_by=user)
    asked = ClosureTicket.objects.select_for_update(of=("self",)).filter(mine, state__in=ClosureTicket.OPEN)
    for ticket in asked:
        if ticket.cancel_asked_by_id == user.pk:
            ticket.cancel_asked_by = None
        if ticket.notice_waiver_asked_by_id == user.pk and ticket.notice_waived_by_id is None:
            ticket.notice_waiver_asked_by = None
        save_as(ticket, actor=actor, reason="who asked has left", now=now)


def _person(actor: Actor) -> User:
    if actor.kind is not ActorKind.STAFF or actor.user is None:
        raise NotPermitted(move=_("Decide a closing"))
    return actor.user


def _check_decision(ticket: ClosureTicket, *, ground: str, actor: Actor) -> None:
    person = _person(actor)
    if not ground.strip():
        raise GroundMissing
    if person.pk in (ticket.requested_by_id, ticket.last_edited_by_id):
        raise SameReviewer


def _check_cancel(ticket: ClosureTicket, *, ground: str, actor: Actor) -> None:
    if not _person(actor).has_perm("closures.cancel_closure"):
        raise NotPermitted(move=_("Cancel the ticket"))
    if not ground.strip():
        raise GroundMissing
    if not ticket.is_open:
        raise AlreadyDecided(number=ticket.number, state=ticket.get_state_display())


def _check_waiver(ticket: ClosureTicket, *, ground: str, actor: Actor) -> None:
    if not _person(actor).has_perm("closures.waive"):
        raise NotPermitted(move=_("Waive the proof of arrival"))
    if not ground.strip():
        raise GroundMissing
    waiting = ticket.state == State.NOTICE_PERIOD and ticket.notice_arrived_at is None
    if ticket.is_customers_own or not waiting:
        raise AlreadyDecided(number=ticket.number, state=ticket.get_state_display())
