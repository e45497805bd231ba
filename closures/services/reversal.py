"""A closing that should not have been is undone, by two people without a part in it (SPEC §3).

The closed account stays closed: what was certified on that day stays true. A new account takes its place
at the core ledger, the customer is with his lender again, and the credit report gets a date by which it is
corrected. Agreements with partners are signed again by the customer alone; the notice tells him so.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import CreditAccount, Customer, User
from accounts.selectors import calendar, regulations
from accounts.services import relationships
from accounts.tracking import NotPermitted, NotPossible, move, move_label, save_as
from closures import jobs
from closures.errors import ClosureError, GroundMissing
from closures.gateways import ledger
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.gateways.ledger import LedgerFacts, LineState
from closures.jobs import Job
from closures.models import ClosureTicket, Complaint, LedgerCommand, Reversal
from closures.models import complaint_terms as terms
from closures.models.notices import NoticeKind
from closures.models.numbers import new_number
from closures.rules import retry
from closures.rules.deadlines import CalendarMissing, add_calendar_days, china_date
from closures.selectors import participants
from closures.services import commands, notices

ACTOR = Actor.job("reversal")
BUREAU_RULE = "BUREAU_CORRECTION"
LONGEST_WAY = timedelta(days=60)  # to the due day and over the longest holiday after it
NUMBER_LENGTH = 32  # of an account number
REOPENED = re.compile(r"(?P<base>.+)R(?P<n>\d{1,2})")
State = Reversal.State


class NotClosed(ClosureError):
    code = "not_closed"
    template = _("Ticket {number} is {state}; only a closed one can be reversed.")


class AlreadyProposed(ClosureError):
    code = "already_proposed"
    template = _("Reversal {reversal} of this closing is {state} already.")


class TookPart(ClosureError):
    code = "took_part"
    template = _("You had a part in this closing; people without one have to reverse it.")


class SameApprover(ClosureError):
    code = "same_approver"
    template = _("You proposed this reversal; somebody else has to decide on it.")


class ComplaintMissing(ClosureError):
    code = "complaint_missing"
    template = _("Enter the number of the complaint; leave it empty where the finding is our own.")


class ComplaintDoesNotSaySo(ClosureError):
    code = "complaint_does_not_say_so"
    template = _("No complaint {complaint} about this closing was upheld with its reversal as the remedy.")


class NotAnAmount(ClosureError):
    code = "not_an_amount"
    template = _("The compensation is an amount in yuan, or zero.")


class AnotherIsOpen(ClosureError):
    code = "another_is_open"
    template = _(
        "The customer has opened account {account} of the same product since. A second one cannot be opened; "
        "record another remedy."
    )


class NoCalendar(ClosureError):
    code = "calendar_incomplete"
    template = _("The work calendar does not know {day}. Have the calendar loaded; no due date is guessed.")


class NotToCorrect(ClosureError):
    code = "nothing_to_correct"
    template = _("Reversal {reversal} has no correction of the credit report open.")


class CorrectionProofMissing(ClosureError):
    code = "correction_proof_missing"
    template = _("Enter the number under which the credit bureau confirms the correction.")


# --- Decide -------------------------------------------------------------------------------------------


@decision
def propose(
    *,
    ticket_id: int,
    source: str,
    root_cause: str,
    ground: str,
    actor: Actor,
    now: datetime,
    complaint_number: str = "",
    compensation_amount: Decimal = Decimal("0.00"),
) -> Reversal:
    """A reversal of the closing waits for a second person. Nothing else has changed.

    `source` is COMPLAINT with its `complaint_number`, or OWN_FINDING without one; the compensation is in
    yuan. Not safe to repeat: a second proposal is refused.

    Raises: NotPermitted, GroundMissing, ComplaintMissing, ComplaintDoesNotSaySo, NotAnAmount, TookPart,
    NotClosed, AlreadyProposed, AnotherIsOpen.
    """
    person = _person(actor, "closures.propose_reversal", _("Propose a reversal"))
    ticket = ClosureTicket.objects.lock(ticket_id)
    complaint_number, ground = complaint_number.strip(), ground.strip()
    if not ground:
        raise GroundMissing
    if bool(complaint_number) != (source == Reversal.Source.COMPLAINT):
        raise ComplaintMissing
    if complaint_number and not _upheld(ticket, complaint_number):
        raise ComplaintDoesNotSaySo(complaint=complaint_number)
    if not compensation_amount.is_finite() or compensation_amount < 0:
        raise NotAnAmount
    _check_may_be_reversed(ticket, person)
    standing = ticket.reversals.filter(state__in=Reversal.STANDING).first()
    if standing is not None:
        raise AlreadyProposed(reversal=standing.number, state=standing.get_state_display())
    reversal = Reversal(
        number=new_number(now, prefix="RV"),
        ticket=ticket,
        source=Reversal.Source(source),
        complaint_number=complaint_number,
        root_cause=Reversal.RootCause(root_cause),
        ground=ground,
        compensation_amount=compensation_amount,
        state_since=now,
        asked_by=person,
        asked_at=now,
    )
    return save_as(reversal, actor=actor, reason=ground, now=now)


@decision
def approve(*, reversal_id: int, ground: str, actor: Actor, now: datetime) -> Reversal:
    """The closing is reversed: a new account is being opened, and the clock of the credit report runs.

    The ticket is REVERSED, the customer is with the lender again, the ledger is told to open the account.
    The customer hears of it when the ledger shows it open (`run`). Safe to repeat: a repeat is refused.

    Raises: NotPermitted, GroundMissing, TookPart, SameApprover, NotClosed, NotPossible, AnotherIsOpen,
    CustomerErased, NoRegulation, NoCalendar.
    Source: SPEC §3 CLOSED → REVERSED.
    """
    reversal, ticket = _locked(reversal_id)
    person = _check_decision(reversal, ground=ground, actor=actor)
    if reversal.state != State.PROPOSED:
        raise NotPossible(
            move=move_label(reversal, "approve"), row=reversal, state=reversal.get_state_display()
        )
    _check_may_be_reversed(ticket, person)
    reason = f"reversal {reversal.number}"
    new_account = _account_in_place_of(ticket.account, now=now)
    save_as(new_account, actor=actor, reason=reason, now=now)
    reversal.due_at = now
    move(
        reversal,
        "approve",
        actor=actor,
        reason=ground.strip(),
        now=now,
        approved_by=person,
        approved_at=now,
        new_account=new_account,
        **correction_date(now),
    )
    move(ticket, "reverse", actor=actor, reason=reason, now=now)
    relationships.begin(
        customer_id=new_account.customer_id,
        lender_id=new_account.product.lender_id,
        started_on=china_date(moment=now),
        actor=actor,
        reason=reason,
        now=now,
    )
    notices.cancel_pending(ticket, actor=actor, now=now)
    commands.queue(account=new_account, ticket=ticket, verb=LedgerCommand.Verb.OPEN, actor=actor, now=now)
    jobs.enqueue(Job.FINISH_REVERSALS)
    return reversal


@decision
def reject(*, reversal_id: int, ground: str, actor: Actor, now: datetime) -> Reversal:
    """The closing stands; another reversal may be proposed.

    Raises: NotPermitted, GroundMissing, TookPart, SameApprover, NotPossible.
    """
    reversal, _ticket = _locked(reversal_id)
    _check_decision(reversal, ground=ground, actor=actor)
    return move(reversal, "reject", actor=actor, reason=ground.strip(), now=now)


@decision
def record_bureau_correction(*, reversal_id: int, proof: str, actor: Actor, now: datetime) -> Reversal:
    """The credit report no longer shows the wrongful closing; the bureau has confirmed it under `proof`.

    Raises: NotPermitted, CorrectionProofMissing, NotToCorrect (also when it is recorded already).
    """
    person = _person(actor, "closures.correct_bureau", _("Record the correction"))
    if not proof.strip():
        raise CorrectionProofMissing
    reversal, _ticket = _locked(reversal_id)
    if not reversal.awaits_bureau:
        raise NotToCorrect(reversal=reversal.number)
    reversal.bureau_corrected_at, reversal.bureau_corrected_by = now, person
    reversal.bureau_proof = proof.strip()
    return save_as(reversal, actor=actor, reason="the credit report is corrected", now=now)


def correction_date(now: datetime) -> dict[str, Any]:
    """By when the credit report must be right, with the rule and the calendar it was counted by.

    Raises: NoRegulation, NoCalendar.
    """
    granted_on = china_date(moment=now)
    rule = regulations.in_force(BUREAU_RULE, on=granted_on)
    span = calendar.working_days(granted_on, granted_on + LONGEST_WAY)
    try:
        due_on = add_calendar_days(received_on=granted_on, n=int(rule.value), is_working=span.is_working)
    except CalendarMissing as missing:
        raise NoCalendar(day=missing.day) from missing
    return {"bureau_due_on": due_on, "bureau_rule": rule, "bureau_calendar": span.up_to(due_on).version}


# --- Reach --------------------------------------------------------------------------------------------


def run(*, clock: Callable[[], datetime]) -> int:
    """Every new account that is being opened is read; returns how many. Safe to run anywhere, twice."""
    due = Reversal.objects.filter(state=State.OPENING)
    return due.drain(clock=clock, handle=lambda reversal: finish(reversal, clock=clock))


def finish(claimed: Reversal, *, clock: Callable[[], datetime]) -> None:
    """One reversal, claimed by the caller: DONE once the ledger itself shows the new account open."""
    account = claimed.new_account
    assert account is not None  # by constraint
    try:
        read: LedgerFacts | None = ledger.read(account.account_no)
    except (Unreachable, Unclear, Refused):  # refused: the ledger does not know the account yet
        read = None
    with transaction.atomic(durable=True):
        now = clock()
        reversal, ticket = _locked(claimed.pk)
        if not reversal.held(claimed) or reversal.state != State.OPENING:
            return
        if read is None or read.state is not LineState.OPEN:
            pause = retry.delay(
                attempt=reversal.attempts,
                base=settings.RETRY_BASE,
                cap=settings.RETRY_CAP,
                random=random.random,
            )
            reversal.release(due_at=now + pause)
            reversal.save(update_fields=["lease_token", "lease_until", "due_at"])
            return
        _open(reversal, ticket, read, now=now)


def _open(reversal: Reversal, ticket: ClosureTicket, read: LedgerFacts, *, now: datetime) -> None:
    accounts = CreditAccount.objects.select_for_update(of=("self",))
    account = accounts.get(reversal=reversal)  # younger than the closed one, which is locked
    commands.record(account, read, now=now)
    reversal.release(due_at=None)
    move(reversal, "finish", actor=ACTOR, reason="read back open", now=now)
    notices.queue(
        ticket=ticket,
        kind=NoticeKind.REVERSED,
        actor=ACTOR,
        now=now,
        reversal=reversal.number,
        new_account_tail=account.account_no[-4:],
        compensation=f"{reversal.compensation_amount:,.2f}" if reversal.compensation_amount else "",
        bureau_due_on=reversal.bureau_due_on.isoformat() if reversal.bureau_due_on else "",
    )


# --- Ground -------------------------------------------------------------------------------------------


def _locked(reversal_id: int) -> tuple[Reversal, ClosureTicket]:
    """The account, the ticket, then the reversal: the order every service keeps."""
    ticket_id = Reversal.objects.values_list("ticket_id", flat=True).get(pk=reversal_id)
    ticket = ClosureTicket.objects.lock(ticket_id)
    return Reversal.objects.select_for_update(of=("self",)).get(pk=reversal_id), ticket


def _account_in_place_of(account: CreditAccount, *, now: datetime) -> CreditAccount:
    """The new account, not saved. Its limit is zero until the ledger, which opens it, has named one."""
    return CreditAccount(
        account_no=next_number(account.account_no),
        customer_id=account.customer_id,
        product=account.product,
        reopened_from=account,
        ledger_as_of=now,
    )


def next_number(account_no: str) -> str:
    """The number of the account that takes a closed one's place: A7 → A7R1 → A7R2."""
    found = REOPENED.fullmatch(account_no)
    base, n = (found["base"], int(found["n"]) + 1) if found else (account_no, 1)
    ending = f"R{n}"
    return f"{base[: NUMBER_LENGTH - len(ending)]}{ending}"


