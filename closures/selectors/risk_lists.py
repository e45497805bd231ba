"""What waits at the risk desk: alerts, proposals, appeals, rules to activate, rules that stand still."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Case, Exists, IntegerField, OuterRef, Q, QuerySet, Value, When

from closures.models import BackTest, RiskAlert, RiskAppeal, RiskRule
from closures.models.risk import ACTIVATE, STOP, Severity
from closures.models.risk_alerts import DECIDE, DECIDE_APPEAL, HANDLE

AlertState = RiskAlert.State


def by_severity() -> Case:
    """High before medium before low."""
    order = (Severity.HIGH, Severity.MEDIUM)
    return Case(
        *[When(severity=severity, then=Value(place)) for place, severity in enumerate(order)],
        default=Value(len(order)),
        output_field=IntegerField(),
    )


def to_handle(user: Any, now: datetime) -> QuerySet[RiskAlert]:
    waiting = RiskAlert.objects.filter(state__in=(AlertState.NEW, AlertState.TRIAGED))
    return waiting.select_related("account__product", "rule").order_by(by_severity(), "state_since", "pk")


def to_decide(user: Any, now: datetime) -> QuerySet[RiskAlert]:
    proposed = RiskAlert.objects.filter(state=AlertState.PROPOSED).exclude(proposed_by=user)
    return proposed.select_related("account__product", "rule").order_by(by_severity(), "state_since", "pk")


def appeals(user: Any, now: datetime) -> QuerySet[RiskAppeal]:
    """Appeals that this person may decide: he had no part in the alert."""
    mine = Q(entered_by=user) | Q(alert__triaged_by=user) | Q(alert__proposed_by=user)
    mine |= Q(alert__frozen_by=user)
    waiting = RiskAppeal.objects.filter(state=RiskAppeal.State.OPEN).exclude(mine)
    return waiting.select_related("alert__account__product").order_by("raised_at", "pk")


def to_activate(user: Any, now: datetime) -> QuerySet[RiskRule]:
    tested = Exists(BackTest.objects.filter(rule=OuterRef("pk")))
    waiting = RiskRule.objects.filter(tested, state=RiskRule.State.SHADOW).exclude(edited_by=user)
    return waiting.select_related("edited_by").order_by("state_since", "pk")


def stopped(user: Any, now: datetime) -> QuerySet[RiskRule]:
    still = RiskRule.objects.filter(state__in=RiskRule.SCANNED, stopped_at__isnull=False)
    return still.select_related("stopped_by").order_by("stopped_at", "pk")


# code, rights, query, the list page's filters that show the same rows
LISTS: tuple[tuple[str, tuple[str, ...], Any, dict[str, str]], ...] = (
    ("STOPPED_RULES", (STOP,), stopped, {"switch": "stopped"}),
    ("RISK_ALERTS", (HANDLE,), to_handle, {"show": "to_handle"}),
    ("RISK_PROPOSALS", (DECIDE,), to_decide, {"state__exact": AlertState.PROPOSED}),
    ("RISK_APPEALS", (DECIDE_APPEAL,), appeals, {"state__exact": RiskAppeal.State.OPEN}),
    ("RULES_TO_ACTIVATE", (ACTIVATE,), to_activate, {"state__exact": RiskRule.State.SHADOW}),
)
