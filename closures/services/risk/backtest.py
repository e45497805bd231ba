"""What a version would find today, and how right that would be where the outcome is known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.models import CreditAccount
from accounts.services.rights import require
from closures.errors import ClosureError
from closures.models import BackTest, LabelledOutcome, RiskRule
from closures.models.risk import ACTIVATE, EDIT
from closures.selectors import account_view, rule_language

MOST_RULES = 30  # whose overlap is counted, newest first


class NoSuchLabels(ClosureError):
    code = "no_such_labels"
    template = _("There are no outcomes under the name “{labels}”. Import them first, or test without.")


@decision
def run(*, rule_id: int, actor: Actor, now: datetime, labels: str = "") -> BackTest:
    """A new back-test of this version is on record; accounts and alerts are as they were.

    `labels` names a set of known outcomes; without one there are matches and overlaps, no precision.

    Raises: NotPermitted, NoSuchLabels, ConditionRefused, ConditionTooSlow.
    """
    tester = require(actor=actor, right=(EDIT, ACTIVATE), move=_("Back-test"))
    rule = RiskRule.objects.get(pk=rule_id)
    if labels and not LabelledOutcome.objects.filter(labels=labels).exists():
        raise NoSuchLabels(labels=labels)
    result = measured(rule, labels=labels, now=now)
    return BackTest.objects.create(rule=rule, made_at=now, made_by=tester, labels=labels, result=result)


def measured(rule: RiskRule, *, labels: str, now: datetime) -> dict[str, Any]:
    """Counts and shares, JSON-ready; a share of nothing is None. One pass per question, each by set."""
    condition = rule_language.read(rule.condition)
    with rule_language.bounded():
        everybody = _per_product(account_view.accounts(), labels=labels)
        found = _per_product(condition.accounts(now=now), labels=labels)
        overlap = [_overlap(condition, other, now=now) for other in _others(rule)]
    whole, all_found = _sum(everybody.values()), _sum(found.values())
    base = _share(whole["hits"], whole["labelled"])
    precision = _share(all_found["hits"], all_found["labelled"])
    return {
        "accounts": whole["matches"],
        "labelled": whole["labelled"],
        "defaulted": whole["hits"],
        "matches": all_found["matches"],
        "labelled_matches": all_found["labelled"],
        "hits": all_found["hits"],
        "precision": precision,
        "recall": _share(all_found["hits"], whole["hits"]),
        "lift": round(precision / base, 4) if precision is not None and base else None,
        "products": [
            {
                "code": code,
                "accounts": row["matches"],
                **(mine := found.get(code, NOTHING)),
                "precision": _share(mine["hits"], mine["labelled"]),
                "recall": _share(mine["hits"], row["hits"]),
            }
            for code, row in sorted(everybody.items())
        ],
        "overlap": overlap,
    }


NOTHING = {"matches": 0, "labelled": 0, "hits": 0}


def _per_product(rows: QuerySet[CreditAccount], *, labels: str) -> dict[str, dict[str, int]]:
    """By product's code: accounts, those whose outcome is known, and those of them that defaulted."""
    known = LabelledOutcome.objects.filter(account=OuterRef("pk"), labels=labels).values("defaulted")
    counted = (
        CreditAccount.objects.filter(pk__in=rows.order_by().values("pk"))
        .annotate(outcome=Subquery(known[:1]))
        .order_by()
        .values("product__code")
        .annotate(
            matches=Count("pk"),
            labelled=Count("pk", filter=Q(outcome__isnull=False)),
            hits=Count("pk", filter=Q(outcome=True)),
        )
    )
    return {row.pop("product__code"): row for row in counted.values("product__code", *NOTHING)}


def _others(rule: RiskRule) -> list[RiskRule]:
    live = RiskRule.objects.filter(state__in=RiskRule.LIVE).exclude(code=rule.code)
    return list(live.order_by("-pk")[:MOST_RULES])


def _overlap(condition: rule_language.Condition, other: RiskRule, *, now: datetime) -> dict[str, Any]:
    try:
        theirs = rule_language.read(other.condition).accounts(now=now).order_by()
    except rule_language.ConditionRefused:  # a field that is no more; its own page says so
        return {"rule": str(other), "state": str(other.state), "matches": None, "both": None}
    both = condition.accounts(now=now).filter(pk__in=theirs.values("pk"))
    return {
        "rule": str(other),
        "state": str(other.state),
        "matches": theirs.count(),
        "both": both.count(),
    }


def _sum(rows: Any) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in NOTHING}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
