"""Queued is not sent, sent is not delivered; a notice that fails climbs, and no failure moves a ticket."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils.timezone import localtime, make_aware

from accounts import pii
from accounts.actors import Actor
from accounts.models import Regulation
from accounts.tracking import NotPermitted, NotPossible, save_as
from closures.models import ClosureTicket, Notice
from closures.models.tickets import Reason
from closures.selectors import worklists
from closures.services import assessment, cooling_off, intake, notices, review
from closures.services.notices import NotALetter, ProofMissing, delivering
from tests.factories import SHIPPED, a_person
from tests.races import at_once, race
from tests.stage import PERIOD, Stage, refused, seen, written

PHONE = "19912345678"
JOB = "job:notices"


def deliver(stage: Stage, rounds: int = 1, step: timedelta = timedelta(minutes=20)) -> None:
    for _ in range(rounds):
        notices.deliver(clock=stage.clock)
        stage.clock.skip(step)


def channels(ticket: ClosureTicket, kind: str, **more: Any) -> dict[str, str]:
    rows = ticket.notices.filter(kind=kind, **more).order_by("pk")
    return dict(rows.values_list("channel", "state"))


def lenders(stage: Stage, **known: str) -> ClosureTicket:
    """A policy closing whose notice of closing waits to be sent."""
    customer = a_person(known={"phone": PHONE, **known})
    ticket = stage.request(stage.account(customer=customer), reason=Reason.POLICY)
    stage.assess()
    return stage.approve(ticket)


def agreed_inbox(stage: Stage) -> Any:
    return a_person(notice_channel="INBOX", notice_channel_agreed_on=date(2025, 1, 2))


# --- What counts as arrival ---------------------------------------------------------------------------


def test_an_sms_has_arrived_when_the_carrier_says_so(stage: Stage) -> None:
    ticket = lenders(stage)
    stage.simulator.tune(receipt_delay=200)
    deliver(stage, 3)
    notice = ticket.notices.get(channel="SMS", kind="NOTICE_OF_CLOSING")
    assert (notice.state, bool(notice.sent_at), notice.delivered_at) == ("SENT", True, None)
    assert stage.fresh(ticket).notice_arrived_at is None
    stage.simulator.clock(datetime.now().astimezone() + timedelta(seconds=250))
    deliver(stage)
    notice.refresh_from_db()
    assert (notice.state, written(notice)) == ("DELIVERED", (JOB, "ARRIVED"))
    ticket = stage.fresh(ticket)
    assert ticket.notice_arrived_at == notice.delivered_at
    assert written(ticket) == (JOB, "the notice of closing arrived")


def test_what_is_sent_is_what_was_kept_and_the_number_is_nowhere_else(stage: Stage) -> None:
    ticket = lenders(stage)
    deliver(stage)
    notice = ticket.notices.get(channel="SMS", kind="NOTICE_OF_CLOSING")
    (message,) = stage.simulator.messages(notice.key)
    assert message["recipient"] == PHONE
    assert message["text"] == pii.reveal(notice.body.text_sealed, subject=notice.key, field="text")
    assert notice.template.version == 1 and len(notice.content_hash) == 64
    assert PHONE not in str(list(Notice.objects.values())) + str(list(Notice.history.values()))


def test_an_agreed_inbox_is_arrival_at_once(stage: Stage) -> None:
    ticket = stage.request(stage.account(customer=agreed_inbox(stage)), reason=Reason.POLICY)
    stage.assess()
    stage.approve(ticket)
    deliver(stage)
    assert channels(ticket, "NOTICE_OF_CLOSING", courtesy=False) == {"INBOX": "DELIVERED"}
    assert stage.fresh(ticket).notice_arrived_at is not None


def test_an_inbox_nobody_agreed_to_is_a_copy_and_ends_at_sent(stage: Stage) -> None:
    ticket = lenders(stage)
    deliver(stage, 4)
    copies = channels(ticket, "NOTICE_OF_CLOSING", courtesy=True)
    assert copies == {"INBOX": "SENT", "EMAIL": "SENT"}


def test_an_email_never_arrives(stage: Stage) -> None:
    ticket = lenders(stage, email="someone@example.com")
    stage.simulator.fault(system="SMS", kind="receipt_missing")
    deliver(stage, 5)
    copy = ticket.notices.get(channel="EMAIL")
    assert (copy.state, copy.due_at) == ("SENT", None)
    assert [m.to for m in mail.outbox] == [["someone@example.com"]]
    with pytest.raises(IntegrityError), transaction.atomic():
        Notice.objects.filter(pk=copy.pk).update(state="DELIVERED", delivered_at=stage.now)
    assert stage.fresh(ticket).notice_arrived_at is None


def test_nothing_is_delivered_without_its_moment(stage: Stage) -> None:
    notice = lenders(stage).notices.first()
    with pytest.raises(IntegrityError), transaction.atomic():
        Notice.objects.filter(pk=notice.pk).update(state="DELIVERED", delivered_at=None)


# --- The ladder ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["refused", "failed", "no receipt", "no number"])
def test_a_notice_that_cannot_arrive_climbs_to_the_letter_and_waits_there(stage: Stage, how: str) -> None:
    ticket = lenders(stage, **({"phone": ""} if how == "no number" else {}))
    fault = {"refused": "refuse", "failed": "receipt_failed", "no receipt": "receipt_missing"}.get(how)
    if fault:
        stage.simulator.fault(system="SMS", kind=fault, method="POST")
    deliver(stage, 3)
    if how == "no receipt":
        deliver(stage, 5, timedelta(hours=24))
    ended = {"refused": "FAILED", "failed": "FAILED", "no receipt": "EXPIRED", "no number": "FAILED"}[how]
    assert channels(ticket, "NOTICE_OF_CLOSING", courtesy=False) == {"SMS": ended, "LETTER": "SENT"}
    assert stage.fresh(ticket).state == "NOTICE_PERIOD", "a failed notice never moves a ticket"

    deliver(stage, 6, timedelta(days=5))
    assert channels(ticket, "NOTICE_OF_CLOSING", courtesy=False)["LETTER"] == "SENT", "it waits for a person"
    assert cooling_off.end_periods(now=stage.now) == 0


def test_a_person_enters_the_letters_proof_and_the_lead_time_begins(stage: Stage) -> None:
    ticket = lenders(stage)
    stage.simulator.fault(system="SMS", kind="refuse", method="POST")
    deliver(stage, 3)
    letter = ticket.notices.get(channel="LETTER")
    stage.clock.skip(timedelta(days=9))
    given = {"notice_id": letter.pk, "now": stage.now}
    with refused(ProofMissing, letter):
        notices.prove_arrival(proof="  ", actor=stage.staff("lead"), **given)
    for name in ("agent", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted, letter, ticket):
            notices.prove_arrival(proof="EMS7", actor=stage.staff(name), **given)
    with refused(NotPermitted, letter, ticket):
        notices.prove_arrival(proof="EMS7", actor=Actor.job("notices"), **given)

    letter = notices.prove_arrival(proof=" EMS7 ", actor=stage.staff("lead"), **given)
    assert (letter.state, letter.proof, letter.delivered_at) == ("DELIVERED", "EMS7", stage.now)
    assert written(letter) == (str(stage.staff("lead")), "letter")
    ticket = stage.fresh(ticket)
    assert (ticket.notice_arrived_at, ticket.period_ends_at) == (stage.now, stage.now + PERIOD)
    with refused(NotPossible, letter, ticket):
        notices.prove_arrival(proof="EMS8", actor=stage.staff("lead"), **given)


def test_the_proof_of_a_letter_is_no_proof_of_an_sms(stage: Stage) -> None:
    """Only a letter's tracking number proves anything; an SMS that waits for its receipt is no letter."""
    ticket = lenders(stage)
    stage.simulator.fault(system="SMS", kind="receipt_missing")
    deliver(stage, 2)
    sms = ticket.notices.get(channel="SMS", kind="NOTICE_OF_CLOSING")
    assert sms.state == "SENT"
    with refused(NotALetter, sms, ticket):
        notices.prove_arrival(notice_id=sms.pk, proof="EMS7", actor=stage.staff("lead"), now=stage.now)


