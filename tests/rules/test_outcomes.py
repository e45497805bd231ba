"""The unbinding table, cell by cell where it is read aloud, and over its whole cross product for safety.

The matrices judge verdicts by the raw answers, never by `outcomes.read`, so that an error in weighing the
answers cannot hide itself.
"""

import itertools

import pytest

from closures.rules import outcomes
from closures.rules.outcomes import DeadReason, Enquiry, Heard, Memory, Reading, Seen, TaskState, Wait, Why

LIMIT = 5
BOTH = (False, True)
MEMORIES = [
    Memory(
        seen_bound=seen,
        call_may_have_arrived=call,
        settle_window_over=over,
        attempts=attempts,
        sends=sends,
        limit=LIMIT,
    )
    for seen, call, over, attempts, sends in itertools.product(BOTH, BOTH, BOTH, (1, LIMIT), (1, LIMIT))
]
ENQUIRIES = [
    Enquiry(by_number=number, by_account=account, canary_found=canary)
    for number, account, canary in itertools.product(Seen, (None, *Seen), (None, False, True))
]
ASKED = (TaskState.CONFIRMING, TaskState.UNKNOWN)
# SPEC §4, the edges that an answer can take.
EDGES = {
    TaskState.PENDING: {TaskState.UNBOUND},
    TaskState.SENDING: {TaskState.CONFIRMING, TaskState.UNKNOWN, TaskState.PENDING, TaskState.DEAD},
    TaskState.CONFIRMING: {TaskState.UNBOUND, TaskState.UNKNOWN, TaskState.PENDING, TaskState.DEAD},
    TaskState.UNKNOWN: {TaskState.UNBOUND, TaskState.ABSENT, TaskState.PENDING, TaskState.DEAD},
}


def memory(**changes):
    fresh = {
        "seen_bound": False,
        "call_may_have_arrived": True,
        "settle_window_over": True,
        "attempts": 1,
        "sends": 1,
        "limit": LIMIT,
    }
    return Memory(**(fresh | changes))


def used_up(memory):
    return memory.attempts >= memory.limit and memory.sends >= memory.limit


def everything_asked():
    for state, enquiry, known in itertools.product(TaskState, ENQUIRIES, MEMORIES):
        yield (
            state,
            enquiry,
            known,
            outcomes.after_enquiry(state=state, enquiry=enquiry, memory=known),
        )


def everything_sent():
    for state, heard, known in itertools.product(TaskState, Heard, MEMORIES):
        yield (
            state,
            heard,
            known,
            outcomes.after_send(state=state, heard=heard, memory=known, partner_code="X1"),
        )


# Sending


@pytest.mark.parametrize(
    ("heard", "next_state"),
    [
        (Heard.ACCEPTED, TaskState.CONFIRMING),
        (Heard.UNCLEAR, TaskState.UNKNOWN),
        (Heard.NOT_FOUND, TaskState.UNKNOWN),
        (Heard.ALREADY_ENDED, TaskState.UNKNOWN),
        (Heard.UNREACHABLE, TaskState.PENDING),
        (Heard.REFUSED, TaskState.DEAD),
    ],
)
def test_what_a_send_leads_to(heard, next_state):
    verdict = outcomes.after_send(state=TaskState.SENDING, heard=heard, memory=memory())

    assert verdict.next_state is next_state


def test_a_refusal_is_dead_at_once_with_the_partners_code():
    verdict = outcomes.after_send(
        state=TaskState.SENDING, heard=Heard.REFUSED, memory=memory(), partner_code="ORDER_RUNNING"
    )

    assert (verdict.dead_reason, verdict.partner_code) == (DeadReason.REFUSED, "ORDER_RUNNING")


def test_a_partner_out_of_reach_however_long_is_tried_again_and_hands_no_task_to_a_person():
    verdict = outcomes.after_send(
        state=TaskState.SENDING, heard=Heard.UNREACHABLE, memory=memory(attempts=100 * LIMIT)
    )

    assert (verdict.next_state, verdict.wait) == (TaskState.PENDING, Wait.BACKOFF)


