"""A success answer is a claim; UNBOUND needs the partner's status; nobody is called twice in the dark."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from accounts.models import CreditAccount, LineRestriction, PartnerAgreement
from closures.models import ClosureTicket, UnbindAttempt, UnbindTask
from closures.models.tickets import Reason
from closures.selectors import repair_lists
from closures.services import holds, partner_calls, unbinding
from tests.races import at_once, race
from tests.stage import STEP, WINDOW, Stage, written

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)
REPAYS = ("WECHAT", "WITHHOLDING", True)
WEALTH = ("ALIPAY", "WEALTH_LINK", False)
JOB = "job:unbinding"


def step(stage: Stage, **skip: Any) -> None:
    """The unbinding job once, and time goes on."""
    unbinding.run(clock=stage.clock)
    stage.clock.skip(timedelta(**skip) if skip else STEP)


def started(stage: Stage, *agreements: tuple[str, str, bool], **more: Any) -> UnbindTask:
    """The one task of a ticket in UNBINDING, nothing called yet."""
    return stage.ticket("UNBINDING", *(agreements or (ALIPAY,)), **more).tasks.order_by("pk").first()


def fresh(task: UnbindTask) -> UnbindTask:
    return UnbindTask.objects.select_related("agreement", "ticket__account").get(pk=task.pk)


def unsigns(stage: Stage, task: UnbindTask) -> int:
    return stage.calls("POST", task.agreement.agreement_no)


def ended_there(stage: Stage, task: UnbindTask) -> int:
    return stage.effects("UNSIGN", task.agreement.agreement_no)


# --- Starting -----------------------------------------------------------------------------------------


def test_starting_makes_one_task_for_every_agreement_that_closing_ends(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY, REPAYS, WEALTH)
    tasks = list(ticket.tasks.select_related("agreement").order_by("pk"))
    assert [task.agreement.kind for task in tasks] == ["PASSWORD_FREE", "WITHHOLDING"]
    assert {(task.state, task.generation) for task in tasks} == {("PENDING", 1)}
    assert len({task.key for task in tasks}) == 2
    assert {task.agreement.state for task in tasks} == {"UNBINDING"}
    assert ticket.account.agreements.get(kind="WEALTH_LINK").state == "BOUND"
    account = CreditAccount.objects.get(pk=ticket.account_id)
    assert account.line_state == "CLOSING"
    assert LineRestriction.objects.get(account=account, cause="CLOSING").reference == ticket.number
    for row in (*tasks, tasks[0].agreement, account):
        assert written(row) == (JOB, "unbinding begins")


def test_starting_twice_makes_nothing_more(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY)
    before = [(t.key, t.history.count()) for t in ticket.tasks.all()]
    assert unbinding.start(now=stage.now) == 0
    assert [(t.key, t.history.count()) for t in ticket.tasks.all()] == before
    assert LineRestriction.objects.filter(cause="CLOSING").count() == 1


@pytest.mark.parametrize("state", ["IN_REVIEW", "NOTICE_PERIOD", "SETTLING"])
def test_nothing_starts_before_its_time(stage: Stage, state: str) -> None:
    ticket = stage.ticket(state, ALIPAY)
    assert unbinding.start(now=stage.now) == 0
    assert not ticket.tasks.exists() and ticket.account.agreements.get().state == "BOUND"


def test_an_agreement_signed_during_unbinding_gets_its_task_too(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY)
    stage.sign(ticket.account, "WECHAT")
    assert unbinding.start(now=stage.now) == 1
    assert stage.until(ticket, "CLOSED").tasks.filter(state="UNBOUND").count() == 2


def test_nothing_to_unbind_goes_straight_on(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING")
    assert unbinding.finish(now=stage.now) == 1
    assert stage.fresh(ticket).state == "CLOSING"


# --- The plain way ------------------------------------------------------------------------------------


def test_an_agreement_is_unbound_when_the_partner_says_that_it_has_ended(stage: Stage) -> None:
    task = started(stage)
    step(stage, seconds=3)
    task = fresh(task)
    assert (task.state, task.seen_bound, task.call_may_have_arrived) == ("CONFIRMING", True, True)
    assert task.agreement.state == "UNBINDING", "accepted is a claim"
    assert unbinding.finish(now=stage.now) == 0

    step(stage)
    task = fresh(task)
    assert (task.state, task.agreement.state, task.lease_token) == ("UNBOUND", "UNBOUND", "")
    assert written(task) == (JOB, "STATUS_ENDED")
    assert written(task.agreement) == (JOB, "proved at the partner")
    assert [(a.verb, a.heard, a.applied) for a in task.tries.order_by("pk")] == [
        ("ENQUIRE", "BOUND", False),
        ("UNSIGN", "ACCEPTED", True),
        ("ENQUIRE", "ENDED/ENDED", True),
    ]
    assert ended_there(stage, task) == 1
    assert unbinding.finish(now=stage.now) == 1


def test_working_an_ended_task_again_does_nothing(stage: Stage) -> None:
    task = started(stage)
    stage.task_until(task, "UNBOUND")
    calls = len(stage.simulator.calls())
    assert unbinding.run(clock=stage.clock) == 0
    assert len(stage.simulator.calls()) == calls


def test_the_intent_is_on_record_before_the_call(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    task = started(stage)
    seen: list[tuple[str, int]] = []
    unsign = partner_calls.unsign

    def look(row: UnbindTask, partner: Any) -> Any:
        stored = fresh(task)
        seen.append((stored.state, stored.tries.filter(verb="UNSIGN", finished_at=None).count()))
        return unsign(row, partner)

    monkeypatch.setattr(partner_calls, "unsign", look)
    unbinding.run(clock=stage.clock)
    assert seen == [("SENDING", 1)]


def test_what_the_customer_ended_meanwhile_is_not_called_again(stage: Stage) -> None:
    task = started(stage)
    stage.simulator.end_agreement("ALIPAY", task.agreement.agreement_no)
    step(stage)
    task = fresh(task)
    assert (task.state, task.agreement.state) == ("UNBOUND", "UNBOUND")
    assert (unsigns(stage, task), ended_there(stage, task)) == (0, 0)


def test_one_partners_outage_slows_no_other(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY, REPAYS)
    stage.simulator.fault(system="WECHAT", kind="down")
    step(stage, seconds=3)
    step(stage)
    states = dict(ticket.tasks.values_list("agreement__partner", "state"))
    assert states["ALIPAY"] == "UNBOUND" and states["WECHAT"] in ("PENDING", "UNKNOWN")
    stage.simulator.clear_faults()
    assert stage.until(ticket, "CLOSED")
    assert stage.simulator.duplicates() == []


# --- What partners do wrong ---------------------------------------------------------------------------

SILENCES = {
    "timeout_after_success": {},
    "down": {},
    "http_500": {"effect": True},
    "http_503": {},
    "garbage": {"effect": True},
    "garbage without effect": {"effect": False},
    "late_effect": {"latency_s": 0.05},
}


@pytest.mark.parametrize("kind", SILENCES)
def test_without_a_clear_answer_it_is_asked_not_resent(stage: Stage, kind: str) -> None:
    task = started(stage)
    stage.simulator.fault(system="ALIPAY", kind=kind.split(" ")[0], method="POST", times=1, **SILENCES[kind])
    step(stage)
    assert fresh(task).state == "UNKNOWN" and fresh(task).agreement.state == "UNBINDING"
    before = unsigns(stage, task)
    stage.simulator.fault(system="ALIPAY", kind="down", method="GET")
    for _ in range(3):
        step(stage)
    assert unsigns(stage, task) == before == 1, "it is not sent again while nobody answers"
    stage.simulator.clear_faults()
    stage.task_until(task, "UNBOUND")
    assert ended_there(stage, task) == 1
    assert stage.simulator.duplicates() == []


def test_what_still_reads_bound_is_sent_again_with_the_same_key_after_the_window(stage: Stage) -> None:
    task = started(stage)
    stage.simulator.fault(system="ALIPAY", kind="http_500", method="POST", times=1)
    step(stage, seconds=1)
    for _ in range(4):  # inside the settle window: asked, never sent
        step(stage, minutes=2)
    assert unsigns(stage, task) == 1 and fresh(task).state == "UNKNOWN"
    stage.clock.skip(WINDOW)
    stage.task_until(task, "UNBOUND")
    calls = stage.simulator.calls(method="POST", contains=task.agreement.agreement_no)
    assert len(calls) == 2 and {call["key"] for call in calls} == {task.key}
    assert ended_there(stage, task) == 1


def test_an_effect_that_comes_late_is_one_effect(stage: Stage) -> None:
    task = started(stage)
    stage.simulator.tune(settle_delay=200)
    stage.simulator.fault(system="ALIPAY", kind="timeout_after_success", method="POST", times=1)
    for _ in range(3):
        step(stage, minutes=2)
    assert fresh(task).state == "UNKNOWN", "still bound, may yet end"
    stage.simulator.clock(timezone.now() + timedelta(seconds=250))
    step(stage, minutes=2)
    assert fresh(task).state == "UNBOUND"
    assert (unsigns(stage, task), ended_there(stage, task)) == (1, 1)


def test_a_status_that_lies_is_caught_by_the_list(stage: Stage) -> None:
    task = started(stage)
    stage.simulator.fault(system="ALIPAY", kind="lying_unsign")
    stage.simulator.fault(system="ALIPAY", kind="lying_status")
    for _ in range(4):
        step(stage)
    task = fresh(task)
    assert task.state != "UNBOUND" and task.agreement.state == "UNBINDING"
    assert task.tries.filter(heard="ENDED/BOUND").exists()
    stage.simulator.clear_faults()
    stage.task_until(task, "UNBOUND")
    assert ended_there(stage, task) == 1


def test_a_partner_that_only_says_yes_unbinds_nobody(stage: Stage) -> None:
    task = started(stage)
    stage.simulator.fault(system="ALIPAY", kind="lying_unsign")
    stage.task_until(task, "DEAD")
    task = fresh(task)
    assert (task.reason_code, task.agreement.state) == ("ATTEMPTS_USED_UP", "UNBINDING")
    assert stage.fresh(task.ticket).state == "UNBINDING"


@pytest.mark.parametrize("since", ["the beginning", "the call"])
def test_everything_is_404_unbinds_nobody(stage: Stage, since: str) -> None:
    """A wrong route says "not found" of everything, the canary too."""
    task = started(stage)
    if since == "the call":
        step(stage, seconds=3)
        assert fresh(task).state == "CONFIRMING"
    stage.simulator.fault(system="ALIPAY", kind="wrong_404")
    task = stage.task_until(task, "DEAD")
    assert task.reason_code == "TRUTH_CANNOT_BE_HAD"
    assert fresh(task).agreement.state == "UNBINDING"
    assert stage.fresh(task.ticket).state == "UNBINDING"


def test_not_found_with_the_canary_found_is_proof(stage: Stage) -> None:
    """The partner never knew the agreement: absent, and our copy lapses."""
    ticket = stage.ticket("NOTICE_PERIOD")
    ghost = stage.sign(ticket.account)
    stage.simulator.reset()
    stage.simulator.put_accounts([{"account_no": ticket.account.account_no, "arrears_months": "0|0|0|0|0|0"}])
    ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=stage.now)
    stage.assess()  # the new agreement voids the approval
    stage.assess()
    stage.approve(ticket, by="reviewer2")
    ended = stage.until(ticket, "CLOSED")
    task = ended.tasks.get()
    ghost.refresh_from_db()
    assert (task.state, ghost.state, written(task)) == ("ABSENT", "LAPSED", (JOB, "NEVER_SEEN_BOUND"))


def test_gone_after_our_call_is_unbound_not_absent(stage: Stage) -> None:
    task = started(stage)
    step(stage, seconds=3)
    stage.simulator.reset()  # the partner forgets ended agreements altogether
    stage.simulator.put_accounts([{"account_no": task.ticket.account.account_no}])
    task = stage.task_until(task, "UNBOUND")
    assert written(task) == (JOB, "GONE_BY_TWO_KEYS")
    assert fresh(task).agreement.state == "UNBOUND"


def test_a_definite_refusal_is_a_persons_turn_at_once(stage: Stage) -> None:
    task = started(stage)
    stage.simulator.fault(system="ALIPAY", kind="refuse", code="ORDER_RUNNING", method="POST")
    step(stage)
    task = fresh(task)
    assert (task.state, task.reason_code, task.due_at) == ("DEAD", "ORDER_RUNNING", None)
    for _ in range(3):
        step(stage)
    assert unsigns(stage, task) == 1 and fresh(task).state == "DEAD", "dead never expires"


def test_too_many_requests_means_that_nothing_was_sent(stage: Stage) -> None:
    task = started(stage)
    stage.simulator.fault(system="ALIPAY", kind="http_429", method="POST", times=2)
    step(stage)
    task = fresh(task)
    assert (task.state, task.call_may_have_arrived, written(task)) == (
        "PENDING",
        False,
        (JOB, "NOTHING_WAS_SENT"),
    )
    stage.task_until(task, "UNBOUND")
    assert ended_there(stage, task) == 1


def test_a_partner_out_of_reach_for_days_hands_nobody_a_task_and_it_goes_on_when_he_is_back(
    stage: Stage, settings: Any
) -> None:
    task, there = started(stage), settings.PARTNERS
    settings.PARTNERS = {
        **settings.PARTNERS,
        "ALIPAY": {**settings.PARTNERS["ALIPAY"], "url": "http://127.0.0.1:1/x"},
    }
    for _ in range(2 * django_settings.UNBIND_ATTEMPT_LIMIT):
        stage.work()
        stage.clock.skip(timedelta(hours=2))
    assert fresh(task).state == "PENDING" and fresh(task).attempts >= django_settings.UNBIND_ATTEMPT_LIMIT
    assert task in repair_lists.unknown_tasks(None, stage.now), "the operator's home shows what waits for him"
    settings.PARTNERS = there
    assert stage.task_until(task, "UNBOUND").attempts < django_settings.UNBIND_ATTEMPT_LIMIT


def test_a_settle_window_of_days_wears_no_attempt_out_and_is_asked_ever_more_rarely(stage: Stage) -> None:
    """Still bound inside the window is no failure; after it the same key goes out again (SPEC §4)."""
    ticket = stage.ticket("NOTICE_PERIOD", ALIPAY)
    ClosureTicket.objects.filter(pk=ticket.pk).update(
        policy={**ticket.policy, "settle_window_seconds": 3 * 86_400}
    )
    stage.end_period(ticket)
    unbinding.start(now=stage.now)
    task = ticket.tasks.get()
    stage.simulator.fault(system="ALIPAY", kind="http_500", method="POST", times=1)
    for _ in range(200):
        stage.work()
        if fresh(task).state == "UNBOUND":
            break
        stage.clock.skip(timedelta(hours=1))
    task = fresh(task)
    asked = task.tries.filter(verb="ENQUIRE").count()
    assert task.state == "UNBOUND" and stage.effects("UNSIGN", task.agreement.agreement_no) == 1
    assert unsigns(stage, task) == 2 and asked < 90


def test_garbage_everywhere_proves_nothing(stage: Stage) -> None:
    task = started(stage)
    stage.simulator.fault(system="ALIPAY", kind="garbage", effect=False)
    task = stage.task_until(task, "DEAD")
    assert fresh(task).agreement.state == "UNBINDING" and ended_there(stage, task) == 0


def test_the_partners_raw_words_are_sealed(stage: Stage) -> None:
    task = started(stage)
    stage.simulator.fault(system="ALIPAY", kind="garbage", method="POST", times=1)
    step(stage)
    attempt = task.tries.get(verb="UNSIGN")
    assert attempt.heard == "UNCLEAR" and attempt.answer_sealed
    assert "Gateway" not in attempt.answer_sealed + attempt.detail


# --- Money and holds in between -----------------------------------------------------------------------


def test_a_fresh_read_that_finds_money_goes_back_to_settling_and_calls_nobody(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", REPAYS)
    stage.simulator.patch_account(ticket.account.account_no, principal="10.00")
    stage.clock.skip()
    step(stage, seconds=1)
    ticket = stage.fresh(ticket)
    assert (ticket.state, written(ticket)) == ("SETTLING", (JOB, "a fresh read found money"))
    for _ in range(3):
        stage.work()
        stage.clock.skip()
    task = fresh(ticket.tasks.get())
    assert (task.state, task.attempts, unsigns(stage, task)) == ("PENDING", 0, 0)

    begun = ticket.unbinding_started_at
    stage.simulator.repay(ticket.account.account_no)
    ended = stage.until(ticket, "CLOSED")
    assert ended.unbinding_started_at == begun, "the first start keeps its date"
    assert ended_there(stage, task) == 1


@pytest.mark.parametrize(
    "owed",
    [{"principal": "0.01"}, {"pending_orders": 1}, {"disputed": "5.00"}, {"refunds_in_flight": "1.00"}],
    ids=lambda owed: next(iter(owed)),
)
def test_a_repayment_agreement_is_not_unbound_while_anything_is_owed(
    stage: Stage, owed: dict[str, Any]
) -> None:
    task = started(stage, REPAYS)
    stage.simulator.patch_account(task.ticket.account.account_no, **owed)
    stage.clock.skip()
    for _ in range(3):
        stage.work()
        stage.clock.skip()
    assert unsigns(stage, task) == 0 and fresh(task).state == "PENDING"


def test_money_that_comes_in_between_the_look_and_the_call_stops_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The import brings a debt while the partner is being asked whether the agreement is bound."""
    task = started(stage, REPAYS)
    enquire = partner_calls.enquire

    def slow(row: UnbindTask, partner: Any) -> Any:
        CreditAccount.objects.filter(pk=task.ticket.account_id).update(principal="10.00")
        return enquire(row, partner)

    monkeypatch.setattr(partner_calls, "enquire", slow)
    step(stage)
    assert unsigns(stage, task) == 0 and fresh(task).state == "PENDING"