def _person(actor: Actor, right: str, what: Any) -> User:
    if actor.kind is not ActorKind.STAFF or actor.user is None or not actor.user.has_perm(right):
        raise NotPermitted(move=what)
    return actor.user


def _check_decision(reversal: Reversal, *, ground: str, actor: Actor) -> User:
    person = _person(actor, "closures.approve_reversal", _("Approve the reversal"))
    if not ground.strip():
        raise GroundMissing
    if person.pk == reversal.asked_by_id:
        raise SameApprover
    if person.pk in participants.in_the_closing(reversal.ticket_id):
        raise TookPart
    return person


def _upheld(ticket: ClosureTicket, number: str) -> bool:
    """A complaint of this number about this closing was upheld, and its remedy is the reversal."""
    found = Complaint.objects.filter(ticket=ticket, number=number, remedy=terms.Remedy.REVERSAL).first()
    return found is not None and found.final_outcome in terms.UPHELD


def _check_may_be_reversed(ticket: ClosureTicket, person: User) -> None:
    if person.pk in participants.in_the_closing(ticket.pk):
        raise TookPart
    if ticket.state != ClosureTicket.State.CLOSED:
        raise NotClosed(number=ticket.number, state=ticket.get_state_display())
    account = ticket.account
    if account.customer.standing == Customer.Standing.ERASED:
        raise relationships.CustomerErased(customer=account.customer)
    others = CreditAccount.objects.filter(customer=account.customer_id, product=account.product_id)
    another = others.exclude(line_state=CreditAccount.LineState.CLOSED).first()
    if another is not None:
        raise AnotherIsOpen(account=another.account_no)
