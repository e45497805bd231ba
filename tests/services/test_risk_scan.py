"""A scan finds what the rule says, once each, within its caps; and it stops when it is told to."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import CreditAccount, LineRestriction
from accounts.tracking import move
from closures.models import LedgerCommand, RiskAlert, RiskRule, RiskScan
from closures.selectors import account_view, rule_language
from closures.selectors.rule_language import ConditionTooSlow
from closures.services import restrictions
from closures.services.risk import alerts, scan, switches
from closures.services.risk.scan import ACTOR
from tests.races import at_once, race
from tests.risk_cases import Desk, fresh
from tests.stage import Clock, written

pytestmark = pytest.mark.django_db


def by_object(rule: RiskRule, desk: Desk) -> dict[int, dict[str, Any]]:
    """The same, account by account: does the condition hold, and what did it look at?"""
    condition, found = rule_language.read(rule.condition), {}
    for account in CreditAccount.objects.all():
        rows = condition.accounts(now=desk.now).filter(pk=account.pk)
        if rows.exists():
            found |= account_view.values(rows, condition.names, now=desk.now)
    return found


def test_a_scan_alerts_exactly_whom_the_condition_is_true_of(desk: Desk) -> None:
    late = desk.late(3)
    desk.late(2, days_past_due=59), desk.fine(4)
    rule = desk.active(condition="days_past_due >= 60 and late_1 >= 2")
    done = desk.scan(rule)
    assert (done.outcome, done.matched, done.fresh, done.alerted, done.folded) == ("DONE", 3, 3, 3, 0)
    told = {alert.account_id: alert.values for alert in RiskAlert.objects.all()}
    assert told == by_object(rule, desk) and set(told) == {account.pk for account in late}
    assert told[late[0].pk] == {"days_past_due": 75, "late_1": 2}
    alert = RiskAlert.objects.first()
    assert alert.number.startswith("RA") and alert.rule == rule and alert.state == "NEW"
    assert (alert.sentence, alert.sentence_en) == (rule.sentence, rule.sentence_en)
    assert (alert.raised_at, alert.last_seen_at, alert.frozen_until) == (desk.now, desk.now, None)
    assert written(alert) == (str(ACTOR), "risk rule LATE v1")
    assert not LineRestriction.objects.exists() and not LedgerCommand.objects.exists()


def test_shadow_counts_and_does_nothing_else(desk: Desk) -> None:
    desk.late(2), desk.fine(3)
    rule = desk.in_shadow(action="FREEZE")
    done = desk.scan(rule)
    assert (done.outcome, done.shadow, done.matched, done.fresh) == ("DONE", True, 2, 2)
    assert (done.alerted, done.frozen) == (0, 0)
    assert not RiskAlert.objects.exists() and not LineRestriction.objects.exists()
    assert not LedgerCommand.objects.exists()


def test_freeze_freezes_with_an_end_and_tells_the_ledger_and_ends(desk: Desk) -> None:
    late, _ = desk.late(2), desk.fine(3)
    rule = desk.active(action="FREEZE", freeze_length=timedelta(days=7))
    assert desk.scan(rule).frozen == 2
    for account in late:
        alert, limit = RiskAlert.objects.get(account=account), LineRestriction.objects.get(account=account)
        assert (limit.cause, limit.reference, limit.until) == (
            "RISK",
            alert.number,
            desk.now + timedelta(days=7),
        )
        assert alert.frozen_until == limit.until and fresh(account).line_state == "FROZEN"
        command = LedgerCommand.objects.get(account=account)
        assert (command.verb, command.due_at, command.ticket) == ("FREEZE", desk.now, None)
        assert command.key == f"ledger:{account.account_no}:freeze:1"
    desk.clock.skip(timedelta(days=7))
    assert restrictions.expire(now=desk.now) == 2
    for account in late:
        assert fresh(account).line_state == "ACTIVE"
        assert list(account.commands.order_by("pk").values_list("verb", flat=True)) == ["FREEZE", "UNFREEZE"]


def test_a_line_that_is_frozen_already_gets_no_second_command(desk: Desk) -> None:
    desk.late(), desk.fine(3)
    rule = desk.active(action="FREEZE")
    other = desk.active(code="OTHER", action="FREEZE", condition="days_past_due >= 70")
    desk.scan(rule), desk.scan(other)
    assert LineRestriction.objects.count() == 2 and LedgerCommand.objects.count() == 1


def test_a_proposal_waits_for_a_named_person(desk: Desk) -> None:
    desk.late(), desk.fine(2)
    desk.scan(desk.active(action="PROPOSE_CLOSING"))
    alert = RiskAlert.objects.get()
    assert (alert.state, alert.proposed_by, alert.ticket) == ("PROPOSED", None, None)
    assert list(alert.history.order_by("history_id").values_list("state", flat=True)) == ["NEW", "PROPOSED"]


# --- Folding ------------------------------------------------------------------------------------------


def test_what_is_seen_again_is_folded_and_history_stays_quiet(desk: Desk) -> None:
    desk.late(2), desk.fine(3)
    rule = desk.active()
    desk.scan(rule)
    desk.clock.skip(timedelta(hours=1))
    done = desk.scan(rule)
    assert (done.matched, done.fresh, done.alerted, done.folded) == (2, 0, 0, 2)
    for alert in RiskAlert.objects.all():
        assert (alert.folded, alert.last_seen_at) == (1, desk.now) and alert.history.count() == 1


def test_after_a_dismissal_the_window_keeps_it_quiet_and_then_it_is_new(desk: Desk) -> None:
    alert = desk.alert(dedupe_window=timedelta(days=10))
    alerts.dismiss(alert_id=alert.pk, dismiss_code="HARDSHIP", ground="已协商", **desk.does())
    desk.clock.skip(timedelta(days=9))
    assert desk.scan(alert.rule).folded == 1
    assert fresh(alert).state == "DISMISSED" and fresh(alert).folded == 1
    desk.clock.skip(timedelta(days=1))
    done = desk.scan(alert.rule)
    assert (done.alerted, done.folded) == (1, 0)
    assert RiskAlert.objects.filter(account=alert.account).count() == 2


def test_a_newer_version_folds_into_the_alert_of_the_older(desk: Desk) -> None:
    alert = desk.alert()
    from closures.services.risk import rules  # noqa: PLC0415
    from tests.risk_cases import substance  # noqa: PLC0415

    new = rules.new_version(
        rule_id=alert.rule_id, substance=substance(condition="days_past_due >= 70"), **desk.does()
    )
    done = desk.scan(desk.active(new))
    assert (done.alerted, done.folded) == (0, 1)


# --- Caps, drift, slowness ----------------------------------------------------------------------------


def test_over_the_cap_the_first_by_key_are_alerted_and_it_says_so(desk: Desk) -> None:
    late, _ = desk.late(5), desk.fine(6)
    rule = desk.active(cap_per_run=2, cap_per_day=3)
    done = desk.scan(rule)
    assert (done.outcome, done.matched, done.fresh, done.cap, done.alerted) == ("CAPPED", 5, 5, 2, 2)
    assert {a.account_id for a in RiskAlert.objects.all()} == {row.pk for row in late[:2]}
    desk.clock.skip(timedelta(hours=1))
    done = desk.scan(rule)
    assert (done.outcome, done.fresh, done.cap, done.alerted, done.folded) == ("CAPPED", 3, 1, 1, 2)
    done = desk.scan(rule)
    assert (done.outcome, done.cap, done.alerted) == ("CAPPED", 0, 0), "the day's cap is used up"
    desk.clock.skip(timedelta(days=1))
    done = desk.scan(rule)
    assert (done.outcome, done.alerted) == ("DONE", 2)


def test_three_times_its_usual_matches_stop_the_rule_before_anything_is_alerted(
    desk: Desk, settings: Any
) -> None:
    settings.RISK_DRIFT_FLOOR = 0
    desk.late(), desk.fine(6)
    rule = desk.active()
    desk.late(2)
    assert desk.scan(rule).outcome == "DONE", "three times is not more than three times"
    RiskScan.objects.filter(rule=rule, matched=3).update(matched=1)
    desk.late(1)
    done = desk.scan(rule)
    assert (done.outcome, done.matched, done.usual, done.alerted) == ("DRIFT", 4, 1, 0)
    rule = fresh(rule)
    assert (rule.stop_code, rule.stopped_by, rule.state) == ("DRIFT", None, "ACTIVE")
    assert written(rule) == (str(ACTOR), "far more matches than usual")
    assert scan.scan(rule_id=rule.pk, clock=desk.clock) is None
    desk.clock.skip(timedelta(hours=1))
    switches.release(rule_id=rule.pk, ground="扣款日，属正常", **desk.does())
    assert fresh(rule).usual_matches == 4
    done = desk.scan(rule)
    assert (done.outcome, done.usual, done.alerted) == ("DONE", 4, 1)


def test_a_few_more_than_nothing_are_no_drift(desk: Desk, settings: Any) -> None:
    settings.RISK_DRIFT_FLOOR = 3
    desk.fine(9)
    rule = desk.active()
    desk.late(3)
    assert desk.scan(rule).outcome == "DONE"


def test_a_condition_that_takes_too_long_stops_its_rule(desk: Desk, monkeypatch: Any) -> None:
    desk.late(), desk.fine(2)
    rule = desk.active()

    def slow(*args: Any, **kwargs: Any) -> Any:
        raise ConditionTooSlow(seconds="20")

    monkeypatch.setattr(scan, "_counted", slow)
    done = desk.scan(rule)
    assert (done.outcome, done.alerted, fresh(rule).stop_code) == ("TOO_SLOW", 0, "TOO_SLOW")
    assert scan.scan(rule_id=rule.pk, clock=desk.clock) is None


def test_a_batch_that_takes_too_long_ends_the_scan(desk: Desk, monkeypatch: Any) -> None:
    desk.late(), desk.fine(2)
    rule = desk.active()

    def slow(*args: Any, **kwargs: Any) -> Any:
        raise ConditionTooSlow(seconds="20")

    monkeypatch.setattr(scan, "_read", slow)
    assert desk.scan(rule).outcome == "TOO_SLOW"
    assert RiskScan.objects.filter(rule=rule, outcome="RUNNING").count() == 0


# --- Batches, kills, switches -------------------------------------------------------------------------


@pytest.fixture
def small(settings: Any) -> None:
    settings.BATCH_SIZE = 2


def test_many_batches_do_what_one_does(desk: Desk, small: None) -> None:
    desk.late(5), desk.fine(6)
    done = desk.scan(desk.active())
    assert (done.alerted, RiskAlert.objects.count()) == (5, 5)


def test_a_scan_killed_in_mid_batch_goes_on_without_a_duplicate(
    desk: Desk, small: None, monkeypatch: Any
) -> None:
    late, _ = desk.late(5), desk.fine(6)
    rule, batches = desk.active(), []

    def die(name: str) -> None:
        assert name == "risk.mid_batch"
        batches.append(name)
        if len(batches) == 2:
            raise SystemExit

    monkeypatch.setattr(scan, "reach", die)
    with pytest.raises(SystemExit):
        desk.scan(rule)
    left = RiskScan.objects.get(rule=rule, outcome="RUNNING")
    assert (left.alerted, RiskAlert.objects.count(), left.reached) == (2, 2, late[1].pk)
    monkeypatch.setattr(scan, "reach", lambda name: None)
    desk.clock.skip(timedelta(minutes=1))
    assert scan.run(clock=desk.clock) >= 2
    done = fresh(left)
    assert (done.outcome, done.alerted, done.folded) == ("DONE", 5, 0)
    assert Counter(RiskAlert.objects.values_list("account_id", flat=True)) == Counter(a.pk for a in late)


@pytest.mark.parametrize("which", ["one", "all", "retired"])
def test_a_switch_is_seen_within_a_batch(desk: Desk, small: None, monkeypatch: Any, which: str) -> None:
    desk.late(5), desk.fine(6)
    rule, raised = desk.active(), scan._raise

    def and_then(*args: Any, **kwargs: Any) -> Any:
        """The first batch is done when somebody presses the button."""
        monkeypatch.setattr(scan, "_raise", raised)
        made = raised(*args, **kwargs)
        if which == "one":
            switches.stop(rule_id=rule.pk, ground="停", **desk.does("operator"))
        elif which == "all":
            switches.stop_all(ground="停", **desk.does("operator"))
        else:
            move(rule, "supersede", actor=ACTOR, reason="x", now=desk.now)
        return made

    monkeypatch.setattr(scan, "_raise", and_then)
    done = desk.scan(rule)
    assert (done.outcome, done.alerted, RiskAlert.objects.count()) == ("KILLED", 2, 2)


def test_the_sweep_scans_each_rule_once_an_hour_and_only_those_at_work(desk: Desk) -> None:
    desk.late(2), desk.fine(3)
    rule = desk.active()
    desk.draft(code="DRAFTED")
    RiskScan.objects.filter(rule=rule).update(started_at=desk.now - timedelta(hours=2))
    scan.run(clock=desk.clock)
    assert RiskScan.objects.filter(started_at=desk.now).count() == 1
    desk.clock.skip(timedelta(minutes=30))
    scan.run(clock=desk.clock)
    assert RiskScan.objects.filter(started_at=desk.now).count() == 0
    desk.clock.skip(timedelta(minutes=30))
    scan.run(clock=desk.clock)
    assert RiskScan.objects.filter(started_at=desk.now, folded=2).count() == 1


def test_a_scan_asks_the_database_as_often_for_many_accounts_as_for_few(desk: Desk) -> None:
    asked = []
    for code, number in (("FEW", 2), ("MANY", 12)):
        desk.late(number), desk.fine(number + 3)
        rule = desk.active(code=code, action="FREEZE")
        with CaptureQueriesContext(connection) as queries:
            desk.scan(rule)
        asked.append(len(queries))
    assert asked[1] <= asked[0], asked


def test_synthetic_and_restricted_customers_are_never_scanned(desk: Desk) -> None:
    late, _ = desk.late(2), desk.fine(3)
    customer = late[0].customer
    customer.synthetic = True
    from accounts.actors import SHIPPED  # noqa: PLC0415
    from accounts.tracking import save_as  # noqa: PLC0415

    save_as(customer, actor=SHIPPED, reason="test")
    assert desk.scan(desk.active()).matched == 1


# --- At the same moment -------------------------------------------------------------------------------


@race
def test_two_workers_on_one_scan_do_each_account_once(clock: Clock, settings: Any) -> None:
    settings.BATCH_SIZE = 2
    desk = Desk(clock)
    late, _ = desk.late(8), desk.fine(9)
    rule = desk.active(action="FREEZE")
    ends = at_once(*(lambda: scan.scan(rule_id=rule.pk, clock=clock) for _ in range(2)))
    assert all(isinstance(end, RiskScan) for end in ends), ends
    assert Counter(RiskAlert.objects.values_list("account_id", flat=True)) == Counter(a.pk for a in late)
    assert LineRestriction.objects.count() == LedgerCommand.objects.count() == 8
    scans = RiskScan.objects.filter(rule=rule, shadow=False)
    assert sum(scans.values_list("alerted", flat=True)) == 8
    assert not scans.filter(outcome="RUNNING").exists()


@race
def test_a_stop_that_races_a_scan_ends_it_or_comes_after_it(clock: Clock, settings: Any) -> None:
    settings.BATCH_SIZE = 1
    desk = Desk(clock)
    desk.late(6), desk.fine(7)
    rule, does = desk.active(), desk.does("operator")
    at_once(
        lambda: scan.scan(rule_id=rule.pk, clock=clock),
        lambda: switches.stop(rule_id=rule.pk, ground="停", **does),
    )
    done = RiskScan.objects.filter(rule=rule, shadow=False).first()
    assert fresh(rule).stopped_at is not None
    assert done is None or done.outcome in ("KILLED", "DONE")
    assert RiskAlert.objects.count() == (done.alerted if done else 0)
