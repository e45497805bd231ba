"""What follows from what was heard, for notices and for commands to the core ledger.

The same brain as `outcomes`, for two shorter machines. Both keep one key for all tries, ask before they
repeat, and repeat only what the other side does not know once the settle window is over.

Notices, to be read aloud:

    SENDING  accepted                        SENT; DELIVERED where handing over is arriving (agreed inbox)
    SENDING  nothing clear                   UNKNOWN: ask for the receipt
    SENDING  nothing: it never left us       PENDING, same rung; FAILED when tries are used up
    SENDING  a definite refusal              FAILED
    UNKNOWN  receipt: arrived                DELIVERED (SENT where the channel can prove no arrival)
    UNKNOWN  receipt: on its way, or failed  SENT; a failure is then read once more, from SENT
    UNKNOWN  provider does not know the key  PENDING, same rung and key, once the settle window is over;
                                             SENT, perhaps, when tries are used up
    UNKNOWN  no answer, until time is up     UNKNOWN; then SENT, perhaps, which then expires
    UNKNOWN  the channel cannot be asked     SENT, perhaps; never sent again
    SENT     receipt: arrived / failed       DELIVERED / FAILED
    SENT     anything else, time is up       EXPIRED
    FAILED, EXPIRED, or SENT where no arrival can be proved and one is needed: the next rung, once

Commands, to be read aloud:

    SENDING  accepted / nothing clear / never left us / refused      DONE / UNKNOWN / PENDING / DEAD
    UNKNOWN  executed / rejected                                     DONE / DEAD
    UNKNOWN  key not known, settle window over / still open          PENDING, same key / UNKNOWN
    UNKNOWN  in progress, unreadable                                 UNKNOWN

DEAD is the ledger's own refusal and nothing else: an outage, however long, hands no command to a person, and
what may have been carried out stays UNKNOWN, so that nobody takes it for undone.

DONE says that the ledger took the command. That the line is closed is read back by the closing itself.
In every other state nothing changes: what was heard is recorded, not applied. Source: SPEC §4, §5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from closures.rules.outcomes import DeadReason, Heard, Wait
from closures.rules.retry import exhausted


class NoticeState(StrEnum):
    """States of a notice. Source: SPEC §5."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class Channel(StrEnum):
    """Ways to reach a customer. Source: SPEC §5."""

    INBOX = "INBOX"
    SMS = "SMS"
    EMAIL = "EMAIL"
    LETTER = "LETTER"


class Proof(StrEnum):
    """What counts as arrival on a rung. Source: SPEC §5; 民法典 137."""

    AT_ONCE = "AT_ONCE"  # the inbox that the customer agreed to
    RECEIPT = "RECEIPT"  # the carrier says so
    BY_HAND = "BY_HAND"  # a person enters the tracking proof
    NEVER = "NEVER"  # a courtesy: sent is all that it can be


# How a message that was sent waits for its receipt. An inbox that did not take it at once cannot be asked.
RECEIPT_WAIT = {
    Proof.AT_ONCE: Wait.RECEIPT_DEADLINE,
    Proof.RECEIPT: Wait.BACKOFF,
    Proof.BY_HAND: Wait.RECEIPT_DEADLINE,
    Proof.NEVER: Wait.NONE,
}


class Receipt(StrEnum):
    """What was heard about a message on its way."""

    ARRIVED = "ARRIVED"
    ON_ITS_WAY = "ON_ITS_WAY"  # the provider knows it and has no receipt yet
    FAILED = "FAILED"
    NOT_KNOWN = "NOT_KNOWN"  # the provider does not know the key
    UNREADABLE = "UNREADABLE"  # no answer, or none that makes sense
    CANNOT_BE_ASKED = "CANNOT_BE_ASKED"  # the channel has no receipts


class NoticeWhy(StrEnum):
    """The reason of a verdict on a notice."""

    HANDED_OVER = "HANDED_OVER"
    ARRIVED = "ARRIVED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    NOTHING_WAS_SENT = "NOTHING_WAS_SENT"
    ATTEMPTS_USED_UP = "ATTEMPTS_USED_UP"
    REFUSED = "REFUSED"
    PROVIDER_DOES_NOT_KNOW_IT = "PROVIDER_DOES_NOT_KNOW_IT"
    PERHAPS_SENT = "PERHAPS_SENT"
    NOT_DELIVERED = "NOT_DELIVERED"
    NO_RECEIPT_YET = "NO_RECEIPT_YET"
    NO_RECEIPT_IN_TIME = "NO_RECEIPT_IN_TIME"
    NO_ARRIVAL_TO_PROVE = "NO_ARRIVAL_TO_PROVE"
    RECORDED_ONLY = "RECORDED_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step of the ladder of channels, and what counts as arrival on it."""

    channel: Channel
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeVerdict:
    """What the notice becomes; `next_rung`: another message has to go out on the next rung."""

    next_state: NoticeState
    reason: NoticeWhy
    wait: Wait = Wait.NONE
    next_rung: bool = False


