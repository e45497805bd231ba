"""The 20,000 real accounts with their known outcomes: one rule from its draft to its alerts, on PostgreSQL.

`days_past_due >= 60` must back-test to the numbers that the extracts themselves give; then shadow, activation
by a second person, scan. Exit code 1 if anything is not as it must be. Not part of `make bench`: run it as
`python -m tests.benchmarks risk`. SHARED_DATA is the extracts' folder (default: beside the project).
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Any

from tests.benchmarks import harness
from tests.benchmarks.real_accounts import ACCOUNTS, DATA

OUTCOMES = DATA / "outcomes-20k.csv.gz"
EXPECTED = {"accounts": 20_000, "labelled": 20_000, "matches": 2_138, "precision": 0.687, "recall": 0.330}


def main() -> None:
    if not OUTCOMES.exists():
        print(f"not run: there is no {OUTCOMES} (SHARED_DATA names the folder)")
        return
    with harness.scratch("postgresql") as url:
        harness.in_child("tests.benchmarks.real_risk", url, "--inside")


def inside() -> list[str]:
    """In a child, on an empty database; returns what is not as it must be."""
    harness.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from closures.demo import people  # noqa: PLC0415
    from closures.models import LabelledOutcome, RiskAlert  # noqa: PLC0415
    from closures.services.risk import backtest, rules, scan  # noqa: PLC0415

    people.hire(now=timezone.now())
    call_command("import_accounts", ACCOUNTS, no_progress=True)
    for _ in range(2):
        call_command("import_outcomes", OUTCOMES, no_progress=True)
    wrong = [] if LabelledOutcome.objects.count() == EXPECTED["labelled"] else ["outcomes"]
    rule = rules.draft(code="REAL_60", substance=substance(), **does("risk"))
    started = time.perf_counter()
    found = backtest.run(rule_id=rule.pk, labels="outcomes-20k", **does("risk")).result
    print(f"back-test in {time.perf_counter() - started:.1f} s: {shown(found)}", flush=True)
    wrong += [
        f"{name}: {found[name]}, not {expected}"
        for name, expected in EXPECTED.items()
        if round(found[name], 3) != expected
    ]
    rules.to_shadow(rule_id=rule.pk, ground="先观察", **does("risk"))
    watched = scan.scan(rule_id=rule.pk, clock=timezone.now)
    print(f"in shadow: {watched and watched.matched} matches, {RiskAlert.objects.count()} alerts", flush=True)
    try:
        rules.activate(rule_id=rule.pk, ground="自己启用", **does("risk"))
        wrong.append("its author activated it")
    except rules.SameAuthor as refusal:
        print(f"its author: {refusal.code}")
    rules.activate(rule_id=rule.pk, ground="回测可信", **does("lead"))
    started = time.perf_counter()
    done = scan.scan(rule_id=rule.pk, clock=timezone.now)
    assert done is not None
    print(
        f"scan in {time.perf_counter() - started:.1f} s: {done.outcome}, {done.matched} matches, "
        f"{done.alerted} alerts, history rows {RiskAlert.history.count()}"
    )
    again = scan.scan(rule_id=rule.pk, clock=timezone.now)
    assert again is not None
    print(f"scanned again: {again.alerted} alerts, {again.folded} folded")
    if (done.alerted, again.alerted, again.folded) != (EXPECTED["matches"], 0, EXPECTED["matches"]):
        wrong.append("alerts")
    return wrong


def substance() -> Any:
    from closures.services.risk.rules import Substance  # noqa: PLC0415

    return Substance(
        title="逾期六十天以上", title_en="Sixty days past due or more", condition="days_past_due >= 60",
        action="MONITOR", severity="MEDIUM", cap_per_run=10_000, cap_per_day=10_000,
        dedupe_window=timedelta(days=30), sentence="您的账户已逾期六十天以上。",
        sentence_en="Your account is more than sixty days past due.",
    )  # fmt: skip


def does(staff_no: str) -> dict[str, Any]:
    from django.utils import timezone  # noqa: PLC0415

    from accounts.actors import Actor  # noqa: PLC0415
    from accounts.models import User  # noqa: PLC0415

    return {"actor": Actor.staff(User.objects.get(staff_no=staff_no)), "now": timezone.now()}


def shown(found: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {found[name]}" for name in ("accounts", "matches", "precision", "recall", "lift")
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        failures = inside()
        for failure in failures:
            print(f"NOT AS IT MUST BE: {failure}")
        sys.exit(1 if failures else 0)
    main()
