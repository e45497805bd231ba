"""One closing is asked for; and the customer's way back out of it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import CreditAccount, CreditProduct
from accounts.tracking import NotPermitted, move, save_as
from closures import jobs
from closures.errors import ClosureError
from closures.jobs import Job
from closures.models import AppRequest, ClosureTicket
from closures.models.notices import NoticeKind
from closures.models.numbers import new_number
from closures.models.tickets import Reason
from closures.selectors.answer_dates import answer_date
from closures.services import demands, notices, restrictions
from closures.services.demands import NO_DEMAND, Demand

RIGHTS = {
    Reason.CUSTOMER_REQUEST: "closures.request_closure",
    Reason.RISK_CONTROL: "closures.request_risk_closure",
    Reason.POLICY: "closures.request_policy_closure",
}


class AlreadyRequested(ClosureError):
    code = "already_requested"
    template = _("Account {account} already has open ticket {number} ({state}). Use that one.")


class AlreadyClosed(ClosureError):
    code = "already_closed"
    template = _("Account {account} is already closed; there is nothing left to close.")


class KeyReused(ClosureError):
    code = "key_reused"
    template = _("This idempotency key was used for another request. Send a new key.")


class EffectsNotAccepted(ClosureError):
    code = "effects_not_accepted"
    template = _("The customer has not accepted the present effects of closing (version {version}).")


class GroundMissing(ClosureError):
    code = "ground_missing"
    template = _("Say on what ground the lender closes this account.")


class AssertionStale(ClosureError):
    code = "assertion_stale"
    template = _(
        "The identity was asserted at {moment}; it must be proved within the last {minutes} minutes."
    )


class NotTheirAccount(ClosureError):
    code = "not_their_account"
    template = _("This request belongs to another customer.")


@dataclass(frozen=True, kw_only=True)
class Asserted:
    """What an app of the institution says about who asks: how it was proved, and when."""

    client_id: int
    assertion: AppRequest.Assertion
    at: datetime

    def keep(self, ticket: ClosureTicket, *, now: datetime) -> None:
        """It is on record with the ticket, and the app will hear of the ticket's moves."""
        AppRequest.objects.create(
            ticket=ticket,
            client_id=self.client_id,
            assertion=self.assertion,
            asserted_at=self.at,
            received_at=now,
        )


@dataclass(frozen=True, kw_only=True)
class Received:
    """The ticket, and whether this call made it or an earlier one with the same key did."""

    ticket: ClosureTicket
    replayed: bool = False


def disclosure_version(product: CreditProduct) -> str:
    """What the customer accepts: the product's texts at one version, under one agreement."""
    return f"{product.code}/{product.version}/{product.agreement_version}"


@decision
def request_closure(
    *,
    account_id: int,
    reason: Reason,
    channel: ClosureTicket.Channel,
    actor: Actor,
    now: datetime,
    ground: str = "",
    identity_level: ClosureTicket.IdentityLevel = ClosureTicket.IdentityLevel.NONE,
    accepted_disclosure: str = "",
    idempotency_key: str | None = None,
    asserted: Asserted | None = None,
    demand: Demand = NO_DEMAND,
) -> Received:
    """One open ticket exists for the account, SUBMITTED, with its answer date and the policy pinned.

    Safe to repeat with the same `idempotency_key`: the first answer again; of many at once one is accepted.
    `accepted_disclosure` is the version the customer saw, needed where he asks; `ground` where the lender
    does, and a `demand` that is over where risk control closes an account past due. `asserted` is an app's
    word and gives the identity's level: one factor proves nothing, and the ticket waits.

    Raises: NotPermitted and every refusal above.
    Source: SPEC §3; App 违法违规收集使用个人信息行为认定方法 六(三) for the answer date.
    """
    account = CreditAccount.objects.select_for_update(of=("self",)).get(pk=account_id)
    _check_right(account, Reason(reason), actor)
    asked = digest(account_id, reason, channel, ground, identity_level, accepted_disclosure, *demand.days)
    if idempotency_key and (earlier := _earlier(idempotency_key, asked)):
        return Received(ticket=earlier, replayed=True)
    own, ground = reason == Reason.CUSTOMER_REQUEST, ground.strip()
    _check_account(account)
    _check_case(account, Reason(reason), ground, demand, actor=actor, now=now)
    ticket = new_ticket(
        account,
        reason=reason,
        channel=channel,
        ground=ground,
        actor=actor,
        now=now,
        idempotency_key=idempotency_key or None,
        request_digest=asked,
        identity_level=_level(own, identity_level, asserted, now=now),
        policy=policy_of(account.product),
        **asdict(demand),
        **(_promised(account, accepted=accepted_disclosure, now=now) if own else {}),
    )
    _keep(ticket, actor=actor, reason=ground or str(reason), now=now)
    _tell(ticket, asserted, actor=actor, now=now)
    return Received(ticket=ticket)


def new_ticket(
    account: CreditAccount,
    *,
    reason: str,
    channel: str,
    ground: str,
    actor: Actor,
    now: datetime,
    **more: Any,
) -> ClosureTicket:
    """The ticket of a request that has passed its checks, not saved; due for assessment at once."""
    return ClosureTicket(
        number=new_number(now),
        account=account,
        reason=reason,
        channel=channel,
        ground=ground,
        state_since=now,
        requested_at=now,
        due_at=now,
        requested_by=actor.user,
        **more,
    )