class CommandState(StrEnum):
    """States of a command to the core ledger. Source: SPEC §4."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    UNKNOWN = "UNKNOWN"
    DONE = "DONE"
    DEAD = "DEAD"


class CommandAnswer(StrEnum):
    """What the core ledger says about a command, asked by its key."""

    EXECUTED = "EXECUTED"
    REJECTED = "REJECTED"
    IN_PROGRESS = "IN_PROGRESS"
    NOT_KNOWN = "NOT_KNOWN"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandVerdict:
    """What the command becomes and for what to wait; `partner_code` where the ledger refused."""

    next_state: CommandState
    wait: Wait = Wait.NONE
    dead_reason: DeadReason | None = None
    partner_code: str = ""


def ladder(*, inbox_agreed: bool) -> tuple[Rung, ...]:
    """Give the rungs in their order; the inbox proves arrival only if it was agreed to. Source: SPEC §5."""
    return (
        Rung(channel=Channel.INBOX, proof=Proof.AT_ONCE if inbox_agreed else Proof.NEVER),
        Rung(channel=Channel.SMS, proof=Proof.RECEIPT),
        Rung(channel=Channel.EMAIL, proof=Proof.NEVER),
        Rung(channel=Channel.LETTER, proof=Proof.BY_HAND),
    )


def next_rung(*, kind_needs_arrival: bool, rungs: Sequence[Rung], current: Rung | None) -> Rung | None:
    """Give the rung after `current` (None: the first), or None at the end: then it is a person's turn.

    A letter is work for a person and costs money, so only kinds that need arrival climb that far.

    Raises:
        ValueError: `current` is no rung of this ladder.
    Source: SPEC §5; who gets a letter is our choice.
    """
    rest = rungs if current is None else rungs[rungs.index(current) + 1 :]
    climbed = (rung for rung in rest if kind_needs_arrival or rung.proof is not Proof.BY_HAND)
    return next(climbed, None)


def notice_after_send(
    *,
    state: NoticeState,
    heard: Heard,
    proof: Proof,
    kind_needs_arrival: bool,
    attempts: int,
    limit: int,
) -> NoticeVerdict:
    """Judge the end of a send. Outside SENDING the lease was lost: recorded, not applied.

    Source: SPEC §5. That a channel out of reach for all tries is FAILED, so that the next rung is climbed
    in time, is our choice.
    """
    if state is not NoticeState.SENDING:
        return NoticeVerdict(next_state=state, reason=NoticeWhy.RECORDED_ONLY)
    if heard is Heard.ACCEPTED:
        if proof is Proof.AT_ONCE:
            return NoticeVerdict(next_state=NoticeState.DELIVERED, reason=NoticeWhy.ARRIVED)
        return _sent(NoticeWhy.HANDED_OVER, proof=proof, kind_needs_arrival=kind_needs_arrival)
    if heard is Heard.REFUSED:
        return _over(NoticeState.FAILED, NoticeWhy.REFUSED)
    if heard is Heard.UNREACHABLE:
        if exhausted(attempts=attempts, limit=limit):
            return _over(NoticeState.FAILED, NoticeWhy.ATTEMPTS_USED_UP)
        return NoticeVerdict(
            next_state=NoticeState.PENDING, reason=NoticeWhy.NOTHING_WAS_SENT, wait=Wait.BACKOFF
        )
    return NoticeVerdict(next_state=NoticeState.UNKNOWN, reason=NoticeWhy.OUTCOME_UNKNOWN, wait=Wait.BACKOFF)


def notice_after_receipt(
    *,
    state: NoticeState,
    receipt: Receipt,
    proof: Proof,
    kind_needs_arrival: bool,
    settle_window_over: bool,
    receipt_overdue: bool,
    attempts: int,
    limit: int,
) -> NoticeVerdict:
    """Judge a receipt, a query for one, or the lapse of the time to wait for one.

    DELIVERED needs a receipt on a rung where one counts. Only a message that the provider does not know
    goes out again: after the settle window, on the same rung, with the same key, within the limit. Safe to
    repeat.
    Source: SPEC §5; that a message nobody can tell the fate of is taken as perhaps sent and then expires,
    instead of going out again and again or waiting for ever, is our choice.
    """
    if state is NoticeState.SENT:
        return _from_sent(
            receipt, proof=proof, kind_needs_arrival=kind_needs_arrival, receipt_overdue=receipt_overdue
        )
    if state is not NoticeState.UNKNOWN:
        return NoticeVerdict(next_state=state, reason=NoticeWhy.RECORDED_ONLY)
    if receipt is Receipt.NOT_KNOWN and not settle_window_over:
        return NoticeVerdict(next_state=state, reason=NoticeWhy.OUTCOME_UNKNOWN, wait=Wait.SETTLE_WINDOW)
    if receipt is Receipt.NOT_KNOWN and not exhausted(attempts=attempts, limit=limit):
        return NoticeVerdict(
            next_state=NoticeState.PENDING, reason=NoticeWhy.PROVIDER_DOES_NOT_KNOW_IT, wait=Wait.BACKOFF
        )
    if receipt is Receipt.UNREADABLE and not receipt_overdue:
        return NoticeVerdict(next_state=state, reason=NoticeWhy.OUTCOME_UNKNOWN, wait=Wait.BACKOFF)
    if receipt is Receipt.ARRIVED and proof is not Proof.NEVER:
        return NoticeVerdict(next_state=NoticeState.DELIVERED, reason=NoticeWhy.ARRIVED)
    if receipt is Receipt.FAILED:
        sent = _sent(NoticeWhy.NOT_DELIVERED, proof=proof, kind_needs_arrival=kind_needs_arrival)
        return replace(sent, wait=Wait.NOW)
    known = receipt in {Receipt.ARRIVED, Receipt.ON_ITS_WAY}
    why = NoticeWhy.HANDED_OVER if known else NoticeWhy.PERHAPS_SENT
    return _sent(why, proof=proof, kind_needs_arrival=kind_needs_arrival)


def command_after_send(*, state: CommandState, heard: Heard, partner_code: str = "") -> CommandVerdict:
    """Judge the end of a send. Outside SENDING the lease was lost: recorded, not applied. Source: SPEC §4."""
    if state is not CommandState.SENDING:
        return CommandVerdict(next_state=state)
    if heard is Heard.ACCEPTED:
        return CommandVerdict(next_state=CommandState.DONE)
    if heard is Heard.REFUSED:
        return _dead_command(DeadReason.REFUSED, partner_code=partner_code)
    if heard is Heard.UNREACHABLE:
        return CommandVerdict(next_state=CommandState.PENDING, wait=Wait.BACKOFF)
    return CommandVerdict(next_state=CommandState.UNKNOWN, wait=Wait.BACKOFF)


def command_after_ask(
    *,
    state: CommandState,
    answer: CommandAnswer,
    settle_window_over: bool,
    partner_code: str = "",
) -> CommandVerdict:
    """Judge what the ledger says about a command of unknown fate. Safe to repeat.

    It goes out again only when the ledger does not know its key and no late effect is to be expected.
    Source: SPEC §4 "asked before they are repeated".
    """
    if state is not CommandState.UNKNOWN:
        return CommandVerdict(next_state=state)
    if answer is CommandAnswer.EXECUTED:
        return CommandVerdict(next_state=CommandState.DONE)
    if answer is CommandAnswer.REJECTED:
        return _dead_command(DeadReason.REFUSED, partner_code=partner_code)
    if answer is CommandAnswer.NOT_KNOWN:
        if not settle_window_over:
            return CommandVerdict(next_state=state, wait=Wait.SETTLE_WINDOW)
        return CommandVerdict(next_state=CommandState.PENDING, wait=Wait.BACKOFF)
    return CommandVerdict(next_state=state, wait=Wait.BACKOFF)


def _sent(reason: NoticeWhy, *, proof: Proof, kind_needs_arrival: bool) -> NoticeVerdict:
    """SENT: the end of a courtesy; elsewhere the wait for a receipt begins."""
    return NoticeVerdict(
        next_state=NoticeState.SENT,
        reason=reason,
        wait=RECEIPT_WAIT[proof],
        next_rung=proof is Proof.NEVER and kind_needs_arrival,
    )


def _from_sent(
    receipt: Receipt, *, proof: Proof, kind_needs_arrival: bool, receipt_overdue: bool
) -> NoticeVerdict:
    if receipt is Receipt.FAILED:
        # Where arrival is needed, a courtesy has made way for the next rung when it was sent.
        climbed = proof is Proof.NEVER and kind_needs_arrival
        return NoticeVerdict(
            next_state=NoticeState.FAILED, reason=NoticeWhy.NOT_DELIVERED, next_rung=not climbed
        )
    if proof is Proof.NEVER:
        return NoticeVerdict(next_state=NoticeState.SENT, reason=NoticeWhy.NO_ARRIVAL_TO_PROVE)
    if receipt is Receipt.ARRIVED:
        return NoticeVerdict(next_state=NoticeState.DELIVERED, reason=NoticeWhy.ARRIVED)
    if receipt_overdue:
        return _over(NoticeState.EXPIRED, NoticeWhy.NO_RECEIPT_IN_TIME)
    return NoticeVerdict(
        next_state=NoticeState.SENT, reason=NoticeWhy.NO_RECEIPT_YET, wait=RECEIPT_WAIT[proof]
    )


def _over(state: NoticeState, reason: NoticeWhy) -> NoticeVerdict:
    return NoticeVerdict(next_state=state, reason=reason, next_rung=True)


def _dead_command(dead_reason: DeadReason, *, partner_code: str = "") -> CommandVerdict:
    return CommandVerdict(next_state=CommandState.DEAD, dead_reason=dead_reason, partner_code=partner_code)