def test_a_refusal_that_does_not_arrive_climbs_although_its_ticket_has_ended(stage: Stage) -> None:
    ticket = stage.ticket("BLOCKED")
    stage.simulator.fault(system="SMS", kind="refuse", method="POST")
    review.reject(ticket_id=ticket.pk, ground="x", actor=stage.staff("reviewer"), now=stage.now)
    deliver(stage, 4)
    assert channels(ticket, "REFUSED", courtesy=False) == {"SMS": "FAILED", "EMAIL": "SENT", "LETTER": "SENT"}


def test_a_courtesy_that_fails_climbs_nowhere(stage: Stage) -> None:
    ticket = stage.request(stage.account(customer=a_person(known={"phone": ""})))
    deliver(stage, 4)
    rungs = channels(ticket, "RECEIVED", courtesy=False)
    assert rungs["SMS"] == "FAILED" and "LETTER" not in rungs, "only what must arrive is worth a letter"


def test_a_notice_of_a_void_approval_climbs_no_further_and_proves_nothing(stage: Stage) -> None:
    """It was on its way when the approval was voided; after the second approval its receipt comes in."""
    ticket = lenders(stage)
    stage.simulator.tune(receipt_delay=200)
    deliver(stage, 2)
    stage.sign(ticket.account)
    assessment.wake_changed(now=stage.now)
    stage.assess()
    stage.assess()
    stage.approve(ticket, by="boss")
    first, second = ticket.notices.filter(channel="SMS", kind="NOTICE_OF_CLOSING").order_by("round")
    stage.simulator.fault(system="SMS", kind="receipt_missing")
    stage.simulator.clock(datetime.now().astimezone() + timedelta(seconds=250))
    deliver(stage, 3)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("DELIVERED", "SENT")
    assert stage.fresh(ticket).notice_arrived_at is None, "he was not told what will happen now"


