"""The message goes out: claim, call, settle. What is not sent in time is not sent at all (SPEC §4, §5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import transaction

from accounts import pii
from accounts.actors import Actor
from accounts.models import CustomerIdentity
from accounts.tracking import move
from closures import jobs
from closures.gateways.channels import registry
from closures.gateways.channels.base import Receipt as ChannelReceipt
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.jobs import Job
from closures.models import IdentityCode, IdentityCodeText
from closures.models.notices import NoticeChannel
from closures.rules import deliveries
from closures.rules.deliveries import NoticeState, NoticeVerdict, Proof, Receipt
from closures.rules.outcomes import Heard, Wait
from closures.services.commands import due_after
from closures.services.identity_codes.issuing import forget

ACTOR = Actor.job("identity_codes")
State = IdentityCode.State
RECEIPTS = {
    ChannelReceipt.DELIVERED: Receipt.ARRIVED,
    ChannelReceipt.PENDING: Receipt.ON_ITS_WAY,
    ChannelReceipt.FAILED: Receipt.FAILED,
    ChannelReceipt.NOT_FOUND: Receipt.NOT_KNOWN,
}


def deliver(*, clock: Callable[[], datetime]) -> int:
    """Every code that is due is sent, asked about or has lapsed; returns how many. Safe to run twice."""
    due = IdentityCode.objects.filter(state__in=IdentityCode.LIVE)
    return due.drain(clock=clock, handle=lambda code: _handle(code, clock=clock))


def hear_receipt(*, key: str, now: datetime) -> bool:
    """A verified callback names a message of ours: one of unknown fate is asked about at once.

    Returns whether the key is a code's. Safe out of order.
    """
    found = IdentityCode.objects.filter(key=key)
    found.filter(state=State.UNKNOWN).update(due_at=now)
    jobs.enqueue(Job.SEND_CODES)
    return found.exists()


def _handle(claimed: IdentityCode, *, clock: Callable[[], datetime]) -> None:
    if clock() >= claimed.expires_at:
        _lapse(claimed, now=clock())
    elif claimed.state == State.PENDING:
        if _begin(claimed, now=clock()):
            heard, code = _send(claimed)
            _settle(claimed, _after_send(claimed, heard), now=clock(), code=code)
    elif claimed.state == State.SENDING:  # its lease lapsed in mid-call: nobody knows
        _settle(claimed, _after_send(claimed, Heard.UNCLEAR), now=clock())
    elif claimed.state == State.UNKNOWN:
        _settle(claimed, _after_receipt(claimed, _ask(claimed), now=clock()), now=clock())


@transaction.atomic(durable=True)
def _begin(claimed: IdentityCode, *, now: datetime) -> bool:
    row = IdentityCode.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if not row.held(claimed) or row.state != State.PENDING:
        return False
    if _phone(row) is None:
        row.release(due_at=None)
        move(
            row,
            "cancel",
            actor=ACTOR,
            reason="the identity has changed",
            now=now,
            reason_code="IDENTITY_CHANGED",
        )
        forget(row)
        return False
    move(row, "send", actor=ACTOR, reason=f"attempt {row.attempts}", now=now)
    return True


def _send(claimed: IdentityCode) -> tuple[Heard, str]:
    body = IdentityCodeText.objects.filter(code=claimed).first()
    to = _phone(claimed)
    if body is None or to is None:
        return Heard.REFUSED, "NO_ADDRESS"
    text = pii.reveal(body.text_sealed, subject=claimed.key, field="text")
    try:
        registry.get(NoticeChannel.SMS).send(key=claimed.key, to=to, subject="", text=text)
    except Unreachable:
        return Heard.UNREACHABLE, ""
    except Refused as refused:
        return Heard.REFUSED, refused.code
    except Unclear:
        return Heard.UNCLEAR, ""
    return Heard.ACCEPTED, ""


def _phone(code: IdentityCode) -> str | None:
    """The phone of the identity that the code is bound to; None once that is no longer the current one."""
    identity = CustomerIdentity.objects.filter(
        customer=code.customer_id, version=code.identity_version, superseded_at__isnull=True
    ).first()
    if identity is None:
        return None
    return pii.reveal(identity.phone_sealed, subject=code.customer.customer_no, field="phone")


def _ask(claimed: IdentityCode) -> Receipt:
    try:
        return RECEIPTS[registry.get(NoticeChannel.SMS).receipt(key=claimed.key)]
    except (Unreachable, Unclear, Refused):
        return Receipt.UNREADABLE


def _after_send(claimed: IdentityCode, heard: Heard) -> NoticeVerdict:
    return deliveries.notice_after_send(
        state=NoticeState.SENDING,
        heard=heard,
        proof=Proof.RECEIPT,
        kind_needs_arrival=False,
        attempts=claimed.attempts,
        limit=settings.UNBIND_ATTEMPT_LIMIT,
    )


def _after_receipt(claimed: IdentityCode, receipt: Receipt, *, now: datetime) -> NoticeVerdict:
    return deliveries.notice_after_receipt(
        state=NoticeState.UNKNOWN,
        receipt=receipt,
        proof=Proof.RECEIPT,
        kind_needs_arrival=False,
        settle_window_over=now >= claimed.state_since + settings.LATE_EFFECT_WINDOW,
        receipt_overdue=False,  # the code lapses long before
        attempts=claimed.attempts,
        limit=settings.UNBIND_ATTEMPT_LIMIT,
    )


@transaction.atomic(durable=True)
def _settle(claimed: IdentityCode, verdict: NoticeVerdict, *, now: datetime, code: str = "") -> None:
    row = IdentityCode.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if not row.held(claimed) or row.state not in IdentityCode.MACHINE:
        return  # the digits came back sooner than the provider's answer
    retry = due_after(verdict.wait, attempts=row.attempts, now=now) if verdict.wait is not Wait.NONE else None
    row.release(due_at=min(retry, row.expires_at) if retry else row.expires_at)
    reason = str(verdict.reason)
    match verdict.next_state:
        case row.state:
            row.save(update_fields=["lease_token", "lease_until", "due_at"])
        case "SENT" | "DELIVERED":
            row.due_at = row.expires_at  # nobody asks for its receipt: the digits are the receipt
            move(row, "mark_sent", actor=ACTOR, reason=reason, now=now)
            forget(row)
        case "UNKNOWN":
            move(row, "lose_sight", actor=ACTOR, reason=reason, now=now)
        case "PENDING":
            move(row, "put_back", actor=ACTOR, reason=reason, now=now)
        case "FAILED":
            move(row, "fail", actor=ACTOR, reason=reason, now=now, reason_code=code or reason)
            forget(row)


@transaction.atomic(durable=True)
def _lapse(claimed: IdentityCode, *, now: datetime) -> None:
    row = IdentityCode.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if row.held(claimed) and row.state in IdentityCode.LIVE:
        row.release(due_at=None)
        move(row, "lapse", actor=ACTOR, reason="time is over", now=now)
        forget(row)