def test_an_open_hold_stops_the_next_call(stage: Stage) -> None:
    task = started(stage)
    hold = holds.place(
        ticket_id=task.ticket_id, kind="JUDICIAL", ground="x", actor=stage.staff("reviewer"), now=stage.now
    )
    for _ in range(3):
        step(stage)
    assert (unsigns(stage, task), fresh(task).attempts) == (0, 0)
    assert unbinding.finish(now=stage.now) == 0
    holds.lift(hold_id=hold.pk, ground="x", actor=stage.staff("reviewer"), now=stage.now)
    stage.task_until(task, "UNBOUND")


def test_a_hold_placed_between_the_look_and_the_call_stops_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = started(stage)
    person, enquire = stage.staff("reviewer"), partner_calls.enquire

    def slow(row: UnbindTask, partner: Any) -> Any:
        holds.place(ticket_id=task.ticket_id, kind="JUDICIAL", ground="x", actor=person, now=stage.now)
        return enquire(row, partner)

    monkeypatch.setattr(partner_calls, "enquire", slow)
    step(stage)
    assert unsigns(stage, task) == 0 and fresh(task).state == "PENDING"


def test_a_ledger_that_does_not_answer_keeps_the_partner_uncalled(stage: Stage) -> None:
    task = started(stage)
    stage.clock.skip()
    stage.simulator.fault(system="LEDGER", kind="down")
    for _ in range(3):
        step(stage)
    assert (unsigns(stage, task), fresh(task).attempts) == (0, 0)