def test_no_send_ever_proves_an_end_whatever_the_partner_says():
    ends = {TaskState.UNBOUND, TaskState.ABSENT}

    for state, heard, known, verdict in everything_sent():
        assert verdict.next_state not in ends or state in ends, (state, heard, known)


def test_only_what_never_left_us_is_sent_again_without_asking():
    for state, heard, known, verdict in everything_sent():
        if verdict.next_state is TaskState.PENDING and state is not TaskState.PENDING:
            assert heard is Heard.UNREACHABLE, (state, heard, known)


def test_an_unclear_send_is_always_asked_about_even_when_attempts_are_used_up():
    for state, heard, known, verdict in everything_sent():
        if state is TaskState.SENDING and heard not in {Heard.REFUSED, Heard.UNREACHABLE}:
            assert verdict.next_state in ASKED, (heard, known)


def test_a_result_that_lost_its_lease_is_recorded_and_not_applied():
    for state, heard, known, verdict in everything_sent():
        if state is not TaskState.SENDING:
            assert (verdict.next_state, verdict.reason) == (state, Why.RECORDED_ONLY), (heard, known)


@pytest.mark.parametrize("heard", Heard)
def test_only_a_call_that_was_not_denied_may_have_had_an_effect(heard):
    assert outcomes.may_have_arrived(heard) == (heard in {Heard.ACCEPTED, Heard.UNCLEAR})


# Asking: the cells


def test_ended_by_number_is_the_end():
    for state in ASKED:
        verdict = outcomes.after_enquiry(state=state, enquiry=Enquiry(by_number=Seen.ENDED), memory=memory())
        assert (verdict.next_state, verdict.reason) == (TaskState.UNBOUND, Why.STATUS_ENDED)


@pytest.mark.parametrize("state", ASKED)
def test_a_status_that_the_account_list_contradicts_is_no_proof(state):
    lie = Enquiry(by_number=Seen.ENDED, by_account=Seen.BOUND, canary_found=True)

    verdict = outcomes.after_enquiry(state=state, enquiry=lie, memory=memory())

    assert (verdict.next_state, verdict.reading) == (TaskState.UNKNOWN, Reading.CONTRADICTORY)


GONE = Enquiry(by_number=Seen.NOT_FOUND, by_account=Seen.NOT_FOUND, canary_found=True)


@pytest.mark.parametrize(
    ("state", "seen_bound", "call", "next_state"),
    [
        (TaskState.CONFIRMING, False, True, TaskState.UNBOUND),
        (TaskState.UNKNOWN, False, True, TaskState.UNBOUND),
        (TaskState.UNKNOWN, True, True, TaskState.UNBOUND),
        (TaskState.UNKNOWN, True, False, TaskState.UNBOUND),
        (TaskState.UNKNOWN, False, False, TaskState.ABSENT),
        (TaskState.PENDING, True, False, TaskState.UNBOUND),
        (TaskState.PENDING, False, True, TaskState.UNBOUND),
        (TaskState.PENDING, False, False, TaskState.PENDING),
    ],
)
def test_gone_by_two_keys_is_unbound_or_absent_by_what_was_there_before(state, seen_bound, call, next_state):
    verdict = outcomes.after_enquiry(
        state=state, enquiry=GONE, memory=memory(seen_bound=seen_bound, call_may_have_arrived=call)
    )

    assert verdict.next_state is next_state


def test_a_partner_that_forgets_the_number_and_lists_the_agreement_as_ended_has_ended_it():
    verdict = outcomes.after_enquiry(
        state=TaskState.CONFIRMING,
        enquiry=Enquiry(by_number=Seen.NOT_FOUND, by_account=Seen.ENDED, canary_found=True),
        memory=memory(),
    )

    assert verdict.next_state is TaskState.UNBOUND


