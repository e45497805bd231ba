"""Notices and commands: what each answer leads to, and what no answer may ever lead to."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closures.rules import deliveries
from closures.rules.deliveries import (
    Channel,
    CommandAnswer,
    CommandState,
    NoticeState,
    Proof,
    Receipt,
    Rung,
    ladder,
)
from closures.rules.outcomes import DeadReason, Heard, Wait

LIMIT = 3
BOTH = (False, True)
NOTICE_EDGES = {
    NoticeState.SENDING: {
        NoticeState.SENT,
        NoticeState.DELIVERED,  # only the inbox that was agreed to
        NoticeState.UNKNOWN,
        NoticeState.FAILED,
        NoticeState.PENDING,
    },
    NoticeState.UNKNOWN: {NoticeState.SENT, NoticeState.DELIVERED, NoticeState.PENDING},
    NoticeState.SENT: {NoticeState.DELIVERED, NoticeState.FAILED, NoticeState.EXPIRED},
}
COMMAND_EDGES = {
    CommandState.SENDING: {
        CommandState.DONE,
        CommandState.UNKNOWN,
        CommandState.PENDING,
        CommandState.DEAD,
    },
    CommandState.UNKNOWN: {CommandState.DONE, CommandState.DEAD, CommandState.PENDING},
}
law = settings(deadline=None)


def sent(heard, *, state=NoticeState.SENDING, proof=Proof.RECEIPT, needs=True, attempts=1):
    return deliveries.notice_after_send(
        state=state, heard=heard, proof=proof, kind_needs_arrival=needs, attempts=attempts, limit=LIMIT
    )


def asked(
    receipt,
    *,
    state=NoticeState.UNKNOWN,
    proof=Proof.RECEIPT,
    needs=True,
    over=True,
    overdue=False,
    attempts=1,
):
    return deliveries.notice_after_receipt(
        state=state,
        receipt=receipt,
        proof=proof,
        kind_needs_arrival=needs,
        settle_window_over=over,
        receipt_overdue=overdue,
        attempts=attempts,
        limit=LIMIT,
    )


def every_notice():
    for state, proof, needs, attempts in itertools.product(NoticeState, Proof, BOTH, (1, LIMIT)):
        for heard in Heard:
            facts = {"state": state, "proof": proof, "needs": needs, "attempts": attempts}
            yield facts | {"heard": heard}, sent(heard, **facts)
        for receipt, over, overdue in itertools.product(Receipt, BOTH, BOTH):
            facts = {"state": state, "proof": proof, "needs": needs, "attempts": attempts}
            facts |= {"over": over, "overdue": overdue}
            yield facts | {"receipt": receipt}, asked(receipt, **facts)


# Notices: the cells


@pytest.mark.parametrize(
    ("heard", "next_state"),
    [
        (Heard.ACCEPTED, NoticeState.SENT),
        (Heard.UNCLEAR, NoticeState.UNKNOWN),
        (Heard.NOT_FOUND, NoticeState.UNKNOWN),
        (Heard.ALREADY_ENDED, NoticeState.UNKNOWN),
        (Heard.UNREACHABLE, NoticeState.PENDING),
        (Heard.REFUSED, NoticeState.FAILED),
    ],
)
def test_what_sending_a_notice_leads_to(heard, next_state):
    assert sent(heard).next_state is next_state


def test_only_the_inbox_that_was_agreed_to_delivers_at_once():
    at_once = {proof: sent(Heard.ACCEPTED, proof=proof).next_state for proof in Proof}

    assert at_once.pop(Proof.AT_ONCE) is NoticeState.DELIVERED
    assert set(at_once.values()) == {NoticeState.SENT}


def test_a_channel_out_of_reach_keeps_its_rung_until_tries_are_used_up():
    first, last = sent(Heard.UNREACHABLE), sent(Heard.UNREACHABLE, attempts=LIMIT)

    assert (first.next_state, first.next_rung) == (NoticeState.PENDING, False)
    assert (last.next_state, last.next_rung) == (NoticeState.FAILED, True)


@pytest.mark.parametrize(
    ("receipt", "facts", "next_state"),
    [
        (Receipt.ARRIVED, {}, NoticeState.DELIVERED),
        (Receipt.ON_ITS_WAY, {}, NoticeState.SENT),
        (Receipt.FAILED, {}, NoticeState.SENT),
        (Receipt.NOT_KNOWN, {"over": False}, NoticeState.UNKNOWN),
        (Receipt.NOT_KNOWN, {}, NoticeState.PENDING),
        (Receipt.NOT_KNOWN, {"attempts": LIMIT}, NoticeState.SENT),
        (Receipt.UNREADABLE, {}, NoticeState.UNKNOWN),
        (Receipt.UNREADABLE, {"overdue": True}, NoticeState.SENT),
        (Receipt.CANNOT_BE_ASKED, {"proof": Proof.NEVER}, NoticeState.SENT),
        (Receipt.ARRIVED, {"proof": Proof.NEVER}, NoticeState.SENT),
    ],
)
def test_what_asking_about_an_unknown_notice_leads_to(receipt, facts, next_state):
    assert asked(receipt, **facts).next_state is next_state


@pytest.mark.parametrize(
    ("receipt", "overdue", "next_state"),
    [
        (Receipt.ARRIVED, False, NoticeState.DELIVERED),
        (Receipt.ARRIVED, True, NoticeState.DELIVERED),
        (Receipt.FAILED, False, NoticeState.FAILED),
        (Receipt.ON_ITS_WAY, False, NoticeState.SENT),
        (Receipt.NOT_KNOWN, False, NoticeState.SENT),
        (Receipt.UNREADABLE, False, NoticeState.SENT),
        (Receipt.ON_ITS_WAY, True, NoticeState.EXPIRED),
        (Receipt.NOT_KNOWN, True, NoticeState.EXPIRED),
        (Receipt.UNREADABLE, True, NoticeState.EXPIRED),
        (Receipt.CANNOT_BE_ASKED, True, NoticeState.EXPIRED),
    ],
)
@pytest.mark.parametrize("proof", [Proof.RECEIPT, Proof.BY_HAND])
def test_what_becomes_of_a_notice_that_was_sent(proof, receipt, overdue, next_state):
    assert asked(receipt, state=NoticeState.SENT, proof=proof, overdue=overdue).next_state is next_state


def test_a_failure_heard_of_an_unknown_notice_is_looked_at_again_at_once():
    verdict = asked(Receipt.FAILED)

    assert (verdict.next_state, verdict.wait) == (NoticeState.SENT, Wait.NOW)
    assert asked(Receipt.FAILED, state=verdict.next_state).next_state is NoticeState.FAILED


# Notices: the whole cross product


def test_every_verdict_on_a_notice_follows_an_edge():
    for facts, verdict in every_notice():
        state, target = facts["state"], verdict.next_state
        assert target is state or target in NOTICE_EDGES.get(state, ()), facts


def test_a_courtesy_is_never_delivered_and_nothing_is_without_proof_of_its_own():
    for facts, verdict in every_notice():
        if verdict.next_state is NoticeState.DELIVERED and facts["state"] is not NoticeState.DELIVERED:
            assert facts["proof"] is not Proof.NEVER, facts
            at_once = facts["proof"] is Proof.AT_ONCE and facts.get("heard") is Heard.ACCEPTED
            assert at_once or facts.get("receipt") is Receipt.ARRIVED, facts


def test_a_notice_goes_out_again_only_if_it_never_left_or_the_provider_does_not_know_it():
    for facts, verdict in every_notice():
        if verdict.next_state is NoticeState.PENDING and facts["state"] is not NoticeState.PENDING:
            never_left = facts.get("heard") is Heard.UNREACHABLE
            not_known = facts.get("receipt") is Receipt.NOT_KNOWN and facts.get("over")
            assert facts["attempts"] < LIMIT and (never_left or not_known), facts
            assert not verdict.next_rung, facts


def test_no_notice_waits_for_a_receipt_for_ever():
    for facts, verdict in every_notice():
        if facts.get("overdue") and facts.get("over") and facts["attempts"] >= LIMIT:
            if facts["state"] is NoticeState.UNKNOWN:
                assert verdict.next_state in {NoticeState.SENT, NoticeState.DELIVERED}, facts
            if facts["state"] is NoticeState.SENT and facts["proof"] is not Proof.NEVER:
                assert verdict.next_state is not NoticeState.SENT, facts


answers = st.lists(
    st.tuples(
        st.sampled_from(Heard), st.sampled_from(Receipt), st.booleans(), st.booleans(), st.integers(1, LIMIT)
    ),
    min_size=1,
    max_size=25,
)


@law
@given(answers=answers, proof=st.sampled_from(Proof), needs=st.booleans())
def test_a_notice_calls_for_the_next_rung_at_most_once_and_always_when_it_did_not_arrive(
    answers, proof, needs
):
    state, calls = NoticeState.SENDING, 0
    for heard, receipt, over, overdue, attempts in answers:
        if state is NoticeState.SENDING:
            verdict = sent(heard, proof=proof, needs=needs, attempts=attempts)
        else:
            verdict = asked(
                receipt,
                state=state,
                proof=proof,
                needs=needs,
                over=over,
                overdue=overdue,
                attempts=attempts,
            )
        calls += verdict.next_rung
        state = verdict.next_state
        if state is NoticeState.PENDING:
            state = NoticeState.SENDING

    failed = state in {NoticeState.FAILED, NoticeState.EXPIRED}
    useless = state is NoticeState.SENT and proof is Proof.NEVER and needs
    assert calls == int(failed or useless)


# The ladder


def test_the_inbox_is_proof_only_to_one_who_agreed_to_it():
    assert ladder(inbox_agreed=True)[0] == Rung(channel=Channel.INBOX, proof=Proof.AT_ONCE)
    assert ladder(inbox_agreed=False)[0] == Rung(channel=Channel.INBOX, proof=Proof.NEVER)
    assert [rung.channel for rung in ladder(inbox_agreed=False)] == list(Channel)


@pytest.mark.parametrize(
    ("needs", "climbed"),
    [
        (True, [Channel.INBOX, Channel.SMS, Channel.EMAIL, Channel.LETTER]),
        (False, [Channel.INBOX, Channel.SMS, Channel.EMAIL]),
    ],
)
def test_the_ladder_is_climbed_rung_by_rung_and_a_letter_is_written_only_where_arrival_is_needed(
    needs, climbed
):
    rungs, at, channels = ladder(inbox_agreed=False), None, []
    while at := deliveries.next_rung(kind_needs_arrival=needs, rungs=rungs, current=at):
        channels.append(at.channel)

    assert channels == climbed


def test_a_rung_of_another_ladder_is_refused():
    with pytest.raises(ValueError, match="not in"):
        deliveries.next_rung(
            kind_needs_arrival=True,
            rungs=ladder(inbox_agreed=False),
            current=Rung(channel=Channel.INBOX, proof=Proof.AT_ONCE),
        )


# Commands to the core ledger


def every_command():
    for state in CommandState:
        for heard in Heard:
            yield (state, heard, None), deliveries.command_after_send(state=state, heard=heard)
        for answer, over in itertools.product(CommandAnswer, BOTH):
            verdict = deliveries.command_after_ask(state=state, answer=answer, settle_window_over=over)
            yield (state, answer, over), verdict


def test_every_verdict_on_a_command_follows_an_edge_and_every_edge_is_taken():
    taken = set()
    for facts, verdict in every_command():
        state, target = facts[0], verdict.next_state
        assert target is state or target in COMMAND_EDGES.get(state, ()), facts
        taken |= {(state, target)} - {(state, state)}

    assert taken == {(source, target) for source, targets in COMMAND_EDGES.items() for target in targets}


def test_a_command_is_repeated_only_if_it_never_left_or_the_ledger_does_not_know_it_after_the_window():
    for (state, answer, over), verdict in every_command():
        if verdict.next_state is CommandState.PENDING and state is not CommandState.PENDING:
            assert answer is Heard.UNREACHABLE or (answer is CommandAnswer.NOT_KNOWN and over)


def test_a_command_is_done_only_when_the_ledger_says_so():
    for (state, answer, _), verdict in every_command():
        if verdict.next_state is CommandState.DONE and state is not CommandState.DONE:
            assert answer in {Heard.ACCEPTED, CommandAnswer.EXECUTED}


def test_only_the_ledgers_own_refusal_kills_a_command():
    for (_, answer, _), verdict in every_command():
        if verdict.dead_reason is not None:
            assert answer in {Heard.REFUSED, CommandAnswer.REJECTED}


def test_a_dead_command_says_why_and_no_other_does():
    for (state, answer, over), verdict in every_command():
        died = verdict.next_state is CommandState.DEAD and state is not CommandState.DEAD
        assert (verdict.dead_reason is not None) == died, (state, answer, over)


@pytest.mark.parametrize("answer", CommandAnswer)
def test_inside_the_settle_window_an_unknown_command_never_goes_out_again(answer):
    verdict = deliveries.command_after_ask(
        state=CommandState.UNKNOWN, answer=answer, settle_window_over=False
    )

    assert verdict.next_state is not CommandState.PENDING
    if verdict.next_state is CommandState.UNKNOWN:
        assert verdict.wait in {Wait.SETTLE_WINDOW, Wait.BACKOFF}


def test_a_refused_command_keeps_the_ledgers_code():
    by_send = deliveries.command_after_send(
        state=CommandState.SENDING, heard=Heard.REFUSED, partner_code="E42"
    )
    by_ask = deliveries.command_after_ask(
        state=CommandState.UNKNOWN,
        answer=CommandAnswer.REJECTED,
        settle_window_over=True,
        partner_code="E42",
    )

    for verdict in (by_send, by_ask):
        assert (verdict.dead_reason, verdict.partner_code) == (DeadReason.REFUSED, "E42")
