"""A risk desk for tests: people, a clock, rules brought to a state by the services, accounts that match."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts.actors import Actor
from accounts.models import CreditAccount
from closures.models import RiskAlert, RiskRule, RiskScan
from closures.services.risk import alerts, backtest, rules, scan
from closures.services.risk.rules import Substance
from tests import factories
from tests.stage import CAST, Clock

LATE = "days_past_due >= 60"


def substance(**changed: Any) -> Substance:
    values: dict[str, Any] = {
        "title": "逾期六十天",
        "title_en": "Sixty days past due",
        "condition": LATE,
        "action": "MONITOR",
        "severity": "MEDIUM",
        "cap_per_run": 100,
        "cap_per_day": 1000,
        "dedupe_window": timedelta(days=30),
        "sentence": "您的账户已逾期六十天以上。",
        "sentence_en": "Your account is more than sixty days past due.",
        **changed,
    }
    if values["action"] == "FREEZE":
        values.setdefault("freeze_length", timedelta(days=7))
    return Substance(**values)


class Desk:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._cast: dict[str, Actor] = {}

    @property
    def now(self) -> datetime:
        return self.clock.now

    def staff(self, name: str) -> Actor:
        if name not in self._cast:
            roles = CAST["risk" if name.startswith("risk") else name]
            self._cast[name] = factories.staff(*roles)
        return self._cast[name]

    def does(self, by: str = "risk") -> dict[str, Any]:
        return {"actor": self.staff(by), "now": self.now}

    # Accounts

    def late(self, number: int = 1, **fields: Any) -> list[CreditAccount]:
        fields = {"days_past_due": 75, "principal": "800.00", "arrears_months": "2|1|0|0|0|0", **fields}
        return [factories.an_account(ledger_as_of=self.now, **fields) for _ in range(number)]

    def fine(self, number: int = 1) -> list[CreditAccount]:
        return [factories.an_account(ledger_as_of=self.now) for _ in range(number)]

    # Rules

    def draft(self, *, by: str = "risk", code: str = "LATE", **changed: Any) -> RiskRule:
        return rules.draft(code=code, substance=substance(**changed), **self.does(by))

    def in_shadow(self, rule: RiskRule | None = None, *, by: str = "risk", **changed: Any) -> RiskRule:
        """Tested, in shadow, and scanned there once."""
        rule = rule or self.draft(by=by, **changed)
        backtest.run(rule_id=rule.pk, **self.does(by))
        rules.to_shadow(rule_id=rule.pk, ground="先观察", **self.does(by))
        scan.scan(rule_id=rule.pk, clock=self.clock)
        return fresh(rule)

    def active(self, rule: RiskRule | None = None, *, by: str = "lead", **changed: Any) -> RiskRule:
        rule = self.in_shadow(rule, **changed)
        rules.activate(rule_id=rule.pk, ground="回测可信", **self.does(by))
        return fresh(rule)

    def scan(self, rule: RiskRule) -> RiskScan:
        done = scan.scan(rule_id=rule.pk, clock=self.clock)
        assert done is not None
        return done

    # Alerts

    def alert(self, state: str = "NEW", **changed: Any) -> RiskAlert:
        """One alert on one late account, brought to that state by people."""
        late, _ = self.late(), self.fine(2)
        rule = RiskRule.objects.filter(code="LATE", state="ACTIVE").first() or self.active(**changed)
        self.scan(rule)
        found = RiskAlert.objects.get(account=late[0])
        if state in ("TRIAGED", "PROPOSED"):
            alerts.triage(alert_id=found.pk, ground="已看", **self.does())
        if state == "PROPOSED":
            alerts.propose(alert_id=found.pk, ground="屡次逾期", **self.does())
        return RiskAlert.objects.get(pk=found.pk)


def fresh(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


@pytest.fixture
def desk(db: None, clock: Clock) -> Desk:
    return Desk(clock)
