"""The rows of risk control, locked."""

from __future__ import annotations

from typing import cast

from accounts.models import CreditAccount
from closures.models import RiskAlert, RiskRule


def locked_rule(rule_id: int) -> RiskRule:
    rule = RiskRule.objects.select_for_update(of=("self",), no_key=True).get(pk=rule_id)
    return cast(RiskRule, rule)


def locked_alert(alert_id: int) -> RiskAlert:
    """The alert under its lock, its account's lock taken first (DESIGN §7: parents first)."""
    account_id = RiskAlert.objects.values_list("account_id", flat=True).get(pk=alert_id)
    CreditAccount.objects.select_for_update(of=("self",), no_key=True).get(pk=account_id)
    rows = RiskAlert.objects.select_for_update(of=("self",)).select_related("rule", "account")
    return cast(RiskAlert, rows.get(pk=alert_id))
