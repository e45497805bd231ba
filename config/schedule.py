"""When what runs. One tick, sent by beat, wakes the sweeps; no job has a schedule of its own in Celery.

Seconds between two runs of a sweep, counted from the start of the last one. A sweep finds what a lost
message or a dead worker left behind, so these bound how long that can take.
"""

from config.settings.environment import env

TICK_SECONDS = env.float("TICK_SECONDS", default=5.0)
HOUR = 3_600.0
DAY = 86_400.0

SWEEP_SECONDS: dict[str, float] = {
    "closures.assess": TICK_SECONDS,
    "closures.end_periods": TICK_SECONDS,
    "closures.settle": TICK_SECONDS,
    "closures.start_unbinding": TICK_SECONDS,
    "closures.retry_unbinding": TICK_SECONDS,
    "closures.finish_unbinding": TICK_SECONDS,
    "closures.close": TICK_SECONDS,
    "closures.command_ledger": TICK_SECONDS,
    "closures.deliver_notices": TICK_SECONDS,
    "closures.send_codes": TICK_SECONDS,
    "closures.apply_callbacks": TICK_SECONDS,
    "closures.derive_webhooks": TICK_SECONDS,
    "closures.send_webhooks": TICK_SECONDS,
    "closures.forget_api_calls": 600.0,
    "closures.wake_changed": 2 * TICK_SECONDS,
    "closures.finish_reversals": TICK_SECONDS,
    "closures.prove_payouts": TICK_SECONDS,
    "closures.take_movements": 60.0,
    "closures.tell_delays": 600.0,
    "closures.answer_overdue": 600.0,
    "closures.recount_answers": HOUR,
    "closures.expire_restrictions": 60.0,
    "closures.scan_risk": 60.0,  # each rule once in RISK_SCAN_EVERY; a scan left behind goes on at once
    "closures.check_invariants": HOUR,
    "closures.collect_destruction": DAY,
    "closures.erase_customers": HOUR,
    "closures.prepare_bureau_report": DAY,
    "closures.run_campaigns": TICK_SECONDS,
    "closures.guard_campaigns": 2 * TICK_SECONDS,
}

BEAT_SCHEDULE = {"tick": {"task": "closures.tick", "schedule": TICK_SECONDS}}
