"""Looking at a ticket's account: what was seen is kept, and an approval that no longer fits is void.

Shared by the steps that look (assessment, settling); the facts come from selectors, the verdict from rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from accounts.actors import Actor
from accounts.tracking import QUEUE_FIELDS, move, save_as
from closures import jobs
from closures.jobs import Job
from closures.models import Blocker, ClosureTicket
from closures.rules.eligibility import Finding
from closures.selectors import facts
from closures.selectors.facts import Examination
from closures.services import notices

ACTOR = Actor.job("assessment")


def examine(ticket: ClosureTicket, *, now: datetime) -> Examination:
    """The ticket's blockers are what stands in its way now, and it remembers what was seen.

    The caller holds the locks and saves the ticket. Safe to repeat.
    """
    seen = facts.examine_ticket(ticket, now=now)
    sync_blockers(ticket, seen.findings, now=now)
    ticket.examined, ticket.examined_hash = seen.snapshot, seen.fingerprint
    ticket.examined_as_of, ticket.examined_agreement_id = seen.ledger_as_of, seen.newest_agreement_id
    return seen


def keep(ticket: ClosureTicket, seen: Examination, *, reason: str, now: datetime) -> None:
    """The ticket stays where it is. History is written only if what was seen differs from the time before."""
    as_before = ClosureTicket.objects.filter(
        pk=ticket.pk, examined_hash=seen.fingerprint, examined_agreement_id=seen.newest_agreement_id
    )
    if as_before.exists():
        ticket.save(update_fields=[*QUEUE_FIELDS, "examined_as_of"])
    else:
        save_as(ticket, actor=ACTOR, reason=reason, now=now)


def void_if_changed(ticket: ClosureTicket, seen: Examination, *, now: datetime) -> bool:
    """An approval that no longer fits is void and the ticket is back in review; returns whether it was.

    The caller holds the locks. Source: SPEC §3 "What was approved".
    """
    changes = [] if ticket.unbinding_started_at else seen.changes_since(ticket.approved)
    if not changes:
        keep(ticket, seen, reason="examined, the approval stands", now=now)
        return False
    notices.cancel_pending(ticket, actor=ACTOR, now=now)
    ticket.due_at = now
    move(ticket, "return_to_review", actor=ACTOR, reason="the approval is void", now=now, changes=changes)
    jobs.enqueue(Job.ASSESS)
    return True


def sync_blockers(ticket: ClosureTicket, findings: Iterable[Finding], *, now: datetime) -> None:
    """The ticket's open blockers are exactly `findings`; those gone are cured. Safe to repeat."""
    rows = {_identity(row): row for row in ticket.blockers.filter(cured_at__isnull=True)}
    for finding in findings:
        row = rows.pop((str(finding.code), finding.agreement_id, finding.hold_id), None)
        values = {
            "severity": str(finding.severity),
            "amount": finding.amount,
            "count": finding.count,
            "cure": str(finding.cure),
        }
        if row is None:
            row = Blocker(
                ticket=ticket,
                code=str(finding.code),
                agreement_id=finding.agreement_id,
                hold_id=finding.hold_id,
                appeared_at=now,
                **values,
            )
            save_as(row, actor=ACTOR, reason="found", now=now)
        elif any(getattr(row, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(row, name, value)
            save_as(row, actor=ACTOR, reason="changed", now=now)
    for row in rows.values():
        row.cured_at = now
        save_as(row, actor=ACTOR, reason="cured", now=now)


def _identity(row: Blocker) -> tuple[str, int | None, int | None]:
    return row.code, row.agreement_id, row.hold_id
