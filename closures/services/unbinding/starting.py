"""Tickets begin unbinding, go on when all is done, and tell their customers of delays: in sets."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts.actors import Actor
from accounts.bulk import create_many, transition_many
from accounts.models import AgreementEffect, CreditAccount, PartnerAgreement, RestrictionCause
from accounts.services import lines
from closures import jobs
from closures.jobs import Job
from closures.models import ClosureTicket, UnbindTask
from closures.models.conditions import all_unbound, untouched_agreement
from closures.models.notices import NoticeKind
from closures.services import notices

ACTOR = Actor.job("unbinding")
Ticket = ClosureTicket.State


def start(*, now: datetime) -> int:
    """Tickets in UNBINDING have a task for every agreement that closing ends; returns how many were made.

    The line is CLOSING and each agreement UNBINDING from here on. One key per task, made now and kept.
    Safe to repeat and to run beside itself: a task is unique per agreement, ticket and generation.
    """
    unprepared = ~Q(account__line_state=CreditAccount.LineState.CLOSING) | Q(untouched_agreement())
    with transaction.atomic():
        waiting = ClosureTicket.objects.filter(unprepared, state=Ticket.UNBINDING)
        tickets = ClosureTicket.objects.lock_many(waiting, limit=settings.BATCH_SIZE)
        if not tickets:
            return 0
        lines.restrict_many(
            {ticket.account_id: ticket.number for ticket in tickets},
            cause=RestrictionCause.CLOSING,
            actor=ACTOR,
            reason="unbinding begins",
            now=now,
        )
        made = _make_tasks({ticket.account_id: ticket for ticket in tickets}, now=now)
        jobs.enqueue(Job.RETRY_UNBINDING if made else Job.FINISH_UNBINDING)
    return made


def _make_tasks(tickets: dict[int, ClosureTicket], *, now: datetime) -> int:
    agreements = list(
        PartnerAgreement.objects.select_for_update(of=("self",))
        .filter(account__in=tickets, state=PartnerAgreement.State.BOUND, effect=AgreementEffect.UNBIND)
        .order_by("pk")
    )
    known = set(
        UnbindTask.objects.filter(ticket__in=tickets.values()).values_list("ticket_id", "agreement_id")
    )
    tasks = []
    for agreement in agreements:
        ticket = tickets[agreement.account_id]
        if (ticket.pk, agreement.pk) not in known:
            key = f"unbind:{ticket.number}:{agreement.partner}:{agreement.pk}:1"
            tasks.append(UnbindTask(ticket=ticket, agreement=agreement, key=key, state_since=now, due_at=now))
    create_many(tasks, actor=ACTOR, reason="unbinding begins", now=now)
    taken = PartnerAgreement.objects.filter(pk__in=[task.agreement_id for task in tasks])
    transition_many(taken, PartnerAgreement.start_unbinding, actor=ACTOR, reason="unbinding begins", now=now)
    return len(tasks)


def finish(*, now: datetime) -> int:
    """Tickets whose every agreement is ended, absent or waived go on to closing; returns how many.

    Safe to repeat and to run beside itself.
    """
    done = ClosureTicket.objects.filter(all_unbound(now), state=Ticket.UNBINDING)
    with transaction.atomic():
        result = transition_many(
            done,
            ClosureTicket.start_closing,
            actor=ACTOR,
            reason="all unbound",
            now=now,
            limit=settings.BATCH_SIZE,
        )
        if result.moved:
            jobs.enqueue(Job.CLOSE)
    return len(result.moved)


def tell_delays(*, now: datetime) -> int:
    """Customers whose unbinding takes long are told so, once; returns how many. Safe to repeat."""
    late = ClosureTicket.objects.filter(
        state=Ticket.UNBINDING, state_since__lte=now - settings.DELAY_NOTICE_AFTER
    ).exclude(notices__kind=NoticeKind.UNBINDING_DELAYED)
    keys = list(late.order_by("state_since").values_list("pk", flat=True)[: settings.BATCH_SIZE])
    for key in keys:
        with transaction.atomic():
            ticket = ClosureTicket.objects.lock(key)
            told = ticket.notices.filter(kind=NoticeKind.UNBINDING_DELAYED).exists()
            if ticket.state == Ticket.UNBINDING and not told:
                notices.queue(ticket=ticket, kind=NoticeKind.UNBINDING_DELAYED, actor=ACTOR, now=now)
    return len(keys)
