"""What a verdict moves: the task, its agreement, and when the task is looked at again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from accounts.actors import Actor
from accounts.models import PartnerAgreement
from accounts.tracking import move
from closures import jobs
from closures.jobs import Job
from closures.models import UnbindTask
from closures.rules.outcomes import (
    TaskState,
    Verdict,
    Wait,
    after_callback,
)
from closures.services.commands import due_after

State = UnbindTask.State

MOVES = {
    "CONFIRMING": "await_confirmation",
    "UNKNOWN": "lose_sight",
    "PENDING": "put_back",
    "UNBOUND": "prove",
    "ABSENT": "find_absent",
    "DEAD": "give_up",
}


def apply(
    row: UnbindTask, agreement: PartnerAgreement, verdict: Verdict, *, actor: Actor, now: datetime
) -> None:
    """Move a locked task, and its locked agreement with it, where the verdict says."""
    row.release(due_at=_due(row, verdict, now=now))
    if verdict.wait is Wait.SETTLE_WINDOW and row.attempts:
        row.attempts -= 1  # it was read, and it is as it may be: waiting for the window wears nothing out
    if verdict.next_state == row.state:
        row.save(update_fields=["lease_token", "lease_until", "due_at", "attempts"])
        return
    code = verdict.partner_code or verdict.dead_reason
    values = {"reason_code": str(code)} if verdict.next_state == TaskState.DEAD else {}
    move(row, MOVES[verdict.next_state], actor=actor, reason=str(verdict.reason), now=now, **values)
    if verdict.next_state == TaskState.UNBOUND:
        _end(agreement, "unbind", actor=actor, now=now)
    elif verdict.next_state == TaskState.ABSENT:
        _end(agreement, "lapse", actor=actor, now=now)
    if verdict.next_state in (TaskState.UNBOUND, TaskState.ABSENT):
        jobs.enqueue(Job.FINISH_UNBINDING)


def _due(row: UnbindTask, verdict: Verdict, *, now: datetime) -> datetime | None:
    if verdict.next_state == TaskState.CONFIRMING and row.state == State.SENDING:
        return now + settings.FIRST_LOOK
    if verdict.wait is Wait.SETTLE_WINDOW and row.settles_at is not None:
        return min(row.settles_at, now + _patience(row, now=now)) if row.settles_at > now else now
    return due_after(verdict.wait, attempts=row.attempts, now=now)


def _patience(row: UnbindTask, *, now: datetime) -> timedelta:
    """Within the settle window a task is asked about ever more rarely: after half of what it has waited."""
    return max(settings.RETRY_BASE, min(settings.RETRY_CAP, (now - row.state_since) / 2))


def _end(agreement: PartnerAgreement, name: str, *, actor: Actor, now: datetime) -> None:
    live = (PartnerAgreement.State.BOUND, PartnerAgreement.State.UNBINDING)
    if agreement.state in live:
        move(agreement, name, actor=actor, reason="proved at the partner", now=now)


def was_ended(*, partner: str, agreement_no: str) -> bool:
    """The partner's agreement of this number was ended in a closing. Changes nothing."""
    ended = UnbindTask.objects.filter(state__in=(State.UNBOUND, State.ABSENT))
    return ended.filter(agreement__partner=partner, agreement__agreement_no=agreement_no).exists()


def hear_ended(*, partner: str, agreement_no: str, now: datetime) -> str:
    """A verified callback says that an agreement has ended; returns what came of it.

    Proof for a task that is confirming, a reason to look now for one that waits, nothing for the rest.
    Safe twice and out of order.
    """
    task = (
        UnbindTask.objects.filter(agreement__partner=partner, agreement__agreement_no=agreement_no)
        .order_by("-pk")
        .first()
    )
    if task is None:
        return "NO_TASK"
    agreement = PartnerAgreement.objects.select_for_update(of=("self",)).get(pk=task.agreement_id)
    row = UnbindTask.objects.select_for_update(of=("self",)).get(pk=task.pk)
    verdict = after_callback(state=TaskState(row.state))
    if verdict.next_state != row.state:
        row.fence += 1  # whoever holds the lease now finds that he has lost it
        apply(row, agreement, verdict, actor=Actor.partner(partner), now=now)
    elif verdict.wait is Wait.NOW and not row.lease_token:
        UnbindTask.objects.filter(pk=row.pk).update(due_at=now)
        jobs.enqueue(Job.RETRY_UNBINDING)
    return str(verdict.reason)
