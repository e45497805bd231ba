"""One notice, one step: sent, asked about, or given up, on its rung of the ladder (SPEC §5).

Queued is not sent, sent is not delivered, and a failed notice never moves a ticket.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.timezone import localtime

from accounts.actors import Actor
from accounts.models import CustomerIdentity
from accounts.selectors import regulations
from accounts.tracking import move
from closures.failpoints import reach
from closures.gateways.channels import registry
from closures.gateways.channels.base import Receipt as ChannelReceipt
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.models import ClosureTicket, Notice
from closures.models.notices import NoticeChannel, NoticeKind
from closures.rules import deliveries
from closures.rules.deadlines import in_quiet_hours, quiet_end
from closures.rules.deliveries import Channel, NoticeVerdict, Proof, Receipt
from closures.rules.outcomes import Heard
from closures.selectors import letters
from closures.services.commands import due_after
from closures.services.notices import arrival, saying

ACTOR = Actor.job("notices")


def deliver(*, clock: Callable[[], datetime]) -> int:
    """Every notice that is due is sent, asked about or given up; returns how many. Safe to run twice."""
    due = Notice.objects.filter(state__in=Notice.MACHINE)
    return due.drain(clock=clock, handle=lambda notice: _handle(notice, clock=clock))


def _handle(claimed: Notice, *, clock: Callable[[], datetime]) -> None:
    if claimed.state == Notice.State.PENDING:
        waits_until = _waits_until(claimed, now=clock())
        if waits_until is not None:
            mine = Notice.objects.filter(pk=claimed.pk, lease_token=claimed.lease_token)
            mine.update(lease_token="", lease_until=None, due_at=waits_until, attempts=F("attempts") - 1)
            return
        if not _begin(claimed, now=clock()):
            return
        reach("notice.after_claim")
        heard, provider_id, code = _send(claimed)
        reach("notice.after_call")
        _settle(claimed, _after_send(claimed, heard), now=clock(), provider_id=provider_id, code=code)
    elif claimed.state == Notice.State.SENDING:  # its lease lapsed in mid-call: nobody knows
        _settle(claimed, _after_send(claimed, Heard.UNCLEAR), now=clock())
    else:
        _settle(claimed, _after_receipt(claimed, _ask(claimed), now=clock()), now=clock())


def _waits_until(notice: Notice, *, now: datetime) -> datetime | None:
    """A message that asks for money keeps quiet hours and a daily cap per number; None: it may go now."""
    if not notice.asks_money:
        return None
    start, end = regulations.local_hours("QUIET_HOURS", on=localtime(now).date())
    if in_quiet_hours(local_time=localtime(now).time(), start=start, end=end):
        return quiet_end(moment=now, start=start, end=end)
    if notice.channel != NoticeChannel.SMS:
        return None
    cap = regulations.number("NOTICE_CAP_PER_NUMBER_DAY", on=localtime(now).date())
    under_way = Q(state__in=(Notice.State.SENDING, Notice.State.UNKNOWN))
    sent = Notice.objects.filter(
        Q(sent_at__gt=now - timedelta(days=1)) | under_way,
        customer__in=_same_number(notice.customer_id),
        channel=NoticeChannel.SMS,
        asks_money=True,
    )
    return now + timedelta(hours=1) if sent.count() >= cap else None


def _same_number(customer_id: int) -> QuerySet[Any, int]:
    """The customers who are reached by this customer's number: the cap is the number's, not the person's."""
    current = CustomerIdentity.objects.filter(superseded_at__isnull=True)
    phones = current.filter(customer=customer_id).exclude(phone_index="").values("phone_index")
    return current.filter(phone_index__in=phones).values_list("customer_id", flat=True)


@transaction.atomic(durable=True)
def _begin(claimed: Notice, *, now: datetime) -> bool:
    row = Notice.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if not row.held(claimed) or row.state != Notice.State.PENDING:
        return False
    move(row, "send", actor=ACTOR, reason=f"attempt {row.attempts}", now=now)
    return True


def _send(notice: Notice) -> tuple[Heard, str, str]:
    channel = Channel(notice.channel)
    to = saying.address(notice.customer, channel)
    if not to:
        return Heard.REFUSED, "", "NO_ADDRESS"
    subject, text = letters.opened(notice)
    try:
        sent = registry.get(channel).send(key=notice.key, to=to, subject=subject, text=text)
    except Unreachable:
        return Heard.UNREACHABLE, "", ""
    except Refused as refused:
        return Heard.REFUSED, "", refused.code
    except Unclear:
        return Heard.UNCLEAR, "", ""
    return Heard.ACCEPTED, sent.provider_id, ""


