"""What the apps are told: every state once, in a row of its own, sent until it is received."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from accounts.actors import Actor
from accounts.roles import Role
from accounts.tracking import NotPermitted, NotPossible, save_as
from closures.demo.app import Receiver
from closures.models import ApiClient, AppRequest, ClosureTicket, Webhook
from closures.services import api_clients, holds, intake, review, webhooks
from closures.services.webhooks import KINDS, GroundMissing
from tests import factories
from tests.races import at_once, race
from tests.stage import Stage, refused, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def an_app(stage: Stage, url: str) -> api_clients.Issued:
    return api_clients.create(
        name="应用", scopes=["closures:write"], requests_per_minute=60, webhook_url=url, reason="test",
        actor=factories.staff(Role.SECURITY), now=stage.now,
    )  # fmt: skip


def asked(stage: Stage, client: ApiClient, ticket: ClosureTicket) -> AppRequest:
    """The ticket is one that this app asked for."""
    return AppRequest.objects.create(
        ticket=ticket, client=client, assertion="TWO_FACTORS", asserted_at=stage.now, received_at=stage.now
    )


def heard(stage: Stage, receiver: Receiver) -> api_clients.Issued:
    issued = an_app(stage, receiver.url)
    receiver.secrets.append(issued.secret)
    return issued


def told(ticket: ClosureTicket) -> list[str]:
    return list(
        Webhook.objects.filter(ticket=ticket).order_by("occurred_at", "pk").values_list("kind", flat=True)
    )


def a_webhook(stage: Stage, url: str = "http://127.0.0.1:9/x") -> Webhook:
    ticket = stage.ticket("SUBMITTED")
    asked(stage, an_app(stage, url).client, ticket)
    assert webhooks.derive(now=stage.now) == 1
    return Webhook.objects.get(ticket=ticket)


# --- Derived ------------------------------------------------------------------------------------------


def test_every_state_of_a_ticket_has_its_event() -> None:
    assert set(KINDS) >= set(ClosureTicket.State.values)
    assert set(KINDS.values()) == set(Webhook.Kind)


def test_a_whole_closing_is_told_state_by_state(stage: Stage, receiver: Receiver) -> None:
    """Single moves and set-based ones alike, and the same whether derived late or at once."""
    ticket = stage.ticket("SUBMITTED", ALIPAY)
    asked(stage, heard(stage, receiver).client, ticket)
    stage.until(ticket, "IN_REVIEW")
    stage.approve(ticket)
    stage.clock.skip(timedelta(hours=2))
    stage.until(ticket, "CLOSED")
    stage.work()
    way = ["received", "in_review", "decided", "unbinding", "closing", "closed"]
    assert told(ticket) == [f"closure.{word}" for word in way] == receiver.types
    assert AppRequest.objects.get().over
    assert not Webhook.objects.exclude(state="DELIVERED").exists()
    other = stage.ticket("CLOSED", ALIPAY)
    asked(stage, heard(stage, receiver).client, other)
    webhooks.derive(now=stage.now)
    assert told(other) == told(ticket)


@pytest.mark.parametrize(
    ("state", "last"), [("BLOCKED", "blocked"), ("NOTICE_PERIOD", "decided"), ("SETTLING", "settling")]
)
def test_the_other_ways_are_told_too(stage: Stage, receiver: Receiver, state: str, last: str) -> None:
    ticket = stage.ticket(state)
    asked(stage, heard(stage, receiver).client, ticket)
    webhooks.derive(now=stage.now)
    assert told(ticket)[-1] == f"closure.{last}"


@pytest.mark.parametrize("end", ["refused", "withdrawn", "cancelled"])
def test_every_end_is_told(stage: Stage, receiver: Receiver, end: str) -> None:
    ticket = stage.ticket("IN_REVIEW")
    asked(stage, heard(stage, receiver).client, ticket)
    given: dict[str, Any] = {"ticket_id": ticket.pk, "actor": stage.staff("reviewer"), "now": stage.now}
    if end == "refused":
        review.reject(ground="材料不符", **given)
    elif end == "cancelled":
        review.cancel(ground="误登记", **given)
    else:
        intake.withdraw(**{**given, "actor": stage.staff("agent")})
    webhooks.derive(now=stage.now)
    assert told(ticket)[-1] == f"closure.{end}"
    assert AppRequest.objects.get().over


def test_being_blocked_twice_is_told_twice(stage: Stage, receiver: Receiver) -> None:
    ticket, reviewer = stage.ticket("IN_REVIEW"), stage.staff("reviewer")
    asked(stage, heard(stage, receiver).client, ticket)
    webhooks.derive(now=stage.now)
    for _ in range(2):
        hold = holds.place(ticket_id=ticket.pk, kind="LEGAL", ground="g", actor=reviewer, now=stage.now)
        stage.until(ticket, "BLOCKED")
        holds.lift(hold_id=hold.pk, ground="g", actor=reviewer, now=stage.now)
        stage.until(ticket, "IN_REVIEW")
    webhooks.derive(now=stage.now)
    assert told(ticket).count("closure.blocked") == 2


def test_what_is_no_move_is_no_event(stage: Stage, receiver: Receiver) -> None:
    ticket = stage.ticket("IN_REVIEW")
    asked(stage, heard(stage, receiver).client, ticket)
    webhooks.derive(now=stage.now)
    save_as(stage.fresh(ticket), actor=Actor.job("assessment"), reason="examined again")
    assert webhooks.derive(now=stage.now) == 0
    assert len(told(ticket)) == 2


@pytest.mark.parametrize(("failpoint", "calls"), [("webhook.after_claim", 1), ("webhook.after_call", 2)])
def test_a_crash_in_mid_call_is_told_again_under_the_same_id(
    stage: Stage, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, failpoint: str, calls: int
) -> None:
    ticket, crashed = stage.ticket("SUBMITTED"), []
    asked(stage, heard(stage, receiver).client, ticket)
    webhooks.derive(now=stage.now)

    def crash(point: str, **of: Any) -> None:
        if point == failpoint and not crashed:
            crashed.append(point)
            raise RuntimeError("power cut")

    monkeypatch.setattr(webhooks, "reach", crash)
    webhooks.send(clock=stage.clock)
    assert crashed and Webhook.objects.get().state == "SENDING"
    webhooks.send(clock=stage.clock)
    assert Webhook.objects.get().state == "SENDING", "the lease of the crashed run still holds"
    stage.clock.skip()
    webhooks.send(clock=stage.clock)
    assert Webhook.objects.get().state == "DELIVERED"
    ids = [event["event_id"] for event in receiver.events]
    assert len(ids) == calls and len(set(ids)) == 1


def test_deriving_twice_tells_nothing_twice(stage: Stage, receiver: Receiver) -> None:
    ticket = stage.ticket("IN_REVIEW")
    asked(stage, heard(stage, receiver).client, ticket)
    assert webhooks.derive(now=stage.now) == 1
    assert webhooks.derive(now=stage.now) == 0
    assert told(ticket) == ["closure.received", "closure.in_review"]


def test_a_ticket_that_no_app_asked_for_is_nobodys_event(stage: Stage, receiver: Receiver) -> None:
    heard(stage, receiver)
    stage.ticket("IN_REVIEW")
    assert webhooks.derive(now=stage.now) == 0
    assert not Webhook.objects.exists()


def test_an_app_without_an_address_is_told_nothing_and_catches_nothing_up(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    asked(stage, an_app(stage, "").client, ticket)
    assert webhooks.derive(now=stage.now) == 1
    assert told(ticket) == [] and webhooks.derive(now=stage.now) == 0


def test_an_event_holds_nothing_personal(stage: Stage) -> None:
    webhook = a_webhook(stage)
    assert set(webhook.body) == {"event_id", "type", "number", "state", "occurred_at"}
    assert webhook.ticket.account.account_no not in str(webhook.body)
    assert written(webhook) == ("job:webhooks", "the ticket moved")


# --- Sent ---------------------------------------------------------------------------------------------


def test_it_is_sent_again_with_the_same_id_until_it_is_received(stage: Stage, receiver: Receiver) -> None:
    ticket = stage.ticket("SUBMITTED")
    asked(stage, heard(stage, receiver).client, ticket)
    receiver.answers = [500, 302, 404]
    webhooks.derive(now=stage.now)
    for _ in range(4):
        webhooks.send(clock=stage.clock)
        stage.clock.skip(timedelta(hours=2))
    row = Webhook.objects.get()
    assert (row.state, row.attempts, row.due_at) == ("DELIVERED", 4, None)
    assert [event["event_id"] for event in receiver.events] == [row.event_id]


def test_after_enough_tries_it_is_dead_and_an_operator_revives_it(
    stage: Stage, receiver: Receiver, settings: Any
) -> None:
    settings.WEBHOOK_ATTEMPT_LIMIT = 3
    ticket = stage.ticket("SUBMITTED")
    asked(stage, heard(stage, receiver).client, ticket)
    receiver.answers = [500] * 3
    webhooks.derive(now=stage.now)
    for _ in range(5):
        webhooks.send(clock=stage.clock)
        stage.clock.skip(timedelta(hours=2))
    row = Webhook.objects.get()
    assert (row.state, row.reason_code, row.attempts) == ("DEAD", "UNCLEAR", 3)
    operator = stage.staff("operator")
    row = webhooks.revive(webhook_id=row.pk, ground="已修复", actor=operator, now=stage.now)
    assert written(row) == (str(operator), "已修复")
    webhooks.send(clock=stage.clock)
    assert Webhook.objects.get().state == "DELIVERED"
    assert receiver.events[0]["event_id"] == row.event_id


def test_gone_is_final(stage: Stage, receiver: Receiver) -> None:
    ticket = stage.ticket("SUBMITTED")
    asked(stage, heard(stage, receiver).client, ticket)
    receiver.answers = [410]
    webhooks.derive(now=stage.now)
    webhooks.send(clock=stage.clock)
    assert Webhook.objects.values_list("state", "reason_code").get() == ("DEAD", "HTTP_410")


def test_nobody_there_is_tried_again(stage: Stage) -> None:
    row = a_webhook(stage)
    webhooks.send(clock=stage.clock)
    row.refresh_from_db()
    assert (row.state, row.reason_code) == ("PENDING", "UNREACHABLE")
    assert row.due_at >= stage.now


def test_a_disabled_client_is_sent_nothing(stage: Stage, receiver: Receiver) -> None:
    row = a_webhook(stage, receiver.url)
    api_clients.disable(
        client_id=row.client_id, reason="x", actor=factories.staff(Role.SECURITY), now=stage.now
    )
    webhooks.send(clock=stage.clock)
    row.refresh_from_db()
    assert (row.state, row.reason_code) == ("DEAD", "CLIENT_DISABLED")
    assert receiver.events == [] and receiver.forged == 0


def test_both_secrets_sign_while_one_replaces_the_other(stage: Stage, receiver: Receiver) -> None:
    row = a_webhook(stage, receiver.url)
    old = row.client.live_secrets(now=stage.now)[0].decode()
    api_clients.rotate(
        client_id=row.client_id, reason="x", actor=factories.staff(Role.SECURITY), now=stage.now
    )
    receiver.secrets = [old]
    webhooks.send(clock=stage.clock)
    assert (len(receiver.events), receiver.forged) == (1, 0)


def test_a_worker_that_died_in_mid_call_leaves_it_to_the_next(stage: Stage, receiver: Receiver) -> None:
    ticket = stage.ticket("SUBMITTED")
    asked(stage, heard(stage, receiver).client, ticket)
    webhooks.derive(now=stage.now)
    (claimed,) = Webhook.objects.all().claim(now=stage.now, limit=1)
    assert webhooks._begin(claimed, now=stage.now)
    assert webhooks.send(clock=stage.clock) == 0, "the lease is another's"
    stage.clock.skip()
    webhooks.send(clock=stage.clock)
    assert Webhook.objects.get().state == "DELIVERED"
    webhooks._settle(claimed, "", definite=False, now=stage.now)
    assert Webhook.objects.get().state == "DELIVERED"


@pytest.mark.parametrize("who", ["agent", "reviewer", "lead", "auditor", "admin"])
def test_only_an_operator_revives(stage: Stage, who: str) -> None:
    row = dead(stage)
    with refused(NotPermitted, row):
        webhooks.revive(webhook_id=row.pk, ground="x", actor=stage.staff(who), now=stage.now)


def test_a_revival_needs_a_reason_and_a_dead_event(stage: Stage) -> None:
    row = dead(stage)
    with refused(GroundMissing, row):
        webhooks.revive(webhook_id=row.pk, ground=" ", actor=stage.staff("operator"), now=stage.now)
    webhooks.revive(webhook_id=row.pk, ground="x", actor=stage.staff("operator"), now=stage.now)
    row.refresh_from_db()
    with refused(NotPossible, row):
        webhooks.revive(webhook_id=row.pk, ground="x", actor=stage.staff("operator"), now=stage.now)


def dead(stage: Stage) -> Webhook:
    row = a_webhook(stage)
    Webhook.objects.filter(pk=row.pk).update(state="DEAD", reason_code="UNCLEAR", due_at=None)
    row.refresh_from_db()
    return row


# --- Races --------------------------------------------------------------------------------------------


@race
def test_sweeps_at_once_tell_each_move_once(raise_stage: Any, receiver: Receiver) -> None:
    stage = raise_stage()
    client = heard(stage, receiver).client
    for _ in range(3):
        asked(stage, client, stage.ticket("IN_REVIEW"))
    at_once(*[lambda: webhooks.derive(now=stage.now)] * 4)
    webhooks.derive(now=stage.now)
    assert Webhook.objects.count() == 6
    at_once(*[lambda: webhooks.send(clock=stage.clock)] * 4)
    assert len(receiver.events) == 6
