"""Destruction lists: collected by set, proposed by one person, approved by another, then a wait.

# Note [Nobody is destroyed by surprise]

A list says who, and its hash is what is approved: whoever approves must have seen the list as it is now.
After the approval a waiting period runs, in which anybody who may propose can call the list off or take one
customer off it. At the end each customer is looked at once more, under his lock (`erasing`).
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.timezone import localdate, make_aware
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.bulk import create_many, transition_many
from accounts.decisions import decision
from accounts.models import User
from accounts.selectors import regulations
from accounts.tracking import NotPermitted, move, save_as
from closures.errors import ClosureError, GroundMissing
from closures.models import DestructionItem, DestructionList
from closures.models.numbers import new_number
from closures.selectors import retention

ACTOR = Actor.job("retention")
PROPOSE = "closures.propose_destruction"
WAIT = "DESTRUCTION_WAIT"
Waiting = DestructionItem.State.WAITING


class NobodyIsDue(ClosureError):
    code = "nobody_is_due"
    template = _("There is nobody whose data may be destroyed and who is not on a list already.")


class SameApprover(ClosureError):
    code = "same_approver"
    template = _("You proposed this destruction; somebody else has to approve it.")


class ListChanged(ClosureError):
    code = "list_changed"
    template = _("List {number} has changed since you looked. Read it again and decide then.")


def collect(*, now: datetime) -> int:
    """The sweep: whoever is due by now is on a draft for a person to look at; returns how many are new.

    A draft that nobody has taken up is not followed by another. Safe to run twice.
    """
    if DestructionList.objects.filter(state=DestructionList.State.DRAFT).exists():
        return 0
    if not retention.erasable(on=localdate(now)).exists():
        return 0
    try:
        with transaction.atomic():
            return _draft(actor=ACTOR, now=now).population
    except NobodyIsDue:  # somebody else put them on a list at this very moment
        return 0


@decision
def propose_new(*, actor: Actor, now: datetime) -> DestructionList:
    """Whoever is due by now is on a new list, proposed by this person.

    Raises: NotPermitted, NobodyIsDue.
    """
    _check_right(actor)
    draft = _draft(actor=actor, now=now)
    return propose(list_id=draft.pk, ground="collected on demand", actor=actor, now=now)


def _draft(*, actor: Actor, now: datetime) -> DestructionList:
    today = localdate(now)
    due = list(retention.erasable(on=today).values_list("pk", "kept_until")[: settings.BATCH_SIZE])
    if not due:
        raise NobodyIsDue
    draft = DestructionList(number=new_number(now, prefix="DL"), state_since=now, as_of_on=today)
    save_as(draft, actor=actor, reason="retention is over", now=now)
    # Two who collect at once: a customer waits on one list only, and the other's row is left out.
    made = create_many(
        [
            DestructionItem(listing=draft, customer_id=customer, retain_until=until, state_since=now)
            for customer, until in due
        ],
        actor=actor,
        reason="retention is over",
        now=now,
        ignore_conflicts=True,
    )
    if not made:
        raise NobodyIsDue
    _count(draft)
    return save_as(draft, actor=actor, reason="counted", now=now)


@decision
def propose(*, list_id: int, ground: str, actor: Actor, now: datetime) -> DestructionList:
    """A first person stands for the list. Raises: NotPermitted, GroundMissing, NotPossible."""
    if not ground.strip():
        raise GroundMissing
    row = _locked(list_id)
    _count(row)
    return move(
        row,
        "propose",
        actor=actor,
        reason=ground.strip(),
        now=now,
        proposed_by=_person(actor),
        digest=row.digest,
    )


@decision
def approve(*, list_id: int, seen_digest: str, ground: str, actor: Actor, now: datetime) -> DestructionList:
    """A second person agrees to exactly the customers he was shown; the wait begins tomorrow.

    Raises: NotPermitted, GroundMissing, SameApprover, ListChanged, NotPossible, NoRegulation.
    Source: our choice (DESTRUCTION_WAIT); the day after the approval is day 1 (民法典 201).
    """
    if not ground.strip():
        raise GroundMissing
    row = _locked(list_id)
    if row.proposed_by_id == _person(actor).pk:
        raise SameApprover
    if not seen_digest or not seen_digest == row.digest == digest_of(row):
        raise ListChanged(number=row.number)
    today = localdate(now)
    rule = regulations.in_force(WAIT, on=today)
    last = today + timedelta(days=int(rule.value))
    move(
        row,
        "approve",
        actor=actor,
        reason=ground.strip(),
        now=now,
        approved_by=_person(actor),
        wait_rule=rule,
        wait_ends_on=last,
    )
    waiting = DestructionItem.objects.filter(listing=row, state=Waiting)
    DestructionItem.objects.filter(pk__in=waiting.values("pk")).update(due_at=after(last))
    return row


@decision
def call_off(*, list_id: int, ground: str, actor: Actor, now: datetime) -> DestructionList:
    """The list ends and nobody on it is erased any more; the next collection finds them again.

    Raises: NotPermitted, GroundMissing, NotPossible (done or called off).
    """
    if not ground.strip():
        raise GroundMissing
    row = _locked(list_id)
    move(row, "cancel", actor=actor, reason=ground.strip(), now=now)
    waiting = row.items.filter(state=Waiting)
    transition_many(waiting, DestructionItem.call_off, actor=actor, reason=ground.strip(), now=now)
    return row


@decision
def take_off(*, item_id: int, ground: str, actor: Actor, now: datetime) -> DestructionItem:
    """One customer is left alone for now. Who approves must have seen the list without him.

    Raises: NotPermitted, GroundMissing, NotPossible (erased, or off the list already).
    """
    if not ground.strip():
        raise GroundMissing
    row = _locked(DestructionItem.objects.values_list("listing_id", flat=True).get(pk=item_id))
    item = DestructionItem.objects.select_for_update(of=("self",)).get(pk=item_id)
    item.release(due_at=None)
    move(item, "take_off", actor=actor, reason=ground.strip(), now=now)
    if row.state in (DestructionList.State.DRAFT, DestructionList.State.PROPOSED):
        _count(row)
        save_as(row, actor=actor, reason="counted", now=now)
    return item


def digest_of(row: DestructionList) -> str:
    """The hash of the customers that wait on the list, by number."""
    numbers = row.items.filter(state=Waiting).order_by("customer__customer_no")
    text = "\n".join(numbers.values_list("customer__customer_no", flat=True))
    return hashlib.sha256(text.encode()).hexdigest()


def after(last: date) -> datetime:
    """The first moment after this day in China."""
    return make_aware(datetime.combine(last + timedelta(days=1), time.min))


def _count(row: DestructionList) -> None:
    row.population, row.digest = row.items.filter(state=Waiting).count(), digest_of(row)


def _locked(list_id: int) -> DestructionList:
    return DestructionList.objects.select_for_update(of=("self",)).get(pk=list_id)


def _check_right(actor: Actor) -> None:
    if not _person(actor).has_perm(PROPOSE):
        raise NotPermitted(move=_("Propose the destruction"))


def _person(actor: Actor) -> User:
    if actor.kind is not ActorKind.STAFF or actor.user is None:
        raise NotPermitted(move=_("Decide on a destruction"))
    return actor.user
