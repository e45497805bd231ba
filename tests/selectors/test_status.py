"""What the customer may see of his ticket: all that concerns him, nothing internal."""

from __future__ import annotations

import pytest
from django.utils import translation

from closures.models import Hold
from closures.selectors import status
from closures.services import holds, intake
from tests.stage import Stage

ALIPAY = ("ALIPAY", "AUTO_REPAY", True)
WEALTH = ("ALIPAY", "WEALTH_LINK", False)


def shown(stage: Stage, ticket: object, language: str = "en") -> status.Status:
    with translation.override(language):
        return status.of_ticket(stage.fresh(ticket))  # type: ignore[arg-type]


def standings(seen: status.Status) -> dict[str, str]:
    return {step.code: step.standing for step in seen.steps}


@pytest.mark.parametrize(
    "state",
    ["SUBMITTED", "BLOCKED", "IN_REVIEW", "NOTICE_PERIOD", "SETTLING", "UNBINDING", "CLOSING", "CLOSED"],
)
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_state_has_a_headline_a_sentence_and_one_step_that_is_now(
    stage: Stage, state: str, language: str
) -> None:
    seen = shown(stage, stage.ticket(state, ALIPAY), language)

    assert seen.headline and seen.sentence and "%(" not in seen.sentence
    assert list(standings(seen).values()).count("now") == (0 if state == "CLOSED" else 1)


def test_every_obstacle_comes_with_its_amount_and_its_cure(stage: Stage) -> None:
    seen = shown(stage, stage.ticket("BLOCKED", ALIPAY, principal="100.00", unbilled="20.00"))

    assert {(o.code, str(o.amount)) for o in seen.obstacles} == {
        ("OUTSTANDING_PRINCIPAL", "100.00"),
        ("UNBILLED", "20.00"),
    }
    assert all(obstacle.cure for obstacle in seen.obstacles) and str(seen.owed) == "120.00"


def test_a_silent_hold_does_not_show_and_is_not_counted(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    holds.place(
        ticket_id=ticket.pk, kind=Hold.Kind.AML, ground="线索", actor=stage.staff("reviewer"), now=stage.now
    )
    stage.assess()
    seen = shown(stage, ticket)

    assert seen.state == "BLOCKED" and seen.obstacles == ()
    assert "looks at your case" in seen.sentence


def test_what_is_linked_says_what_ends_and_what_stays(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED", ALIPAY, WEALTH)
    seen = shown(stage, ticket)

    assert [(linked.ends, linked.ended) for linked in seen.linked] == [(True, True), (False, False)]
    assert all(agreement.agreement_no not in str(seen) for agreement in ticket.account.agreements.all())


def test_he_may_withdraw_his_own_request_until_unbinding_begins(stage: Stage) -> None:
    begun = stage.ticket("UNBINDING", ALIPAY)
    assert not shown(stage, begun).may_withdraw
    assert not shown(stage, stage.ticket("NOTICE_PERIOD", reason="RISK_CONTROL")).may_withdraw
    assert shown(stage, stage.ticket("NOTICE_PERIOD")).may_withdraw


def test_after_a_withdrawal_the_way_ends_where_it_was(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    seen = shown(stage, ticket)

    assert standings(seen)["WAITED"] == "done" and standings(seen)["CLOSED"] == "skipped"
    assert "now" not in standings(seen).values() and not seen.may_withdraw


def test_it_costs_a_bounded_number_of_queries(stage: Stage, django_assert_max_num_queries: object) -> None:
    ticket = stage.fresh(stage.ticket("CLOSED", ALIPAY, WEALTH))
    ticket.account.product.lender  # noqa: B018 - selected by whoever shows the page

    with django_assert_max_num_queries(6):  # type: ignore[operator]
        status.of_ticket(ticket)
