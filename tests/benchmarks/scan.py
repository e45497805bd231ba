"""A scan of all accounts by five rules, on PostgreSQL: against raw SQL, per object, growth, and memory.

Sizes: SCAN_SIZES="10000 100000" (default: 10,000, 100,000 and 1,000,000). One pass per rule; a twentieth of
the accounts match each of four rules, every account none or one; alerts are written with their history. The
raw way is what a database programmer would write by hand: two INSERT … SELECT per rule, values and all.
Target: at most five times that, and a slope of at most 1.1.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

from tests.benchmarks import harness

SIZES = [int(size) for size in os.environ.get("SCAN_SIZES", "10000 100000 1000000").split()]
PER_OBJECT = 1_000  # accounts looked at one by one; the rest is reckoned
RULES = {
    "B_LATE30": "days_past_due >= 30 and days_past_due < 60",
    "B_LATE60": "days_past_due >= 60 and days_past_due < 90",
    "B_LATE90": "days_past_due >= 90",
    "B_EXTENDED": "products_held >= 2 and exposure >= 5000 and limit_use >= 50",
    "B_WORSE": "limit_use >= 90 and worse = True and late_1 >= 2",
}


def main() -> None:
    rows, taken = [], []
    for size in SIZES:
        with harness.scratch("postgresql") as url:
            said = measured(size, url)
        taken.append(said["scan"])
        rows.append(
            (
                f"{size:,}",
                f"{said['alerts']:,}",
                f"{said['scan']:.2f}",
                f"{said['raw']:.2f}",
                f"{said['scan'] / said['raw']:.2f}",
                f"{said['again']:.2f}",
                f"{said['per_object']:.0f}",
                f"{said['memory']:.0f}",
            )
        )
        headings = ("accounts", "alerts", "scan, s", "raw SQL, s", "ratio", "again (all folded), s")
        more = ("per object, s (reckoned)", "memory grew, MB")
        print(harness.table((*headings, *more), rows), flush=True)
    if len(SIZES) > 1:
        print(f"\nslope: {harness.slope(SIZES, taken):.2f}")


def measured(size: int, url: str) -> dict[str, float]:
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings.test", **os.environ, "DATABASE_URL": url}
    words = [sys.executable, "-m", "tests.benchmarks.scan", "--inside", str(size)]
    done = subprocess.run(
        words, cwd=harness.ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def inside(size: int) -> dict[str, float]:
    harness.setup()
    from django.utils import timezone  # noqa: PLC0415

    from closures.models import RiskAlert, RiskRule  # noqa: PLC0415
    from closures.services.risk import scan  # noqa: PLC0415

    fill(size)
    rules = [active(code, condition, cap=size) for code, condition in RULES.items()]
    raw = min(raw_way(rules) for _ in range(3))
    one_by_one = per_object(rules[0], size=size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    for rule in rules:
        done = scan.scan(rule_id=rule.pk, clock=timezone.now)
        assert done is not None and done.outcome == "DONE", done
    taken = time.perf_counter() - started
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    alerts = RiskAlert.objects.count()
    assert alerts == RiskAlert.history.count() > 0
    started = time.perf_counter()
    for rule in RiskRule.objects.filter(state="ACTIVE"):
        scan.scan(rule_id=rule.pk, clock=timezone.now)
    again = time.perf_counter() - started
    assert RiskAlert.objects.count() == alerts
    return {
        "scan": taken,
        "raw": raw,
        "again": again,
        "alerts": alerts,
        "memory": memory,
        "per_object": one_by_one * len(rules),
    }


def fill(size: int) -> None:
    """So many accounts, every other one the second of its customer; a fifth of them in arrears."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_customer (customer_no, standing, notice_channel, synthetic)"
            " SELECT 'B' || n, 'ACTIVE', '', FALSE FROM generate_series(1, %s) n",
            [(size + 1) // 2],
        )
        cursor.execute("SELECT id FROM accounts_creditproduct ORDER BY id LIMIT 2")
        first, second = (row[0] for row in cursor.fetchall())
        columns = (
            "account_no, customer_id, product_id, line_state, credit_limit, principal, interest, fees, "
            "unbilled, "
            "instalments_remaining, pending_orders, refunds_in_flight, disputed, credit_balance, "
            "days_past_due, arrears_months, ledger_as_of, row_digest"
        )
        cursor.execute(
            f"INSERT INTO accounts_creditaccount ({columns})"
            " SELECT 'BA' || c.id || k, c.id, CASE k WHEN 1 THEN %s ELSE %s END, 'ACTIVE', 5000,"
            " CASE WHEN c.id %% 20 = 0 THEN 4800 ELSE 100 END, 0, 0, 0, 0, 0, 0, 0, 0,"
            " CASE c.id %% 20 WHEN 1 THEN 45 WHEN 2 THEN 75 WHEN 3 THEN 120 ELSE 0 END,"
            " '0|0|0|0|0|0', now(), '' FROM accounts_customer c, generate_series(1, 2) k"
            " WHERE c.customer_no LIKE 'B%%'",
            [first, second],
        )
        cursor.execute("ANALYZE accounts_customer")
        cursor.execute("ANALYZE accounts_creditaccount")