@decision
def withdraw(*, ticket_id: int, actor: Actor, now: datetime) -> ClosureTicket:
    """The customer's request is withdrawn and the line is free of this cause.

    A withdrawal that races the start of unbinding ends in exactly one of the two: both need the ticket's
    lock and a state that the other takes away.

    Raises: NotPermitted, NotTheirAccount, NotPossible (unbinding has begun, not an own request, ended).
    """
    ticket = ClosureTicket.objects.lock(ticket_id)
    if actor.kind is ActorKind.CUSTOMER and actor.customer_id != ticket.account.customer_id:
        raise NotTheirAccount
    move(ticket, "withdraw", actor=actor, reason="withdrawn by the customer", now=now)
    restrictions.lift_for(ticket, actor=actor, now=now)
    notices.cancel_pending(ticket, actor=actor, now=now)
    notices.queue(ticket=ticket, kind=NoticeKind.WITHDRAWN, actor=actor, now=now)
    return ticket


def _tell(ticket: ClosureTicket, asserted: Asserted | None, *, actor: Actor, now: datetime) -> None:
    """Whoever has to hear of a new ticket does: the customer, his app, the assessment job."""
    if asserted:
        asserted.keep(ticket, now=now)
    if ticket.is_customers_own:
        notices.queue(ticket=ticket, kind=NoticeKind.RECEIVED, actor=actor, now=now)
    jobs.enqueue(Job.ASSESS)


def _promised(account: CreditAccount, *, accepted: str, now: datetime) -> dict[str, Any]:
    """What the customer has accepted, and by when he has an answer. Raises EffectsNotAccepted."""
    version = disclosure_version(account.product)
    if accepted != version:
        raise EffectsNotAccepted(version=version)
    return {"disclosure_version": version, "disclosure_accepted_at": now, **answer_date(now)}


def policy_of(product: CreditProduct) -> dict[str, Any]:
    """The closing policy in force, JSON-ready, durations in seconds; pinned on the ticket at intake."""
    return {
        "product_version": product.version,
        "cooling_off_seconds": int(product.cooling_off.total_seconds()),
        "notice_lead_seconds": int(product.notice_lead.total_seconds()),
        "settle_window_seconds": int(product.settle_window.total_seconds()),
        "straight_through": product.straight_through,
        "sampling_percent": product.sampling_percent,
    }


def _check_right(account: CreditAccount, reason: Reason, actor: Actor) -> None:
    if actor.kind is ActorKind.STAFF:
        if not (actor.user and actor.user.has_perm(RIGHTS[reason])):
            raise NotPermitted(move=_("Request a closing"))
    elif actor.kind is ActorKind.CUSTOMER:
        if reason != Reason.CUSTOMER_REQUEST or actor.customer_id != account.customer_id:
            raise NotTheirAccount
    else:  # no machine asks for a closing: a named person does (PIPL 24)
        raise NotPermitted(move=_("Request a closing"))


def _check_account(account: CreditAccount) -> None:
    if account.line_state == CreditAccount.LineState.CLOSED:
        raise AlreadyClosed(account=account.account_no)
    waiting = account.tickets.filter(state__in=ClosureTicket.OPEN).first()
    if waiting is not None:
        raise AlreadyRequested(
            account=account.account_no, number=waiting.number, state=waiting.get_state_display()
        )


def _keep(ticket: ClosureTicket, *, actor: Actor, reason: str, now: datetime) -> None:
    """Save the new ticket. The account's lock keeps twins apart, but a key may race on another account."""
    try:
        with transaction.atomic():
            save_as(ticket, actor=actor, reason=reason, now=now)
    except IntegrityError as clash:
        if not ClosureTicket.objects.filter(idempotency_key=ticket.idempotency_key or "").exists():
            raise
        raise KeyReused from clash


def _check_case(
    account: CreditAccount, reason: Reason, ground: str, demand: Demand, *, actor: Actor, now: datetime
) -> None:
    """Whoever asks against the customer's will says why, has asked for his money, and has heard him."""
    if reason != Reason.CUSTOMER_REQUEST and not ground:
        raise GroundMissing
    if reason == Reason.RISK_CONTROL:
        demands.check_answered(account, person_id=actor.user.pk if actor.user else None)
    demand.check(account, reason, now=now)


def _level(
    own: bool, given: ClosureTicket.IdentityLevel, asserted: Asserted | None, *, now: datetime
) -> ClosureTicket.IdentityLevel:
    """How well the person is known, by whoever took the request or by what the app says.

    Raises AssertionStale.
    """
    if not own:
        return ClosureTicket.IdentityLevel.NOT_NEEDED
    if asserted is None:
        return given
    age = now - asserted.at
    if not -settings.ASSERTION_SKEW <= age <= settings.ASSERTION_AGE:
        minutes = int(settings.ASSERTION_AGE.total_seconds() // 60)
        raise AssertionStale(moment=asserted.at.isoformat(), minutes=minutes)
    if asserted.assertion in AppRequest.STRONG:
        return ClosureTicket.IdentityLevel.ASSERTED
    return ClosureTicket.IdentityLevel.NONE


def _earlier(key: str, fingerprint: str) -> ClosureTicket | None:
    earlier = ClosureTicket.objects.filter(idempotency_key=key).first()
    if earlier is not None and earlier.request_digest != fingerprint:
        raise KeyReused
    return earlier


def digest(*parts: object) -> str:
    """What was asked for, to be recognised when it is asked again."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()
