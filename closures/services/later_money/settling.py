"""What becomes of money after a closing: paid out and read back, booked, settled, or written off by two."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import CreditAccount, User
from accounts.tracking import NotPermitted, move, save_as
from closures.errors import ClosureError, GroundMissing
from closures.gateways import ledger
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.models import LedgerCommand, PostClosureItem
from closures.rules import retry
from closures.services import commands

ACTOR = Actor.job("later_money")
Direction = PostClosureItem.Direction
State = PostClosureItem.State
SETTLE, WRITE_OFF = "closures.settle_later_money", "closures.write_off_later_money"


class WrongDirection(ClosureError):
    code = "wrong_direction"
    template = _(
        "{number} is {direction}: only what is owed to the customer is paid out, the rest is booked."
    )


class ProofOfPaymentMissing(ClosureError):
    code = "payment_proof_missing"
    template = _("Enter the number of the payment.")


class WriteOffNotAsked(ClosureError):
    code = "write_off_not_asked"
    template = _("Nobody has asked to write {number} off; a first person asks, a second one decides.")


class SameAsker(ClosureError):
    code = "same_asker"
    template = _("You asked for this write-off; somebody else has to decide on it.")


class NotReceivable(ClosureError):
    code = "not_receivable"
    template = _("{number} is {state}; only a receivable is written off.")


class Ended(ClosureError):
    code = "later_money_ended"
    template = _("{number} is {state}; there is nothing left to take on.")


# --- What people decide -------------------------------------------------------------------------------


@decision
def take_on(*, item_id: int, actor: Actor, now: datetime) -> PostClosureItem:
    """The item has an owner, who answers for its age. Safe to repeat, also by another person.

    Raises: NotPermitted, Ended.
    """
    person = _person(actor, SETTLE, _("Take on money after closing"))
    item = _locked(item_id)
    if item.state not in PostClosureItem.OPEN:
        raise Ended(number=item.number, state=item.get_state_display())
    if item.owner_id != person.pk:
        item.owner = person
        save_as(item, actor=actor, reason="taken on", now=now)
    return item


@decision
def pay_out(*, item_id: int, ground: str, actor: Actor, now: datetime) -> PostClosureItem:
    """The ledger is told to return the amount to the customer; PAID_OUT once it shows the posting.

    Racing a clawback, exactly one of the two gets the item. A repeat is not possible.

    Raises: NotPermitted, GroundMissing, WrongDirection, NotPossible.
    """
    item = _locked(item_id)
    person = _decides(SETTLE, _("Pay out to the customer"), ground=ground, actor=actor)
    if item.direction != Direction.TO_CUSTOMER:
        raise WrongDirection(number=item.number, direction=item.get_direction_display())
    command = item.command or commands.queue(
        account=item.account,
        ticket=item.ticket,
        verb=LedgerCommand.Verb.RETURN,
        actor=actor,
        now=now,
        amount=item.amount,
        reference=item.number,
    )
    item.due_at, item.attempts, item.owner = now, 0, item.owner or person
    return move(item, "pay_out", actor=actor, reason=ground.strip(), now=now, paid_by=person, command=command)


@decision
def book_receivable(*, item_id: int, ground: str, actor: Actor, now: datetime) -> PostClosureItem:
    """The customer owes the amount; it waits for his payment apart from the closed account.

    Raises: NotPermitted, GroundMissing, WrongDirection, NotPossible.
    """
    item = _locked(item_id)
    person = _decides(SETTLE, _("Book as receivable"), ground=ground, actor=actor)
    if item.direction != Direction.BY_CUSTOMER:
        raise WrongDirection(number=item.number, direction=item.get_direction_display())
    item.owner = item.owner or person
    return move(item, "book", actor=actor, reason=ground.strip(), now=now)


@decision
def settle_receivable(*, item_id: int, proof: str, actor: Actor, now: datetime) -> PostClosureItem:
    """The customer has paid; `proof` is the number of the payment.

    Raises: NotPermitted, ProofOfPaymentMissing, NotPossible.
    """
    item = _locked(item_id)
    _person(actor, SETTLE, _("Record the payment"))
    if not proof.strip():
        raise ProofOfPaymentMissing
    return move(item, "settle", actor=actor, reason="paid by the customer", now=now, proof=proof.strip())


@decision
def ask_write_off(*, item_id: int, ground: str, actor: Actor, now: datetime) -> PostClosureItem:
    """A first person asks that the customer need not pay.

    Raises: NotPermitted, GroundMissing, NotReceivable.
    """
    item = _locked(item_id)
    person = _decides(SETTLE, _("Ask for a write-off"), ground=ground, actor=actor)
    if item.state != State.RECEIVABLE:
        raise NotReceivable(number=item.number, state=item.get_state_display())
    item.write_off_asked_by = person
    return save_as(item, actor=actor, reason=f"write-off asked: {ground.strip()}", now=now)


@decision
def write_off(*, item_id: int, ground: str, actor: Actor, now: datetime) -> PostClosureItem:
    """A second person agrees; the customer owes nothing any more.

    Raises: NotPermitted, GroundMissing, WriteOffNotAsked, SameAsker, NotPossible.
    """
    item = _locked(item_id)
    person = _decides(WRITE_OFF, _("Write off"), ground=ground, actor=actor)
    if item.state == State.RECEIVABLE and item.write_off_asked_by_id is None:
        raise WriteOffNotAsked(number=item.number)
    if item.write_off_asked_by_id == person.pk:
        raise SameAsker
    return move(item, "write_off", actor=actor, reason=ground.strip(), now=now, written_off_by=person)


def _locked(item_id: int) -> PostClosureItem:
    """The account, then the item."""
    account_id = PostClosureItem.objects.values_list("account_id", flat=True).get(pk=item_id)
    account = CreditAccount.objects.select_for_update(of=("self",)).get(pk=account_id)
    item = PostClosureItem.objects.select_for_update(of=("self",)).get(pk=item_id)
    item.account = account
    return item


def _person(actor: Actor, right: str, what: Any) -> User:
    if actor.kind is not ActorKind.STAFF or actor.user is None or not actor.user.has_perm(right):
        raise NotPermitted(move=what)
    return actor.user


def _decides(right: str, what: Any, *, ground: str, actor: Actor) -> User:
    person = _person(actor, right, what)
    if not ground.strip():
        raise GroundMissing
    return person


# --- Reach --------------------------------------------------------------------------------------------


def run(*, clock: Callable[[], datetime]) -> int:
    """Every payout under way is looked for at the ledger; returns how many. Safe to run anywhere, twice."""
    due = PostClosureItem.objects.filter(state=State.PAYING)
    return due.drain(clock=clock, handle=lambda item: prove(item, clock=clock))


def prove(claimed: PostClosureItem, *, clock: Callable[[], datetime]) -> None:
    """One payout, claimed by the caller: PAID_OUT once the ledger shows the posting, account and amount."""
    try:
        posting = ledger.returned(ref=claimed.number)
    except (Unreachable, Unclear, Refused):
        posting = None
    with transaction.atomic(durable=True):
        now = clock()
        item = _locked(claimed.pk)
        if not item.held(claimed) or item.state != State.PAYING:
            return
        wanted = (item.account.account_no, item.amount)
        if posting is not None and (posting.account_no, posting.amount) == wanted:
            item.release(due_at=None)
            move(item, "prove_paid", actor=ACTOR, reason="read back returned", now=now)
            return
        pause = retry.delay(
            attempt=item.attempts, base=settings.RETRY_BASE, cap=settings.RETRY_CAP, random=random.random
        )
        item.release(due_at=now + pause)
        item.save(update_fields=["lease_token", "lease_until", "due_at"])
