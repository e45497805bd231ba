"""A closing's limits on the line, here and at the ledger; lifting one cause never lifts another."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.actors import Actor
from accounts.models import CreditAccount, LineRestriction, RestrictionCause
from accounts.services import lines
from closures.models import LedgerCommand
from closures.models.tickets import Reason
from closures.services import commands, intake, restrictions, review
from tests.stage import Stage

ACTOR = Actor.job("test")


def put(stage: Stage, account: CreditAccount, cause: str, **more: Any) -> None:
    lines.restrict(
        account_id=account.pk,
        cause=cause,
        reference="ORDER-7",
        actor=ACTOR,
        reason="x",
        now=stage.now,
        **more,
    )


def line(account: CreditAccount) -> str:
    return CreditAccount.objects.get(pk=account.pk).line_state


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (Reason.CUSTOMER_REQUEST, "COOLING_OFF"),
        (Reason.RISK_CONTROL, "RISK"),
        (Reason.POLICY, "POLICY"),
    ],
)
def test_each_reason_limits_the_line_by_its_own_cause(stage: Stage, reason: str, cause: str) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=reason)
    row = LineRestriction.objects.get(account=ticket.account)
    assert (row.cause, row.reference, line(ticket.account)) == (cause, ticket.number, "FROZEN")
    commands.run(clock=stage.clock)
    assert stage.effects("FREEZE", ticket.account.account_no) == 1


@pytest.mark.parametrize("other", [c for c in RestrictionCause if c not in ("CLOSING", "CUSTOMER_LOCK")])
def test_the_end_of_a_closing_lifts_no_other_cause(stage: Stage, other: str) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", reason=Reason.POLICY)
    put(stage, ticket.account, other)
    review.cancel(ticket_id=ticket.pk, ground="x", actor=stage.staff("lead"), now=stage.now)
    stage.work()
    assert line(ticket.account) == "FROZEN"
    assert LineRestriction.objects.get(account=ticket.account, lifted_at=None).cause == other
    assert stage.effects("UNFREEZE", ticket.account.account_no) == 0


def test_a_line_that_only_the_customer_locked_is_thawed_at_the_ledger(stage: Stage) -> None:
    """The ledger knows no lock; left frozen, it would stay so after the customer unlocks his line."""
    ticket = stage.ticket("NOTICE_PERIOD")
    put(stage, ticket.account, "CUSTOMER_LOCK")
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    stage.work()
    assert line(ticket.account) == "LOCKED"
    assert stage.effects("UNFREEZE", ticket.account.account_no) == 1


def test_a_ticket_that_never_limited_the_line_thaws_nothing(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    put(stage, ticket.account, "RISK")
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    assert line(ticket.account) == "FROZEN" and not LedgerCommand.objects.exists()


def test_a_freeze_and_an_unfreeze_go_out_in_their_order(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    stage.simulator.fault(system="LEDGER", kind="http_429", method="POST", times=2)
    commands.run(clock=stage.clock)
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    for _ in range(6):
        commands.run(clock=stage.clock)
        stage.clock.skip()
    kinds = [e["kind"] for e in stage.simulator.effects(subject=ticket.account.account_no)]
    assert kinds == ["FREEZE", "UNFREEZE"]


def test_a_second_approval_does_not_freeze_a_second_time_while_the_first_waits(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    stage.approve(ticket)
    assert LedgerCommand.objects.filter(verb="FREEZE").count() == 1
    assert LineRestriction.objects.count() == 1


# --- Limits with an end -------------------------------------------------------------------------------


def test_a_limit_whose_time_is_over_is_lifted_and_the_ledger_told(stage: Stage) -> None:
    account, other = stage.account(), stage.account()
    put(stage, account, "RISK", until=stage.now + timedelta(days=1))
    put(stage, other, "RISK", until=stage.now + timedelta(days=2))
    stage.clock.skip(timedelta(days=1))
    assert restrictions.expire(now=stage.now) == 1
    assert (line(account), line(other)) == ("ACTIVE", "FROZEN")
    assert list(LedgerCommand.objects.values_list("account", "verb")) == [(account.pk, "UNFREEZE")]
    row = LineRestriction.objects.get(account=account)
    assert row.history.latest("history_id").history_change_reason == "time is over"
    assert restrictions.expire(now=stage.now) == 0


def test_a_limit_that_ends_beside_another_thaws_nothing(stage: Stage) -> None:
    account = stage.account()
    put(stage, account, "RISK", until=stage.now + timedelta(days=1))
    put(stage, account, "JUDICIAL")
    restrictions.expire(now=stage.now + timedelta(days=1))
    assert line(account) == "FROZEN" and not LedgerCommand.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_sweep_brings_its_own_transaction(raise_stage: Any) -> None:
    """Outside a test no transaction is open: what is lifted and what the ledger is told stand together."""
    stage = raise_stage()
    account = stage.account()
    put(stage, account, "RISK", until=stage.now)
    assert restrictions.expire(now=stage.now) == 1
    assert LedgerCommand.objects.get().verb == "UNFREEZE"