def active(code: str, condition: str, *, cap: int) -> Any:
    """The rule at work, through its own services."""
    from django.utils import timezone  # noqa: PLC0415

    from closures.models import RiskRule  # noqa: PLC0415
    from closures.services.risk import backtest, rules, scan  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415

    does = {"actor": factories.staff("risk_officer"), "now": timezone.now()}
    given = rules.Substance(
        title=code, title_en=code, condition=condition, action="MONITOR", severity="LOW", cap_per_run=cap,
        cap_per_day=cap, dedupe_window=timedelta(days=1), sentence="x", sentence_en="x",
    )  # fmt: skip
    rule = rules.draft(code=code, substance=given, **does)
    backtest.run(rule_id=rule.pk, **does)
    rules.to_shadow(rule_id=rule.pk, ground="x", **does)
    scan.scan(rule_id=rule.pk, clock=timezone.now)
    lead = {"actor": factories.staff("compliance_lead"), "now": timezone.now()}
    rules.activate(rule_id=rule.pk, ground="x", **lead)
    return RiskRule.objects.get(pk=rule.pk)


def raw_way(rules: list[Any]) -> float:
    """The same alerts and history rows by hand-written SQL, undone afterwards; seconds."""
    from django.db import connection, transaction  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from closures.models import RiskAlert  # noqa: PLC0415
    from closures.selectors import rule_language  # noqa: PLC0415

    history = RiskAlert.history.model
    kept = ", ".join(f'"{field.column}"' for field in history.tracked_fields)
    with transaction.atomic(), connection.cursor() as cursor:
        started = time.perf_counter()
        for rule in rules:
            now = timezone.now()
            condition = rule_language.read(rule.condition)
            names = [*condition.names]
            found = condition.accounts(now=now).order_by().values_list("pk", *names)
            sql, params = found.query.sql_with_params()
            told = ", ".join(f"'{name}', v{n}" for n, name in enumerate(names))
            columns = ", ".join(["pk", *(f"v{n}" for n in range(len(names)))])
            cursor.execute(
                f'INSERT INTO closures_riskalert (number, rule_id, code, severity, account_id, "values",'
                f" sentence, sentence_en, state, state_since, raised_at, folded, last_seen_at, dismiss_code,"
                f" dismiss_text)"
                f" SELECT 'R{rule.pk}-' || m.pk, %s, %s, 'LOW', m.pk, jsonb_build_object({told}), 'x', 'x',"
                f" 'NEW',"
                f" %s, %s, 0, %s, '', '' FROM ({sql}) AS m ({columns}) WHERE NOT EXISTS (SELECT 1 FROM"
                f" closures_riskalert a WHERE a.account_id = m.pk AND a.code = %s)",
                [rule.pk, rule.code, now, now, now, *params, rule.code],
            )
            cursor.execute(
                f"INSERT INTO closures_historicalriskalert ({kept}, history_date, history_type,"
                f" history_change_reason, history_actor) SELECT {kept}, %s, '+', 'x', 'x'"
                f" FROM closures_riskalert WHERE rule_id = %s",
                [now, rule.pk],
            )
        taken = time.perf_counter() - started
        transaction.set_rollback(True)
    return taken


def per_object(rule: Any, *, size: int) -> float:
    """Account by account, as a first thought would do it; reckoned from a thousand of them, in seconds."""
    from django.db import transaction  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from accounts.models import CreditAccount  # noqa: PLC0415
    from accounts.tracking import save_as  # noqa: PLC0415
    from closures.selectors import account_view, rule_language  # noqa: PLC0415
    from closures.services.risk import scan  # noqa: PLC0415

    condition, now = rule_language.read(rule.condition), timezone.now()
    with transaction.atomic():
        started = time.perf_counter()
        for account in CreditAccount.objects.order_by("pk")[:PER_OBJECT]:
            rows = condition.accounts(now=now).filter(pk=account.pk)
            if rows.exists():
                values = account_view.values(rows, condition.names, now=now)[account.pk]
                alert = scan._alert(rule, account.pk, values, until=None, now=now)
                save_as(alert, actor=scan.ACTOR, reason="x", now=now)
        taken = time.perf_counter() - started
        transaction.set_rollback(True)
    return taken * size / min(PER_OBJECT, size)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        print(json.dumps(inside(int(sys.argv[2]))))
    else:
        main()
