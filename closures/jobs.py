"""The only door to Celery: a wake-up for a kind of work, never the work itself.

The rows are the queue (due_at, lease, attempts); a message says "look". It is sent after commit, best
effort, and at most one of a kind waits at a time, so a lost message costs one tick and a dead broker costs
nothing but time.
"""

from __future__ import annotations

import functools
import logging
from enum import StrEnum

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from closures.failpoints import reach

logger = logging.getLogger(__name__)


class Job(StrEnum):
    """One kind of work; the value is the Celery task's name."""

    TICK = "closures.tick"
    ASSESS = "closures.assess"
    END_PERIODS = "closures.end_periods"
    SETTLE = "closures.settle"
    START_UNBINDING = "closures.start_unbinding"
    RETRY_UNBINDING = "closures.retry_unbinding"
    FINISH_UNBINDING = "closures.finish_unbinding"
    TELL_DELAYS = "closures.tell_delays"
    CLOSE = "closures.close"
    COMMAND_LEDGER = "closures.command_ledger"
    DELIVER_NOTICES = "closures.deliver_notices"
    SEND_CODES = "closures.send_codes"
    APPLY_CALLBACKS = "closures.apply_callbacks"
    DERIVE_WEBHOOKS = "closures.derive_webhooks"
    SEND_WEBHOOKS = "closures.send_webhooks"
    FORGET_API_CALLS = "closures.forget_api_calls"
    WAKE_CHANGED = "closures.wake_changed"
    ANSWER_OVERDUE = "closures.answer_overdue"
    RECOUNT_ANSWERS = "closures.recount_answers"
    SCAN_RISK = "closures.scan_risk"
    EXPIRE_RESTRICTIONS = "closures.expire_restrictions"
    FINISH_REVERSALS = "closures.finish_reversals"
    TAKE_MOVEMENTS = "closures.take_movements"
    PROVE_PAYOUTS = "closures.prove_payouts"
    CHECK_INVARIANTS = "closures.check_invariants"
    COLLECT_DESTRUCTION = "closures.collect_destruction"
    ERASE_CUSTOMERS = "closures.erase_customers"
    PREPARE_BUREAU_REPORT = "closures.prepare_bureau_report"
    RUN_CAMPAIGNS = "closures.run_campaigns"
    GUARD_CAMPAIGNS = "closures.guard_campaigns"


class NotInTransaction(RuntimeError):
    """`enqueue` was called where no transaction is open, so "after commit" would mean "now"."""


def enqueue(job: Job) -> None:
    """A worker will look for this kind of work once the open transaction has committed.

    Raises NotInTransaction outside one. Never raises because of the broker. Safe to repeat: wake-ups of one
    kind are folded into one.
    """
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise NotInTransaction(job)
    # Django drops these callbacks at a roll-back, so looking here never folds into a lost wake-up.
    if not any(getattr(callback, "args", None) == (job,) for _, callback, _ in connection.run_on_commit):
        transaction.on_commit(functools.partial(wake, job))


def wake(job: Job) -> bool:
    """Send one wake-up unless one of its kind is on its way; returns whether it was sent."""
    sweeps = apps.get_model("closures", "Sweep")._default_manager
    moment = timezone.now()
    free = Q(woken_at__isnull=True) | Q(woken_at__lt=moment - settings.WAKE_UP_LOST_AFTER)
    woken = sweeps.filter(free, job=job).update(woken_at=moment)
    if not woken and not sweeps.get_or_create(job=job, defaults={"woken_at": moment})[1]:
        return False
    reach("jobs.before_publish", of=job)
    try:
        current_app.send_task(job.value)
    except (OperationalError, OSError) as error:
        logger.warning("wake-up %s was not sent, the next tick finds the work: %s", job, type(error).__name__)
        sweeps.filter(job=job).update(woken_at=None)
        return False
    return True
