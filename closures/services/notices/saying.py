"""What the customer will be told: notices queued on the first rung that can arrive, and the rungs above it.

The filled text is sealed in `NoticeBody`; what the tracked row keeps is template version, values and hash.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django.utils.timezone import make_aware

from accounts import pii
from accounts.actors import Actor
from accounts.models import Customer, CustomerIdentity
from accounts.tracking import move, save_as
from closures import jobs
from closures.jobs import Job
from closures.models import CampaignMember, ClosureTicket, Notice, NoticeBody
from closures.models.notices import NoticeKind
from closures.rules import deliveries
from closures.rules.deliveries import Channel, Proof, Rung
from closures.selectors import letters

# Kinds whose arrival somebody may one day have to prove.
# Source: 民法典 565; PIPL 50 for a refusal; 投诉办法 for a complaint.
NEEDS_ARRIVAL = frozenset(
    {
        NoticeKind.NOTICE_OF_CLOSING,
        NoticeKind.REFUSED,
        NoticeKind.REVERSED,
        NoticeKind.COMPLAINT_EXTENDED,
        NoticeKind.COMPLAINT_DECIDED,
        NoticeKind.DATA_RETENTION_ANSWER,
    }
)
# A sentence that says "repay first" makes a service message a collection message. Source: FACTS §4.
ASKS_MONEY = frozenset({NoticeKind.BLOCKERS_FOUND, NoticeKind.REFUSED, NoticeKind.NOTICE_OF_CLOSING})
WITH_EMAIL_COPY = frozenset(
    {NoticeKind.NOTICE_OF_CLOSING, NoticeKind.CLOSED, NoticeKind.REVERSED, NoticeKind.COMPLAINT_DECIDED}
)
LANGUAGE = "zh-hans"  # contracts with the customer are in Chinese; the status page has English


def queue(
    *, ticket: ClosureTicket, kind: NoticeKind, actor: Actor, now: datetime, **values: Any
) -> list[Notice]:
    """The customer will be told about his ticket, as by `tell`. The caller holds the ticket's lock.

    `values` are codes, dates and numbers beyond those that the ticket itself gives, never personal data.
    """
    filled = letters.values_for(ticket=ticket, kind=kind, language=LANGUAGE, now=now, **values)
    return tell(
        customer=ticket.account.customer,
        about=ticket.number,
        ticket=ticket,
        kind=kind,
        values=filled,
        actor=actor,
        now=now,
    )


def announce_closing(*, ticket: ClosureTicket, actor: Actor, now: datetime) -> list[Notice]:
    """The customer will be told that the lender closes, and not before when: lead time, campaign's day."""
    lead = timedelta(seconds=ticket.policy["notice_lead_seconds"])
    earliest = now + lead
    member = CampaignMember.objects.filter(ticket=ticket).select_related("campaign").first()
    if member is not None:
        earliest = max(earliest, make_aware(datetime.combine(member.campaign.effective_on, time())))
    return queue(
        ticket=ticket,
        kind=NoticeKind.NOTICE_OF_CLOSING,
        actor=actor,
        now=now,
        not_before=letters.minute(earliest),
        lead_days=str(lead.days),
    )


def tell(
    *,
    customer: Customer,
    about: str,
    kind: NoticeKind,
    values: dict[str, Any],
    actor: Actor,
    now: datetime,
    ticket: ClosureTicket | None = None,
) -> list[Notice]:
    """The customer will be told: one notice on the first rung that can arrive, and its courtesy copies.

    `about` is the number of what it is about (a ticket, a complaint, a deletion request); `ticket` only if
    the notice is void once that ticket moves on. `values` are all that the text says, JSON-ready, never
    personal data. Not safe to repeat: each call begins a round of its own, and only the newest round
    counts. The caller holds the lock of what it is about.
    """
    rungs = ladder(customer)
    first = next(rung for rung in rungs if rung.proof is not Proof.NEVER)
    copies = [rung for rung in rungs if rung.channel is Channel.INBOX and rung is not first]
    if kind in WITH_EMAIL_COPY and address(customer, Channel.EMAIL):
        copies.append(next(rung for rung in rungs if rung.channel is Channel.EMAIL))
    latest = Notice.objects.filter(about=about, kind=kind).order_by("-round").first()
    draft = Notice(
        about=about,
        ticket=ticket,
        customer=customer,
        kind=kind,
        round=latest.round + 1 if latest else 1,
        values=values,
    )
    made = [_add(draft, first, actor=actor, now=now)]
    made += [_add(draft, rung, actor=actor, now=now, courtesy=True) for rung in copies]
    jobs.enqueue(Job.DELIVER_NOTICES)
    return made


