"""The tick and the sweeps that only time wakes."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from closures.jobs import Job, wake
from closures.models import Sweep
from closures.services import api_calls, assessment, intake, invariants, restrictions, risk, unbinding
from closures.tasks.running import keep_going, task


@task(Job.TICK)
def tick() -> int:
    """Wake every sweep whose interval has passed. Two ticks at once wake nothing twice."""
    now = timezone.now()
    intervals: dict[str, float] = settings.SWEEP_SECONDS  # type: ignore[misc]  # imported into the settings
    recent = {
        job
        for job, started_at in Sweep.objects.values_list("job", "started_at")
        if started_at and job in intervals and started_at + timedelta(seconds=intervals[job]) > now
    }
    due = [Job(name) for name in intervals if name not in recent]
    return sum(wake(job) for job in due)


@task(Job.WAKE_CHANGED)
def wake_changed() -> int:
    return assessment.wake_changed(now=timezone.now())


@task(Job.ANSWER_OVERDUE)
def answer_overdue() -> int:
    return assessment.answer_overdue(now=timezone.now())


@task(Job.TELL_DELAYS)
def tell_delays() -> int:
    return unbinding.tell_delays(now=timezone.now())


@task(Job.RECOUNT_ANSWERS)
def recount_answers() -> int:
    return intake.recount_answers(now=timezone.now())


@task(Job.EXPIRE_RESTRICTIONS)
def expire_restrictions() -> int:
    return restrictions.expire(now=timezone.now())


@task(Job.SCAN_RISK)
def scan_risk() -> int:
    return keep_going(Job.SCAN_RISK, risk.scan.run(clock=timezone.now))


@task(Job.CHECK_INVARIANTS, seconds=settings.READING_TASK_SECONDS)
def check_invariants() -> int:
    return keep_going(Job.CHECK_INVARIANTS, invariants.check_next(now=timezone.now()))


@task(Job.FORGET_API_CALLS)
def forget_api_calls() -> int:
    return keep_going(Job.FORGET_API_CALLS, api_calls.forget(now=timezone.now()))
