"""A rule is written, seen, tested and activated by a second person; a version never changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.decisions import PersonalDataWritten
from accounts.models import CreditAccount
from accounts.services import staff
from accounts.tracking import NotPermitted, NotPossible
from closures.errors import GroundMissing
from closures.models import BackTest, LabelledOutcome, RiskRule, RiskScan, RiskSwitch
from closures.selectors import risk_figures, rule_language
from closures.selectors.rule_language import ConditionRefused, ConditionTooSlow
from closures.services.risk import backtest, rules, scan, shipped, switches
from tests.races import at_once, race
from tests.risk_cases import LATE, Desk, fresh, substance
from tests.stage import Clock, refused, written

pytestmark = pytest.mark.django_db


def test_a_rule_is_born_in_draft_with_its_author_and_is_recorded(desk: Desk) -> None:
    rule = desk.draft()
    assert (rule.code, rule.version, rule.state) == ("LATE", 1, "DRAFT")
    assert rule.edited_by == rule.owner == desk.staff("risk").user
    assert written(rule) == (str(desk.staff("risk")), "version written")
    with refused(rules.CodeTaken, rule):
        desk.draft()


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"condition": "days_past_due >="}, ConditionRefused),
        ({"condition": 'customer.identities.name = "王"'}, ConditionRefused),
        ({"condition": "id_number = 1"}, ConditionRefused),
        ({"condition": "a" * 2_001}, ConditionRefused),
        ({"condition": " "}, rules.RuleIncomplete),
        ({"cap_per_run": 0}, rules.RuleIncomplete),
        ({"cap_per_day": 0}, rules.RuleIncomplete),
        ({"dedupe_window": timedelta(days=-1)}, rules.RuleIncomplete),
        ({"dedupe_window": timedelta(days=400)}, rules.RuleIncomplete),
        ({"action": "FREEZE", "freeze_length": None}, rules.RuleIncomplete),
        ({"action": "FREEZE", "freeze_length": timedelta(0)}, rules.RuleIncomplete),
        ({"sentence": ""}, rules.RuleIncomplete),
        ({"sentence_en": "  "}, rules.RuleIncomplete),
        ({"sentence": "请致电 13912345678"}, PersonalDataWritten),
    ],
)
def test_a_rule_that_cannot_be_is_refused_and_nothing_is_kept(
    desk: Desk, wrong: dict[str, Any], refusal: type[Any]
) -> None:
    before = RiskRule.objects.count()
    with refused(refusal):
        desk.draft(**wrong)
    assert RiskRule.objects.count() == before


@pytest.mark.parametrize("name", ["agent", "reviewer", "lead", "operator", "auditor", "admin"])
def test_only_a_risk_officer_writes(desk: Desk, name: str) -> None:
    with refused(NotPermitted):
        desk.draft(by=name)
    rule = desk.draft()
    for act in (rules.to_shadow, rules.retire):
        with refused(NotPermitted, rule):
            act(rule_id=rule.pk, ground="x", **desk.does(name))


def test_an_edit_after_activation_is_a_new_version_and_the_old_one_stays_in_force(desk: Desk) -> None:
    desk.late(), desk.fine(3)
    rule = desk.active()
    before = fresh(rule)
    new = rules.new_version(
        rule_id=rule.pk, substance=substance(condition="days_past_due >= 70"), **desk.does()
    )
    assert (new.code, new.version, new.state, new.edited_by) == ("LATE", 2, "DRAFT", desk.staff("risk").user)
    assert new.backtest is None and new.activated_by is None, "nothing is inherited"
    assert {f: getattr(fresh(rule), f) for f in RiskRule.SUBSTANCE} == {
        f: getattr(before, f) for f in RiskRule.SUBSTANCE
    }
    assert fresh(rule).state == "ACTIVE"
    with refused(rules.NothingChanged):
        rules.new_version(rule_id=new.pk, substance=rules.substance_of(new), **desk.does())
    desk.active(new)
    assert (fresh(rule).state, fresh(new).state) == ("RETIRED", "ACTIVE")
    assert written(rule)[1] == "a newer version takes its place"


def test_a_newer_version_in_shadow_takes_the_place_of_the_older(desk: Desk) -> None:
    desk.late(), desk.fine(3)
    first = desk.in_shadow()
    second = rules.new_version(
        rule_id=first.pk, substance=substance(condition="days_past_due >= 70"), **desk.does()
    )
    desk.in_shadow(second)
    assert (fresh(first).state, fresh(second).state) == ("RETIRED", "SHADOW")


def test_activation_needs_a_second_person(desk: Desk) -> None:
    desk.late(), desk.fine(3)
    rule = desk.in_shadow()
    with refused(rules.SameAuthor, rule):
        rules.activate(rule_id=rule.pk, ground="x", **desk.does("risk"))
    with refused(GroundMissing, rule):
        rules.activate(rule_id=rule.pk, ground=" ", **desk.does("lead"))
    for name in ("agent", "reviewer", "operator", "auditor", "admin"):
        with refused(NotPermitted, rule):
            rules.activate(rule_id=rule.pk, ground="x", **desk.does(name))
    rules.activate(rule_id=rule.pk, ground="回测可信", **desk.does("risk2"))
    rule = fresh(rule)
    assert (rule.state, rule.activated_by, rule.activated_at) == (
        "ACTIVE",
        desk.staff("risk2").user,
        desk.now,
    )
    assert rule.backtest == BackTest.objects.get(rule=rule)
    assert written(rule) == (str(desk.staff("risk2")), "回测可信")
    with refused(NotPossible, rule):
        rules.activate(rule_id=rule.pk, ground="x", **desk.does("lead"))


def test_a_shipped_rule_gets_its_author_in_shadow_and_he_cannot_activate_it(desk: Desk) -> None:
    desk.late(), desk.fine(3)
    rule = RiskRule.objects.get(code="OVERDUE_60")
    assert (rule.state, rule.edited_by) == ("DRAFT", None)
    rule = desk.in_shadow(rule)
    assert rule.edited_by == desk.staff("risk").user
    with refused(rules.SameAuthor, rule):
        rules.activate(rule_id=rule.pk, ground="x", **desk.does())


def test_what_was_not_tested_or_not_seen_is_not_activated(desk: Desk) -> None:
    desk.late(), desk.fine(3)
    rule = desk.draft()
    rules.to_shadow(rule_id=rule.pk, ground="x", **desk.does())
    with refused(rules.NotBackTested, fresh(rule)):
        rules.activate(rule_id=rule.pk, ground="x", **desk.does("lead"))
    backtest.run(rule_id=rule.pk, **desk.does())
    with refused(rules.NotSeenInShadow, fresh(rule)):
        rules.activate(rule_id=rule.pk, ground="x", **desk.does("lead"))
    desk.scan(rule)
    switches.stop(rule_id=rule.pk, ground="先停", **desk.does("operator"))
    with refused(rules.StillStopped, fresh(rule)):
        rules.activate(rule_id=rule.pk, ground="x", **desk.does("lead"))
    switches.release(rule_id=rule.pk, ground="继续", **desk.does())
    rules.activate(rule_id=rule.pk, ground="x", **desk.does("lead"))


def test_a_rule_that_matches_more_than_half_of_all_accounts_is_not_activated(desk: Desk) -> None:
    desk.fine(2), desk.late()
    rule = desk.in_shadow(condition="days_past_due >= 0")
    with refused(rules.MatchesTooMany, rule) as caught:
        rules.activate(rule_id=rule.pk, ground="x", **desk.does("lead"))
    assert caught.value.facts["matches"] == 3
    half = desk.in_shadow(code="HALF")
    desk.late()
    rules.activate(rule_id=half.pk, ground="x", **desk.does("lead"))


def test_a_rule_that_runs_too_long_is_not_activated(desk: Desk, monkeypatch: Any) -> None:
    desk.late(), desk.fine(3)
    rule = desk.in_shadow()

    def slow(*args: Any, **kwargs: Any) -> Any:
        raise ConditionTooSlow(seconds="20")

    monkeypatch.setattr(risk_figures, "count", slow)
    with refused(ConditionTooSlow, rule):
        rules.activate(rule_id=rule.pk, ground="x", **desk.does("lead"))


def test_a_retired_rule_stays_retired(desk: Desk) -> None:
    rule = desk.draft()
    rules.retire(rule_id=rule.pk, ground="不再使用", **desk.does())
    for act in (rules.retire, rules.to_shadow):
        with refused(NotPossible, fresh(rule)):
            act(rule_id=rule.pk, ground="x", **desk.does())
    assert scan.scan(rule_id=rule.pk, clock=desk.clock) is None


def test_rules_of_a_person_who_leaves_are_nobodys(desk: Desk) -> None:
    rule = desk.draft()
    staff.leave(user_id=desk.staff("risk").user.pk, reason="离职", actor=desk.staff("admin"), now=desk.now)
    assert fresh(rule).owner is None and fresh(rule).edited_by is not None


# --- Back-test ----------------------------------------------------------------------------------------


def labelled(account: CreditAccount, defaulted: bool, day: Any) -> None:
    LabelledOutcome.objects.create(account=account, labels="set", defaulted=defaulted, as_of_on=day)


def test_a_back_test_counts_what_the_rule_finds_and_how_right_it_is(desk: Desk) -> None:
    late, fine = desk.late(3), desk.fine(5)
    for account, defaulted in ((late[0], True), (late[1], False), (fine[0], True), (fine[1], False)):
        labelled(account, defaulted, desk.now.date())
    desk.draft(code="OTHER", condition="late_1 >= 2")
    rule = desk.draft()
    test = backtest.run(rule_id=rule.pk, labels="set", **desk.does())
    found = test.result
    assert (found["accounts"], found["labelled"], found["defaulted"]) == (8, 4, 2)
    assert (found["matches"], found["labelled_matches"], found["hits"]) == (3, 2, 1)
    assert (found["precision"], found["recall"], found["lift"]) == (0.5, 0.5, 1.0)
    (product,) = found["products"]
    assert (product["code"], product["accounts"], product["matches"], product["hits"]) == ("HUABEI", 8, 3, 1)
    overlaps = {row["rule"]: row["both"] for row in found["overlap"]}
    assert overlaps["OTHER v1"] == 3 and overlaps["DORMANT v1"] == 0
    assert (test.made_by, test.made_at) == (desk.staff("risk").user, desk.now)


def test_a_back_test_without_outcomes_has_matches_and_no_shares(desk: Desk) -> None:
    desk.late(), desk.fine()
    rule = desk.draft()
    found = backtest.run(rule_id=rule.pk, **desk.does("lead")).result
    assert (found["matches"], found["precision"], found["recall"], found["lift"]) == (1, None, None, None)
    with refused(backtest.NoSuchLabels):
        backtest.run(rule_id=rule.pk, labels="none", **desk.does())
    with refused(NotPermitted):
        backtest.run(rule_id=rule.pk, **desk.does("auditor"))
    assert BackTest.objects.count() == 1


# --- Switches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["risk", "lead", "operator"])
def test_who_sees_a_rule_go_wrong_stops_it(desk: Desk, name: str) -> None:
    desk.late(), desk.fine(2)
    rule = desk.active()
    switches.stop(rule_id=rule.pk, ground="误伤太多", **desk.does(name))
    rule = fresh(rule)
    assert (rule.stop_code, rule.stopped_by, rule.stopped_at) == (
        "BY_HAND",
        desk.staff(name).user,
        desk.now,
    )
    assert rule.state == "ACTIVE" and scan.scan(rule_id=rule.pk, clock=desk.clock) is None
    with refused(switches.AlreadyStopped, rule):
        switches.stop(rule_id=rule.pk, ground="x", **desk.does(name))
    with refused(NotPermitted, rule):
        switches.release(rule_id=rule.pk, ground="x", **desk.does("operator"))
    switches.release(rule_id=rule.pk, ground="已修", **desk.does("lead"))
    assert fresh(rule).stopped_at is None
    with refused(switches.NotStopped, fresh(rule)):
        switches.release(rule_id=rule.pk, ground="x", **desk.does("lead"))
    assert desk.scan(rule).outcome == "DONE"


def test_the_switch_of_all_rules_stops_all_and_names_its_person(desk: Desk) -> None:
    desk.late(), desk.fine(2)
    rule, switch = desk.active(), RiskSwitch.objects.get()
    for name in ("agent", "reviewer", "auditor", "admin"):
        with refused(NotPermitted, switch):
            switches.stop_all(ground="x", **desk.does(name))
    switches.stop_all(ground="名单异常", **desk.does("operator"))
    assert written(switch) == (str(desk.staff("operator")), "名单异常")
    assert scan.scan(rule_id=rule.pk, clock=desk.clock) is None
    assert scan.run(clock=desk.clock) == 0
    with refused(switches.AlreadyStopped, fresh(switch)):
        switches.stop_all(ground="x", **desk.does("lead"))
    with refused(NotPermitted, fresh(switch)):
        switches.release_all(ground="x", **desk.does("operator"))
    switches.release_all(ground="已核对", **desk.does("risk"))
    with refused(switches.NotStopped, fresh(switch)):
        switches.release_all(ground="x", **desk.does("risk"))
    assert desk.scan(rule).alerted == 1


def test_a_rule_in_draft_has_nothing_to_stop(desk: Desk) -> None:
    rule = desk.draft()
    with refused(switches.NothingToStop, rule):
        switches.stop(rule_id=rule.pk, ground="x", **desk.does())


# --- Shipped ------------------------------------------------------------------------------------------


def test_the_product_ships_rules_in_draft_that_can_be_read(desk: Desk) -> None:
    rows = RiskRule.objects.filter(edited_by=None)
    assert {row.code for row in rows} == {row["code"] for row in shipped.ROWS}
    for row in rows:
        assert (row.state, row.version, row.owner) == ("DRAFT", 1, None)
        rule_language.read(row.condition)
        rules.substance_of(row).checked()
        assert written(row)[0] == "shipped:product"


def test_shipping_again_changes_nothing(desk: Desk, django_assert_num_queries: Any) -> None:
    rule = RiskRule.objects.get(code="OVERDUE_90")
    rules.retire(rule_id=rule.pk, ground="自己的更好", **desk.does())
    before = RiskRule.objects.count(), RiskRule.history.count()
    with django_assert_num_queries(2):
        shipped.after_migrate(using=connection.alias, now=desk.now)
    assert (RiskRule.objects.count(), RiskRule.history.count()) == before


# --- At the same moment -------------------------------------------------------------------------------


@race
def test_two_people_activate_at_once_and_one_version_is_in_force(clock: Clock) -> None:
    desk = Desk(clock)
    desk.late(), desk.fine(3)
    first = desk.active()
    second = rules.new_version(
        rule_id=first.pk, substance=substance(condition="days_past_due >= 70"), **desk.does()
    )
    desk.in_shadow(second)
    acts = [desk.does("lead"), desk.does("risk2")]
    ends = at_once(*(lambda a=act: rules.activate(rule_id=second.pk, ground="x", **a) for act in acts))
    assert sum(isinstance(end, RiskRule) for end in ends) == 1, ends
    assert [type(end) for end in ends if not isinstance(end, RiskRule)] == [NotPossible]
    assert list(RiskRule.objects.filter(state="ACTIVE")) == [second]


@race
def test_two_edits_at_once_are_two_versions(clock: Clock) -> None:
    desk = Desk(clock)
    rule = desk.draft()
    does = desk.does()
    ends = at_once(
        *(
            lambda c=days: rules.new_version(
                rule_id=rule.pk, substance=substance(condition=f"days_past_due >= {c}"), **does
            )
            for days in (70, 80)
        )
    )
    assert sorted(end.version for end in ends) == [2, 3]


def test_whole_scans_give_the_usual_number(desk: Desk) -> None:
    rule = desk.draft()
    assert risk_figures.usual(rule) is None
    for matched, outcome in ((10, "DONE"), (12, "CAPPED"), (500, "DRIFT"), (40, "DONE")):
        ended = {"started_at": desk.now, "finished_at": desk.now}
        RiskScan.objects.create(rule=rule, matched=matched, outcome=outcome, **ended)
    assert risk_figures.usual(rule) == 12
    assert LATE in rule.condition
