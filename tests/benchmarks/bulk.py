"""The bulk door against the per-object loop and against SQL written by hand, with its slope over size.

`python -m tests.benchmarks.bulk [--database …] [--sizes …] [--rounds …]`. Tickets have 45 columns, six of
them JSON, and every secondary index; their move reads the account, the holds and the agreements.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.benchmarks import harness

SIZES = (10_000, 30_000, 100_000, 300_000)
ONE_BY_ONE = 1_000  # objects in the per-object loop
TARGET, SLOPE_TARGET = 10, 1.1  # issue 2
HEADINGS = (
    "with history",
    "rows",
    "bulk, rows/s",
    "one by one, rows/s",
    "ratio",
    "SQL by hand, rows/s",
    "of it",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bulk", description=__doc__)
    parser.add_argument("--database", choices=harness.DATABASES, action="append")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--rounds", default="5")
    # Run by the harness's own command line, nothing of it is ours.
    options, _ = parser.parse_known_args()
    if min(map(int, options.sizes.split(","))) < ONE_BY_ONE:
        parser.error(f"sizes are at least {ONE_BY_ONE:,}")
    for database in options.database or harness.DATABASES:
        with harness.scratch(database) as url:
            harness.in_child("tests.benchmarks.bulk", url, "--inside", options.sizes, options.rounds)


def inside(sizes: list[int], rounds: int) -> None:
    """In a child, on an empty database: measure and print."""
    harness.setup()
    from django.db import connection  # noqa: PLC0415

    bench = Bench(rounds=rounds)
    bench.check_indexes()
    beside = max([size for size in sizes if size <= 100_000], default=sizes[0])
    taken: dict[str, list[float]] = {}
    rows = []
    for size in sizes:
        bench.fill(size)
        for operation in (bench.creating(), bench.updating(), bench.moving()):
            bulk = harness.seconds(operation.bulk, prepare=operation.prepare, rounds=rounds)
            taken.setdefault(operation.name, []).append(bulk)
            print(f"{operation.name}: {size:,} rows in {bulk:.2f} s", file=sys.stderr, flush=True)
            row = [operation.name, f"{size:,}", f"{size / bulk:,.0f}"]
            if size == beside:
                single = harness.seconds(operation.single, prepare=operation.prepare, rounds=rounds)
                by_hand = harness.seconds(operation.by_hand, prepare=operation.prepare, rounds=rounds)
                rate, limit = ONE_BY_ONE / single, size / by_hand
                row += [
                    f"{rate:,.0f}",
                    f"**{size / bulk / rate:.1f} ×**",
                    f"{limit:,.0f}",
                    f"{by_hand / bulk:.2f}",
                ]
            rows.append(row + [""] * (len(HEADINGS) - len(row)))
    print(f"## {connection.vendor} {'.'.join(map(str, connection.get_database_version()))}\n")
    print(harness.table(HEADINGS, sorted(rows, key=lambda row: row[0])))
    if len(sizes) > 1:
        slopes = "; ".join(f"{name} {harness.slope(sizes, times):.2f}" for name, times in taken.items())
        print(f"\nlog-log slope: {slopes} (at most {SLOPE_TARGET}); ratio at least {TARGET} ×\n", flush=True)


@dataclass(frozen=True, kw_only=True)
class Operation:
    name: str
    prepare: Callable[[], None]
    bulk: Callable[[], object]
    single: Callable[[], object]
    by_hand: Callable[[], object]


class Bench:
    """Tables of one size, and the three operations on all their rows."""

    def __init__(self, *, rounds: int) -> None:
        from django.utils.timezone import make_aware  # noqa: PLC0415

        from accounts.actors import Actor  # noqa: PLC0415
        from accounts.models import CreditAccount, CreditProduct  # noqa: PLC0415

        self.rounds, self.size, self.round = rounds, 0, 0
        self.now = make_aware(datetime(2026, 11, 23, 10, 0))
        self.past = self.now - timedelta(days=3)
        self.said: dict[str, Any] = {"actor": Actor.job("bench"), "reason": "benchmark", "now": self.now}
        self.product = CreditProduct.objects.get(code="HUABEI")
        self.fields = (*CreditAccount.LEDGER_FIELDS, "ledger_as_of")

    def check_indexes(self) -> None:
        """Missing secondary indexes flatter a write benchmark."""
        from django.db import connection  # noqa: PLC0415

        from accounts.models import CreditAccount  # noqa: PLC0415
        from closures.models import ClosureTicket  # noqa: PLC0415

        for model in (CreditAccount, ClosureTicket, CreditAccount.history.model, ClosureTicket.history.model):
            with connection.cursor() as cursor:
                there = connection.introspection.get_constraints(cursor, model._meta.db_table)
            named = {index.name for index in model._meta.indexes} | {
                constraint.name for constraint in model._meta.constraints
            }
            indexed = {tuple(one["columns"])[:1] for one in there.values() if one["index"] or one["unique"]}
            wanted = {
                (f.column,)
                for f in model._meta.local_concrete_fields
                if f.db_index or f.unique and not f.primary_key
            }
            if missing := (named - there.keys()) | (wanted - indexed):
                raise RuntimeError(f"{model.__name__} lacks {missing}")

    # --- Rows ---------------------------------------------------------------------------------------

    def fill(self, size: int) -> None:
        """The tables hold this many accounts; a copy of as many tickets waits to be put in."""
        from accounts.bulk import create_many  # noqa: PLC0415
        from accounts.models import CreditAccount, Customer  # noqa: PLC0415

        more = range(self.size, size)
        customers = create_many((Customer(customer_no=f"C{n:09d}") for n in more), **self.said)
        accounts = (
            CreditAccount(
                account_no=f"A{n:09d}", customer_id=customer.pk, product=self.product, ledger_as_of=self.past,
                credit_limit=Decimal("5000.00"), arrears_months="0|0|0|0|0|0",
            )
            for n, customer in zip(more, customers, strict=True)
        )  # fmt: skip
        create_many(accounts, **self.said)
        self.size = size
        self.keys = list(CreditAccount.objects.order_by("pk").values_list("pk", flat=True))
        self._empty("closures_closureticket", "closures_historicalclosureticket")
        create_many(self.tickets(), **self.said)
        self._run(
            *(f"DROP TABLE IF EXISTS bench_{name}" for name in ("tickets", "history")),
            "CREATE TABLE bench_tickets AS SELECT * FROM closures_closureticket",
            "CREATE TABLE bench_history AS SELECT * FROM closures_historicalclosureticket",
        )
        self._settle()

    def tickets(self, count: int | None = None) -> Iterator[Any]:
        """New tickets whose period is over, for whom nothing stands in the way of unbinding."""
        from closures.models import ClosureTicket  # noqa: PLC0415

        for n, account_id in enumerate(self.keys[:count]):
            yield ClosureTicket(
                number=f"CT{n:012d}", account_id=account_id, reason="CUSTOMER_REQUEST", channel="API",
                state="NOTICE_PERIOD", state_since=self.past, requested_at=self.past, straight_through=True,
                policy={"version": 1, "cooling_off": "P7D"}, period_ends_at=self.past,
                examined_as_of=self.past, due_at=self.past, request_digest=f"{n:064d}",
            )  # fmt: skip

    def _run(self, *statements: str) -> None:
        from django.db import connection  # noqa: PLC0415

        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _together(self, *statements: str) -> None:
        from django.db import transaction  # noqa: PLC0415

        with transaction.atomic():
            self._run(*statements)

    def _empty(self, *tables: str) -> None:
        if self._on_postgresql():
            self._run(f"TRUNCATE {', '.join(tables)} CASCADE")
        else:
            off, on = (f"PRAGMA foreign_keys={state}" for state in ("OFF", "ON"))
            self._run(off, *(f"DELETE FROM {table}" for table in tables), on)

    def _settle(self) -> None:
        """What the last round left behind does not slow the next one."""
        if self._on_postgresql():
            self._run(*(f"VACUUM ANALYZE {table}" for table in TABLES), "CHECKPOINT")
        else:
            self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    def _on_postgresql(self) -> bool:
        from django.db import connection  # noqa: PLC0415

        return connection.vendor == "postgresql"

    def _no_tickets(self) -> None:
        self._empty("closures_closureticket", "closures_historicalclosureticket")
        self._settle()

    def _waiting_tickets(self) -> None:
        self._empty("closures_closureticket", "closures_historicalclosureticket")
        self._together(
            "INSERT INTO closures_closureticket SELECT * FROM bench_tickets",
            "INSERT INTO closures_historicalclosureticket SELECT * FROM bench_history",
        )
        self._settle()

    def _next_copy(self) -> None:
        self._empty("accounts_historicalcreditaccount")
        self._settle()
        self.round += 1

    # --- Operations ---------------------------------------------------------------------------------

    def creating(self) -> Operation:
        from django.db import transaction  # noqa: PLC0415

        from accounts.bulk import create_many  # noqa: PLC0415
        from accounts.tracking import save_as  # noqa: PLC0415

        def single() -> None:
            for ticket in self.tickets(ONE_BY_ONE):
                with transaction.atomic():
                    save_as(ticket, **self.said)

        return Operation(
            name="create_many, tickets",
            prepare=self._no_tickets,
            bulk=lambda: create_many(self.tickets(), **self.said),
            single=single,
            by_hand=lambda: self._together(
                "INSERT INTO closures_closureticket SELECT * FROM bench_tickets",
                "INSERT INTO closures_historicalclosureticket SELECT * FROM bench_history",
            ),
        )

    def updating(self) -> Operation:
        from django.db import transaction  # noqa: PLC0415

        from accounts.bulk import update_many  # noqa: PLC0415
        from accounts.models import CreditAccount  # noqa: PLC0415
        from accounts.tracking import save_as  # noqa: PLC0415

        # A line of an extract: every column is given, three have changed, and nothing is owed, or the
        # tickets could not move.
        def extract() -> dict[str, Any]:
            values: dict[str, Any] = {
                name: getattr(CreditAccount(), name) for name in CreditAccount.LEDGER_FIELDS
            }
            changed = {"credit_limit": Decimal(5000 + self.round), "days_past_due": self.round}
            return {**values, **changed, "arrears_months": f"{self.round}|0", "ledger_as_of": self.past}

        def bulk() -> None:
            line = extract()
            rows = ({"account_no": f"A{n:09d}", **line} for n in range(self.size))
            done = update_many(CreditAccount, rows, key="account_no", fields=self.fields, **self.said)
            assert len(done.changed) == self.size

        def single() -> None:
            for n in range(ONE_BY_ONE):
                with transaction.atomic():
                    row = CreditAccount.objects.select_for_update(of=("self",)).get(account_no=f"A{n:09d}")
                    for name, value in extract().items():
                        setattr(row, name, value)
                    save_as(row, **self.said)

        update = (
            "UPDATE accounts_creditaccount AS t SET credit_limit = credit_limit + 1, "
            "days_past_due = days_past_due + 1, arrears_months = arrears_months || '|0'"
        )
        return Operation(
            name="update_many, accounts",
            prepare=self._next_copy,
            bulk=bulk,
            single=single,
            by_hand=lambda: self._by_hand(CreditAccount, update, "TRUE"),
        )

    def moving(self) -> Operation:
        from django.db import transaction  # noqa: PLC0415

        from accounts.bulk import transition_many  # noqa: PLC0415
        from accounts.tracking import move  # noqa: PLC0415
        from closures.models import ClosureTicket  # noqa: PLC0415

        def bulk() -> None:
            rows = ClosureTicket.objects.filter(state="NOTICE_PERIOD")
            done = transition_many(rows, ClosureTicket.start_unbinding, **self.said)
            assert len(done.moved) == self.size

        def single() -> None:
            for pk in list(ClosureTicket.objects.order_by("pk").values_list("pk", flat=True)[:ONE_BY_ONE]):
                with transaction.atomic():
                    move(ClosureTicket.objects.lock(pk), "start_unbinding", **self.said)

        at = "'2026-11-23 02:00:00+00'" if self._on_postgresql() else "'2026-11-23 02:00:00'"
        update = MOVE_BY_HAND.format(at=at)
        return Operation(
            name="transition_many, tickets",
            prepare=self._waiting_tickets,
            bulk=bulk,
            single=single,
            by_hand=lambda: self._by_hand(ClosureTicket, update, "state = 'UNBINDING'"),
        )

    def _by_hand(self, model: Any, update: str, updated: str) -> None:
        """All rows in one statement; on SQLite two, the second finds the rows by what the first set."""
        history = model.history.model
        columns = ", ".join(f'"{field.column}"' for field in history.tracked_fields)
        at = "'2026-11-23 02:00:00+00'" if self._on_postgresql() else "'2026-11-23 02:00:00'"
        into = (
            f"INSERT INTO {history._meta.db_table} ({columns}, history_date, history_type, "
            f"history_change_reason, history_actor) SELECT {columns}, {at}, '~', 'benchmark', 'job:bench' "
        )
        if self._on_postgresql():
            self._run(f"WITH moved AS ({update} RETURNING t.*) {into} FROM moved")
        else:
            self._together(update, f"{into} FROM {model._meta.db_table} WHERE {updated}")


TABLES = (
    "accounts_creditaccount",
    "accounts_historicalcreditaccount",
    "closures_closureticket",
    "closures_historicalclosureticket",
)
MOVE_BY_HAND = """
UPDATE closures_closureticket AS t
SET state = 'UNBINDING', state_since = {at}, unbinding_started_at = {at}, due_at = NULL
FROM accounts_creditaccount AS a
WHERE a.id = t.account_id AND t.state = 'NOTICE_PERIOD' AND t.period_ends_at <= {at}
AND (t.reason = 'CUSTOMER_REQUEST' OR t.notice_arrived_at IS NOT NULL OR t.notice_waived_by_id IS NOT NULL)
AND NOT EXISTS (SELECT 1 FROM closures_hold AS h WHERE h.ticket_id = t.id AND h.state = 'OPEN')
AND NOT a.ledger_as_of > t.examined_as_of
AND NOT EXISTS (
    SELECT 1 FROM accounts_partneragreement AS p
    WHERE p.account_id = a.id AND p.id > t.examined_agreement_id AND p.state = 'BOUND'
)
AND a.principal = 0 AND a.interest = 0 AND a.fees = 0 AND a.unbilled = 0 AND a.refunds_in_flight = 0
AND a.disputed = 0 AND a.instalments_remaining = 0 AND a.pending_orders = 0 AND a.credit_balance = 0
"""

if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside([int(size) for size in sys.argv[2].split(",")], int(sys.argv[3]))
    else:
        main()
