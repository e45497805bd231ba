"""What people do with an alert; that only a named person closes; and the customer's appeal."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from accounts.models import LineRestriction
from accounts.tracking import NotPermitted, NotPossible
from closures.errors import GroundMissing
from closures.models import ClosureTicket, LedgerCommand, RiskAlert, RiskAppeal
from closures.services import intake, review
from closures.services.demands import AppealWaits, SameProposer
from closures.services.risk import alerts, appeals
from tests.races import at_once, race
from tests.risk_cases import Desk, fresh
from tests.stage import Clock, demanded, refused, written

pytestmark = pytest.mark.django_db
ACTS: dict[str, dict[str, Any]] = {
    "triage": {},
    "propose": {},
    "freeze": {"length": timedelta(days=7)},
    "dismiss": {"dismiss_code": "PAID"},
}


def act(desk: Desk, name: str, alert: RiskAlert, *, by: str = "risk", **given: Any) -> RiskAlert:
    given = {"ground": "已核实", **ACTS.get(name, {}), **given}
    return getattr(alerts, name)(alert_id=alert.pk, **given, **desk.does(by))


def decide(desk: Desk, alert: RiskAlert, *, by: str = "risk2", **given: Any) -> RiskAlert:
    return act(desk, "decide", alert, by=by, **{**demanded(desk.now), **given})


def test_from_new_to_a_ticket_in_the_name_of_a_second_person(desk: Desk) -> None:
    alert = desk.alert("PROPOSED")
    assert (alert.triaged_by, alert.proposed_by) == (desk.staff("risk").user,) * 2
    with refused(SameProposer, alert):
        decide(desk, alert, by="risk")
    decide(desk, alert, ground="连续逾期，催告无果")
    alert = fresh(alert)
    ticket = alert.ticket
    assert (alert.state, alert.decided_by, alert.ended_at) == (
        "TICKETED",
        desk.staff("risk2").user,
        desk.now,
    )
    assert (ticket.reason, ticket.channel, ticket.state) == ("RISK_CONTROL", "RISK", "SUBMITTED")
    assert (ticket.requested_by, ticket.ground) == (desk.staff("risk2").user, "连续逾期，催告无果")
    assert {"demanded_on": ticket.demanded_on, "demand_until": ticket.demand_until} == demanded(desk.now)
    assert written(alert) == (str(desk.staff("risk2")), "连续逾期，催告无果")
    with refused(alerts.AlertEnded, alert):
        decide(desk, alert)


def test_no_machine_and_nobody_without_the_right_acts(desk: Desk) -> None:
    alert = desk.alert("PROPOSED")
    from accounts.actors import Actor  # noqa: PLC0415

    with refused(NotPermitted, alert):
        alerts.decide(alert_id=alert.pk, ground="x", actor=Actor.job("risk_scan"), now=desk.now)
    for name in ("agent", "reviewer", "lead", "operator", "auditor", "admin"):
        for what in (*ACTS, "decide", "thaw"):
            with refused(NotPermitted, alert):
                act(desk, what, alert, by=name)
    assert not ClosureTicket.objects.exists()


@pytest.mark.parametrize("name", [*ACTS, "decide", "thaw"])
def test_without_a_reason_nothing_happens(desk: Desk, name: str) -> None:
    alert = desk.alert("PROPOSED")
    with refused(GroundMissing, alert):
        act(desk, name, alert, ground="  ", by="risk2")


def test_a_proposal_by_the_rule_may_be_decided_by_any_risk_officer(desk: Desk) -> None:
    alert = desk.alert(action="PROPOSE_CLOSING")
    decide(desk, alert, by="risk")
    assert fresh(alert).state == "TICKETED" and fresh(alert).proposed_by is None


def test_nothing_is_decided_that_was_not_proposed(desk: Desk) -> None:
    alert = desk.alert("TRIAGED")
    with refused(alerts.NotProposed, alert):
        decide(desk, alert)
    with refused(NotPossible, alert):
        act(desk, "triage", alert)


@pytest.mark.parametrize("code", ["", "NONSENSE", "APPEAL_GRANTED"])
def test_a_dismissal_says_why(desk: Desk, code: str) -> None:
    alert = desk.alert()
    with refused(alerts.DismissalUnknown, alert):
        act(desk, "dismiss", alert, dismiss_code=code)
    act(desk, "dismiss", alert, ground="账务更正后已无逾期")
    alert = fresh(alert)
    assert (alert.state, alert.dismiss_code, alert.dismiss_text) == (
        "DISMISSED",
        "PAID",
        "账务更正后已无逾期",
    )


# --- Freezing -----------------------------------------------------------------------------------------


def test_a_freeze_by_hand_has_an_end_and_can_be_lifted(desk: Desk) -> None:
    alert = desk.alert()
    act(desk, "freeze", alert)
    act(desk, "freeze", alert, length=timedelta(days=3))
    limit = LineRestriction.objects.get()
    assert (limit.reference, limit.until) == (alert.number, desk.now + timedelta(days=3))
    assert fresh(alert).frozen_until == limit.until and fresh(alert.account).line_state == "FROZEN"
    assert LedgerCommand.objects.count() == 1
    act(desk, "thaw", alert)
    assert fresh(alert.account).line_state == "ACTIVE" and fresh(alert).frozen_until == desk.now
    verbs = alert.account.commands.order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["FREEZE", "UNFREEZE"]
    with refused(alerts.NotFrozenByThis, fresh(alert)):
        act(desk, "thaw", alert)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(days=-1), timedelta(days=91)])
def test_a_freeze_without_a_sensible_end_is_refused(desk: Desk, length: timedelta) -> None:
    alert = desk.alert()
    with refused(alerts.BadFreezeLength, alert, alert.account):
        act(desk, "freeze", alert, length=length)


def test_a_dismissal_frees_the_line_of_this_cause_only(desk: Desk) -> None:
    alert = desk.alert(action="FREEZE")
    from accounts.services import lines  # noqa: PLC0415

    lines.restrict(
        account_id=alert.account_id, cause="JUDICIAL", reference="J-1", reason="x", **desk.does()
    )  # fmt: skip
    act(desk, "dismiss", alert)
    assert fresh(alert.account).line_state == "FROZEN", "the court's order stays"
    assert [row.cause for row in LineRestriction.objects.filter(lifted_at=None)] == ["JUDICIAL"]


def test_an_alert_that_ended_cannot_be_frozen(desk: Desk) -> None:
    alert = desk.alert()
    act(desk, "dismiss", alert)
    with refused(alerts.AlertEnded, fresh(alert)):
        act(desk, "freeze", alert)


# --- The demand (民法典 563) ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demanded_on", "until", "refusal"),
    [
        (None, None, intake.DemandMissing),
        (-30, None, intake.DemandMissing),
        (None, -1, intake.DemandMissing),
        (1, 20, intake.DemandUnclear),
        (-5, -6, intake.DemandUnclear),
        (-5, 0, intake.DemandRunning),
        (-5, 10, intake.DemandRunning),
    ],
)
def test_no_overdue_account_is_closed_without_a_demand_whose_period_is_over(
    desk: Desk, demanded_on: int | None, until: int | None, refusal: type[Any]
) -> None:
    def day(offset: int | None) -> date | None:
        return None if offset is None else desk.now.date() + timedelta(days=offset)

    alert = desk.alert("PROPOSED")
    with refused(refusal, alert):
        decide(desk, alert, demanded_on=day(demanded_on), demand_until=day(until))
    assert not ClosureTicket.objects.exists()


def test_an_account_that_is_not_overdue_needs_no_demand(desk: Desk) -> None:
    (account,) = desk.fine()
    asked = {"account_id": account.pk, "reason": "RISK_CONTROL", "channel": "RISK", "ground": "冒名"}
    ticket = intake.request_closure(**asked, **desk.does()).ticket
    assert ticket.demanded_on is None


# --- Appeal -------------------------------------------------------------------------------------------


def appeal(desk: Desk, alert: RiskAlert, *, by: str = "agent") -> RiskAppeal:
    return appeals.enter(alert_id=alert.pk, ground="客户称已还清", **desk.does(by))


def test_a_granted_appeal_lifts_the_freeze_and_dismisses_the_alert(desk: Desk) -> None:
    alert = desk.alert(action="FREEZE")
    row = appeal(desk, alert)
    assert row.number.startswith("AP") and (row.state, row.entered_by) == (
        "OPEN",
        desk.staff("agent").user,
    )
    appeals.grant(appeal_id=row.pk, ground="流水显示已还清", **desk.does("lead"))
    row, alert = fresh(row), fresh(alert)
    assert (row.state, row.decided_by, row.answer) == ("GRANTED", desk.staff("lead").user, "流水显示已还清")
    assert (alert.state, alert.dismiss_code) == ("DISMISSED", "APPEAL_GRANTED")
    assert fresh(alert.account).line_state == "ACTIVE"
    assert written(row) == (str(desk.staff("lead")), "流水显示已还清")
    with refused(NotPossible, row):
        appeals.deny(appeal_id=row.pk, ground="x", **desk.does("lead"))


def test_a_denied_appeal_says_why_and_the_alert_stands(desk: Desk) -> None:
    alert = desk.alert(action="FREEZE")
    row = appeal(desk, alert)
    with refused(GroundMissing, row):
        appeals.deny(appeal_id=row.pk, ground=" ", **desk.does("lead"))
    appeals.deny(appeal_id=row.pk, ground="仍逾期七十五天", **desk.does("lead"))
    assert (fresh(row).state, fresh(alert).state) == ("DENIED", "NEW")
    assert fresh(alert.account).line_state == "FROZEN"
    appeal(desk, alert)


def test_who_had_a_part_does_not_decide_the_appeal(desk: Desk) -> None:
    alert = desk.alert("PROPOSED")
    row = appeal(desk, alert)
    with refused(appeals.TookPart, row):
        appeals.grant(appeal_id=row.pk, ground="x", **desk.does("risk"))
    for name in ("agent", "reviewer", "operator", "auditor"):
        with refused(NotPermitted, row):
            appeals.grant(appeal_id=row.pk, ground="x", **desk.does(name))
    appeals.grant(appeal_id=row.pk, ground="x", **desk.does("risk2"))


def test_while_an_appeal_waits_nobody_closes_or_dismisses(desk: Desk) -> None:
    alert = desk.alert("PROPOSED")
    row = appeal(desk, alert)
    with refused(alerts.AppealWaits, alert):
        decide(desk, alert)
    with refused(alerts.AppealWaits, alert):
        act(desk, "dismiss", alert)
    with refused(alerts.AppealWaits, alert):
        appeal(desk, alert)
    appeals.deny(appeal_id=row.pk, ground="不成立", **desk.does("lead"))
    decide(desk, alert)
    with refused(appeals.TicketOpen, fresh(alert)):
        appeal(desk, alert)


def test_only_an_agent_enters_an_appeal_and_only_while_there_is_something_to_appeal(desk: Desk) -> None:
    alert = desk.alert()
    for name in ("risk", "lead", "reviewer", "auditor"):
        with refused(NotPermitted, alert):
            appeal(desk, alert, by=name)
    act(desk, "dismiss", alert)
    with refused(alerts.AlertEnded, fresh(alert)):
        appeal(desk, alert)


# --- At the same moment -------------------------------------------------------------------------------


@race
def test_a_decision_and_a_dismissal_at_once_end_in_one_of_the_two(clock: Clock) -> None:
    desk = Desk(clock)
    alert = desk.alert("PROPOSED")
    does = {name: desk.does(name) for name in ("risk", "risk2")}
    given = {"alert_id": alert.pk, "ground": "x"}
    ends = at_once(
        lambda: alerts.decide(**given, **demanded(desk.now), **does["risk2"]),
        lambda: alerts.dismiss(**given, dismiss_code="PAID", **does["risk"]),
    )
    done = [end for end in ends if isinstance(end, RiskAlert)]
    assert len(done) == 1, ends
    assert ClosureTicket.objects.count() == (fresh(alert).state == "TICKETED")


@race
def test_an_appeal_and_a_decision_at_once_never_both_pass(clock: Clock) -> None:
    desk = Desk(clock)
    alert = desk.alert("PROPOSED")
    agent, second = desk.does("agent"), desk.does("risk2")
    at_once(
        lambda: appeals.enter(alert_id=alert.pk, ground="x", **agent),
        lambda: alerts.decide(alert_id=alert.pk, ground="x", **demanded(desk.now), **second),
    )
    assert RiskAppeal.objects.count() + ClosureTicket.objects.count() == 1


def test_an_appeal_against_one_alert_stops_every_way_to_close_the_account(desk: Desk) -> None:
    alert = desk.alert("PROPOSED")
    appeals.enter(alert_id=alert.pk, ground="已还款", **desk.does("agent"))
    with pytest.raises(AppealWaits):
        intake.request_closure(
            account_id=alert.account_id, reason="RISK_CONTROL", channel="RISK", ground="逾期",
            demand=intake.Demand(**demanded(desk.now)), **desk.does("risk2"),
        )  # fmt: skip
    assert not ClosureTicket.objects.exists()


def test_who_proposed_does_not_ask_for_the_closing_by_another_door(desk: Desk) -> None:
    alert = desk.alert("PROPOSED")
    with pytest.raises(SameProposer):
        intake.request_closure(
            account_id=alert.account_id, reason="RISK_CONTROL", channel="RISK", ground="逾期",
            demand=intake.Demand(**demanded(desk.now)), **desk.does("risk"),
        )  # fmt: skip
    assert not ClosureTicket.objects.exists()


def test_who_froze_by_hand_does_not_decide_the_appeal(desk: Desk) -> None:
    alert = desk.alert()
    alerts.freeze(alert_id=alert.pk, length=timedelta(days=3), ground="先止付", **desk.does("risk"))
    appeal = appeals.enter(alert_id=alert.pk, ground="已还款", **desk.does("agent"))
    with pytest.raises(appeals.TookPart):
        appeals.deny(appeal_id=appeal.pk, ground="维持", **desk.does("risk"))
    appeals.grant(appeal_id=appeal.pk, ground="理" * 480, **desk.does("risk2"))
    assert fresh(alert).frozen_until == desk.now


def test_a_freeze_that_outlives_its_alert_can_be_appealed(desk: Desk) -> None:
    alert = desk.alert("PROPOSED")
    alerts.freeze(alert_id=alert.pk, length=timedelta(days=30), ground="先止付", **desk.does("risk2"))
    alerts.decide(alert_id=alert.pk, ground="逾期", **demanded(desk.now), **desk.does("risk2"))
    with pytest.raises(appeals.TicketOpen):
        appeals.enter(alert_id=alert.pk, ground="已还款", **desk.does("agent"))
    ticket = fresh(alert).ticket
    review.cancel(ticket_id=ticket.pk, ground="已还清", **desk.does("lead"))
    appeal = appeals.enter(alert_id=alert.pk, ground="已还款", **desk.does("agent"))
    appeals.grant(appeal_id=appeal.pk, ground="属实", **desk.does("lead2"))
    assert (fresh(alert).state, fresh(alert).frozen_until) == ("TICKETED", desk.now)
