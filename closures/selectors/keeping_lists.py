"""What waits about kept data and about the credit bureau."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from closures.models import BureauReport, DeletionRequest, DestructionList


def deletions(user: Any, now: datetime) -> QuerySet[DeletionRequest]:
    waiting = DeletionRequest.objects.filter(state=DeletionRequest.State.RECEIVED)
    return waiting.select_related("customer").order_by("answer_due_on", "pk")


def destruction_drafts(user: Any, now: datetime) -> QuerySet[DestructionList]:
    return DestructionList.objects.filter(state=DestructionList.State.DRAFT).order_by("state_since", "pk")


def destructions_to_approve(user: Any, now: datetime) -> QuerySet[DestructionList]:
    proposed = DestructionList.objects.filter(state=DestructionList.State.PROPOSED).exclude(proposed_by=user)
    return proposed.select_related("proposed_by").order_by("state_since", "pk")


def bureau_reports(user: Any, now: datetime) -> QuerySet[BureauReport]:
    """Files to hand in, to hear about, and to correct."""
    State = BureauReport.State
    waiting = BureauReport.objects.filter(state__in=(State.PREPARED, State.SUBMITTED, State.REJECTED))
    return waiting.order_by("state_since", "pk")
