"""One door in, one open ticket per account; and the customer's way back out."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils.timezone import make_aware

from accounts.actors import SHIPPED, Actor
from accounts.bulk import update_many
from accounts.models import CreditAccount, RefusedAction, WorkCalendarDay
from accounts.tracking import NotPermitted, NotPossible, save_as
from closures.models import ClosureTicket, UnbindTask
from closures.models.tickets import Reason
from closures.services import cooling_off, intake, unbinding
from closures.services.intake import (
    AlreadyClosed,
    AlreadyRequested,
    CalendarIncomplete,
    EffectsNotAccepted,
    GroundMissing,
    KeyReused,
    NotTheirAccount,
)
from tests.factories import a_person
from tests.races import at_once, race
from tests.stage import PERIOD, Clock, Stage, refused, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)


# --- It happens, and it is recorded -------------------------------------------------------------------


def test_a_request_is_kept_with_who_asked_and_what_was_accepted(stage: Stage) -> None:
    account = stage.account()
    ticket = stage.request(account)

    assert (ticket.state, ticket.requested_by, ticket.requested_at) == (
        "SUBMITTED",
        stage.staff("agent").user,
        stage.now,
    )
    version = f"HUABEI/{account.product.version}/{account.product.agreement_version}"
    assert (ticket.disclosure_version, ticket.disclosure_accepted_at) == (version, stage.now)
    assert ticket.policy["cooling_off_seconds"] == PERIOD.total_seconds()
    assert written(ticket) == (str(stage.staff("agent")), "CUSTOMER_REQUEST")
    assert list(ticket.notices.filter(courtesy=False).values_list("kind", "channel")) == [("RECEIVED", "SMS")]


def test_a_lenders_request_keeps_its_ground_and_tells_nobody_yet(stage: Stage) -> None:
    ticket = stage.request(stage.account(), reason=Reason.RISK_CONTROL, ground=" 连续逾期 ")
    assert (ticket.ground, ticket.identity_level, ticket.answer_due_on) == ("连续逾期", "NOT_NEEDED", None)
    assert not ticket.notices.exists()
    assert written(ticket) == (str(stage.staff("risk")), "连续逾期")


def test_the_policy_in_force_at_intake_stays_on_the_ticket(stage: Stage) -> None:
    ticket = stage.request(stage.account())
    product = ticket.account.product
    update_many(
        type(product),
        [{"code": product.code, "cooling_off": timedelta(days=9)}],
        key="code",
        fields=["cooling_off"],
        actor=Actor.job("test"),
        reason="longer",
        now=stage.now,
    )
    stage.assess()
    approved = stage.approve(ticket)
    assert approved.period_ends_at == stage.now + PERIOD


def test_a_customer_may_ask_for_himself(stage: Stage) -> None:
    account = stage.account()
    ticket = stage.request(
        account, by=Actor.customer(account.customer), channel="API", identity_level="ASSERTED"
    )
    assert ticket.requested_by is None
    assert written(ticket)[0] == f"customer:{account.customer.customer_no}"


# --- The answer date ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "due"),
    [
        (datetime(2026, 1, 12, 10, 0), date(2026, 2, 2)),  # Monday: fifteen working days, no holiday between
        (datetime(2026, 1, 10, 10, 0), date(2026, 1, 30)),  # Saturday: the Monday after is day one
        (datetime(2026, 1, 12, 23, 59), date(2026, 2, 2)),
        # Spring festival: 15–23 February are free, Saturdays 14 and 28 February are worked.
        (datetime(2026, 2, 9, 9, 0), date(2026, 3, 6)),
    ],
)
def test_the_answer_is_due_on_the_fifteenth_working_day(
    stage: Stage, clock: Clock, received: datetime, due: date
) -> None:
    clock.now = make_aware(received)
    ticket = stage.request(stage.account())

    worked = WorkCalendarDay.objects.filter(date__gt=received.date(), date__lte=due, is_working=True)
    assert ticket.answer_due_on == due and worked.count() == 15
    assert (ticket.answer_rule.code, ticket.answer_rule.value) == ("ANSWER_DUE", "15")
    assert ticket.answer_calendar == WorkCalendarDay.objects.get(date=due).calendar_version


def test_no_due_date_is_guessed_where_the_calendar_ends(stage: Stage, clock: Clock) -> None:
    last = WorkCalendarDay.objects.latest("date").date
    account = stage.account()
    clock.now = make_aware(datetime.combine(last, datetime.min.time()))
    with refused(CalendarIncomplete, account):
        stage.request(account)
    assert not ClosureTicket.objects.exists()


# --- Refused, and nothing changed ---------------------------------------------------------------------


def test_a_second_request_names_the_open_ticket(stage: Stage) -> None:
    account = stage.account()
    ticket = stage.request(account)
    with refused(AlreadyRequested, ticket, account) as refusal:
        stage.request(account, by="agent2")
    assert ticket.number in refusal.value.message
    assert ticket.notices.filter(kind="RECEIVED", courtesy=False).count() == 1
    assert RefusedAction.objects.get().subject == {"account_id": account.pk}


def test_a_lender_cannot_open_a_second_ticket_beside_the_customers(stage: Stage) -> None:
    account = stage.account()
    ticket = stage.request(account)
    with refused(AlreadyRequested, ticket):
        stage.request(account, reason=Reason.POLICY)


def test_an_ended_ticket_leaves_room_for_a_new_one(stage: Stage) -> None:
    account = stage.account()
    first = stage.request(account)
    intake.withdraw(ticket_id=first.pk, actor=stage.staff("agent"), now=stage.now)
    assert stage.request(account).pk != first.pk


def test_a_closed_account_explains_itself(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    with refused(AlreadyClosed, ticket):
        stage.request(stage.fresh(ticket).account)


def test_the_database_keeps_one_open_ticket_whoever_writes(stage: Stage) -> None:
    ticket = stage.ticket("SUBMITTED")
    twin = ClosureTicket.objects.get(pk=ticket.pk)
    twin.pk, twin.number, twin._history_actor = None, "CT-TWIN", stage.staff("agent")
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save(force_insert=True)


@pytest.mark.parametrize("accepted", ["", "HUABEI/0/old", "JIEBEI/1/x"])
def test_effects_that_were_not_accepted_in_their_present_version_stop_the_request(
    stage: Stage, accepted: str
) -> None:
    account = stage.account()
    with refused(EffectsNotAccepted, account):
        stage.request(account, accepted_disclosure=accepted)
    assert not ClosureTicket.objects.exists()


@pytest.mark.parametrize("reason", [Reason.RISK_CONTROL, Reason.POLICY])
@pytest.mark.parametrize("ground", ["", "  \n"])
def test_a_lender_must_say_why(stage: Stage, reason: str, ground: str) -> None:
    account = stage.account()
    with refused(GroundMissing, account):
        stage.request(account, reason=reason, ground=ground)


MAY_ASK = {
    Reason.CUSTOMER_REQUEST: {"agent"},
    Reason.RISK_CONTROL: {"risk"},
    Reason.POLICY: {"lead"},
}


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("name", ["agent", "reviewer", "lead", "risk", "operator", "auditor", "admin"])
def test_each_reason_has_its_own_right(stage: Stage, reason: str, name: str) -> None:
    account = stage.account()
    if name in MAY_ASK[Reason(reason)]:
        assert stage.request(account, reason=reason, by=name).requested_by == stage.staff(name).user
    else:
        with refused(NotPermitted, account):
            stage.request(account, reason=reason, by=name)


@pytest.mark.parametrize("reason", list(Reason))
def test_no_machine_asks_for_a_closing(stage: Stage, reason: str) -> None:
    account = stage.account()
    for actor in (Actor.job("risk"), Actor.partner("ALIPAY")):
        with refused(NotPermitted, account):
            stage.request(account, reason=reason, by=actor)


def test_a_customer_asks_for_nobody_else_and_for_no_other_reason(stage: Stage) -> None:
    account = stage.account()
    with refused(NotTheirAccount, account):
        stage.request(account, by=Actor.customer(a_person()))
    with refused(NotTheirAccount, account):
        stage.request(account, by=Actor.customer(account.customer), reason=Reason.POLICY, ground="x")


# --- Safe twice ---------------------------------------------------------------------------------------


def test_the_same_key_gives_the_first_answer_again(stage: Stage) -> None:
    account = stage.account()
    first = stage.received(account, idempotency_key="k-1")
    stage.clock.skip()
    again = stage.received(account, idempotency_key="k-1")
    assert (again.ticket.pk, again.replayed, first.replayed) == (first.ticket.pk, True, False)
    assert first.ticket.history.count() == 1
    assert first.ticket.notices.filter(kind="RECEIVED", courtesy=False).count() == 1
    assert not RefusedAction.objects.exists()


def test_the_same_key_gives_the_first_answer_even_after_the_end(stage: Stage) -> None:
    account = stage.account()
    first = stage.request(account, idempotency_key="k-1")
    intake.withdraw(ticket_id=first.pk, actor=stage.staff("agent"), now=stage.now)
    again = stage.received(account, idempotency_key="k-1")
    assert (again.ticket.pk, again.ticket.state, again.replayed) == (first.pk, "WITHDRAWN", True)


def test_a_key_used_for_another_request_is_refused(stage: Stage) -> None:
    account, other = stage.account(), stage.account()
    ticket = stage.request(account, idempotency_key="k-1")
    with refused(KeyReused, ticket, other):
        stage.request(other, idempotency_key="k-1")
    with refused(KeyReused, ticket):
        stage.request(account, idempotency_key="k-1", identity_level="ASSERTED")


def test_requests_without_a_key_do_not_share_one(stage: Stage) -> None:
    for _ in range(2):
        assert stage.request(stage.account(), idempotency_key="").idempotency_key is None


# --- Withdrawing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["SUBMITTED", "BLOCKED", "IN_REVIEW", "NOTICE_PERIOD", "SETTLING"])
def test_the_customer_may_withdraw_until_unbinding_begins(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state)
    customer = Actor.customer(ticket.account.customer)
    ended = intake.withdraw(ticket_id=ticket.pk, actor=customer, now=stage.now)

    assert (ended.state, ended.ended_at) == ("WITHDRAWN", stage.now)
    assert written(ended) == (str(customer), "withdrawn by the customer")
    assert stage.fresh(ticket).account.line_state == "ACTIVE"
    left = ended.notices.filter(state="PENDING").values_list("kind", flat=True)
    assert set(left) == {"WITHDRAWN"}


def test_a_withdrawal_thaws_the_line_at_the_ledger(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    stage.work()
    assert stage.effects("FREEZE", ticket.account.account_no) == 1
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    stage.work()
    assert stage.effects("UNFREEZE", ticket.account.account_no) == 1


@pytest.mark.parametrize("state", ["UNBINDING", "CLOSING", "CLOSED"])
def test_nobody_withdraws_once_unbinding_has_begun(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state, ALIPAY)
    for actor in (stage.staff("agent"), Actor.customer(ticket.account.customer)):
        with refused(NotPossible, ticket, ticket.account, *ticket.tasks.all()):
            intake.withdraw(ticket_id=ticket.pk, actor=actor, now=stage.now)


def test_a_settling_ticket_that_was_unbinding_before_cannot_be_withdrawn(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY)
    stage.simulator.patch_account(ticket.account.account_no, principal="10.00")
    stage.clock.skip()
    unbinding.run(clock=stage.clock)
    ticket = stage.fresh(ticket)
    assert ticket.state == "SETTLING"
    with refused(NotPossible, ticket):
        intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)


@pytest.mark.parametrize("reason", [Reason.RISK_CONTROL, Reason.POLICY])
def test_a_lenders_closing_is_not_the_customers_to_withdraw(stage: Stage, reason: str) -> None:
    ticket = stage.ticket("IN_REVIEW", reason=reason)
    with refused(NotPossible, ticket):
        intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)


def test_only_the_customer_or_an_agent_withdraws(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    for name in ("reviewer", "lead", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted, ticket):
            intake.withdraw(ticket_id=ticket.pk, actor=stage.staff(name), now=stage.now)
    with refused(NotTheirAccount, ticket):
        intake.withdraw(ticket_id=ticket.pk, actor=Actor.customer(a_person()), now=stage.now)
    with refused(NotPermitted, ticket):
        intake.withdraw(ticket_id=ticket.pk, actor=Actor.job("sweep"), now=stage.now)


def test_withdrawing_twice_is_refused_and_changes_nothing(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    with refused(NotPossible, ticket):
        intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    assert ticket.notices.filter(kind="WITHDRAWN", courtesy=False).count() == 1


# --- Races --------------------------------------------------------------------------------------------


@race
def test_of_twenty_requests_at_once_one_is_accepted(raise_stage) -> None:
    stage = raise_stage()
    account, agents = stage.account(), [stage.staff("agent"), stage.staff("agent2")]
    ends = at_once(*(lambda n=n: stage.request(account, by=agents[n % 2]) for n in range(20)))

    accepted = [end for end in ends if isinstance(end, ClosureTicket)]
    assert len(accepted) == 1
    assert {type(end) for end in ends if end is not accepted[0]} == {AlreadyRequested}
    assert ClosureTicket.objects.count() == 1
    assert RefusedAction.objects.filter(code="already_requested").count() == 19


@race
def test_one_key_on_many_accounts_at_once_is_accepted_once(raise_stage) -> None:
    stage = raise_stage()
    accounts = [stage.account() for _ in range(6)]
    stage.staff("agent")
    ends = at_once(*(lambda a=a: stage.request(a, idempotency_key="one") for a in accounts))
    assert sorted(type(end).__name__ for end in ends) == ["ClosureTicket"] + ["KeyReused"] * 5


@race
def test_the_same_key_at_once_is_one_ticket_for_all(raise_stage) -> None:
    stage = raise_stage()
    account = stage.account()
    stage.staff("agent")
    ends = at_once(*(lambda: stage.received(account, idempotency_key="one") for _ in range(6)))
    assert len({end.ticket.pk for end in ends}) == 1
    assert sorted(end.replayed for end in ends) == [False] + [True] * 5


@race
def test_a_withdrawal_that_races_the_start_of_unbinding_ends_in_exactly_one(raise_stage) -> None:
    stage = raise_stage()
    agent = stage.staff("agent")
    ends_seen = set()
    for _ in range(20):
        ticket = stage.ticket("NOTICE_PERIOD", ALIPAY)
        stage.clock.skip(PERIOD)
        pause = threading.Event()

        def begin() -> None:
            cooling_off.end_periods(now=stage.now)
            unbinding.start(now=stage.now)

        def withdraw(ticket: ClosureTicket = ticket, pause: threading.Event = pause) -> object:
            pause.wait(0.001 * (len(ends_seen) + ticket.pk % 7))
            return intake.withdraw(ticket_id=ticket.pk, actor=agent, now=stage.now)

        outcome = at_once(begin, withdraw)
        ticket = stage.fresh(ticket)
        assert outcome[0] is None
        account = CreditAccount.objects.get(pk=ticket.account_id)
        if ticket.state == "WITHDRAWN":
            assert isinstance(outcome[1], ClosureTicket)
            assert ticket.unbinding_started_at is None
            assert not UnbindTask.objects.filter(ticket=ticket).exists()
            assert account.line_state == "ACTIVE" and account.agreements.get().state == "BOUND"
        else:
            assert isinstance(outcome[1], NotPossible)
            assert ticket.state == "UNBINDING"
            assert UnbindTask.objects.filter(ticket=ticket).count() == 1
            assert account.line_state == "CLOSING"
        ends_seen.add(ticket.state)
    assert ends_seen <= {"WITHDRAWN", "UNBINDING"}


# --- A newer calendar ----------------------------------------------------------------------------------


def test_a_newer_calendar_sets_an_answer_date_earlier_and_never_later(stage: Stage) -> None:
    ticket = stage.request(stage.account())
    promised = ticket.answer_due_on
    saturday = WorkCalendarDay.objects.filter(
        date__gt=ticket.requested_at, date__lt=promised, is_working=False, date__iso_week_day=6
    ).first()
    saturday.is_working, saturday.calendar_version = True, "cn-2026.2"
    save_as(saturday, actor=SHIPPED, reason="a newer notice")

    assert intake.recount_answers(now=stage.now) == 1
    earlier = stage.fresh(ticket)
    assert earlier.answer_due_on < promised and "cn-2026.2" in earlier.answer_calendar
    assert written(earlier)[1] == "a newer calendar sets it earlier"
    assert intake.recount_answers(now=stage.now) == 0

    saturday.is_working = False
    save_as(saturday, actor=SHIPPED, reason="taken back")
    assert intake.recount_answers(now=stage.now) == 0 and stage.fresh(ticket).answer_due_on < promised
