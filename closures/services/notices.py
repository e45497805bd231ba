"""Telling the customer: queue a notice, climb the ladder of channels, keep the proof of arrival (SPEC §5).

Queued is not sent, sent is not delivered, and a failed notice never moves a ticket. The filled text is
sealed in `NoticeBody`; what the tracked row keeps is template version, values and content hash.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.actors import Actor
from accounts.decisions import decision
from accounts.models import Customer, CustomerIdentity
from accounts.selectors import regulations
from accounts.tracking import move, save_as
from closures import jobs
from closures.errors import ClosureError
from closures.failpoints import reach
from closures.gateways.channels import registry
from closures.gateways.channels.base import Receipt as ChannelReceipt
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.jobs import Job
from closures.models import ClosureTicket, Notice, NoticeBody
from closures.models.notices import NoticeChannel, NoticeKind
from closures.rules import deliveries
from closures.rules.deadlines import in_quiet_hours, quiet_end
from closures.rules.deliveries import Channel, NoticeVerdict, Proof, Receipt, Rung
from closures.rules.outcomes import Heard
from closures.selectors import letters
from closures.services.commands import due_after

ACTOR = Actor.job("notices")

# Kinds whose arrival somebody may one day have to prove. Source: 民法典 565; PIPL 50 for a refusal.
NEEDS_ARRIVAL = frozenset({NoticeKind.NOTICE_OF_CLOSING, NoticeKind.REFUSED})
# A sentence that says "repay first" makes a service message a collection message. Source: FACTS §4.
ASKS_MONEY = frozenset({NoticeKind.BLOCKERS_FOUND, NoticeKind.REFUSED, NoticeKind.NOTICE_OF_CLOSING})
WITH_EMAIL_COPY = frozenset({NoticeKind.NOTICE_OF_CLOSING, NoticeKind.CLOSED})
LANGUAGE = "zh-hans"  # contracts with the customer are in Chinese; the status page has English


class NotALetter(ClosureError):
    code = "not_a_letter"
    template = _("Only a registered letter is proved by hand; other channels give their own receipts.")


class ProofMissing(ClosureError):
    code = "proof_missing"
    template = _("Enter the tracking number of the letter.")


def queue(
    *, ticket: ClosureTicket, kind: NoticeKind, actor: Actor, now: datetime, **values: Any
) -> list[Notice]:
    """The customer will be told: one notice on the first rung that can arrive, and its courtesy copies.

    Not safe to repeat: each call begins a round of its own, and only the newest round counts. The caller
    holds the ticket's lock. `values` are codes, dates and numbers, never personal data.
    """
    customer = ticket.account.customer
    rungs = _ladder(customer)
    first = next(rung for rung in rungs if rung.proof is not Proof.NEVER)
    copies = [rung for rung in rungs if rung.channel is Channel.INBOX and rung is not first]
    if kind in WITH_EMAIL_COPY and _address(customer, Channel.EMAIL):
        copies.append(next(rung for rung in rungs if rung.channel is Channel.EMAIL))
    latest = ticket.notices.filter(kind=kind).order_by("-round").first()
    this_round = latest.round + 1 if latest else 1
    filled = letters.values_for(ticket=ticket, kind=kind, language=LANGUAGE, now=now, **values)
    made = [_add(ticket, kind, first, this_round, filled, actor=actor, now=now)]
    made += [
        _add(ticket, kind, rung, this_round, filled, actor=actor, now=now, courtesy=True) for rung in copies
    ]
    jobs.enqueue(Job.DELIVER_NOTICES)
    return made


def cancel_pending(ticket: ClosureTicket, *, actor: Actor, now: datetime) -> None:
    """Notices of the ticket that have not gone out never will: the ticket has moved on. Safe to repeat."""
    for notice in ticket.notices.select_for_update(of=("self",)).filter(state=Notice.State.PENDING):
        move(notice, "cancel", actor=actor, reason="the ticket moved on", now=now)


@decision
def prove_arrival(*, notice_id: int, proof: str, actor: Actor, now: datetime) -> Notice:
    """A registered letter has arrived: a person has seen its tracking proof.

    Raises: ProofMissing, NotALetter, NotPermitted, NotPossible (not on its way).
    """
    if not proof.strip():
        raise ProofMissing
    ticket_id = Notice.objects.values_list("ticket_id", flat=True).get(pk=notice_id)
    ticket = _lock(ticket_id)
    notice = Notice.objects.select_for_update(of=("self",)).get(pk=notice_id)
    if notice.channel != NoticeChannel.LETTER:
        raise NotALetter
    notice.release(due_at=None)
    move(
        notice, "prove_arrival", actor=actor, reason="letter", now=now, delivered_at=now, proof=proof.strip()
    )
    _arrived(ticket, notice, actor=actor, now=now)
    return notice


def deliver(*, clock: Callable[[], datetime]) -> int:
    """Every notice that is due is sent, asked about or given up; returns how many. Safe to run twice."""
    due = Notice.objects.filter(state__in=Notice.MACHINE)
    return due.drain(clock=clock, handle=lambda notice: _handle(notice, clock=clock))


def hear_receipt(*, key: str, delivered: bool, now: datetime) -> bool:
    """A verified callback says what became of a message; returns whether a notice of ours has that key.

    It only makes the next look happen now: the receipt itself is read from the provider. Safe out of order.
    """
    found = Notice.objects.filter(key=key)
    found.filter(state__in=[Notice.State.SENT, Notice.State.UNKNOWN]).update(due_at=now)
    jobs.enqueue(Job.DELIVER_NOTICES)
    return found.exists()


# --- The ladder -------------------------------------------------------------------------------------


def _ladder(customer: Customer) -> tuple[Rung, ...]:
    return deliveries.ladder(inbox_agreed=customer.notice_channel == Customer.NoticeChannel.INBOX)


def _rung(notice: Notice) -> Rung:
    return next(r for r in _ladder(notice.customer) if r.channel == notice.channel)


def _add(
    ticket: ClosureTicket,
    kind: str,
    rung: Rung,
    this_round: int,
    values: dict[str, Any],
    *,
    actor: Actor,
    now: datetime,
    courtesy: bool = False,
) -> Notice:
    template = letters.template_for(kind=kind, channel=rung.channel, language=LANGUAGE)
    text = letters.fill(template, values)
    notice = Notice(
        ticket=ticket,
        customer=ticket.account.customer,
        kind=kind,
        channel=rung.channel,
        round=this_round,
        courtesy=courtesy,
        asks_money=kind in ASKS_MONEY,
        language=LANGUAGE,
        template=template,
        values=values,
        content_hash=text.digest,
        state_since=now,
        due_at=now,
        key=f"notice:{ticket.number}:{kind.lower()}:{this_round}:{rung.channel.lower()}",
    )
    save_as(notice, actor=actor, reason=f"{kind} by {rung.channel}", now=now)
    NoticeBody.objects.create(
        notice=notice,
        subject_sealed=pii.seal(text.subject, subject=notice.key, field="subject"),
        text_sealed=pii.seal(text.body, subject=notice.key, field="text"),
    )
    return notice


def _climb(notice: Notice, *, now: datetime) -> None:
    """The next rung takes over; at the top a person has to act, and the worklist shows it."""
    taken = set(
        notice.ticket.notices.filter(kind=notice.kind, round=notice.round).values_list("channel", flat=True)
    )
    rungs = [r for r in _ladder(notice.customer) if r.channel == notice.channel or r.channel not in taken]
    following = deliveries.next_rung(
        kind_needs_arrival=notice.kind in NEEDS_ARRIVAL, rungs=rungs, current=_rung(notice)
    )
    if following is not None and not notice.courtesy:
        _add(notice.ticket, notice.kind, following, notice.round, notice.values, actor=ACTOR, now=now)
        jobs.enqueue(Job.DELIVER_NOTICES)


def _address(customer: Customer, channel: Channel) -> str:
    """Where the message goes, revealed for the call only; empty if we do not know it."""
    if channel is Channel.INBOX or channel is Channel.LETTER:
        return customer.customer_no
    identity = CustomerIdentity.objects.filter(customer=customer, superseded_at__isnull=True).first()
    if identity is None:
        return ""
    field = "phone" if channel is Channel.SMS else "email"
    sealed = getattr(identity, f"{field}_sealed")
    return pii.reveal(sealed, subject=customer.customer_no, field=field) if sealed else ""


# --- One notice, one step ---------------------------------------------------------------------------


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
    to = _address(notice.customer, channel)
    if not to:
        return Heard.REFUSED, "", "NO_ADDRESS"
    body = notice.body
    subject = pii.reveal(body.subject_sealed, subject=notice.key, field="subject")
    text = pii.reveal(body.text_sealed, subject=notice.key, field="text")
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
        proof=_rung(claimed).proof,
        kind_needs_arrival=claimed.kind in NEEDS_ARRIVAL,
        attempts=claimed.attempts,
        limit=settings.UNBIND_ATTEMPT_LIMIT,
    )


def _after_receipt(claimed: Notice, receipt: Receipt, *, now: datetime) -> NoticeVerdict:
    since = claimed.sent_at or claimed.state_since
    proof = _rung(claimed).proof
    # A letter waits for the person who has its tracking proof; nothing comes after it.
    overdue = proof is not Proof.BY_HAND and now >= since + settings.RECEIPT_WAIT
    return deliveries.notice_after_receipt(
        state=deliveries.NoticeState(claimed.state),
        receipt=receipt,
        proof=proof,
        kind_needs_arrival=claimed.kind in NEEDS_ARRIVAL,
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
    ticket = _lock(claimed.ticket_id) if verdict.next_rung or starts_the_clock else None
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
                _arrived(ticket, row, actor=ACTOR, now=now)
        case "UNKNOWN":
            move(row, "lose_sight", actor=ACTOR, reason=reason, now=now)
        case "PENDING":
            move(row, "put_back", actor=ACTOR, reason=reason, now=now)
        case "FAILED":
            move(row, "fail", actor=ACTOR, reason=reason, now=now, reason_code=code or reason)
        case "EXPIRED":
            move(row, "expire", actor=ACTOR, reason=reason, now=now)
    if ticket is not None and verdict.next_rung and _still_to_be_said(ticket, row):
        _climb(row, now=now)


# The states in which a notice of this kind still has to arrive; other kinds: while the ticket is open.
SAID_IN: dict[str, tuple[str, ...]] = {
    NoticeKind.NOTICE_OF_CLOSING: ClosureTicket.DECIDED_FOR,
    NoticeKind.REFUSED: (ClosureTicket.State.REJECTED,),
    NoticeKind.WITHDRAWN: (ClosureTicket.State.WITHDRAWN,),
    NoticeKind.CLOSED: (ClosureTicket.State.CLOSED,),
}


def _still_to_be_said(ticket: ClosureTicket, notice: Notice) -> bool:
    """The ticket is still where this was said of it, and nothing newer of the kind has been said since."""
    return ticket.state in SAID_IN.get(notice.kind, ClosureTicket.OPEN) and _newest_round(notice)


def _newest_round(notice: Notice) -> bool:
    return not Notice.objects.filter(
        ticket=notice.ticket_id, kind=notice.kind, round__gt=notice.round
    ).exists()


def _arrived(ticket: ClosureTicket, notice: Notice, *, actor: Actor, now: datetime) -> None:
    """The notice of closing has reached the customer: its lead time begins. Source: 民法典 565, 137."""
    waiting = ticket.state == ClosureTicket.State.NOTICE_PERIOD and not ticket.is_customers_own
    if notice.kind != NoticeKind.NOTICE_OF_CLOSING or not waiting or ticket.notice_arrived_at is not None:
        return
    if not _newest_round(notice):
        return  # it told of an approval that is void; what it said is not what will happen
    ticket.notice_arrived_at = now
    ticket.period_ends_at = now + timedelta(seconds=ticket.policy["notice_lead_seconds"])
    save_as(ticket, actor=actor, reason="the notice of closing arrived", now=now)


def _lock(ticket_id: int) -> ClosureTicket:
    return ClosureTicket.objects.select_for_update(of=("self",)).get(pk=ticket_id)
