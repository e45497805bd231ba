"""Campaigns: their next batches, and the guard-rails that stop them."""

from django.conf import settings
from django.utils import timezone

from closures.jobs import Job
from closures.services import campaigns
from closures.tasks.running import keep_going, task


@task(Job.RUN_CAMPAIGNS, seconds=settings.READING_TASK_SECONDS)
def run_campaigns() -> int:
    return keep_going(Job.RUN_CAMPAIGNS, campaigns.run(clock=timezone.now))


@task(Job.GUARD_CAMPAIGNS)
def guard_campaigns() -> int:
    return campaigns.watch(now=timezone.now())
