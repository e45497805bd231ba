"""The same door for a set: what `asking` makes of one account, made of many in a few statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.bulk import create_many
from accounts.decisions import decision
from accounts.models import CreditAccount, CreditProduct
from accounts.services.rights import require
from accounts.tracking import NotPermitted
from closures import jobs
from closures.jobs import Job
from closures.models import ClosureTicket
from closures.models.tickets import Reason
from closures.services.intake.asking import (
    RIGHTS,
    AlreadyClosed,
    AlreadyRequested,
    GroundMissing,
    digest,
    new_ticket,
    policy_of,
)


@dataclass(frozen=True, kw_only=True)
class ReceivedMany:
    """The tickets made, in the order of their accounts, and of each other account the code of the refusal."""

    tickets: list[ClosureTicket]
    refused: dict[int, str]


@decision
def request_closures(
    *, account_ids: Iterable[int], reason: Reason, channel: ClosureTicket.Channel, ground: str, actor: Actor,
    now: datetime,
) -> ReceivedMany:  # fmt: skip
    """The lender asks for many closings at once: each account's ticket is as `request_closure` makes it.

    By set: the same checks, the same rows. An account that is closed, has an open ticket or does not exist is
    refused by its code and the others go on. The caller bounds the number. Safe to repeat: what has a ticket
    is refused. For a change of policy only: a customer asks himself, and risk control looks at each account
    and its demand. Raises: NotPermitted, GroundMissing.
    """
    if Reason(reason) != Reason.POLICY:
        raise NotPermitted(move=_("Request a closing"))
    require(actor=actor, right=RIGHTS[Reason.POLICY], move=_("Request a closing"))
    keys, ground = sorted(set(account_ids)), ground.strip()
    if not ground:
        raise GroundMissing
    rows = CreditAccount.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=keys)
    accounts = {row.pk: row for row in rows.order_by("pk")}
    refused = {pk: "gone" for pk in keys if pk not in accounts}
    waiting = ClosureTicket.objects.filter(account__in=keys, state__in=ClosureTicket.OPEN)
    refused |= dict.fromkeys(waiting.values_list("account_id", flat=True), AlreadyRequested.code)
    closed = (pk for pk, row in accounts.items() if row.line_state == CreditAccount.LineState.CLOSED)
    refused |= dict.fromkeys(closed, AlreadyClosed.code)
    products = CreditProduct.objects.in_bulk({row.product_id for row in accounts.values()})
    policies = {pk: policy_of(product) for pk, product in products.items()}
    unproved = ClosureTicket.IdentityLevel.NONE  # what `request_closure` is given where the lender asks
    made = [
        new_ticket(
            row,
            reason=reason,
            channel=channel,
            ground=ground,
            actor=actor,
            now=now,
            request_digest=digest(pk, reason, channel, ground, unproved, ""),
            identity_level=ClosureTicket.IdentityLevel.NOT_NEEDED,
            policy=policies[row.product_id],
        )
        for pk, row in accounts.items()
        if pk not in refused
    ]
    create_many(made, actor=actor, reason=ground, now=now)
    if made:
        jobs.enqueue(Job.ASSESS)
    return ReceivedMany(tickets=made, refused=refused)