@pytest.mark.parametrize("state", ASKED)
@pytest.mark.parametrize("attempts", [1, LIMIT])
def test_still_bound_inside_the_settle_window_stays_and_waits(state, attempts):
    verdict = outcomes.after_enquiry(
        state=state,
        enquiry=Enquiry(by_number=Seen.BOUND, by_account=Seen.BOUND, canary_found=True),
        memory=memory(settle_window_over=False, attempts=attempts),
    )

    assert (verdict.next_state, verdict.wait, verdict.saw_bound) == (state, Wait.SETTLE_WINDOW, True)


@pytest.mark.parametrize("state", ASKED)
def test_still_bound_after_the_settle_window_is_sent_again_until_attempts_are_used_up(state):
    bound = Enquiry(by_number=Seen.BOUND, by_account=Seen.BOUND, canary_found=True)

    again = outcomes.after_enquiry(state=state, enquiry=bound, memory=memory())
    dead = outcomes.after_enquiry(state=state, enquiry=bound, memory=memory(sends=LIMIT))

    assert again.next_state is TaskState.PENDING
    assert (dead.next_state, dead.dead_reason) == (TaskState.DEAD, DeadReason.ATTEMPTS_USED_UP)


@pytest.mark.parametrize("state", ASKED)
def test_what_cannot_be_read_is_asked_again_until_the_truth_cannot_be_had(state):
    garbage = Enquiry(by_number=Seen.UNREADABLE, by_account=Seen.UNREADABLE)

    again = outcomes.after_enquiry(state=state, enquiry=garbage, memory=memory())
    early = memory(attempts=LIMIT, settle_window_over=False)
    assert outcomes.after_enquiry(state=state, enquiry=garbage, memory=early).next_state is TaskState.UNKNOWN
    dead = outcomes.after_enquiry(state=state, enquiry=garbage, memory=memory(attempts=LIMIT))

    assert (again.next_state, again.wait) == (TaskState.UNKNOWN, Wait.BACKOFF)
    assert (dead.next_state, dead.dead_reason) == (TaskState.DEAD, DeadReason.TRUTH_CANNOT_BE_HAD)


# Asking: the whole cross product


def test_a_404_for_everything_unbinds_nobody():
    for state, enquiry, known, verdict in everything_asked():
        if enquiry.by_number is Seen.NOT_FOUND and not enquiry.canary_found:
            assert verdict.next_state in {state, TaskState.UNKNOWN, TaskState.DEAD}, (enquiry, known)


def test_one_key_that_finds_nothing_unbinds_nobody():
    for state, enquiry, known, verdict in everything_asked():
        if enquiry.by_number is Seen.NOT_FOUND and enquiry.by_account in {None, Seen.UNREADABLE}:
            assert verdict.next_state in {state, TaskState.UNKNOWN, TaskState.DEAD}, (enquiry, known)


def test_nobody_is_unbound_without_proof():
    for state, enquiry, known, verdict in everything_asked():
        if verdict.next_state is not TaskState.UNBOUND or state is TaskState.UNBOUND:
            continue
        ended = enquiry.by_number is Seen.ENDED and enquiry.canary_found is not False
        gone = (
            enquiry.by_number is Seen.NOT_FOUND
            and enquiry.by_account in {Seen.NOT_FOUND, Seen.ENDED}
            and enquiry.canary_found is True
            and (state is TaskState.CONFIRMING or known.seen_bound or known.call_may_have_arrived)
        )
        assert enquiry.by_account is not Seen.BOUND, (state, enquiry, known)
        assert ended or gone, (state, enquiry, known)


def test_nothing_is_absent_that_was_ever_there_or_that_we_may_have_ended():
    found = 0
    for state, enquiry, known, verdict in everything_asked():
        if verdict.next_state is TaskState.ABSENT and state is not TaskState.ABSENT:
            found += 1
            assert state is TaskState.UNKNOWN
            assert not known.seen_bound and not known.call_may_have_arrived
            assert enquiry.by_number is Seen.NOT_FOUND and enquiry.canary_found is True
            assert enquiry.by_account in {Seen.NOT_FOUND, Seen.ENDED}
    assert found


