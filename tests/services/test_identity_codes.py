"""A one-time code shows that whoever asks holds the phone on file, and no number of guesses gets round it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from accounts.actors import Actor
from accounts.tracking import NotPermitted
from closures.models import ClosureTicket, IdentityCode, IdentityCodeText
from closures.selectors import identity_codes as codes
from closures.services import identity_codes, intake
from closures.services.identity_codes import (
    IdentityChanged,
    NoLiveCode,
    NoPhone,
    NothingToProve,
    NotSixDigits,
    NotTheirTicket,
    TooManyCodes,
    TriesUsedUp,
    WrongCode,
)
from tests.factories import a_customer, a_person, an_identity
from tests.races import at_once, race
from tests.stage import Stage, refused, written

PROVE = IdentityCode.Purpose.PROVE_REQUEST
DETAILS = IdentityCode.Purpose.STATUS_DETAILS
WITHDRAW = IdentityCode.Purpose.WITHDRAW


def unproved(stage: Stage, **account: Any) -> ClosureTicket:
    return stage.fresh(stage.request(stage.account(**account), identity_level="NONE"))


def himself(ticket: ClosureTicket) -> Actor:
    return Actor.customer(ticket.account.customer)


def issue(
    stage: Stage, ticket: ClosureTicket, purpose: str = PROVE, by: Any = "", **more: Any
) -> IdentityCode:
    actor = stage.staff(by) if by else himself(ticket)
    return identity_codes.issue(ticket_id=ticket.pk, purpose=purpose, actor=actor, now=stage.now, **more)


def verify(
    stage: Stage, ticket: ClosureTicket, digits: str, purpose: str = PROVE, by: Any = ""
) -> IdentityCode:
    actor = stage.staff(by) if by else himself(ticket)
    return identity_codes.verify(
        ticket_id=ticket.pk, purpose=purpose, code=digits, actor=actor, now=stage.now
    )


def deliver(stage: Stage) -> int:
    return identity_codes.deliver(clock=stage.clock)


def text_of(stage: Stage, code: IdentityCode) -> str:
    (message,) = stage.simulator.messages(code.key)
    return message["text"]


def digits_of(stage: Stage, code: IdentityCode) -> str:
    """As the customer reads them on his phone."""
    deliver(stage)
    return re.search(r"\d{6}", text_of(stage, code))[0]  # type: ignore[index]


def wrong(digits: str) -> str:
    return f"{(int(digits) + 1) % 1_000_000:06d}"


def fresh(code: IdentityCode) -> IdentityCode:
    return IdentityCode.objects.get(pk=code.pk)


# --- It happens ---------------------------------------------------------------------------------------


def test_a_code_sent_to_the_phone_on_file_proves_the_request_and_the_case_goes_on(stage: Stage) -> None:
    ticket = unproved(stage)
    assert stage.assess() == 0, "nothing is looked at before the customer has proved himself"
    code = issue(stage, ticket)
    digits = digits_of(stage, code)
    assert fresh(code).state == "SENT" and not IdentityCodeText.objects.exists()

    assert verify(stage, ticket, digits).state == "VERIFIED"

    ticket = stage.fresh(ticket)
    assert (ticket.identity_level, ticket.due_at) == ("CODE", stage.now)
    assert written(ticket) == (str(himself(ticket)), "proved by a one-time code")
    stage.assess()
    assert stage.fresh(ticket).state == "IN_REVIEW"


def test_an_agent_sends_a_code_and_enters_what_the_customer_reads_to_him(stage: Stage) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket, by="agent")
    assert code.asked_by == stage.staff("agent").user
    digits = digits_of(stage, code)
    assert "客服" in text_of(stage, code)
    spoken = f" {digits[:3]} {digits[3:]} "
    assert verify(stage, ticket, spoken, by="agent2").state == "VERIFIED"
    assert stage.fresh(ticket).identity_level == "CODE"


def test_full_width_digits_are_digits(stage: Stage) -> None:
    ticket = unproved(stage)
    digits = digits_of(stage, issue(stage, ticket))
    assert (
        verify(stage, ticket, digits.translate(str.maketrans("0123456789", "０１２３４５６７８９"))).tries
        == 1
    )


@pytest.mark.parametrize(("language", "word"), [("zh-hans", "验证码"), ("en", "Code ")])
def test_the_message_says_what_for_in_the_readers_language(stage: Stage, language: str, word: str) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket, DETAILS, language=language)
    deliver(stage)
    text = text_of(stage, code)
    assert ticket.account.product.lender.legal_name in text[:20] and word in text
    assert len(text) <= 134 and "10" in text


def test_a_code_for_details_opens_them_and_proves_no_request(stage: Stage) -> None:
    """Whoever looks why he got a message has not asked for a closing."""
    ticket = unproved(stage)
    code = verify(stage, ticket, digits_of(stage, issue(stage, ticket, DETAILS)), DETAILS)
    assert stage.fresh(ticket).identity_level == "NONE"
    assert codes.opened_by(code.pk, ticket=ticket, now=stage.now) == code
    late = stage.now + timedelta(minutes=15)
    assert codes.opened_by(code.pk, ticket=ticket, now=late) is None
    other = stage.fresh(stage.request(stage.account()))
    assert codes.opened_by(code.pk, ticket=other, now=stage.now) is None


def test_a_name_that_changed_has_to_be_proved_again_and_can_be(stage: Stage) -> None:
    ticket = stage.fresh(stage.ticket("IN_REVIEW"))
    assert not codes.needs_proof(ticket)
    stage.clock.skip()
    renamed(stage, ticket)
    stage.clock.skip()
    ticket.due_at = stage.now
    ticket.save(update_fields=["due_at"])
    stage.assess()
    ticket = stage.fresh(ticket)
    assert ticket.state == "BLOCKED" and codes.needs_proof(ticket)
    assert ticket.blockers.get(cured_at__isnull=True).code == "IDENTITY_MISMATCH"

    verify(stage, ticket, digits_of(stage, issue(stage, ticket)))
    stage.assess()
    assert stage.fresh(ticket).state == "IN_REVIEW"


def renamed(stage: Stage, ticket: ClosureTicket, **known: str) -> None:
    """The same person with another name on file, since a moment ago."""
    customer = ticket.account.customer
    before = customer.identities.get(superseded_at__isnull=True)
    new = an_identity(customer, **(known or {"name": "改名某"}))
    customer.identities.filter(pk=before.pk).update(superseded_at=stage.now)
    customer.identities.filter(pk=new.pk).update(
        id_number_index=before.id_number_index, recorded_at=stage.now
    )


# --- It is recorded -----------------------------------------------------------------------------------


def test_issuing_trying_and_ending_are_in_the_history_and_the_digits_are_not(stage: Stage) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket)
    digits = digits_of(stage, code)
    with pytest.raises(WrongCode):
        verify(stage, ticket, wrong(digits))
    verify(stage, ticket, digits)

    rows = list(code.history.order_by("history_id").values("state", "tries", "history_change_reason"))
    assert [(row["state"], row["tries"], row["history_change_reason"]) for row in rows] == [
        ("PENDING", 0, "PROVE_REQUEST"),
        ("SENDING", 0, "attempt 1"),
        ("SENT", 0, "HANDED_OVER"),
        ("SENT", 1, "a wrong code"),
        ("VERIFIED", 2, "the right code"),
    ]
    stored = str([list(IdentityCode.objects.values()), list(code.history.values())])
    assert digits not in stored and wrong(digits) not in stored
    assert fresh(code).code_hash == "", "what is over keeps no hash to be searched"


def test_the_hash_is_bound_to_its_row(stage: Stage) -> None:
    from closures.services.identity_codes.issuing import hashed  # noqa: PLC0415

    assert hashed("123456", key="code:a") != hashed("123456", key="code:b")


# --- It is refused and nothing changed ----------------------------------------------------------------


def test_five_tries_and_the_code_is_dead(stage: Stage) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket)
    digits = digits_of(stage, code)
    for left in (4, 3, 2, 1):
        with pytest.raises(WrongCode) as caught:
            verify(stage, ticket, wrong(digits))
        assert caught.value.facts == {"left": left}
    with pytest.raises(TriesUsedUp):
        verify(stage, ticket, wrong(digits))
    assert (fresh(code).state, fresh(code).tries) == ("USED_UP", 5)
    with refused(NoLiveCode, ticket, code):
        verify(stage, ticket, digits)
    assert stage.fresh(ticket).identity_level == "NONE"


def test_a_code_is_good_for_ten_minutes(stage: Stage) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket)
    digits = digits_of(stage, code)
    stage.clock.skip(timedelta(minutes=10))
    with refused(NoLiveCode, ticket, code):
        verify(stage, ticket, digits)
    deliver(stage)
    assert fresh(code).state == "LAPSED"


@pytest.mark.parametrize("given", ["", "12345", "1234567", "abcdef", "12345x", "一二三四五六", "1" * 5000])
def test_what_has_not_six_digits_is_no_try(stage: Stage, given: str) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket)
    deliver(stage)
    with refused(NotSixDigits, ticket, code):
        verify(stage, ticket, given)


def test_a_code_for_one_thing_does_no_other(stage: Stage) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket, DETAILS)
    digits = digits_of(stage, code)
    with refused(NoLiveCode, ticket, code):
        verify(stage, ticket, digits, PROVE)
    with refused(NoLiveCode, ticket, code):
        verify(stage, ticket, digits, WITHDRAW)


def test_once_the_identity_has_changed_the_code_is_void(stage: Stage) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket)
    digits = digits_of(stage, code)
    an_identity(ticket.account.customer, name="改名某")
    with pytest.raises(IdentityChanged):
        verify(stage, ticket, digits)
    assert (fresh(code).state, fresh(code).reason_code) == ("CANCELLED", "IDENTITY_CHANGED")
    assert stage.fresh(ticket).identity_level == "NONE"
    stage.clock.skip(timedelta(minutes=1))
    verify(stage, ticket, digits_of(stage, issue(stage, ticket)))


def test_a_message_is_not_sent_to_a_phone_that_is_no_longer_on_file(stage: Stage) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket)
    an_identity(ticket.account.customer)
    deliver(stage)
    assert (fresh(code).state, fresh(code).reason_code) == ("CANCELLED", "IDENTITY_CHANGED")
    assert stage.simulator.messages(code.key) == []


def test_without_a_phone_on_file_no_code_is_made(stage: Stage) -> None:
    for customer in (a_customer(), a_person(known={"phone": ""})):
        ticket = unproved(stage, customer=customer)
        with refused(NoPhone, ticket):
            issue(stage, ticket)
    assert not IdentityCode.objects.exists()


def test_there_is_a_pause_between_two_codes_of_one_purpose(stage: Stage) -> None:
    ticket = unproved(stage)
    first = issue(stage, ticket)
    with refused(TooManyCodes, ticket, first):
        issue(stage, ticket)
    issue(stage, ticket, WITHDRAW)  # who has just looked may withdraw at once
    stage.clock.skip(timedelta(minutes=1))
    second = issue(stage, ticket)
    assert (fresh(first).state, fresh(first).reason_code) == ("CANCELLED", "NEWER_CODE")
    assert fresh(second).state == "PENDING"


def test_five_an_hour_and_ten_a_day_to_one_customer(stage: Stage) -> None:
    ticket = unproved(stage)
    for limit, span in ((5, timedelta(hours=1)), (10, timedelta(days=1))):
        while IdentityCode.objects.count() < limit:
            stage.clock.skip(timedelta(minutes=1))
            issue(stage, ticket)
        stage.clock.skip(timedelta(minutes=1))
        with refused(TooManyCodes, ticket):
            issue(stage, ticket)
        stage.clock.skip(span)
    issue(stage, ticket)


def test_the_limits_are_the_phone_numbers_too(stage: Stage) -> None:
    """One phone with many names behind it: whoever owns it gets no more messages for that."""
    one, two = (unproved(stage, customer=a_person(known={"phone": "19900000077"})) for _ in range(2))
    for _ in range(5):
        stage.clock.skip(timedelta(minutes=1))
        issue(stage, one)
    with refused(TooManyCodes, two):
        issue(stage, two)


def test_who_may_ask_for_a_code(stage: Stage) -> None:
    ticket, other = unproved(stage), unproved(stage)
    for name in ("reviewer", "lead", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted, ticket):
            issue(stage, ticket, by=name)
        with refused(NotPermitted, ticket):
            verify(stage, ticket, "000000", by=name)
    for purpose in (DETAILS, WITHDRAW):  # an agent sees enough as it is, and withdraws with his own right
        with refused(NotPermitted, ticket):
            issue(stage, ticket, purpose, by="agent")
    stranger = himself(other)
    with refused(NotTheirTicket, ticket):
        identity_codes.issue(ticket_id=ticket.pk, purpose=PROVE, actor=stranger, now=stage.now)
    with refused(NotTheirTicket, ticket):
        identity_codes.verify(
            ticket_id=ticket.pk, purpose=PROVE, code="000000", actor=stranger, now=stage.now
        )


def test_where_nothing_is_to_be_proved_or_withdrawn_no_code_is_sent(stage: Stage) -> None:
    proved, begun = stage.ticket("IN_REVIEW"), stage.ticket("UNBINDING", ("ALIPAY", "PASSWORD_FREE", False))
    lenders = stage.ticket("NOTICE_PERIOD", reason="RISK_CONTROL")
    for ticket, purpose in ((proved, PROVE), (begun, WITHDRAW), (lenders, WITHDRAW), (lenders, PROVE)):
        with refused(NothingToProve, ticket):
            issue(stage, ticket, purpose)


def test_a_code_that_outlives_its_use_proves_nothing(stage: Stage) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket)
    digits = digits_of(stage, code)
    intake.withdraw(ticket_id=ticket.pk, actor=himself(ticket), now=stage.now)
    with refused(NothingToProve, ticket, code):
        verify(stage, ticket, digits)


# --- It is safe twice ---------------------------------------------------------------------------------


def test_a_code_works_once(stage: Stage) -> None:
    ticket = unproved(stage)
    code = issue(stage, ticket, DETAILS)
    digits = digits_of(stage, code)
    verify(stage, ticket, digits, DETAILS)
    with refused(NoLiveCode, ticket, code):
        verify(stage, ticket, digits, DETAILS)


def test_delivering_twice_sends_once(stage: Stage) -> None:
    code = issue(stage, unproved(stage))
    assert (deliver(stage), deliver(stage)) == (1, 0)
    assert stage.effects("SMS", code.key) == 1


# --- The provider misbehaves --------------------------------------------------------------------------


def test_after_a_silence_it_is_asked_and_not_sent_again(stage: Stage) -> None:
    ticket = unproved(stage)
    stage.simulator.fault(system="SMS", kind="timeout_after_success", method="POST", times=1)
    code = issue(stage, ticket)
    deliver(stage)
    assert fresh(code).state == "UNKNOWN" and IdentityCodeText.objects.count() == 1
    stage.clock.skip(timedelta(minutes=2))
    deliver(stage)
    assert fresh(code).state == "SENT" and stage.effects("SMS", code.key) == 1
    assert not IdentityCodeText.objects.exists()


def test_what_the_provider_never_got_goes_out_again_under_the_same_key(stage: Stage) -> None:
    ticket = unproved(stage)
    stage.simulator.fault(system="SMS", kind="http_500", method="POST", times=1)
    code = issue(stage, ticket)
    for _ in range(6):
        deliver(stage)
        stage.clock.skip(timedelta(seconds=70))
    assert fresh(code).state == "SENT" and stage.effects("SMS", code.key) == 1


def test_digits_that_come_before_the_providers_answer_are_good(stage: Stage) -> None:
    ticket = unproved(stage)
    stage.simulator.fault(system="SMS", kind="timeout_after_success", method="POST", times=1)
    code = issue(stage, ticket)
    digits = digits_of(stage, code)
    assert fresh(code).state == "UNKNOWN"
    verify(stage, ticket, digits)
    stage.clock.skip(timedelta(minutes=2))
    deliver(stage)
    assert fresh(code).state == "VERIFIED"


def test_a_refusal_ends_it_and_a_new_code_may_be_asked_for(stage: Stage) -> None:
    ticket = unproved(stage)
    stage.simulator.fault(system="SMS", kind="refuse", method="POST", times=1)
    code = issue(stage, ticket)
    deliver(stage)
    assert fresh(code).state == "FAILED" and not IdentityCodeText.objects.exists()
    stage.clock.skip(timedelta(minutes=1))
    verify(stage, ticket, digits_of(stage, issue(stage, ticket)))


def test_what_was_not_sent_in_time_is_not_sent(stage: Stage) -> None:
    code = issue(stage, unproved(stage))
    stage.clock.skip(timedelta(minutes=11))
    deliver(stage)
    assert fresh(code).state == "LAPSED" and stage.simulator.messages(code.key) == []
    assert not IdentityCodeText.objects.exists()


def test_a_receipts_callback_names_it_ours(stage: Stage) -> None:
    from django.db import transaction  # noqa: PLC0415

    code = issue(stage, unproved(stage))
    with transaction.atomic():
        assert identity_codes.hear_receipt(key=code.key, now=stage.now)
        assert not identity_codes.hear_receipt(key="notice:x", now=stage.now)


# --- It races -----------------------------------------------------------------------------------------


@race
@pytest.mark.parametrize("right", [0, 1, 10])
def test_of_twenty_guesses_at_once_no_more_than_five_are_judged(raise_stage: Any, right: int) -> None:
    stage = raise_stage()
    for _ in range(3):
        ticket = unproved(stage)
        code = issue(stage, ticket)
        digits = digits_of(stage, code)
        guesses = [digits] * right + [f"{(int(digits) + n) % 1_000_000:06d}" for n in range(1, 21 - right)]
        ends = at_once(*(lambda g=g, t=ticket: verify(stage, t, g) for g in guesses))
        judged = [end for end in ends if isinstance(end, IdentityCode | WrongCode | TriesUsedUp)]
        rest = [end for end in ends if end not in judged]
        assert all(isinstance(end, NoLiveCode | NothingToProve) for end in rest), rest
        assert len(judged) == fresh(code).tries <= 5
        proved = sum(isinstance(end, IdentityCode) for end in ends)
        assert proved <= min(right, 1) and proved == (fresh(code).state == "VERIFIED")
        assert code.history.filter(history_change_reason="a wrong code").count() == len(judged) - proved


@race
def test_of_two_who_ask_at_once_one_gets_a_code(raise_stage: Any) -> None:
    """Two tickets, two customers, one phone that has one message left."""
    stage = raise_stage()
    pair = [unproved(stage, customer=a_person(known={"phone": "19900000088"})) for _ in range(2)]
    for _ in range(4):
        stage.clock.skip(timedelta(minutes=1))
        issue(stage, pair[0])
    stage.clock.skip(timedelta(minutes=1))
    ends = at_once(*(lambda t=t: issue(stage, t) for t in pair))
    assert sorted(type(end).__name__ for end in ends) == ["IdentityCode", "TooManyCodes"]
