"""What the machine could not finish by itself: tasks, commands and messages that wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from closures.models import ClosureTicket, LedgerCommand, PartnerCallback, UnbindTask, Webhook


def stuck_tasks(*states: str) -> Callable[[Any, datetime], QuerySet[UnbindTask]]:
    def query(user: Any, now: datetime) -> QuerySet[UnbindTask]:
        waiting = UnbindTask.objects.filter(state__in=states)
        return waiting.select_related("agreement", "ticket").order_by("state_since", "pk")

    return query


def task_waivers(user: Any, now: datetime) -> QuerySet[UnbindTask]:
    asked = UnbindTask.objects.filter(
        state__in=(UnbindTask.State.DEAD, UnbindTask.State.MANUAL), waiver_asked_by__isnull=False
    ).exclude(waiver_asked_by=user)
    return asked.select_related("agreement", "ticket").order_by("state_since", "pk")


def evidence_to_confirm(user: Any, now: datetime) -> QuerySet[UnbindTask]:
    given = UnbindTask.objects.filter(
        state=UnbindTask.State.MANUAL, evidence_by__isnull=False, confirmed_by__isnull=True
    ).exclude(evidence_by=user)
    return given.select_related("agreement", "ticket").order_by("state_since", "pk")


def dead_commands(user: Any, now: datetime) -> QuerySet[LedgerCommand]:
    """Refused commands whose case still wants them, and those that have got no answer for long."""
    over = Q(ticket__isnull=False) & ~Q(ticket__state__in=ClosureTicket.OPEN)
    moved_on = Q(reason_code="TICKET_MOVED_ON") | over & ~Q(verb=LedgerCommand.Verb.UNFREEZE)
    dead = Q(state=LedgerCommand.State.DEAD) & ~moved_on
    silent = Q(state__in=LedgerCommand.OPEN, attempts__gte=settings.UNBIND_ATTEMPT_LIMIT)
    stuck = LedgerCommand.objects.filter(dead | silent)
    return stuck.select_related("account", "ticket").order_by("state_since", "pk")


def unknown_tasks(user: Any, now: datetime) -> QuerySet[UnbindTask]:
    """Calls whose fate nobody knows, and partners that have been out of reach for long."""
    unreached = Q(state=UnbindTask.State.PENDING, attempts__gte=settings.UNBIND_ATTEMPT_LIMIT)
    waiting = UnbindTask.objects.filter(Q(state=UnbindTask.State.UNKNOWN) | unreached)
    return waiting.select_related("agreement", "ticket").order_by("state_since", "pk")


def dead_webhooks(user: Any, now: datetime) -> QuerySet[Webhook]:
    dead = Webhook.objects.filter(state=Webhook.State.DEAD)
    return dead.select_related("client", "ticket").order_by("state_since", "pk")


def alarms(user: Any, now: datetime) -> QuerySet[PartnerCallback]:
    return PartnerCallback.objects.filter(outcome=PartnerCallback.Outcome.ALARM).order_by("-pk")
