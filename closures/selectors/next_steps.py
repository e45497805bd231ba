"""Whose move a ticket is and what comes next, in one sentence. Reads the ticket alone: no query.

What the page or the list knows beside the ticket (a visible hold, a stuck task) is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from closures.models import ClosureTicket

State = ClosureTicket.State


class Mover(StrEnum):
    CUSTOMER = "CUSTOMER"
    AGENT = "AGENT"
    REVIEWER = "REVIEWER"
    LEAD = "LEAD"
    OWNER = "OWNER"
    OPERATOR = "OPERATOR"
    MACHINE = "MACHINE"
    NOBODY = "NOBODY"


MOVERS: dict[Mover, Any] = {
    Mover.CUSTOMER: _("customer"),
    Mover.AGENT: _("customer-service agent"),
    Mover.REVIEWER: _("reviewer"),
    Mover.LEAD: _("compliance lead"),
    Mover.OWNER: _("owner of the hold"),
    Mover.OPERATOR: _("operator"),
    Mover.MACHINE: _("the system, by itself"),
    Mover.NOBODY: _("nobody"),
}


TROUBLE: dict[str, Any] = {
    "UNREACHABLE": _("not reached"),
    "UNCLEAR": _("not readable"),
    "NOT_FOUND": _("it does not know the account"),
}


@dataclass(frozen=True, kw_only=True)
class Around:
    """What stands around a ticket, as far as the reader may know it."""

    blocks: bool = True  # a blocker that stops it is visible
    held: bool = False  # an open hold is visible
    stuck: bool = False  # a task or a ledger command waits for a person
    still: bool = False  # the campaign that opened it is paused


@dataclass(frozen=True, kw_only=True)
class NextStep:
    mover: Mover
    sentence: str

    @property
    def whose(self) -> str:
        return str(MOVERS[self.mover])

    @property
    def waits_for_person(self) -> bool:
        return self.mover not in (Mover.MACHINE, Mover.NOBODY)


def next_step(ticket: ClosureTicket, *, around: Around | None = None) -> NextStep:
    """Who moves next and what then happens; in the active language."""
    if ticket.ledger_trouble and ticket.is_open:
        return _no_answer(ticket)
    if around is not None and around.still and ticket.is_open:
        text = translate("Its campaign is paused: nothing irreversible begins until it is resumed.")
        return NextStep(mover=Mover.LEAD, sentence=text)
    return STEPS[State(ticket.state)](ticket, around or Around())


def moment(value: datetime | None) -> str:
    return date_format(localtime(value), "Y-m-d H:i") if value else "?"


def _submitted(ticket: ClosureTicket, around: Around) -> NextStep:
    if ticket.identity_level == ClosureTicket.IdentityLevel.NONE:
        text = translate(
            "The customer's identity is not proved; without it the request is refused on %(day)s."
        )
        return NextStep(mover=Mover.AGENT, sentence=text % {"day": ticket.answer_due_on})
    text = translate("The core ledger is read and every blocker listed; this takes seconds.")
    return NextStep(mover=Mover.MACHINE, sentence=text)


def _blocked(ticket: ClosureTicket, around: Around) -> NextStep:
    if around.held:
        return _held()
    if not around.blocks:
        text = translate("The case is being examined; it goes on by itself.")
        return NextStep(mover=Mover.MACHINE, sentence=text)
    if ticket.answer_due_on:
        text = translate(
            "The customer cures the blockers; if any is left on %(day)s, the request is refused."
        )
        return NextStep(mover=Mover.CUSTOMER, sentence=text % {"day": ticket.answer_due_on})
    text = translate("The blockers have to be cured; the account is looked at again every day.")
    return NextStep(mover=Mover.CUSTOMER, sentence=text)


def _in_review(ticket: ClosureTicket, around: Around) -> NextStep:
    mover = Mover.REVIEWER if ticket.is_customers_own else Mover.LEAD
    if ticket.changes:
        text = translate("What was approved has changed; it has to be decided again.")
    else:
        text = translate("Somebody other than the requester approves or rejects.")
    return NextStep(mover=mover, sentence=text)


def _notice_period(ticket: ClosureTicket, around: Around) -> NextStep:
    if around.held:
        return _held()
    when = {"moment": moment(ticket.period_ends_at)}
    if ticket.is_customers_own:
        text = translate("Cooling-off until %(moment)s: the customer may withdraw. Then unbinding begins.")
        return NextStep(mover=Mover.MACHINE, sentence=text % when)
    if ticket.notice_arrived_at or ticket.notice_waived_by_id:
        text = translate("The notice period runs until %(moment)s. Then unbinding begins, or settling.")
        return NextStep(mover=Mover.MACHINE, sentence=text % when)
    if ticket.notice_waiver_asked_by_id:
        text = translate(
            "A waiver of the proof of arrival was asked for; a second person agrees or does not."
        )
        return NextStep(mover=Mover.LEAD, sentence=text)
    text = translate("The notice of closing has to arrive first; its period begins on that day.")
    return NextStep(mover=Mover.MACHINE, sentence=text)


def _settling(ticket: ClosureTicket, around: Around) -> NextStep:
    if around.held:
        return _held()
    if around.stuck:
        return _stuck()
    text = translate("Nothing may be owed either way; the balance is read again by itself. Then unbinding.")
    return NextStep(mover=Mover.CUSTOMER, sentence=text)


def _unbinding(ticket: ClosureTicket, around: Around) -> NextStep:
    if ticket.cancel_asked_by_id:
        text = translate("A cancellation was asked for; a second person decides on it.")
        return NextStep(mover=Mover.LEAD, sentence=text)
    if around.stuck:
        return _stuck()
    if around.held:
        return _held()
    text = translate(
        "The partners end their agreements and prove it. Then the core ledger closes the account."
    )
    return NextStep(mover=Mover.MACHINE, sentence=text)


def _closing(ticket: ClosureTicket, around: Around) -> NextStep:
    if around.held:
        return _held()
    if around.stuck:
        return _stuck()
    text = translate("The core ledger is told to close and read back closed. Then the certificate is issued.")
    return NextStep(mover=Mover.MACHINE, sentence=text)


def _closed(ticket: ClosureTicket, around: Around) -> NextStep:
    text = translate("Closed, certificate %(certificate)s. Nothing is left to do.")
    return NextStep(mover=Mover.NOBODY, sentence=text % {"certificate": ticket.certificate_no or "?"})


def _reversed(ticket: ClosureTicket, around: Around) -> NextStep:
    if around.stuck:
        return _stuck()
    text = translate("The closing was wrong and is undone; a new account takes the closed one's place.")
    return NextStep(mover=Mover.NOBODY, sentence=text)


def _ended(ticket: ClosureTicket, around: Around) -> NextStep:
    text = translate("The ticket has ended; the account goes on. A new request starts a new ticket.")
    return NextStep(mover=Mover.NOBODY, sentence=text)


def _no_answer(ticket: ClosureTicket) -> NextStep:
    said = {
        "trouble": str(TROUBLE.get(ticket.ledger_trouble, ticket.ledger_trouble)),
        "moment": moment(ticket.due_at),
    }
    text = translate("The core ledger gives no usable answer (%(trouble)s); it is asked again at %(moment)s.")
    return NextStep(mover=Mover.MACHINE, sentence=text % said)


def _held() -> NextStep:
    text = translate("Held: nothing irreversible happens until every hold is lifted.")
    return NextStep(mover=Mover.OWNER, sentence=text)


def _stuck() -> NextStep:
    text = translate("The machine has given up on one step; a person tries again, takes over or waives it.")
    return NextStep(mover=Mover.OPERATOR, sentence=text)


STEPS: dict[State, Callable[[ClosureTicket, Around], NextStep]] = {
    State.SUBMITTED: _submitted,
    State.BLOCKED: _blocked,
    State.IN_REVIEW: _in_review,
    State.NOTICE_PERIOD: _notice_period,
    State.SETTLING: _settling,
    State.UNBINDING: _unbinding,
    State.CLOSING: _closing,
    State.CLOSED: _closed,
    State.REVERSED: _reversed,
    State.REJECTED: _ended,
    State.WITHDRAWN: _ended,
    State.CANCELLED: _ended,
}
