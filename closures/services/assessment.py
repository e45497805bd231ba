"""Reads the ledger afresh, lists every blocker, and sends the ticket where the facts allow.

Also notices when the facts of an open ticket change, voids approvals that no longer fit, and answers
customers whose case is not ready by its date.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.actors import Actor
from accounts.tracking import move
from closures import jobs
from closures.gateways import ledger
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.jobs import Job
from closures.models import Campaign, CampaignMember, ClosureTicket
from closures.models.campaigns import APPROVE
from closures.models.notices import NoticeKind
from closures.rules import approval, eligibility
from closures.rules.campaigns import facts_hash
from closures.rules.codes import BlockerCode, Reason
from closures.rules.deadlines import china_date
from closures.selectors import facts
from closures.selectors.facts import Examination
from closures.selectors.letters import minute
from closures.services import commands, examination, notices, restrictions

ACTOR = Actor.job("assessment")
State = ClosureTicket.State
STANDING_STILL = (Campaign.State.PAUSED, Campaign.State.ABORTED)
WATCHED = (State.SUBMITTED, State.BLOCKED, State.IN_REVIEW, State.NOTICE_PERIOD)


def run(*, clock: Callable[[], datetime]) -> int:
    """Every ticket whose facts are due is examined on a fresh ledger read; returns how many."""
    due = ClosureTicket.objects.filter(state__in=WATCHED).exclude(
        state=State.SUBMITTED, identity_level=ClosureTicket.IdentityLevel.NONE
    )
    return due.drain(clock=clock, handle=lambda ticket: assess(ticket, clock=clock))


def wake_changed(*, now: datetime) -> int:
    """Open tickets whose facts are newer than their examination become due. Safe to repeat."""
    changed = ClosureTicket.objects.filter(state__in=(*WATCHED, State.SETTLING)).with_changed_facts()
    return changed.exclude(due_at__lte=now).update(due_at=now)


def assess(claimed: ClosureTicket, *, clock: Callable[[], datetime]) -> None:
    """One ticket, claimed by the caller, is examined and moved. A silent ledger costs time only."""
    try:
        read = ledger.read(claimed.account.account_no)
    except (Unreachable, Unclear, Refused) as trouble:
        commands.put_off(claimed, trouble=trouble, now=clock())
        return
    with transaction.atomic(durable=True):
        now = clock()
        ticket = ClosureTicket.objects.lock(claimed.pk, account_id=claimed.account_id)
        if not ticket.held(claimed):
            return
        commands.hear(ticket, read, now=now)
        ticket.release(due_at=None)
        ticket.attempts = 0
        _go_on(ticket, examination.examine(ticket, now=now), now=now)


def _go_on(ticket: ClosureTicket, seen: Examination, *, now: datetime) -> None:
    member = _member(ticket)
    if ticket.state == State.NOTICE_PERIOD:
        examination.void_if_changed(ticket, seen, now=now)
    elif member is not None and member.campaign.state in STANDING_STILL:  # nobody is asked about it
        ticket.due_at = now + settings.REASSESS_EVERY
        examination.keep(ticket, seen, reason="its campaign stands still", now=now)
    elif seen.blocked:
        _block(ticket, seen, now=now)
    elif ticket.state == State.IN_REVIEW:
        ticket.due_at = now + settings.REASSESS_EVERY  # what a reviewer sees must not grow stale
        examination.keep(ticket, seen, reason="examined again", now=now)
    elif member is not None and _approved_with_all(ticket, member, seen):
        _approve_by_campaign(ticket, member.campaign, now=now)
    elif _passes_straight(ticket, seen):
        ticket.approved, ticket.approved_hash = seen.snapshot, seen.fingerprint
        ends_at = now + timedelta(seconds=ticket.policy["cooling_off_seconds"])
        move(ticket, "pass_straight_through", actor=ACTOR, reason="spotless", now=now, period_ends_at=ends_at)
        restrictions.limit_for(ticket, actor=ACTOR, now=now)
        notices.queue(
            ticket=ticket, kind=NoticeKind.COOLING_OFF_STARTED, actor=ACTOR, now=now, ends_at=minute(ends_at)
        )
    else:
        ticket.due_at = now + settings.REASSESS_EVERY
        move(ticket, "send_to_review", actor=ACTOR, reason="nothing blocks", now=now)


def _block(ticket: ClosureTicket, seen: Examination, *, now: datetime) -> None:
    ticket.due_at = now + settings.REASSESS_EVERY
    if ticket.state == State.BLOCKED:
        examination.keep(ticket, seen, reason="still blocked", now=now)
        return
    move(ticket, "block", actor=ACTOR, reason="blockers found", now=now)
    # A letter that says "blocked" and names nothing would betray a silent hold.
    named = eligibility.visible_to_customer(eligibility.blocks(seen.findings), holds=seen.holds)
    if ticket.is_customers_own and named:
        notices.queue(ticket=ticket, kind=NoticeKind.BLOCKERS_FOUND, actor=ACTOR, now=now)


def _member(ticket: ClosureTicket) -> CampaignMember | None:
    """The row in a campaign's population that the ticket was opened for; customers' own tickets have none."""
    if ticket.is_customers_own:
        return None
    members = CampaignMember.objects.select_related("campaign__approver")
    return members.filter(ticket=ticket).first()


def _approved_with_all(ticket: ClosureTicket, member: CampaignMember, seen: Examination) -> bool:
    """Its campaign is under way and its facts are those of the population that was approved (SPEC §3)."""
    campaign = member.campaign
    if campaign.state not in Campaign.MOVING or seen.holds:
        return False
    # Decided in the approver's name: of what he saw, and only while he may decide.
    if ticket.last_edited_by_id is not None or not (
        campaign.approver and campaign.approver.has_perm(APPROVE)
    ):
        return False
    return facts_hash(account=seen.account, agreements=seen.agreements) == member.facts_hash


def _approve_by_campaign(ticket: ClosureTicket, campaign: Campaign, *, now: datetime) -> None:
    """Decided by whoever approved the population; the notice goes out, and the line is repay-only."""
    move(
        ticket,
        "approve_by_campaign",
        actor=ACTOR,
        reason=f"as approved with campaign {campaign.number}",
        now=now,
        decided_by=campaign.approver,
        decided_at=now,
    )
    restrictions.limit_for(ticket, actor=ACTOR, now=now)
    notices.announce_closing(ticket=ticket, actor=ACTOR, now=now)


def _passes_straight(ticket: ClosureTicket, seen: Examination) -> bool:
    earlier = ClosureTicket.objects.filter(account__customer=ticket.account.customer_id).exclude(pk=ticket.pk)
    return approval.straight_through(
        reason=Reason(ticket.reason),
        allowed_by_product=ticket.policy["straight_through"],
        findings=seen.findings,
        arrears_months=facts.arrears(ticket.account),
        earlier_tickets=set(earlier.values_list("state", flat=True)),
        sampled=approval.sampled(ticket_number=ticket.number, percent=ticket.policy["sampling_percent"]),
    )


def answer_overdue(*, now: datetime) -> int:
    """Customers whose case is not ready on its answer date get a refusal with every reason; returns how many.

    On the last day, so that the answer is within the term. A case with a silent hold is left to a person,
    because an itemised list with a gap would betray it. A case that is no longer blocked, or of which only
    our own figures are missing, is not refused: it is examined at once. A new request starts afresh.
    Source: SPEC §3 BLOCKED → REJECTED; PIPL 50; FACTS §2.2(4).
    """
    due = ClosureTicket.objects.filter(
        state__in=(State.SUBMITTED, State.BLOCKED),
        reason=Reason.CUSTOMER_REQUEST,
        answer_due_on__lte=china_date(moment=now),
    )
    answered = 0
    for ticket_id in due.order_by("answer_due_on", "pk").values_list("pk", flat=True)[: settings.BATCH_SIZE]:
        with transaction.atomic():
            answered += _answer(ticket_id, now=now)
    return answered


def _answer(ticket_id: int, *, now: datetime) -> bool:
    ticket = ClosureTicket.objects.lock(ticket_id)
    if ticket.state not in (State.SUBMITTED, State.BLOCKED):
        return False
    seen = facts.examine_ticket(ticket, now=now)
    if eligibility.refusal_needs_a_person(seen.findings, holds=seen.holds):
        return False
    codes = {str(finding.code) for finding in eligibility.blocks(seen.findings)}
    if ticket.identity_level == ClosureTicket.IdentityLevel.NONE:
        codes.add("IDENTITY_NOT_PROVED")
    elif ticket.state == State.SUBMITTED or codes <= {str(BlockerCode.STALE_LEDGER)}:
        ClosureTicket.objects.filter(pk=ticket.pk).update(due_at=now)
        jobs.enqueue(Job.ASSESS)
        return False
    examination.examine(ticket, now=now)  # the letter lists what the codes say
    ticket.release(due_at=None)
    move(ticket, "refuse_overdue", actor=ACTOR, reason="answer date", now=now, end_codes=sorted(codes))
    restrictions.lift_for(ticket, actor=ACTOR, now=now)
    notices.cancel_pending(ticket, actor=ACTOR, now=now)
    notices.queue(ticket=ticket, kind=NoticeKind.REFUSED, actor=ACTOR, now=now)
    return True
