"""The steps of a closing, each woken by the step before it and, failing that, by the tick."""

from django.utils import timezone

from closures.jobs import Job
from closures.services import (
    assessment,
    callbacks,
    closing,
    commands,
    cooling_off,
    identity_codes,
    later_money,
    notices,
    reversal,
    settling,
    unbinding,
    webhooks,
)
from closures.tasks.running import keep_going, task


@task(Job.ASSESS)
def assess() -> int:
    return keep_going(Job.ASSESS, assessment.run(clock=timezone.now))


@task(Job.END_PERIODS)
def end_periods() -> int:
    return keep_going(Job.END_PERIODS, cooling_off.end_periods(now=timezone.now()))


@task(Job.SETTLE)
def settle() -> int:
    return keep_going(Job.SETTLE, settling.run(clock=timezone.now))


@task(Job.START_UNBINDING)
def start_unbinding() -> int:
    return keep_going(Job.START_UNBINDING, unbinding.start(now=timezone.now()))


@task(Job.RETRY_UNBINDING)
def retry_unbinding() -> int:
    return keep_going(Job.RETRY_UNBINDING, unbinding.run(clock=timezone.now))


@task(Job.FINISH_UNBINDING)
def finish_unbinding() -> int:
    return keep_going(Job.FINISH_UNBINDING, unbinding.finish(now=timezone.now()))


@task(Job.CLOSE)
def close() -> int:
    return keep_going(Job.CLOSE, closing.run(clock=timezone.now))


@task(Job.COMMAND_LEDGER)
def command_ledger() -> int:
    return keep_going(Job.COMMAND_LEDGER, commands.run(clock=timezone.now))


@task(Job.DELIVER_NOTICES)
def deliver_notices() -> int:
    return keep_going(Job.DELIVER_NOTICES, notices.deliver(clock=timezone.now))


@task(Job.SEND_CODES)
def send_codes() -> int:
    return keep_going(Job.SEND_CODES, identity_codes.deliver(clock=timezone.now))


@task(Job.APPLY_CALLBACKS)
def apply_callbacks() -> int:
    return keep_going(Job.APPLY_CALLBACKS, callbacks.apply(clock=timezone.now))


@task(Job.FINISH_REVERSALS)
def finish_reversals() -> int:
    return keep_going(Job.FINISH_REVERSALS, reversal.run(clock=timezone.now))


@task(Job.PROVE_PAYOUTS)
def prove_payouts() -> int:
    return keep_going(Job.PROVE_PAYOUTS, later_money.run(clock=timezone.now))


@task(Job.TAKE_MOVEMENTS)
def take_movements() -> int:
    return keep_going(Job.TAKE_MOVEMENTS, later_money.take_movements(now=timezone.now()))


@task(Job.DERIVE_WEBHOOKS)
def derive_webhooks() -> int:
    return keep_going(Job.DERIVE_WEBHOOKS, webhooks.derive(now=timezone.now()))


@task(Job.SEND_WEBHOOKS)
def send_webhooks() -> int:
    return keep_going(Job.SEND_WEBHOOKS, webhooks.send(clock=timezone.now))
