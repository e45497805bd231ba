"""Every account looked at by every rule that is at work: one set-based pass per rule, batch by batch.

What lives here: counting, the caps, the drift stop, raising and folding alerts, the automatic freeze. What
does not: any closing; a machine asks for none.

# Note [A scan keeps its place]
The scan is a row. Each batch is read without a lock, and written in one transaction under the locks of rule
and scan, with the last account it covered (`reached`). Whoever finds the scan running goes on from there: a
worker that was killed leaves at most a batch undone, and two workers at once do each batch once, because the
slower finds that the place has moved. The rule's switch is read under that lock, so nothing is alerted after
its stop was said to have happened; the switch of all rules is read once more for each batch, and one batch
that is being written ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, OuterRef, Q

from accounts.actors import Actor
from accounts.bulk import create_many, transition_many
from accounts.models import RestrictionCause
from accounts.services import lines
from closures.failpoints import reach
from closures.models import LedgerCommand, RiskAlert, RiskRule, RiskScan
from closures.models.numbers import new_number
from closures.rules.deadlines import day_began
from closures.selectors import account_view, risk_figures, rule_language
from closures.selectors.rule_language import Condition, ConditionRefused, ConditionTooSlow
from closures.services import commands
from closures.services.risk import switches
from closures.services.risk.rights import locked_rule

ACTOR = Actor.job("risk_scan")
Outcome, Action = RiskScan.Outcome, RiskRule.Action
TRIES = 3  # of a batch whose numbers were taken


def run(*, clock: Callable[[], datetime]) -> int:
    """Every rule whose time has come is scanned, and scans left behind are ended; returns how many batches.

    Stops when the time of one job is used up; the next goes on. Safe to run anywhere, twice.
    """
    began, batches = clock(), 0
    for rule_id in _due(began):
        if clock() - began > settings.DRAIN_BUDGET:
            return batches
        scan = begin(rule_id=rule_id, now=clock())
        while scan is not None and scan.outcome == Outcome.RUNNING:
            if clock() - began > settings.DRAIN_BUDGET:
                return batches
            scan = go_on(scan_id=scan.pk, now=clock())
            batches += 1
    return batches


def scan(*, rule_id: int, clock: Callable[[], datetime]) -> RiskScan | None:
    """One rule is scanned from beginning to end now, whenever it was last; None where it is not at work."""
    row = begin(rule_id=rule_id, now=clock())
    while row is not None and row.outcome == Outcome.RUNNING:
        row = go_on(scan_id=row.pk, now=clock())
    return row


def _due(now: datetime) -> list[int]:
    """Rules with a scan under way, and those at work that were not scanned for a while."""
    running = Exists(RiskScan.objects.filter(rule=OuterRef("pk"), outcome=Outcome.RUNNING))
    lately = RiskScan.objects.filter(rule=OuterRef("pk"), started_at__gt=now - settings.RISK_SCAN_EVERY)
    at_work = Q(state__in=RiskRule.SCANNED, stopped_at__isnull=True) & ~Q(Exists(lately))
    due = RiskRule.objects.filter(Q(running) if switches.all_stopped() else Q(running) | at_work)
    return list(due.order_by("code", "version").values_list("pk", flat=True))


# --- The beginning ------------------------------------------------------------------------------------


def begin(*, rule_id: int, now: datetime) -> RiskScan | None:
    """The rule's scan is under way, or over already where nothing has to be done account by account.

    Returns the one that runs where there is one; None where the rule is not at work. Caps are compared with
    what was counted over all accounts, before anything is cut off. Source: PITFALLS, Open edX.
    """
    rule = RiskRule.objects.get(pk=rule_id)
    running = rule.scans.filter(outcome=Outcome.RUNNING).first()
    if running is not None or not _at_work(rule):
        return cast(RiskScan | None, running)
    try:
        matched, fresh = _counted(rule, now=now)
    except (ConditionTooSlow, ConditionRefused):
        return _end_slow(rule_id, now=now)
    with transaction.atomic():
        rule = locked_rule(rule_id)
        running = rule.scans.filter(outcome=Outcome.RUNNING).first()
        if running is not None or not _at_work(rule):
            return cast(RiskScan | None, running)
        row = RiskScan(
            rule=rule,
            shadow=rule.state == RiskRule.State.SHADOW,
            started_at=now,
            matched=matched,
            fresh=fresh,
            usual=risk_figures.usual(rule),
            cap=_cap(rule, now=now),
        )
        if drifts(row):
            _finish(row, Outcome.DRIFT, now=now)
            switches.halt(
                rule, RiskRule.StopCode.DRIFT, actor=ACTOR, reason="far more matches than usual", now=now
            )
        elif row.shadow or not matched:
            _finish(row, Outcome.CAPPED if fresh > row.cap else Outcome.DONE, now=now)
        row.save()
    return row


def _counted(rule: RiskRule, *, now: datetime) -> tuple[int, int]:
    """How many accounts match, and how many of them would be alerted anew."""
    found = rule_language.read(rule.condition).accounts(now=now).order_by()
    with rule_language.bounded():
        told = found.aggregate(
            matched=Count("pk"), fresh=Count("pk", filter=~Q(risk_figures.known(rule, now=now)))
        )
    return told["matched"], told["fresh"]


def _cap(rule: RiskRule, *, now: datetime) -> int:
    """How many new alerts this scan may raise: its own cap, and what is left of the day's, in China."""
    today = RiskAlert.objects.filter(code=rule.code, raised_at__gte=day_began(moment=now)).count()
    return max(0, min(rule.cap_per_run, rule.cap_per_day - today))


