"""The same door for a set: what `asking` makes of one account, made of many in a few statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.bulk import create_many
from accounts.decisions import decision
from accounts.models import CreditAccount, CreditProduct
from accounts.tracking import NotPermitted
from closures import jobs
from closures.jobs import Job
from closures.models import ClosureTicket
from closures.models.numbers import new_number
from closures.models.tickets import Reason
from closures.services.intake.asking import (
    RIGHTS,
    AlreadyClosed,
    AlreadyRequested,
    GroundMissing,
    digest,
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
    if Reason(reason) != Reason.POLICY or actor.kind is not ActorKind.STAFF:
        raise NotPermitted(move=_("Request a closing"))
    keys, ground = sorted(set(account_ids)), ground.strip()
    rows = CreditAccount.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=keys)
    accounts = {row.pk: row for row in rows.order_by("pk")}
    refused = {pk: "gone" for pk in keys if pk not in accounts}
    if not (actor.user and actor.user.has_perm(RIGHTS[reason])):
        raise NotPermitted(move=_("Request a closing"))
    if not ground:
        raise GroundMissing
    waiting = ClosureTicket.objects.filter(account__in=keys, state__in=ClosureTicket.OPEN)
    refused |= dict.fromkeys(waiting.values_list("account_id", flat=True), AlreadyRequested.code)
    closed = (pk for pk, row in accounts.items() if row.line_state == CreditAccount.LineState.CLOSED)
    refused |= dict.fromkeys(closed, AlreadyClosed.code)
    products = CreditProduct.objects.in_bulk({row.product_id for row in accounts.values()})
    policies = {pk: policy_of(product) for pk, product in products.items()}
    made = [
        _of_the_lender(row, reason, channel, ground, actor=actor, policy=policies[row.product_id], now=now)
        for pk, row in accounts.items()
        if pk not in refused
    ]
    create_many(made, actor=actor, reason=ground, now=now)
    if made:
        jobs.enqueue(Job.ASSESS)
    return ReceivedMany(tickets=made, refused=refused)


def _of_the_lender(
    account: CreditAccount, reason: Reason, channel: ClosureTicket.Channel, ground: str, *, actor: Actor,
    policy: dict[str, Any], now: datetime,
) -> ClosureTicket:  # fmt: skip
    """The ticket of a closing that the lender wants, not saved."""
    return ClosureTicket(
        number=new_number(now),
        account=account,
        reason=reason,
        channel=channel,
        ground=ground,
        state_since=now,
        requested_at=now,
        requested_by=actor.user,
        request_digest=digest(account.pk, reason, channel, ground, ClosureTicket.IdentityLevel.NONE, ""),
        identity_level=ClosureTicket.IdentityLevel.NOT_NEEDED,
        policy=policy,
        due_at=now,
    )