def cancel_pending(ticket: ClosureTicket, *, actor: Actor, now: datetime) -> None:
    """Notices of the ticket that have not gone out never will: the ticket has moved on. Safe to repeat."""
    for notice in ticket.notices.select_for_update(of=("self",)).filter(state=Notice.State.PENDING):
        move(notice, "cancel", actor=actor, reason="the ticket moved on", now=now)


def climb(notice: Notice, *, actor: Actor, now: datetime) -> None:
    """The next rung takes over; at the top a person has to act, and the worklist shows it."""
    same = Notice.objects.filter(about=notice.about, kind=notice.kind, round=notice.round)
    taken = set(same.values_list("channel", flat=True))
    rungs = [r for r in ladder(notice.customer) if r.channel == notice.channel or r.channel not in taken]
    following = deliveries.next_rung(
        kind_needs_arrival=notice.kind in NEEDS_ARRIVAL, rungs=rungs, current=rung_of(notice)
    )
    if following is not None and not notice.courtesy:
        _add(notice, following, actor=actor, now=now)
        jobs.enqueue(Job.DELIVER_NOTICES)


# --- The ladder -------------------------------------------------------------------------------------


def ladder(customer: Customer) -> tuple[Rung, ...]:
    return deliveries.ladder(inbox_agreed=customer.notice_channel == Customer.NoticeChannel.INBOX)


def rung_of(notice: Notice) -> Rung:
    return next(r for r in ladder(notice.customer) if r.channel == notice.channel)


def address(customer: Customer, channel: Channel) -> str:
    """Where the message goes, revealed for the call only; empty if we do not know it."""
    if channel is Channel.INBOX or channel is Channel.LETTER:
        return customer.customer_no
    identity = CustomerIdentity.objects.filter(customer=customer, superseded_at__isnull=True).first()
    if identity is None:
        return ""
    field = "phone" if channel is Channel.SMS else "email"
    sealed = getattr(identity, f"{field}_sealed")
    return pii.reveal(sealed, subject=customer.customer_no, field=field) if sealed else ""


def _add(like: Notice, rung: Rung, *, actor: Actor, now: datetime, courtesy: bool = False) -> Notice:
    """One notice that says what `like` says, on this rung, with its text sealed beside it."""
    template = letters.template_for(kind=like.kind, channel=rung.channel, language=LANGUAGE)
    text = letters.fill(template, like.values)
    notice = Notice(
        about=like.about,
        ticket=like.ticket,
        customer=like.customer,
        kind=like.kind,
        channel=rung.channel,
        round=like.round,
        courtesy=courtesy,
        asks_money=like.kind in ASKS_MONEY,
        language=LANGUAGE,
        template=template,
        values=like.values,
        content_hash=text.digest,
        state_since=now,
        due_at=now,
        key=f"notice:{like.about}:{like.kind.lower()}:{like.round}:{rung.channel.lower()}",
    )
    save_as(notice, actor=actor, reason=f"{like.kind} by {rung.channel}", now=now)
    NoticeBody.objects.create(
        notice=notice,
        subject_sealed=pii.seal(text.subject, subject=notice.key, field="subject"),
        text_sealed=pii.seal(text.body, subject=notice.key, field="text"),
    )
    return notice