def _ask(notice: Notice) -> Receipt:
    channel = registry.get(notice.channel)
    if not channel.gives_receipts:
        return Receipt.CANNOT_BE_ASKED
    try:
        heard = channel.receipt(key=notice.key)
    except (Unreachable, Unclear, Refused):
        return Receipt.UNREADABLE
    return RECEIPTS[heard]


RECEIPTS = {
    ChannelReceipt.DELIVERED: Receipt.ARRIVED,
    ChannelReceipt.PENDING: Receipt.ON_ITS_WAY,
    ChannelReceipt.FAILED: Receipt.FAILED,
    ChannelReceipt.NOT_FOUND: Receipt.NOT_KNOWN,
}


def _after_send(claimed: Notice, heard: Heard) -> NoticeVerdict:
    return deliveries.notice_after_send(
        state=deliveries.NoticeState.SENDING,
        heard=heard,
        proof=saying.rung_of(claimed).proof,
        kind_needs_arrival=claimed.kind in saying.NEEDS_ARRIVAL,
        attempts=claimed.attempts,
        limit=settings.UNBIND_ATTEMPT_LIMIT,
    )


def _after_receipt(claimed: Notice, receipt: Receipt, *, now: datetime) -> NoticeVerdict:
    since = claimed.sent_at or claimed.state_since
    proof = saying.rung_of(claimed).proof
    # A letter waits for the person who has its tracking proof; nothing comes after it.
    overdue = proof is not Proof.BY_HAND and now >= since + settings.RECEIPT_WAIT
    return deliveries.notice_after_receipt(
        state=deliveries.NoticeState(claimed.state),
        receipt=receipt,
        proof=proof,
        kind_needs_arrival=claimed.kind in saying.NEEDS_ARRIVAL,
        settle_window_over=now >= claimed.state_since + settings.LATE_EFFECT_WINDOW,
        receipt_overdue=overdue,
        attempts=claimed.attempts,
        limit=settings.UNBIND_ATTEMPT_LIMIT,
    )


@transaction.atomic(durable=True)
def _settle(
    claimed: Notice, verdict: NoticeVerdict, *, now: datetime, provider_id: str = "", code: str = ""
) -> None:
    # The ticket is locked, and locked first, only where what was heard may matter to it.
    starts_the_clock = verdict.next_state == "DELIVERED" and claimed.kind == NoticeKind.NOTICE_OF_CLOSING
    ticket = arrival.locked(claimed.ticket_id) if verdict.next_rung or starts_the_clock else None
    row = Notice.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if not row.held(claimed):
        return
    row.release(due_at=due_after(verdict.wait, attempts=row.attempts, now=now))
    reason = str(verdict.reason)
    match verdict.next_state:
        case row.state:
            row.save(update_fields=["lease_token", "lease_until", "due_at"])
        case "SENT":
            move(row, "mark_sent", actor=ACTOR, reason=reason, now=now, sent_at=now, provider_id=provider_id)
        case "DELIVERED":
            if row.state == Notice.State.SENDING:  # the agreed inbox: handing over is arriving
                move(row, "mark_sent", actor=ACTOR, reason="handed over", now=now, sent_at=now)
            move(row, "arrive", actor=ACTOR, reason=reason, now=now, delivered_at=now)
            if ticket is not None:
                arrival.arrived(ticket, row, actor=ACTOR, now=now)
        case "UNKNOWN":
            move(row, "lose_sight", actor=ACTOR, reason=reason, now=now)
        case "PENDING":
            move(row, "put_back", actor=ACTOR, reason=reason, now=now)
        case "FAILED":
            move(row, "fail", actor=ACTOR, reason=reason, now=now, reason_code=code or reason)
        case "EXPIRED":
            move(row, "expire", actor=ACTOR, reason=reason, now=now)
    if verdict.next_rung and _still_to_be_said(ticket, row):
        saying.climb(row, actor=ACTOR, now=now)


# The states in which a notice of this kind still has to arrive; other kinds: while the ticket is open.
SAID_IN: dict[str, tuple[str, ...]] = {
    NoticeKind.NOTICE_OF_CLOSING: tuple(
        state for state in ClosureTicket.DECIDED_FOR if state != ClosureTicket.State.REVERSED
    ),
    NoticeKind.REFUSED: (ClosureTicket.State.REJECTED,),
    NoticeKind.WITHDRAWN: (ClosureTicket.State.WITHDRAWN,),
    NoticeKind.CLOSED: (ClosureTicket.State.CLOSED,),
    NoticeKind.REVERSED: (ClosureTicket.State.REVERSED,),
}


def _still_to_be_said(ticket: ClosureTicket | None, notice: Notice) -> bool:
    """The ticket is still where this was said of it, and nothing newer of the kind has been said since."""
    stands = ticket is None or ticket.state in SAID_IN.get(notice.kind, ClosureTicket.OPEN)
    return stands and arrival.is_newest_round(notice)
