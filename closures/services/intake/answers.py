"""The day by which a customer has his answer, kept right when the calendar grows."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.tracking import save_as
from closures.models import ClosureTicket
from closures.models.tickets import Reason
from closures.rules.deadlines import china_date, earliest
from closures.selectors.answer_dates import answer_date

CLOCKS = Actor.job("answer_dates")


def recount_answers(*, now: datetime) -> int:
    """Answer dates that a newer calendar would set earlier are set earlier; returns how many. Safe to repeat.

    The earliest date stands: a later calendar may add one and never moves one back. The date before stands
    in history, with the calendar it came from. Source: SPEC §3 "Answer date".
    """
    waiting = ClosureTicket.objects.filter(
        state__in=ClosureTicket.BEFORE_DECISION, reason=Reason.CUSTOMER_REQUEST, answer_due_on__isnull=False
    )
    moved = 0
    counted: dict[date, dict[str, Any]] = {}
    for pk, requested_at, due_on in waiting.order_by("pk").values_list("pk", "requested_at", "answer_due_on"):
        day = china_date(moment=requested_at)
        if day not in counted:
            counted[day] = answer_date(requested_at)
        if earliest(stands=due_on, candidate=counted[day]["answer_due_on"]) != due_on:
            moved += _answer_earlier(pk, counted[day], now=now)
    return moved


@transaction.atomic
def _answer_earlier(ticket_id: int, counted: dict[str, Any], *, now: datetime) -> bool:
    ticket = ClosureTicket.objects.lock(ticket_id)
    stands = ticket.answer_due_on
    if ticket.state not in ClosureTicket.BEFORE_DECISION or not stands or stands <= counted["answer_due_on"]:
        return False
    for name, value in counted.items():
        setattr(ticket, name, value)
    save_as(ticket, actor=CLOCKS, reason="a newer calendar sets it earlier", now=now)
    return True
