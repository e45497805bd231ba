"""What comes after a closing: data whose time is over, and what the credit bureau is told."""

from django.utils import timezone

from closures.jobs import Job
from closures.services import reporting, retention
from closures.tasks.running import keep_going, task


@task(Job.COLLECT_DESTRUCTION)
def collect_destruction() -> int:
    return retention.collect(now=timezone.now())


@task(Job.ERASE_CUSTOMERS)
def erase_customers() -> int:
    return keep_going(Job.ERASE_CUSTOMERS, retention.run(clock=timezone.now))


@task(Job.PREPARE_BUREAU_REPORT)
def prepare_bureau_report() -> int:
    return keep_going(Job.PREPARE_BUREAU_REPORT, reporting.prepare(now=timezone.now()))
