"""The complaints that wait for somebody: queries for the worklists, soonest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from closures.models import Complaint, ComplaintExtension
from closures.rules.deadlines import china_date
from closures.selectors import complaint_clocks

OF_COMPLAINT = ("customer", "account__product", "handler")


def to_accept(user: Any, now: datetime) -> QuerySet[Complaint]:
    waiting = Complaint.objects.filter(state=Complaint.State.RECEIVED)
    return waiting.select_related(*OF_COMPLAINT).order_by("due_on", "pk")


def due(user: Any, now: datetime) -> QuerySet[Complaint]:
    """Undecided and due within days, or overdue: the soonest first, so breaches come ahead."""
    soon = china_date(moment=now) + complaint_clocks.SOON
    waiting = Complaint.objects.filter(state__in=Complaint.UNDECIDED, due_on__lte=soon)
    return waiting.select_related(*OF_COMPLAINT).order_by("due_on", "pk")


def to_decide(user: Any, now: datetime) -> QuerySet[Complaint]:
    waiting = Complaint.objects.filter(state=Complaint.State.INVESTIGATING)
    own = Q(handler=user) | Q(about_staff=user)
    return _but(waiting, own).select_related(*OF_COMPLAINT).order_by("due_on", "pk")


def reviews_to_decide(user: Any, now: datetime) -> QuerySet[Complaint]:
    waiting = Complaint.objects.filter(state=Complaint.State.REVIEW_REQUESTED)
    own = Q(handler=user) | Q(about_staff=user) | Q(decided_by=user)
    return _but(waiting, own).select_related(*OF_COMPLAINT).order_by("review_due_on", "pk")


def mine(user: Any, now: datetime) -> QuerySet[Complaint]:
    found = Complaint.objects.filter(handler=user, state__in=Complaint.RUNNING)
    return found.select_related(*OF_COMPLAINT).order_by("due_on", "pk")


def extensions_to_approve(user: Any, now: datetime) -> QuerySet[ComplaintExtension]:
    """What this person may decide: a special one only with the right to, and never his own."""
    asked = ComplaintExtension.objects.filter(state=ComplaintExtension.State.ASKED).exclude(asked_by=user)
    if not user.has_perm("closures.extend_complaint"):
        asked = asked.exclude(level=ComplaintExtension.Level.SPECIAL)
    return asked.select_related("complaint", "asked_by").order_by("from_due_on", "pk")


def _but(rows: QuerySet[Complaint], own: Q) -> QuerySet[Complaint]:
    """Without these; written as pks, because SQL's NOT of unknown would hide rows that name nobody."""
    return rows.exclude(pk__in=rows.filter(own).values("pk"))