def test_nothing_is_sent_again_that_was_not_read_bound_after_the_settle_window():
    for state, enquiry, known, verdict in everything_asked():
        if verdict.next_state is TaskState.PENDING and state is not TaskState.PENDING:
            assert state in ASKED
            assert enquiry.by_number is Seen.BOUND, (state, enquiry, known)
            assert known.settle_window_over and not used_up(known), (state, enquiry, known)


def test_a_contradiction_between_the_keys_ends_nothing_and_repeats_nothing():
    pairs = {(Seen.ENDED, Seen.BOUND), (Seen.NOT_FOUND, Seen.BOUND), (Seen.BOUND, Seen.ENDED)}

    for state, enquiry, known, verdict in everything_asked():
        if state in ASKED and (enquiry.by_number, enquiry.by_account) in pairs:
            over = known.settle_window_over and known.attempts >= known.limit
            expected = TaskState.DEAD if over else TaskState.UNKNOWN
            assert verdict.next_state is expected, (state, enquiry, known)


def test_every_verdict_follows_an_edge_of_the_table():
    for state, heard, known, verdict in [*everything_asked(), *everything_sent()]:
        assert verdict.next_state is state or verdict.next_state in EDGES.get(state, ()), (
            state,
            heard,
            known,
        )


def test_every_edge_of_the_table_is_taken_by_some_answer():
    taken = {
        (state, verdict.next_state)
        for state, _, _, verdict in [*everything_asked(), *everything_sent()]
        if state is not verdict.next_state
    }

    assert taken == {(source, target) for source, targets in EDGES.items() for target in targets}


def test_states_that_wait_for_nobody_or_for_a_person_are_moved_by_no_answer():
    resting = set(TaskState) - set(EDGES)

    for state, _, _, verdict in [*everything_asked(), *everything_sent()]:
        if state in resting:
            assert (verdict.next_state, verdict.wait) == (state, Wait.NONE)
    for state in resting:
        assert outcomes.after_callback(state=state).next_state is state


def test_the_dead_have_a_reason_and_nobody_else_has():
    for state, heard, known, verdict in [*everything_asked(), *everything_sent()]:
        died = verdict.next_state is TaskState.DEAD and state is not TaskState.DEAD
        assert (verdict.dead_reason is not None) == died, (state, heard, known)


def test_no_task_is_left_waiting_for_nothing():
    working = {TaskState.PENDING, TaskState.CONFIRMING, TaskState.UNKNOWN}

    for state, heard, known, verdict in [*everything_asked(), *everything_sent()]:
        if verdict.reason is not Why.RECORDED_ONLY:
            assert (verdict.wait is not Wait.NONE) == (verdict.next_state in working), (state, heard, known)


def test_an_asked_task_with_its_attempts_used_up_and_its_window_over_comes_to_an_end():
    ends = {TaskState.UNBOUND, TaskState.ABSENT, TaskState.DEAD}

    for state, enquiry, known, verdict in everything_asked():
        if state in ASKED and used_up(known) and known.settle_window_over:
            assert verdict.next_state in ends, (state, enquiry, known)


def test_only_a_reading_of_bound_is_remembered_as_seen_bound():
    for _, enquiry, _, verdict in everything_asked():
        if verdict.saw_bound:
            assert enquiry.by_number is Seen.BOUND
            assert enquiry.by_account is not Seen.ENDED


@pytest.mark.parametrize(
    ("state", "next_state", "wait"),
    [
        (TaskState.CONFIRMING, TaskState.UNBOUND, Wait.NONE),
        (TaskState.UNKNOWN, TaskState.UNKNOWN, Wait.NOW),
        (TaskState.PENDING, TaskState.PENDING, Wait.NOW),
        (TaskState.SENDING, TaskState.SENDING, Wait.NONE),
    ],
)
def test_a_verified_callback_proves_what_was_accepted_and_elsewhere_only_prompts_a_look(
    state, next_state, wait
):
    verdict = outcomes.after_callback(state=state)

    assert (verdict.next_state, verdict.wait) == (next_state, wait)
