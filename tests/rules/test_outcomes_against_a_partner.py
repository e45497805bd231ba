"""The unbinding rules against a partner with a ledger of its own, who misbehaves at every step.

He loses calls and answers, acts late, and says 404 to everything. He never lies while his canary is found:
against that no rule helps. Then he heals, and the task must come to an end that his ledger confirms.
"""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from closures.rules import outcomes
from closures.rules.outcomes import Enquiry, Heard, Memory, Seen, TaskState

ASKED = (TaskState.CONFIRMING, TaskState.UNKNOWN)


class Partner:
    """Truth: is it bound? Effects: every call that got through and did its work; no key spares one."""

    def __init__(self, *, exists):
        self.existed = self.bound = exists
        self.effects, self.late = 0, False

    def end(self):
        self.effects += self.existed
        self.bound = False

    def send(self, fault):
        if fault == "down":
            return Heard.UNREACHABLE
        if fault == "wrong 404":
            return Heard.NOT_FOUND
        if fault == "late effect":
            self.late = True
            return Heard.UNCLEAR
        if fault == "lost on the way":
            return Heard.UNCLEAR
        if not self.existed:
            return Heard.NOT_FOUND
        already = not self.bound
        self.end()
        if fault == "timeout after success":
            return Heard.UNCLEAR
        return Heard.ALREADY_ENDED if already else Heard.ACCEPTED

    def asked(self, fault, *, forgets):
        if fault == "wrong 404":
            return Enquiry(by_number=Seen.NOT_FOUND, by_account=Seen.NOT_FOUND, canary_found=False)
        if fault in {"down", "lost on the way"}:
            return Enquiry(by_number=Seen.UNREADABLE, by_account=Seen.UNREADABLE)
        afterwards = Seen.NOT_FOUND if forgets or not self.existed else Seen.ENDED
        truth = Seen.BOUND if self.bound else afterwards
        listed = Seen.UNREADABLE if fault == "late effect" else truth
        return Enquiry(by_number=truth, by_account=listed, canary_found=True)


FAULTS = st.sampled_from(
    ["none", "none", "down", "wrong 404", "timeout after success", "late effect", "lost on the way"]
)


@settings(deadline=None)
@given(
    faults=st.lists(FAULTS, max_size=30),
    windows=st.lists(st.booleans(), max_size=30),
    exists=st.booleans(),
    forgets=st.booleans(),
)
def test_whatever_the_partner_does_a_task_that_says_unbound_is_unbound_and_was_ended_once(
    faults, windows, exists, forgets
):
    partner, state, seen, call = Partner(exists=exists), TaskState.PENDING, False, False
    trouble = itertools.zip_longest(faults, windows)
    healed = [("none", True)] * 10
    for attempt, (fault, over) in enumerate([*trouble, *healed], 1):
        fault, over = fault or "none", True if over is None else over
        known = Memory(
            seen_bound=seen,
            call_may_have_arrived=call,
            settle_window_over=over,
            attempts=attempt,
            sends=attempt,
            limit=100,
        )
        if over and partner.late:
            partner.end()  # that is what "over" means: what was to come has come
            partner.late = False
        if state is TaskState.PENDING:
            heard = partner.send(fault)
            call = call or outcomes.may_have_arrived(heard)
            verdict = outcomes.after_send(state=TaskState.SENDING, heard=heard, memory=known)
        else:
            enquiry = partner.asked(fault, forgets=forgets)
            verdict = outcomes.after_enquiry(state=state, enquiry=enquiry, memory=known)
        state, seen = verdict.next_state, seen or verdict.saw_bound
        if state not in {TaskState.PENDING, *ASKED}:
            break

    assert state in {TaskState.UNBOUND, TaskState.ABSENT}
    assert not partner.bound
    assert partner.effects == (1 if exists else 0)
    assert exists or state is TaskState.ABSENT or call
