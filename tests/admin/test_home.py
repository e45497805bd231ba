"""The home page: each role finds its own work there, at a price that does not grow with the work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from closures.admin import home
from closures.models import InvariantCheck, PartnerCallback, Sweep
from closures.selectors import worklists
from tests import factories
from tests.admin import scenes

pytestmark = pytest.mark.django_db


def lists_of(client: Any) -> dict[str, Any]:
    context = client.get("/admin/").context
    return {card["code"]: card for card in [*context["waiting"], *context["quiet"]]}


def test_no_two_lists_share_a_code() -> None:
    codes = [kind.code for kind in worklists.KINDS]
    assert len(codes) == len(set(codes)) and set(codes) == set(home.CARDS)


@pytest.mark.parametrize("role", list(Role))
def test_every_list_of_every_role_leads_to_a_page_he_may_open(
    at_desk: Any, world: dict[str, Any], role: Role
) -> None:
    client = at_desk(role)
    cards = lists_of(client)
    assert lists_of(at_desk(user=client.user, language="zh-hans")).keys() == cards.keys()
    for card in cards.values():
        assert client.get(card["url"]).status_code == 200, card["url"]
        for row in card["rows"]:
            assert client.get(row.url).status_code == 200, row.url


WORK = {
    Role.AGENT: {"BLOCKED", "UNPROVED", "MY_REQUESTS", "COMPLAINTS_TO_REGISTER", "MY_COMPLAINTS"},
    Role.REVIEWER: {
        "OWN_REVIEW", "CANCELLATIONS", "LETTERS", "COMPLAINTS_DUE", "EXTENSIONS", "REVIEWS", "DELETIONS",
        "DESTRUCTION_DRAFTS", "BUREAU_FILES",
    },
    Role.LEAD: {
        "ADVERSE_REVIEW", "NOTICE_WAIVERS", "UNDELIVERED", "TASK_WAIVERS", "PROPOSALS", "DESTRUCTIONS",
    },
    Role.RISK: {
        "MY_REQUESTS", "RISK_ALERTS", "RISK_PROPOSALS", "RISK_APPEALS", "RULES_TO_ACTIVATE", "STOPPED_RULES",
    },
    Role.OPERATOR: {
        "STOPPED_RULES", "DEAD_TASKS", "MANUAL_TASKS", "EVIDENCE", "UNKNOWN_TASKS", "DEAD_COMMANDS", "ALARMS",
    },
    Role.AUDITOR: {"REFUSALS"},
    Role.ADMINISTRATOR: {"INVITED"},
    Role.SECURITY: {"WITHOUT_ROLE", "REFUSALS"},
}  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
def test_each_role_has_the_lists_of_its_work(at_desk: Any, role: Role) -> None:
    assert set(lists_of(at_desk(role))) >= WORK[role]


def test_nothing_to_do_is_said_kindly(at_desk: Any) -> None:
    page = at_desk(Role.RISK).get("/admin/").content.decode()
    assert "Nothing waits for you" in page


def test_somebody_without_a_role_is_told_so(at_desk: Any) -> None:
    assert "You have no role yet" in at_desk().get("/admin/").content.decode()


def test_nobody_finds_his_own_request_among_what_he_may_decide(at_desk: Any) -> None:
    lead, agent = factories.a_user(Role.LEAD), factories.a_user(Role.AGENT)
    own = scenes.examined(scenes.a_request(scenes.an_account(), by=lead, reason="POLICY"))
    asked = scenes.examined(scenes.a_request(scenes.an_account(), by=agent))
    client = at_desk(user=lead)
    lists = lists_of(client)
    assert lists["ADVERSE_REVIEW"]["count"] == 0
    assert [row.what for row in lists["OWN_REVIEW"]["rows"]] == [asked.number]
    assert [row.what for row in lists["MY_REQUESTS"]["rows"]] == [own.number]
    assert [row.what for row in lists_of(at_desk(Role.LEAD))["ADVERSE_REVIEW"]["rows"]] == [own.number]


def test_the_oldest_decision_and_the_soonest_answer_come_first(at_desk: Any) -> None:
    agent, now = factories.a_user(Role.AGENT), timezone.now()
    tickets = []
    for days in (1, 9, 5):
        when = now - timedelta(days=days)
        tickets.append(
            scenes.examined(
                scenes.a_request(scenes.an_account(ledger_as_of=when), by=agent, now=when), now=when
            )
        )
    rows = lists_of(at_desk(Role.REVIEWER))["OWN_REVIEW"]["rows"]
    assert [row.what for row in rows] == [tickets[n].number for n in (1, 2, 0)]


def test_a_count_stops_at_its_cap(at_desk: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(worklists, "CAP", 7)
    for _n in range(9):
        factories.a_user(state=User.State.INVITED)
    card = lists_of(at_desk(Role.ADMINISTRATOR))["INVITED"]
    assert (card["count_text"], len(card["rows"])) == ("7+", worklists.SHOWN)


def test_a_standing_machine_and_broken_invariants_are_said_loudly(at_desk: Any) -> None:
    client, now = at_desk(Role.OPERATOR), timezone.now()
    assert client.get("/admin/").context["pulse"]["stopped"]
    Sweep.objects.update_or_create(job="closures.tick", defaults={"started_at": now})
    Sweep.objects.update_or_create(job="closures.assess", defaults={"failures": 3, "failure": "Boom: x"})
    InvariantCheck.objects.create(number=4, checked_at=now - timedelta(days=1), violations=9)
    InvariantCheck.objects.create(number=4, checked_at=now, violations=0)
    InvariantCheck.objects.create(number=7, checked_at=now, violations=2)
    page = client.get("/admin/")
    pulse = page.context["pulse"]
    assert (pulse["stopped"], pulse["broken"]) == (False, 1)
    assert "Boom: x" in page.content.decode()


def test_an_alarm_of_a_partner_is_on_the_operators_home(at_desk: Any) -> None:
    PartnerCallback.objects.create(
        partner="ALIPAY", event_id="e9", kind="resigned", body_sealed="", received_at=timezone.now(),
        outcome="ALARM", detail="signed again",
    )  # fmt: skip
    assert lists_of(at_desk(Role.OPERATOR))["ALARMS"]["count"] == 1


@pytest.mark.parametrize("role", list(Role))
def test_the_price_of_home_does_not_grow_with_the_work(at_desk: Any, role: Role) -> None:
    agent, client = factories.a_user(Role.AGENT), at_desk(role)

    def more(n: int) -> None:
        for _n in range(n):
            scenes.examined(scenes.a_request(scenes.an_account(), by=agent))
            scenes.examined(scenes.a_request(scenes.an_account("JIEBEI", principal="5.00"), by=agent))

    def price() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get("/admin/").status_code == 200
        return len(queries)

    more(worklists.SHOWN + 1)  # so that every list that fills counts already
    before = price()
    more(5)
    assert price() == before
    assert before <= 40
