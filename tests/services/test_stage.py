"""The stage itself: every state it promises is reached by the services."""

from collections.abc import Callable
from datetime import datetime, time

import pytest
from django.utils.timezone import make_aware

from closures.services import assessment
from tests.stage import Stage

STATES = ("SUBMITTED", "BLOCKED", "IN_REVIEW", "NOTICE_PERIOD", "SETTLING", "UNBINDING", "CLOSING", "CLOSED")
REASONS = ("CUSTOMER_REQUEST", "RISK_CONTROL", "POLICY")
CASES = [(s, r) for s in STATES for r in REASONS if s != "BLOCKED" or r == "CUSTOMER_REQUEST"]


@pytest.mark.parametrize(("state", "reason"), CASES)
def test_a_ticket_comes_to_every_state(stage: Stage, state: str, reason: str) -> None:
    agreement = ("ALIPAY", "PASSWORD_FREE", False)
    assert stage.ticket(state, agreement, reason=reason).state == state


@pytest.mark.django_db(transaction=True)
def test_every_step_brings_its_own_transaction(raise_stage: Callable[[], Stage]) -> None:
    """Tests run inside a transaction, workers do not: what only works in one of the two shows here."""
    stage = raise_stage()
    own = stage.ticket("CLOSED", ("ALIPAY", "PASSWORD_FREE", False), credit_balance="3.00")
    risk = stage.ticket("CLOSED", ("WECHAT", "WITHHOLDING", True), reason="RISK_CONTROL")
    assert {own.state, risk.state} == {"CLOSED"}
    blocked = stage.ticket("BLOCKED")
    stage.clock.now = make_aware(datetime.combine(blocked.answer_due_on, time(10)))
    assert assessment.answer_overdue(now=stage.now) == 1
    stage.work()
    assert stage.simulator.duplicates() == []
