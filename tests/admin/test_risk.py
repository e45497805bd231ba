"""The risk desk at the console: editor, back-test, switches, worklist, and what a frozen line says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.roles import Role
from closures.models import BackTest, ClosureTicket, RiskAlert, RiskAppeal, RiskRule, RiskSwitch
from closures.services.risk import appeals, switches
from tests.admin.scenes import dialog_url
from tests.risk_cases import Desk, fresh
from tests.stage import Clock, demanded

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk(Clock(timezone.now()))


def shown(client: Client, row: Any) -> str:
    opts = row._meta
    answer = client.get(reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


WRITTEN = {
    "code": "LATE_75", "title": "逾期", "title_en": "Late", "condition": "days_past_due >= 75",
    "action": "FREEZE", "severity": "HIGH", "cap_per_run": "10", "cap_per_day": "20", "dedupe_window": "30d",
    "freeze_length": "15d", "sentence": "您的账户已逾期。", "sentence_en": "Your account is past due.",
}  # fmt: skip


def test_a_rule_from_the_editor_to_activation_by_the_lead(at_desk: Any, desk: Desk) -> None:
    desk.late(2), desk.fine(3)
    officer, lead = at_desk(Role.RISK), at_desk(Role.LEAD)
    answer = officer.post(reverse("admin:risk_rule_new"), WRITTEN)
    rule = RiskRule.objects.get(code="LATE_75")
    assert answer.status_code == 302 and str(rule.pk) in answer["Location"]
    assert rule.freeze_length == timedelta(days=15) and rule.edited_by == officer.user
    assert officer.post(dialog_url(rule, "back_test"), {"labels": ""}).status_code == 302
    page = shown(officer, rule)
    assert BackTest.objects.get(rule=rule).result["matches"] == 2
    assert "Back-test" in page and "Overlap with other rules" in page
    assert "width:40%" in page, "two of five accounts, as a bar"
    officer.post(dialog_url(rule, "to_shadow"), {"ground": "watch it"})
    desk.scan(rule)
    assert dialog_url(rule, "activate") not in shown(officer, fresh(rule)), "its author is not offered it"
    assert dialog_url(rule, "activate") in shown(lead, fresh(rule))
    lead.post(dialog_url(rule, "activate"), {"ground": "the test is good"})
    assert fresh(rule).state == "ACTIVE" and fresh(rule).activated_by == lead.user
    new = {name: value for name, value in WRITTEN.items() if name != "code"}
    officer.post(dialog_url(rule, "new_version"), {**new, "condition": "days_past_due >= 80"})
    assert sorted(RiskRule.objects.filter(code="LATE_75").values_list("version", "state")) == [
        (1, "ACTIVE"),
        (2, "DRAFT"),
    ]


def test_the_editor_explains_every_field_and_refuses_in_words(at_desk: Any, desk: Desk) -> None:
    officer = at_desk(Role.RISK)
    page = officer.get(reverse("admin:risk_rule_new")).content.decode()
    for name in ("days_past_due", "exposure", "open_alert"):
        assert f"<code>{name}</code>" in page
    answer = officer.post(reverse("admin:risk_rule_new"), {**WRITTEN, "condition": "id_number = 1"})
    assert "there is no field called id_number" in answer.content.decode()
    assert not RiskRule.objects.filter(code="LATE_75").exists()


def test_trying_a_condition_shows_numbers_and_never_people(at_desk: Any, desk: Desk) -> None:
    late, _ = desk.late(12), desk.fine(3)
    officer, url = at_desk(Role.RISK), reverse("admin:risk_try")
    page = officer.post(url, {"condition": "days_past_due >= 60"}).content.decode()
    assert "True of 12 of 15 accounts now." in page
    assert late[0].account_no in page and late[9].account_no in page and late[10].account_no not in page
    assert late[0].customer.customer_no not in page
    assert "no field called name" in officer.post(url, {"condition": "name = 1"}).content.decode()
    assert officer.post(url, {"condition": ""}).content.decode().strip() == ""
    assert officer.get(url, {"condition": "days_past_due >= 60"}).status_code == 405
    for role in (Role.AGENT, Role.OPERATOR, Role.AUDITOR):
        assert at_desk(role).post(url, {"condition": "days_past_due >= 60"}).status_code == 403


def test_the_switch_of_all_rules_is_on_the_rules_page(at_desk: Any, desk: Desk) -> None:
    switch, operator = RiskSwitch.objects.get(), at_desk(Role.OPERATOR)
    rules_page = reverse("admin:closures_riskrule_changelist")
    assert dialog_url(switch, "stop") in operator.get(rules_page).content.decode()
    operator.post(dialog_url(switch, "stop"), {"ground": "too many alerts"})
    assert fresh(switch).stopped
    page = at_desk(Role.RISK).get(rules_page).content.decode()
    assert "All risk rules are stopped since" in page and "too many alerts" in page
    assert dialog_url(switch, "release") not in operator.get(rules_page).content.decode()
    at_desk(Role.LEAD).post(dialog_url(switch, "release"), {"ground": "looked at"})
    assert not fresh(switch).stopped


def test_an_alert_is_worked_from_its_page_to_a_ticket(at_desk: Any, desk: Desk) -> None:
    alert = desk.alert()
    first, second = at_desk(Role.RISK), at_desk(Role.RISK)
    page = shown(first, alert)
    assert alert.sentence_en in page and "<code>days_past_due</code>" in page and ">75<" in page
    first.post(dialog_url(alert, "triage"), {"ground": "seen"})
    first.post(dialog_url(alert, "freeze"), {"length": "7d", "ground": "until it is clear"})
    assert fresh(alert).frozen_until is not None
    first.post(dialog_url(alert, "propose"), {"ground": "three times late"})
    assert dialog_url(alert, "decide") not in shown(first, fresh(alert))
    refused = second.post(dialog_url(alert, "decide"), {"ground": "agreed"}).content.decode()
    assert "is past due. Enter the day" in refused
    days = {name: day.isoformat() for name, day in demanded(desk.now).items()}
    second.post(dialog_url(alert, "decide"), {"ground": "agreed", **days})
    ticket = ClosureTicket.objects.get()
    assert fresh(alert).ticket == ticket and ticket.requested_by == second.user
    lead = at_desk(Role.LEAD)
    page = lead.get(reverse("admin:closures_closureticket_change", args=[ticket.pk])).content.decode()
    assert "Payment demanded" in page and days["demanded_on"] in page


def test_a_frozen_line_says_why_in_the_customers_words(at_desk: Any, desk: Desk) -> None:
    alert = desk.alert(action="FREEZE")
    for role in (Role.AGENT, Role.RISK):
        page = shown(at_desk(role), alert.account)
        assert alert.sentence_en in page and alert.number in page
        assert alert.sentence_en in shown(at_desk(role), alert.account.customer)
    assert alert.sentence in shown(at_desk(Role.AGENT, language="zh-hans"), alert.account)


def test_an_agent_enters_an_appeal_and_somebody_else_decides(at_desk: Any, desk: Desk) -> None:
    alert = desk.alert("TRIAGED", action="FREEZE")
    agent = at_desk(Role.AGENT)
    agent.post(dialog_url(alert, "appeal"), {"ground": "paid last week"})
    appeal = RiskAppeal.objects.get()
    triager, lead = at_desk(user=desk.staff("risk").user), at_desk(Role.LEAD)
    assert dialog_url(appeal, "grant") not in shown(triager, alert)
    assert dialog_url(appeal, "grant") in shown(lead, alert)
    lead.post(dialog_url(appeal, "grant"), {"ground": "the statement shows it"})
    assert fresh(appeal).state == "GRANTED" and fresh(alert).state == "DISMISSED"
    assert "the statement shows it" in shown(agent, alert)


def test_the_home_page_shows_what_waits_and_what_stands_still(at_desk: Any, desk: Desk) -> None:
    alert = desk.alert(action="PROPOSE_CLOSING")
    appeals.enter(alert_id=alert.pk, ground="x", **desk.does("agent"))
    switches.stop(rule_id=alert.rule_id, ground="x", **desk.does("operator"))
    desk.in_shadow(code="OTHER")
    client = at_desk(Role.RISK)
    cards = {card["code"]: card["count"] for card in client.get("/admin/").context["waiting"]}
    wanted = ("RISK_PROPOSALS", "RISK_APPEALS", "STOPPED_RULES", "RULES_TO_ACTIVATE")
    assert {code: cards.get(code) for code in wanted} == dict.fromkeys(wanted, 1)
    assert "RULES_TO_ACTIVATE" not in {
        card["code"] for card in at_desk(user=desk.staff("risk").user).get("/admin/").context["waiting"]
    }


def test_pages_cost_the_same_however_many_rows(
    at_desk: Any, desk: Desk, django_assert_max_num_queries: Any
) -> None:
    desk.late(8), desk.fine(10)
    rule = desk.active(action="FREEZE")
    desk.scan(rule)
    client = at_desk(Role.RISK)
    for name in ("riskalert", "riskrule", "riskscan", "backtest", "riskappeal", "riskswitch"):
        with django_assert_max_num_queries(16):
            assert client.get(reverse(f"admin:closures_{name}_changelist")).status_code == 200
    for row in (rule, RiskAlert.objects.first(), rule.scans.first(), rule.backtest):
        with django_assert_max_num_queries(24):
            shown(client, row)
