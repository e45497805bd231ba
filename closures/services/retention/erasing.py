"""The erasure: each customer of an approved list, once more examined, emptied, and the emptiness proved.

One customer is one short transaction: a crash leaves him as he was, and the lapsed lease brings him back.
History is never touched; it holds no personal data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.timezone import localdate

from accounts import pii
from accounts.actors import Actor
from accounts.bulk import transition_many
from accounts.models import CreditAccount, Customer
from accounts.pii import SealedTable
from accounts.services import relationships
from accounts.tracking import move
from closures.failpoints import reach
from closures.models import ClosureTicket, DeletionRequest, DestructionItem, DestructionList
from closures.selectors import retention
from closures.services.retention.listing import after

ACTOR = Actor.job("retention")
State, Listed = DestructionItem.State, DestructionList.State


class StillThere(RuntimeError):
    """Something sealed was left after the erasure: a defect, and the erasure is undone."""


def run(*, clock: Callable[[], datetime]) -> int:
    """Every customer whose wait is over is erased or left alone; returns how many. Safe to run twice.

    Lists on which nobody waits any more are done.
    """
    due = DestructionItem.objects.filter(state=State.WAITING, listing__state=Listed.APPROVED)
    handled = due.drain(clock=clock, handle=lambda item: erase(item, clock=clock))
    waiting = DestructionItem.objects.filter(listing=OuterRef("pk"), state=State.WAITING)
    finished = DestructionList.objects.filter(~Q(Exists(waiting)), state=Listed.APPROVED)
    transition_many(finished, DestructionList.finish, actor=ACTOR, reason="nobody waits", now=clock())
    return handled


@transaction.atomic(durable=True)
def erase(claimed: DestructionItem, *, clock: Callable[[], datetime]) -> None:
    """One customer, claimed by the caller. Everything is locked in the order of a closing, then looked at.

    A hold, a ticket or a new relationship that begins now waits for this to end, and then finds him erased;
    one that began before is seen, and he is left alone.
    """
    now = clock()
    customer = _locked_with_cases(claimed.customer_id)
    listing = DestructionList.objects.select_for_update(of=("self",)).get(pk=claimed.listing_id)
    item = DestructionItem.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if not item.held(claimed) or item.state != State.WAITING:
        return
    if listing.state != Listed.APPROVED or listing.wait_ends_on is None or _too_early(listing, now):
        item.release(due_at=after(listing.wait_ends_on) if listing.wait_ends_on else None)
        item.save(update_fields=["lease_token", "lease_until", "due_at"])
        return
    item.release(due_at=None)
    code = retention.keeps(customer.pk, on=localdate(now))
    if code:
        move(item, "skip", actor=ACTOR, reason=code, now=now, reason_code=code)
        return
    proof = empty(customer)
    reach("retention.after_emptying")
    move(customer, "erase", actor=ACTOR, reason=f"list {listing.number}", now=now)
    answered = customer.deletion_requests.select_for_update(of=("self",))
    for request in answered.filter(state=DeletionRequest.State.ANSWERED).order_by("pk"):
        move(request, "erase", actor=ACTOR, reason=f"list {listing.number}", now=now)
    move(item, "erase", actor=ACTOR, reason="erased and looked for again", now=now, proof=proof)


def _too_early(listing: DestructionList, now: datetime) -> bool:
    return listing.wait_ends_on is None or localdate(now) <= listing.wait_ends_on


def _locked_with_cases(customer_id: int) -> Customer:
    accounts = CreditAccount.objects.select_for_update(of=("self",)).filter(customer=customer_id)
    list(accounts.order_by("pk").values_list("pk", flat=True))
    tickets = ClosureTicket.objects.select_for_update(of=("self",)).filter(account__customer=customer_id)
    list(tickets.order_by("pk").values_list("pk", flat=True))
    return relationships.locked(customer_id)


# --- Emptying ---------------------------------------------------------------------------------------


def empty(customer: Customer) -> dict[str, Any]:
    """Nothing sealed of the customer is left; returns the proof: rows by table, their digest, what is left.

    Rows that exist for their seals alone are deleted, of others the seals are emptied. The digest is over the
    ciphertexts that went, so a copy found later can be told to be one of them. Safe to repeat: the second
    time there is nothing to do. Raises StillThere.
    """
    counts, went = {}, []
    for table in pii.personal_tables():
        rows = sealed_of(customer, table)
        columns = [f"{field}_sealed" for field in table.fields]
        found = list(rows.order_by("pk").values_list("pk", *columns))
        for pk, *seals in found:
            went.append(f"{table.model._meta.label_lower}:{pk}:{'|'.join(seals)}")
        counts[table.model._meta.label_lower] = len(found)
        if table.row_goes:
            rows.delete()
            continue
        for row in rows:
            for column in columns:
                setattr(row, column, "")
            row.save(update_fields=columns)
    left = sum(sealed_of(customer, table).count() for table in pii.personal_tables())
    if left:
        raise StillThere(f"{left} sealed rows of customer {customer.pk}")
    digest = hashlib.sha256("\n".join(went).encode()).hexdigest()
    return {"rows": counts, "digest": digest, "left": left}


def sealed_of(customer: Customer, table: SealedTable) -> QuerySet[Any]:
    """The rows of this table that hold something sealed of the customer.

    Raises LookupError for a table that does not say whose its seals are: nothing may be forgotten.
    """
    if not table.customer_path:
        raise LookupError(f"{table.model.__name__} does not say whose its seals are")
    rows = table.model._base_manager.filter(**{table.customer_path: customer})
    if table.row_goes:
        return rows
    filled = Q()
    for field in table.fields:
        filled |= ~Q(**{f"{field}_sealed": ""})
    return rows.filter(filled)
