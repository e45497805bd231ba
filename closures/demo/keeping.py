"""What comes after a closing, left for the console to show: a pack, an answered wish, a list that waits.

What takes years runs through the services' own `now`: a former customer of eleven years ago is imported as
closed long since, so that his time is over today.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from django.utils.timezone import localdate

from accounts.actors import Actor
from accounts.models import Customer, RestrictionCause
from accounts.services import lines, relationships
from closures.demo.world import World
from closures.models import ClosureTicket, DeletionRequest, DestructionList, EvidencePack
from closures.services import evidence, retention

LONG_AGO = timedelta(days=11 * 366)
IMPORT = Actor.job("import")


def leave(world: World) -> None:
    """An evidence pack, a deletion request answered with reasons, a proposed destruction. Safe to repeat."""
    closed = ClosureTicket.objects.filter(state=ClosureTicket.State.CLOSED).order_by("pk")
    for ticket in closed[:1]:
        leave_pack(world, ticket)
        leave_answer(world, ticket.account.customer_id)
    leave_destruction(world)


def leave_pack(world: World, ticket: ClosureTicket) -> None:
    if not EvidencePack.objects.filter(ticket=ticket).exists():
        evidence.make_pack(
            ticket_id=ticket.pk, language="zh-hans", for_outside=True, actor=world.staff("auditor"),
            now=timezone.now(),
        )  # fmt: skip


def leave_answer(world: World, customer_id: int) -> None:
    """A customer whose closing is done asks to be forgotten; another wish waits for its answer."""
    if DeletionRequest.objects.exists():
        return
    now = timezone.now()
    asked = retention.request_deletion(
        customer_id=customer_id, channel=DeletionRequest.Channel.AGENT, actor=world.staff("agent"), now=now
    )
    retention.answer(request_id=asked.pk, actor=world.staff("reviewer"), now=now)
    waiting = Customer.objects.filter(customer_no__startswith="DC").order_by("customer_no").first()
    if waiting is not None:
        retention.request_deletion(
            customer_id=waiting.pk, channel=DeletionRequest.Channel.AGENT, actor=world.staff("agent"), now=now
        )


def leave_destruction(world: World) -> None:
    """Two who left eleven years ago are on a list that a lead has still to approve."""
    if DestructionList.objects.exists():
        return
    for product in ("HUABEI", "BAITIAO"):
        left_long_ago(world, product)
    retention.propose_new(actor=world.staff("reviewer"), now=timezone.now())


def left_long_ago(world: World, product: str) -> Customer:
    """A customer whose account was closed, and whose relationship ended, eleven years ago."""
    now = timezone.now()
    began = (now - LONG_AGO - timedelta(days=400)).isoformat(timespec="seconds")
    account = world.account(product, ledger_as_of=began)
    reason = "系统上线前已关闭"
    lines.restrict(
        account_id=account.pk,
        cause=RestrictionCause.CLOSING,
        reference="",
        actor=IMPORT,
        reason=reason,
        now=now,
    )
    lines.close(account_id=account.pk, actor=IMPORT, reason=reason, now=now)
    relationships.end(
        customer_id=account.customer_id, lender_id=account.product.lender_id,
        ended_on=localdate(now - LONG_AGO), actor=IMPORT, reason=reason, now=now,
    )  # fmt: skip
    return account.customer
