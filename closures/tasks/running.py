"""What every task shares: its sweep row, the count of its failures, and waking the next for what is left."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import shared_task
from django.db.models import F
from django.utils import timezone

from closures.jobs import Job, wake
from closures.models import Sweep

logger = logging.getLogger(__name__)

GRACE = 20  # seconds between the soft limit of a long task and its end


def task(job: Job, *, seconds: float | None = None) -> Callable[[Callable[[], int]], Any]:
    """Make a function a Celery task of this job. It returns how many rows it moved.

    `seconds` is its time limit if it holds no lease and so may take longer than the others. A wake-up that
    arrives during the run is not lost: the flag is cleared before the work begins.
    """

    def register(function: Callable[[], int]) -> Any:
        def run() -> None:
            Sweep.objects.update_or_create(job=job, defaults={"woken_at": None, "started_at": timezone.now()})
            try:
                moved = function()
            except Exception as error:
                Sweep.objects.filter(job=job).update(
                    failures=F("failures") + 1, failure=f"{type(error).__name__}: {error}"[:300]
                )
                raise
            Sweep.objects.filter(job=job).update(
                finished_at=timezone.now(), moved=moved, failures=0, failure=""
            )

        run.__doc__ = function.__doc__
        limits = {"soft_time_limit": seconds, "time_limit": seconds + GRACE} if seconds else {}
        return shared_task(name=job.value, **limits)(run)

    return register


def keep_going(job: Job, moved: int) -> int:
    """More may be due than one run takes: wake another if this one found work."""
    if moved:
        wake(job)
    return moved
