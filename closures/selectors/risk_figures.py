"""Numbers about risk rules: how many accounts a condition is true of, a sample of them, and what is usual."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from statistics import median

from django.db.models import Exists, OuterRef, Q

from closures.models import LabelledOutcome, RiskAlert, RiskRule, RiskScan
from closures.selectors import account_view, rule_language
from closures.selectors.rule_language import Condition

SAMPLE = 10
LOOKED_BACK = 5  # scans whose median is the usual number


@dataclass(frozen=True, kw_only=True)
class Counted:
    """How many accounts there are, how many match, and a few of these by account number."""

    accounts: int
    matches: int
    sample: tuple[str, ...] = ()


def count(condition: Condition, *, now: datetime, sample: int = 0, seconds: float | None = None) -> Counted:
    """Whom the condition is true of now, at most `sample` of them by account number; never who they are.

    Raises: ConditionTooSlow.
    """
    with rule_language.bounded(seconds):
        found = condition.accounts(now=now).order_by()
        numbers = tuple(found.order_by("pk").values_list("account_no", flat=True)[:sample]) if sample else ()
        return Counted(accounts=account_view.accounts().count(), matches=found.count(), sample=numbers)


def known(rule: RiskRule, *, now: datetime) -> Exists:
    """An alert of this rule, of whatever version, that a new match of the account is folded into."""
    recent = Q(state__in=RiskAlert.UNENDED) | Q(ended_at__gt=now - rule.dedupe_window)
    return Exists(RiskAlert.objects.filter(recent, account=OuterRef("pk"), code=rule.code))


def usual(rule: RiskRule) -> int | None:
    """How many matches this version has as a rule: the median of its newest whole scans.

    Since a person released it after a drift, only scans from then on count; before the first of them, the
    number that he accepted. None where nothing is known yet.
    """
    scans = RiskScan.objects.filter(rule=rule, outcome__in=RiskScan.WHOLE)
    if rule.released_at:
        scans = scans.filter(started_at__gte=rule.released_at)
    counts = list(scans.order_by("-started_at", "-pk").values_list("matched", flat=True)[:LOOKED_BACK])
    return round(median(counts)) if counts else rule.usual_matches


def label_sets() -> list[str]:
    """The names of the sets of known outcomes."""
    return list(LabelledOutcome.objects.order_by("labels").values_list("labels", flat=True).distinct())