def test_an_old_round_that_fails_sends_no_letter(stage: Stage) -> None:
    ticket = lenders(stage)
    stage.simulator.fault(system="SMS", kind="receipt_missing")
    deliver(stage, 2)
    stage.sign(ticket.account)
    assessment.wake_changed(now=stage.now)
    stage.assess()
    assert stage.fresh(ticket).state == "IN_REVIEW"
    deliver(stage, 5, timedelta(hours=24))
    assert channels(ticket, "NOTICE_OF_CLOSING", courtesy=False) == {"SMS": "EXPIRED"}


# --- One message, whatever becomes of the answer ------------------------------------------------------


@pytest.mark.parametrize("kind", ["timeout_after_success", "garbage", "http_500", "late_effect"])
def test_a_message_of_unknown_fate_is_asked_about_and_sent_once(stage: Stage, kind: str) -> None:
    ticket = lenders(stage)
    late = {"latency_s": 0.05} if kind == "late_effect" else {}
    effect = {"effect": True} if kind in ("garbage", "http_500") else {}
    stage.simulator.fault(system="SMS", kind=kind, method="POST", **late, **effect)
    notices.deliver(clock=stage.clock)
    notice = ticket.notices.get(channel="SMS", kind="NOTICE_OF_CLOSING")
    assert notice.state == "UNKNOWN"
    stage.simulator.clear_faults()
    deliver(stage, 5)
    notice.refresh_from_db()
    assert notice.state == "DELIVERED"
    assert stage.effects("SMS", notice.key) == 1 and stage.simulator.duplicates() == []


def test_a_provider_that_does_not_know_it_gets_the_same_key_again(stage: Stage) -> None:
    ticket = lenders(stage)
    stage.simulator.fault(system="SMS", kind="http_500", method="POST", subject="notice_of_closing", times=1)
    deliver(stage, 5)
    notice = ticket.notices.get(channel="SMS", kind="NOTICE_OF_CLOSING")
    sent = [c for c in stage.simulator.calls(system="SMS", method="POST") if c["key"] == notice.key]
    assert (notice.state, len(sent), stage.effects("SMS", notice.key)) == ("DELIVERED", 2, 1)


