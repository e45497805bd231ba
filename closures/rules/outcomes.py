"""What follows from what was heard: the brain of unbinding, and the words that all outcomes share.

Pure functions from (state, what was heard, what we remember) to a verdict. They move nothing: the caller
applies the verdict under its lease and its fence, and counts attempts before the work. Notices and commands
are in `deliveries`, by the same words.

The unbinding table, to be read aloud:

    we are     we hear                                                  so the task is
    ---------  -------------------------------------------------------  ------------------------------------
    SENDING    accepted                                                 CONFIRMING: a success is a claim
    SENDING    no clear answer, a 404, "already ended"; lease lapsed    UNKNOWN: ask, do not send
    SENDING    nothing: it never left us                                PENDING; DEAD when used up
    SENDING    a definite refusal                                       DEAD, with their code

    asked by number, by account, and for a canary that is known to be bound:

    CONFIRMING, UNKNOWN, PENDING  ended by number, list not against it  UNBOUND
    CONFIRMING                    gone: by both keys, canary found      UNBOUND
    UNKNOWN, PENDING              gone, and a call of ours may have     UNBOUND
                                  done it, or we once saw it bound
    UNKNOWN                       gone, no such call, never seen bound  ABSENT
    CONFIRMING, UNKNOWN           bound, settle window still open       as it is: wait for the window
    CONFIRMING, UNKNOWN           bound, window over                    PENDING, same key; DEAD when used up
    CONFIRMING, UNKNOWN           unreadable, contradictory, one key    UNKNOWN: ask again; DEAD when used up
                                  only, or the canary is lost
    PENDING                       anything else                         as it is: it is to be sent anyway

    CONFIRMING                    a verified callback says ended        UNBOUND
    UNKNOWN, PENDING              the same                              as it is: ask now
    every other state             whatever is heard                     as it is: recorded, not applied

"Everything is 404" unbinds nobody, because the canary is 404 as well. Source: SPEC §4; PITFALLS (Open edX).
"""

from dataclasses import dataclass
from enum import StrEnum

from closures.rules.retry import exhausted

# Note [Did a call of ours do it?]
#
# An agreement that is gone, of which we never saw more than its being gone, is UNBOUND if a call of ours
# may have ended it and ABSENT if none can have. A call that was answered "not found", "already ended" or
# "refused" changed nothing, by the partner's own word; one that was accepted, or that nobody can tell the
# fate of, may have. So does SPEC §4 give each of UNBOUND and ABSENT its cases without an overlap. Our choice.


class TaskState(StrEnum):
    """States of an unbinding task. Source: SPEC §4."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    CONFIRMING = "CONFIRMING"
    UNKNOWN = "UNKNOWN"
    UNBOUND = "UNBOUND"
    ABSENT = "ABSENT"
    MANUAL = "MANUAL"
    DEAD = "DEAD"
    WAIVED = "WAIVED"
    CANCELLED = "CANCELLED"


class Heard(StrEnum):
    """How a send ended. A lapsed lease is heard as UNCLEAR: nobody can say what became of the call."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"  # definite: it will not be done
    UNCLEAR = "UNCLEAR"  # timeout, reset, 5xx, unreadable body
    UNREACHABLE = "UNREACHABLE"  # nothing left this house
    NOT_FOUND = "NOT_FOUND"
    ALREADY_ENDED = "ALREADY_ENDED"


class Seen(StrEnum):
    """What one enquiry by one key showed. UNREADABLE is also an enquiry that got no answer."""

    BOUND = "BOUND"
    ENDED = "ENDED"
    NOT_FOUND = "NOT_FOUND"
    UNREADABLE = "UNREADABLE"


class Reading(StrEnum):
    """What an enquiry as a whole is worth."""

    BOUND = "BOUND"
    ENDED = "ENDED"
    GONE = "GONE"  # not bound by either key, while the canary is found
    CONTRADICTORY = "CONTRADICTORY"
    ONE_KEY_ONLY = "ONE_KEY_ONLY"
    CANARY_LOST = "CANARY_LOST"  # asked and not found, or never asked
    UNREADABLE = "UNREADABLE"


class Wait(StrEnum):
    """For what the caller sets the row's due time."""

    NONE = "NONE"  # the end, or a person's turn
    NOW = "NOW"
    BACKOFF = "BACKOFF"
    SETTLE_WINDOW = "SETTLE_WINDOW"  # ask again, at the latest when the window ends
    RECEIPT_DEADLINE = "RECEIPT_DEADLINE"  # notices: nobody to ask, come back when the time is up