# --- Leases -------------------------------------------------------------------------------------------


def test_a_worker_that_died_in_mid_call_leaves_unknown_not_pending(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = started(stage)

    class Died(BaseException):
        pass

    def die(row: UnbindTask, partner: Any) -> Any:
        unsign(row, partner)
        raise Died

    unsign = partner_calls.unsign
    monkeypatch.setattr(partner_calls, "unsign", die)
    with pytest.raises(Died):
        unbinding.run(clock=stage.clock)
    monkeypatch.undo()
    assert fresh(task).state == "SENDING"
    assert unbinding.run(clock=stage.clock) == 0, "its lease has not lapsed"
    stage.clock.skip(timedelta(seconds=django_settings.LEASE_SECONDS + 1))
    unbinding.run(clock=stage.clock)
    assert fresh(task).state in ("UNKNOWN", "UNBOUND")
    stage.task_until(task, "UNBOUND")
    assert (unsigns(stage, task), ended_there(stage, task)) == (1, 1)


def test_a_late_result_that_lost_its_lease_is_recorded_and_not_applied(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker's answer comes after a second one has found the agreement ended."""
    task = started(stage)
    unsign = partner_calls.unsign

    def slow(row: UnbindTask, partner: Any) -> Any:
        answer = unsign(row, partner)
        monkeypatch.setattr(partner_calls, "unsign", unsign)
        stage.clock.skip(timedelta(minutes=3))
        for _ in range(3):
            unbinding.run(clock=stage.clock)
            stage.clock.skip(timedelta(minutes=3))
        assert fresh(task).state == "UNBOUND"
        return answer

    monkeypatch.setattr(partner_calls, "unsign", slow)
    unbinding.run(clock=stage.clock)
    task = fresh(task)
    late = task.tries.get(verb="UNSIGN")
    assert (late.heard, late.applied) == ("ACCEPTED", False)
    assert (task.state, written(task)) == ("UNBOUND", (JOB, "STATUS_ENDED"))
    assert task.history.filter(state="CONFIRMING").count() == 0


def test_no_transaction_is_open_during_a_call(
    raise_stage: Any, transactional_db: None, monkeypatch: Any
) -> None:
    stage = raise_stage()
    task = started(stage)
    open_during: list[bool] = []
    for name in ("unsign", "enquire"):
        real = getattr(partner_calls, name)

        def look(row: UnbindTask, partner: Any, real: Any = real) -> Any:
            open_during.append(connection.in_atomic_block)
            return real(row, partner)

        monkeypatch.setattr(partner_calls, name, look)
    stage.task_until(task, "UNBOUND")
    assert open_during == [False] * 3


@race
def test_two_workers_call_a_partner_once(raise_stage: Any) -> None:
    stage = raise_stage()
    for _ in range(5):
        ticket = stage.ticket("UNBINDING", ALIPAY, REPAYS)
        ends = at_once(*(lambda: unbinding.run(clock=stage.clock) for _ in range(4)))
        assert all(isinstance(end, int) for end in ends), ends
        for task in ticket.tasks.select_related("agreement"):
            assert unsigns(stage, task) == 1 and task.tries.filter(verb="UNSIGN").count() == 1


@race
def test_two_starts_make_one_task(raise_stage: Any) -> None:
    stage = raise_stage()
    for _ in range(5):
        ticket = stage.ticket("NOTICE_PERIOD", ALIPAY)
        stage.end_period(ticket)
        ends = at_once(*(lambda: unbinding.start(now=stage.now) for _ in range(4)))
        assert sorted(ends) == [0, 0, 0, 1], ends
        assert UnbindTask.objects.filter(ticket=ticket).count() == 1


# --- Partners without an API --------------------------------------------------------------------------


def by_hand(settings: Any) -> None:
    settings.PARTNERS = {**settings.PARTNERS, "JD": {"gateway": "manual"}}


def test_a_partner_without_an_api_is_a_persons_work(stage: Stage, settings: Any) -> None:
    by_hand(settings)
    task = started(stage, ("JD", "PASSWORD_FREE", False))
    step(stage)
    task = fresh(task)
    assert (task.state, task.due_at, written(task)) == ("MANUAL", None, (JOB, "the partner has no API"))
    assert not stage.calls("POST", "/partners/JD") and not UnbindAttempt.objects.exists()


def test_a_person_is_not_sent_to_unbind_while_money_is_owed_or_a_hold_is_open(
    stage: Stage, settings: Any
) -> None:
    by_hand(settings)
    owing, held = (started(stage, ("JD", "WITHHOLDING", True)) for _ in range(2))
    stage.simulator.patch_account(owing.ticket.account.account_no, principal="10.00")
    holds.place(
        ticket_id=held.ticket_id, kind="LEGAL", ground="x", actor=stage.staff("reviewer"), now=stage.now
    )
    stage.clock.skip()
    step(stage)
    assert (fresh(owing).state, stage.fresh(owing.ticket).state) == ("PENDING", "SETTLING")
    assert fresh(held).state == "PENDING"


# --- Finishing, and what takes long -------------------------------------------------------------------


def test_one_task_undone_holds_the_ticket(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING", ALIPAY, REPAYS)
    stage.simulator.fault(system="WECHAT", kind="refuse", method="POST")
    step(stage, seconds=3)
    step(stage)
    assert set(ticket.tasks.values_list("state", flat=True)) == {"UNBOUND", "DEAD"}
    assert unbinding.finish(now=stage.now) == 0
    assert stage.fresh(ticket).state == "UNBINDING"


def test_an_agreement_without_a_task_holds_the_ticket(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING")
    stage.sign(ticket.account)
    assert unbinding.finish(now=stage.now) == 0


def test_finishing_is_recorded_and_happens_once(stage: Stage) -> None:
    ticket = stage.ticket("UNBINDING")
    assert (unbinding.finish(now=stage.now), unbinding.finish(now=stage.now)) == (1, 0)
    assert written(stage.fresh(ticket)) == (JOB, "all unbound")


def test_the_customer_is_told_once_that_it_takes_long(stage: Stage, settings: Any) -> None:
    settings.DELAY_NOTICE_AFTER = timedelta(hours=2)
    ticket = stage.ticket("UNBINDING", ALIPAY)
    assert unbinding.tell_delays(now=stage.now) == 0
    stage.clock.skip(timedelta(hours=2))
    assert (unbinding.tell_delays(now=stage.now), unbinding.tell_delays(now=stage.now)) == (1, 0)
    told = ticket.notices.get(kind="UNBINDING_DELAYED", courtesy=False)
    assert len(told.values["pending"]) == 1
    assert stage.ticket("CLOSING").notices.filter(kind="UNBINDING_DELAYED").count() == 0


def test_a_lenders_closing_unbinds_like_a_customers(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED", ALIPAY, REPAYS, reason=Reason.RISK_CONTROL)
    assert set(ticket.tasks.values_list("state", flat=True)) == {"UNBOUND"}
    assert ticket.notice_arrived_at <= ticket.unbinding_started_at
    assert set(PartnerAgreement.objects.values_list("state", flat=True)) == {"UNBOUND"}