def drifts(row: RiskScan) -> bool:
    """Whether it found so much more than usual that a person has to look first.

    Source: SPEC §6, three times the usual. Below RISK_DRIFT_FLOOR matches no number is alarming: our choice.
    """
    if row.usual is None:
        return False
    return row.matched > max(settings.RISK_DRIFT_TIMES * row.usual, settings.RISK_DRIFT_FLOOR)


def _at_work(rule: RiskRule) -> bool:
    """Both switches are open and the version is the one that counts."""
    return rule.state in RiskRule.SCANNED and not rule.is_stopped and not switches.all_stopped()


def _finish(row: RiskScan, outcome: RiskScan.Outcome, *, now: datetime) -> None:
    row.outcome, row.finished_at = outcome, now


@transaction.atomic
def _end_slow(rule_id: int, *, now: datetime, scan_id: int | None = None) -> RiskScan:
    """The condition took too long, or cannot be read any more: recorded, and the rule is stopped."""
    rule = locked_rule(rule_id)
    row = RiskScan.objects.select_for_update().filter(pk=scan_id or 0).first()
    if row is not None and row.outcome != Outcome.RUNNING:
        return row
    if row is None:
        row = RiskScan(rule=rule, shadow=rule.state == RiskRule.State.SHADOW, started_at=now)
    _finish(row, Outcome.TOO_SLOW, now=now)
    row.save()
    if not rule.is_stopped:
        switches.halt(
            rule, RiskRule.StopCode.TOO_SLOW, actor=ACTOR, reason="its condition takes too long", now=now
        )
    return row


# --- Batch by batch -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Matching accounts after `after`, lowest key first, with the values that fired; read without a lock."""

    after: int
    values: dict[int, dict[str, Any]]
    last: bool

    @property
    def until(self) -> int:
        return max(self.values, default=self.after)


def go_on(*, scan_id: int, now: datetime) -> RiskScan:
    """One more batch is done, or the scan has ended. See Note [A scan keeps its place]."""
    row = RiskScan.objects.select_related("rule").get(pk=scan_id)
    if row.outcome != Outcome.RUNNING:
        return cast(RiskScan, row)
    try:
        batch = _read(rule_language.read(row.rule.condition), after=row.reached, as_of=row.started_at)
    except (ConditionTooSlow, ConditionRefused):
        return _end_slow(row.rule_id, now=now, scan_id=row.pk)
    for tries_left in reversed(range(TRIES)):
        try:
            return _write(row, batch, now=now)
        except IntegrityError:  # a number was taken, or a closing took an account: nothing of it was kept
            if not tries_left:
                raise
    raise AssertionError("unreachable")


def _read(condition: Condition, *, after: int, as_of: datetime) -> Batch:
    found = condition.accounts(now=as_of)
    with rule_language.bounded():
        first = found.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)
        keys = list(first[: settings.BATCH_SIZE])
        values = account_view.values(found.filter(pk__among=keys), condition.names, now=as_of)
    return Batch(
        after=after,
        values={pk: values[pk] for pk in keys if pk in values},
        last=len(keys) < settings.BATCH_SIZE,
    )


