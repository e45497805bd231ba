"""The end of waiting: cooling-off and notice periods that are over, moved in sets."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from accounts.actors import Actor
from accounts.bulk import transition_many
from closures import jobs
from closures.jobs import Job
from closures.models import ClosureTicket
from closures.models.conditions import nothing_owed, period_over

ACTOR = Actor.job("cooling_off")


def end_periods(*, now: datetime) -> int:
    """Tickets whose period is over go on to settling or to unbinding; returns how many.

    A ticket with an open hold, without arrival of a needed notice, or with facts newer than the approval
    stays. Overlapping runs move each ticket once. Safe to repeat.
    """
    due = ClosureTicket.objects.filter(period_over(now), state=ClosureTicket.State.NOTICE_PERIOD)
    moved = 0
    for tickets, transition, job in (
        (due.filter(nothing_owed()), ClosureTicket.start_unbinding, Job.START_UNBINDING),
        (due.exclude(nothing_owed()), ClosureTicket.start_settling, Job.SETTLE),
    ):
        with transaction.atomic():
            result = transition_many(
                tickets,
                transition,
                actor=ACTOR,
                reason="the period is over",
                now=now,
                limit=settings.BATCH_SIZE,
            )
            if result.moved:
                jobs.enqueue(job)
        moved += len(result.moved)
    return moved