def test_a_worker_that_died_in_mid_call_leaves_a_question_not_a_second_message(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = stage.request(stage.account(customer=agreed_inbox(stage)), reason=Reason.POLICY)
    stage.assess()
    stage.approve(ticket)

    class Died(BaseException):
        pass

    def die(*args: Any, **kwargs: Any) -> Any:
        raise Died

    monkeypatch.setattr(delivering, "_settle", die)
    with pytest.raises(Died):
        notices.deliver(clock=stage.clock)
    monkeypatch.undo()
    deliver(stage, 4)
    assert channels(ticket, "NOTICE_OF_CLOSING", courtesy=False) == {"INBOX": "DELIVERED"}


def test_delivering_again_sends_nothing_more(stage: Stage) -> None:
    ticket = lenders(stage)
    deliver(stage, 4)
    before = [seen(n) for n in ticket.notices.order_by("pk")]
    calls = len(stage.simulator.calls(system="SMS", method="POST"))
    deliver(stage, 3)
    assert [seen(n) for n in ticket.notices.order_by("pk")] == before
    assert len(stage.simulator.calls(system="SMS", method="POST")) == calls


def test_what_has_not_gone_out_is_cancelled_when_its_ticket_moves_on(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    states = channels(ticket, "COOLING_OFF_STARTED")
    assert set(states.values()) == {"CANCELLED"}
    cancelled = ticket.notices.filter(kind="COOLING_OFF_STARTED").first()
    assert written(cancelled) == (str(stage.staff("agent")), "the ticket moved on")
    deliver(stage, 3)
    assert set(channels(ticket, "COOLING_OFF_STARTED").values()) == {"CANCELLED"}


# --- Quiet hours and the daily cap --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "goes"),
    [("21:59:59", True), ("22:00:00", False), ("00:30:00", False), ("07:59:59", False), ("08:00:00", True)],
)
def test_what_asks_for_money_keeps_quiet_hours(stage: Stage, at: str, goes: bool) -> None:
    ticket = lenders(stage)
    stage.clock.now = make_aware(datetime.fromisoformat(f"2026-01-13 {at}"))
    Notice.objects.update(due_at=stage.now)
    notices.deliver(clock=stage.clock)
    notice = ticket.notices.get(channel="SMS", kind="NOTICE_OF_CLOSING")
    if goes:
        assert notice.state in ("SENT", "DELIVERED")
    else:
        assert (notice.state, notice.attempts) == ("PENDING", 0)
        assert localtime(notice.due_at).strftime("%H:%M") == "08:00"
        assert timedelta(0) < notice.due_at - stage.now <= timedelta(hours=10)


def test_what_asks_for_nothing_goes_at_any_hour(stage: Stage) -> None:
    stage.clock.now = make_aware(datetime(2026, 1, 13, 2, 0))
    ticket = stage.request(stage.account())
    deliver(stage)
    assert channels(ticket, "RECEIVED", courtesy=False)["SMS"] in ("SENT", "DELIVERED")


def test_an_empty_row_means_no_quiet_hours(stage: Stage) -> None:
    row = Regulation.objects.get(code="QUIET_HOURS")
    row.value = ""
    save_as(row, actor=SHIPPED, reason="demo")
    ticket = lenders(stage)
    stage.clock.now = make_aware(datetime(2026, 1, 13, 2, 0))
    deliver(stage)
    assert channels(ticket, "NOTICE_OF_CLOSING", courtesy=False)["SMS"] in ("SENT", "DELIVERED")


@pytest.mark.parametrize("shared", [True, False], ids=["one number of two customers", "two numbers"])
def test_a_number_is_asked_for_money_only_so_often_a_day(stage: Stage, shared: bool) -> None:
    row = Regulation.objects.get(code="NOTICE_CAP_PER_NUMBER_DAY")
    row.value = "1"
    save_as(row, actor=SHIPPED, reason="test")
    first = lenders(stage)
    deliver(stage, 3)
    second = lenders(stage, **({} if shared else {"phone": "19900000001"}))
    deliver(stage, 3)
    assert channels(first, "NOTICE_OF_CLOSING", courtesy=False)["SMS"] == "DELIVERED"
    state = channels(second, "NOTICE_OF_CLOSING", courtesy=False)["SMS"]
    assert state == ("PENDING" if shared else "DELIVERED")
    stage.clock.skip(timedelta(days=1))
    deliver(stage, 3)
    assert channels(second, "NOTICE_OF_CLOSING", courtesy=False)["SMS"] == "DELIVERED"


def test_the_copies_of_a_second_round_have_keys_of_their_own(stage: Stage) -> None:
    ticket = lenders(stage)
    stage.sign(ticket.account)
    assessment.wake_changed(now=stage.now)
    stage.assess()
    stage.assess()
    stage.approve(ticket, by="boss")
    keys = list(ticket.notices.filter(kind="NOTICE_OF_CLOSING").values_list("key", flat=True))
    assert len(keys) == len(set(keys)) == 6
    assert set(ticket.notices.filter(round=1, kind="NOTICE_OF_CLOSING").values_list("state", flat=True)) == {
        "CANCELLED"
    }


@race
def test_many_workers_send_each_message_once(raise_stage: Any) -> None:
    stage = raise_stage()
    tickets = [lenders(stage, phone=f"1990000000{n}") for n in range(4)]
    ends = at_once(*(lambda: notices.deliver(clock=stage.clock) for _ in range(4)))
    assert all(isinstance(end, int) for end in ends), ends
    deliver(stage, 3)
    for ticket in tickets:
        for notice in ticket.notices.filter(channel="SMS"):
            assert (stage.effects("SMS", notice.key), notice.history.filter(state="SENT").count()) == (1, 1)
        assert stage.fresh(ticket).notice_arrived_at is not None


def test_a_letter_is_printed_by_whoever_may_prove_it_and_history_says_who(stage: Stage) -> None:
    ticket = lenders(stage)
    stage.simulator.fault(system="SMS", kind="refuse", code="NUMBER_UNKNOWN")
    deliver(stage, rounds=3)
    letter = ticket.notices.get(channel="LETTER")
    given = {"notice_id": letter.pk, "now": stage.now}
    for name in ("agent", "operator", "auditor"):
        with refused(NotPermitted, letter):
            notices.print_letter(actor=stage.staff(name), **given)
    with refused(NotALetter):
        sms = ticket.notices.get(channel="SMS", kind="NOTICE_OF_CLOSING")
        notices.print_letter(notice_id=sms.pk, actor=stage.staff("lead"), now=stage.now)

    printed = notices.print_letter(actor=stage.staff("lead"), **given)

    assert printed.customer_no == ticket.account.customer.customer_no and ticket.number in printed.text
    assert written(letter) == (str(stage.staff("lead")), "the letter was printed")
    assert letter in worklists.letters(None, stage.now)