class Why(StrEnum):
    """The reason of a verdict, for the record and for whoever reads a stuck task."""

    ACCEPTED_IS_A_CLAIM = "ACCEPTED_IS_A_CLAIM"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    NOTHING_WAS_SENT = "NOTHING_WAS_SENT"
    REFUSED = "REFUSED"
    STATUS_ENDED = "STATUS_ENDED"
    GONE_BY_TWO_KEYS = "GONE_BY_TWO_KEYS"
    NEVER_SEEN_BOUND = "NEVER_SEEN_BOUND"
    STILL_BOUND_MAY_YET_END = "STILL_BOUND_MAY_YET_END"
    STILL_BOUND_SEND_AGAIN = "STILL_BOUND_SEND_AGAIN"
    NO_PROOF_YET = "NO_PROOF_YET"
    CALLBACK_ENDED = "CALLBACK_ENDED"
    CALLBACK_TO_BE_CHECKED = "CALLBACK_TO_BE_CHECKED"
    RECORDED_ONLY = "RECORDED_ONLY"


class DeadReason(StrEnum):
    """Why a person is needed."""

    REFUSED = "REFUSED"  # the partner's code goes beside it
    ATTEMPTS_USED_UP = "ATTEMPTS_USED_UP"
    TRUTH_CANNOT_BE_HAD = "TRUTH_CANNOT_BE_HAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquiry:
    """One look at the partner: by the agreement's number, in the account's list, and for the canary.

    None: not asked. The canary is an agreement of ours that is known to be bound.
    """

    by_number: Seen
    by_account: Seen | None = None
    canary_found: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What we know of a task beside the present answer.

    `seen_bound`: we have read it bound at the partner, in this task or before it.
    `call_may_have_arrived`: some send may have had an effect; see `may_have_arrived`.
    `settle_window_over`: a late effect of the last send is no longer to be expected.
    `attempts`: claims that taught us nothing since the last send, the present one included; `sends`: how
    often the partner may have been told; `limit`: how many of either are enough.
    """

    seen_bound: bool
    call_may_have_arrived: bool
    settle_window_over: bool
    attempts: int
    sends: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the task becomes, why, what to wait for, and what to remember."""

    next_state: TaskState
    reason: Why
    wait: Wait = Wait.NONE
    dead_reason: DeadReason | None = None
    partner_code: str = ""
    reading: Reading | None = None

    @property
    def saw_bound(self) -> bool:
        """Whether the caller must from now on remember `seen_bound`."""
        return self.reading is Reading.BOUND


def may_have_arrived(heard: Heard) -> bool:
    """Say whether a send that ended so may have ended the agreement. Note [Did a call of ours do it?]."""
    return heard in {Heard.ACCEPTED, Heard.UNCLEAR}


def after_send(*, state: TaskState, heard: Heard, memory: Memory, partner_code: str = "") -> Verdict:
    """Judge the end of a send. Outside SENDING the lease was lost: the result is recorded, not applied.

    No answer to a send proves anything but a refusal; each of the others is asked about, except the one
    where nothing left us. Safe to repeat.
    Source: SPEC §4 table, SENDING "nothing was sent, try later": an outage of the partner, however long,
    hands no task to a person; the operator's home shows what waits for it.
    """
    if state is not TaskState.SENDING:
        return Verdict(next_state=state, reason=Why.RECORDED_ONLY)
    if heard is Heard.ACCEPTED:
        return Verdict(next_state=TaskState.CONFIRMING, reason=Why.ACCEPTED_IS_A_CLAIM, wait=Wait.BACKOFF)
    if heard is Heard.REFUSED:
        return _dead(DeadReason.REFUSED, Why.REFUSED, partner_code=partner_code)
    if heard is Heard.UNREACHABLE:
        return Verdict(next_state=TaskState.PENDING, reason=Why.NOTHING_WAS_SENT, wait=Wait.BACKOFF)
    return Verdict(next_state=TaskState.UNKNOWN, reason=Why.OUTCOME_UNKNOWN, wait=Wait.BACKOFF)


def read(enquiry: Enquiry) -> Reading:
    """Weigh the answers of one enquiry against each other.

    A canary that was asked for and not found discredits every answer that would end a task, "ended" as
    well as "not found": at this moment the partner is known to be wrong. "Bound" is believed, for it ends
    nothing. A list that cannot be read contradicts nobody.
    Source: SPEC §4 "by two keys with the canary found"; the canary's weight against "ended" is our choice.
    """
    number, account = enquiry.by_number, enquiry.by_account
    if account is Seen.NOT_FOUND and enquiry.canary_found is False:
        account = Seen.UNREADABLE
    if number is Seen.UNREADABLE:
        return Reading.UNREADABLE
    if number is Seen.BOUND:
        return Reading.CONTRADICTORY if account in {Seen.ENDED, Seen.NOT_FOUND} else Reading.BOUND
    if account is Seen.BOUND:
        return Reading.CONTRADICTORY
    if enquiry.canary_found is False:
        return Reading.CANARY_LOST
    if number is Seen.ENDED:
        return Reading.ENDED
    if account is None:
        return Reading.ONE_KEY_ONLY
    if account is Seen.UNREADABLE:
        return Reading.UNREADABLE
    # Not found by number; not found, or found as ended, in the list: some partners forget the number at
    # the end and keep the row in the list.
    return Reading.GONE if enquiry.canary_found else Reading.CANARY_LOST