@transaction.atomic
def _write(seen: RiskScan, batch: Batch, *, now: datetime) -> RiskScan:
    rule = locked_rule(seen.rule_id)
    row = cast(RiskScan, RiskScan.objects.select_for_update(of=("self",)).get(pk=seen.pk))
    if row.outcome != Outcome.RUNNING or row.reached != batch.after:
        return row  # somebody else has done this batch
    if not _at_work(rule):
        _finish(row, Outcome.KILLED, now=now)
        row.save(update_fields=["outcome", "finished_at"])
        return row
    known = _known(rule, batch, as_of=row.started_at)
    fresh = [pk for pk in batch.values if pk not in known][: row.cap - row.alerted]
    alerts = _raise(rule, {pk: batch.values[pk] for pk in fresh}, now=now)
    reach("risk.mid_batch")
    _fold(known, now=now)
    row.alerted, row.folded, row.reached = row.alerted + len(alerts), row.folded + len(known), batch.until
    row.frozen += sum(alert.frozen_until is not None for alert in alerts)
    if batch.last:
        _finish(row, Outcome.CAPPED if row.fresh > row.cap else Outcome.DONE, now=now)
    row.save()
    return row


def _known(rule: RiskRule, batch: Batch, *, as_of: datetime) -> dict[int, int]:
    """Account → the alert that its match is folded into, the newest of several."""
    recent = Q(state__in=RiskAlert.UNENDED) | Q(ended_at__gt=as_of - rule.dedupe_window)
    rows = RiskAlert.objects.filter(recent, account_id__among=list(batch.values), code=rule.code)
    return dict(rows.order_by("pk").values_list("account_id", "pk"))


def _fold(known: dict[int, int], *, now: datetime) -> None:
    if known:
        RiskAlert.objects.filter(pk__among=sorted(known.values())).update(
            folded=F("folded") + 1, last_seen_at=now
        )


def _raise(rule: RiskRule, values: dict[int, dict[str, Any]], *, now: datetime) -> list[RiskAlert]:
    """Each account has an alert, and what the rule's action says has been done."""
    freezes = rule.action == Action.FREEZE
    until = now + cast(timedelta, rule.freeze_length) if freezes else None
    # An account closed since it was read has no line to freeze, and needs no alert.
    there = lines.locked_many(values) if freezes else values
    alerts = create_many(
        (_alert(rule, pk, values[pk], until=until, now=now) for pk in there),
        actor=ACTOR,
        reason=said_by(rule),
        now=now,
    )
    if freezes and alerts:
        _freeze(rule, alerts, until=until, now=now)
    if rule.action == Action.PROPOSE_CLOSING and alerts:
        transition_many(
            RiskAlert.objects.filter(pk__among=[alert.pk for alert in alerts]),
            RiskAlert.propose_by_rule,
            actor=ACTOR,
            reason=said_by(rule),
            now=now,
        )
    return alerts


def _alert(
    rule: RiskRule, account_id: int, values: dict[str, Any], *, until: datetime | None, now: datetime
) -> RiskAlert:
    return RiskAlert(
        number=new_number(now, prefix="RA"),
        rule=rule,
        code=rule.code,
        severity=rule.severity,
        account_id=account_id,
        values=values,
        sentence=rule.sentence,
        sentence_en=rule.sentence_en,
        state_since=now,
        raised_at=now,
        last_seen_at=now,
        frozen_until=until,
    )


def _freeze(rule: RiskRule, alerts: list[RiskAlert], *, until: datetime | None, now: datetime) -> None:
    """Every line is repay-only until then, and the core ledger is told; by set."""
    changes = lines.restrict_many(
        {alert.account_id: alert.number for alert in alerts},
        cause=RestrictionCause.RISK,
        actor=ACTOR,
        reason=said_by(rule),
        now=now,
        until=until,
    )
    froze = [change.account_id for change in changes if change.froze]
    commands.queue_many(dict.fromkeys(froze), verb=LedgerCommand.Verb.FREEZE, actor=ACTOR, now=now)


def said_by(rule: RiskRule) -> str:
    return f"risk rule {rule}"