def after_enquiry(*, state: TaskState, enquiry: Enquiry, memory: Memory) -> Verdict:
    """Judge one look at the partner.

    UNBOUND and ABSENT need the proofs of the table above; sending again needs "bound", read after the
    settle window. Everything else waits, and dies into a person's hands when attempts are used up. In the
    settle window no task dies: its effect may be on the way. Safe to repeat.
    Source: SPEC §4 table, CONFIRMING, UNKNOWN, and PENDING "the customer did it meanwhile (verified)".
    """
    reading = read(enquiry)
    if state is TaskState.PENDING:
        return _before_sending(reading=reading, memory=memory)
    if state not in {TaskState.CONFIRMING, TaskState.UNKNOWN}:
        return Verdict(next_state=state, reason=Why.RECORDED_ONLY, reading=reading)
    if reading is Reading.ENDED:
        return Verdict(next_state=TaskState.UNBOUND, reason=Why.STATUS_ENDED, reading=reading)
    if reading is Reading.GONE:
        if state is TaskState.CONFIRMING or _was_there(memory):
            return Verdict(next_state=TaskState.UNBOUND, reason=Why.GONE_BY_TWO_KEYS, reading=reading)
        return Verdict(next_state=TaskState.ABSENT, reason=Why.NEVER_SEEN_BOUND, reading=reading)
    if reading is Reading.BOUND:
        return _still_bound(state=state, memory=memory)
    if memory.settle_window_over and exhausted(attempts=memory.attempts, limit=memory.limit):
        return _dead(DeadReason.TRUTH_CANNOT_BE_HAD, Why.NO_PROOF_YET, reading=reading)
    return Verdict(next_state=TaskState.UNKNOWN, reason=Why.NO_PROOF_YET, wait=Wait.BACKOFF, reading=reading)


def after_callback(*, state: TaskState) -> Verdict:
    """Judge a verified callback that says "ended". Safe out of order and twice.

    It proves the end where we are confirming a call that was accepted; elsewhere it is a reason to ask now.
    Source: SPEC §4 table, CONFIRMING "or a verified callback"; asking now is our choice.
    """
    if state is TaskState.CONFIRMING:
        return Verdict(next_state=TaskState.UNBOUND, reason=Why.CALLBACK_ENDED)
    if state in {TaskState.UNKNOWN, TaskState.PENDING}:
        return Verdict(next_state=state, reason=Why.CALLBACK_TO_BE_CHECKED, wait=Wait.NOW)
    return Verdict(next_state=state, reason=Why.RECORDED_ONLY)


def _before_sending(*, reading: Reading, memory: Memory) -> Verdict:
    """PENDING: only a proven end spares the send. ABSENT is for UNKNOWN to find, after the partner spoke."""
    if reading is Reading.ENDED:
        return Verdict(next_state=TaskState.UNBOUND, reason=Why.STATUS_ENDED, reading=reading)
    if reading is Reading.GONE and _was_there(memory):
        return Verdict(next_state=TaskState.UNBOUND, reason=Why.GONE_BY_TWO_KEYS, reading=reading)
    return Verdict(next_state=TaskState.PENDING, reason=Why.NO_PROOF_YET, wait=Wait.NOW, reading=reading)


def _still_bound(*, state: TaskState, memory: Memory) -> Verdict:
    seen = Reading.BOUND
    if not memory.settle_window_over:
        return Verdict(
            next_state=state, reason=Why.STILL_BOUND_MAY_YET_END, wait=Wait.SETTLE_WINDOW, reading=seen
        )
    if exhausted(attempts=memory.sends, limit=memory.limit):
        return _dead(DeadReason.ATTEMPTS_USED_UP, Why.STILL_BOUND_SEND_AGAIN, reading=seen)
    return Verdict(
        next_state=TaskState.PENDING, reason=Why.STILL_BOUND_SEND_AGAIN, wait=Wait.BACKOFF, reading=seen
    )


def _dead(
    dead_reason: DeadReason, reason: Why, *, partner_code: str = "", reading: Reading | None = None
) -> Verdict:
    return Verdict(
        next_state=TaskState.DEAD,
        reason=reason,
        dead_reason=dead_reason,
        partner_code=partner_code,
        reading=reading,
    )


def _was_there(memory: Memory) -> bool:
    return memory.call_may_have_arrived or memory.seen_bound
