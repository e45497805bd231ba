"""The 20,000 real accounts: imported twice, 1,632 of them closed by two workers, and judged, on PostgreSQL.

Requested are every account that owes and is owed nothing, every one with nothing but a credit balance, and
500 with debt; a second user approves what is in review. Then everything is judged by the extract's own lines
and by the partners' own ledger; exit code 1 if anything is not as it must be. Not part of `make bench`: run
it as `python -m tests.benchmarks real`. SHARED_DATA is the extracts' folder (default: beside the project).
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

from tests.benchmarks import harness, plant

DATA = Path(os.environ.get("SHARED_DATA", harness.ROOT.parent / "shared" / "data"))
ACCOUNTS, AGREEMENTS = DATA / "accounts-20k.csv.gz", DATA / "agreements-20k.csv.gz"
WITH_DEBT = 500
WORKERS, CHILDREN = 2, 2  # Celery workers, and processes of each
PATIENCE = 1800.0  # seconds
TOLD_EVERY = 20.0  # seconds between two lines of progress
NOT_ENDED = {"WEALTH_LINK"}  # kinds whose shipped effect on closing is a warning. Source: SPEC §2

Line = dict[str, str]


def main() -> None:
    if not ACCOUNTS.exists():
        print(f"not run: there is no {ACCOUNTS} (SHARED_DATA names the folder)")
        return
    with harness.scratch("postgresql") as url:
        harness.in_child("tests.benchmarks.real_accounts", url, "--inside")


def inside() -> list[str]:
    """In a child, on an empty database; returns what is not as it must be."""
    harness.setup()
    loaded = ("--load-accounts", str(ACCOUNTS), "--load-agreements", str(AGREEMENTS))
    with plant.plant(os.environ["DATABASE_URL"], arguments=loaded) as running:
        wrong = import_twice()
        lines = list(read(ACCOUNTS))
        clean = [line for line in lines if not owes(line) and not Decimal(line["credit_balance"])]
        credit = [line for line in lines if not owes(line) and Decimal(line["credit_balance"])]
        debt = [line for line in lines if owes(line)][:WITH_DEBT]
        close(running, clean=clean, credit=credit, debt=debt)
        wrong += judge(running, clean=clean, credit=credit, debt=debt)
    return wrong


def read(path: Path) -> Iterable[Line]:
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


# --- What is done -------------------------------------------------------------------------------------


def import_twice() -> list[str]:
    """Both extracts, two times over; the second time must change nothing."""
    from django.core.management import call_command  # noqa: PLC0415

    from accounts.models import CreditAccount, PartnerAgreement  # noqa: PLC0415

    def history() -> int:
        return CreditAccount.history.count() + PartnerAgreement.history.count()

    wrong, written = [], 0
    for turn in ("first", "second"):
        for command, path in (("import_accounts", ACCOUNTS), ("import_agreements", AGREEMENTS)):
            said, started = io.StringIO(), time.perf_counter()
            call_command(command, path, no_progress=True, stdout=said)
            told = " ".join(said.getvalue().split())
            print(f"{command}, {turn} time: {told} ({time.perf_counter() - started:.1f} s)", flush=True)
        if turn == "second" and history() != written:
            wrong.append(f"the second import wrote {history() - written} history rows")
        written = history()
    print(f"history rows written by the second import: {0 if not wrong else 'some'}\n", flush=True)
    return wrong


def close(running: plant.Plant, *, clean: list[Line], credit: list[Line], debt: list[Line]) -> None:
    """All of them are requested and the workers have done what they can."""
    from accounts.models import CreditAccount  # noqa: PLC0415

    ids = dict(CreditAccount.objects.values_list("account_no", "pk"))
    wanted = [ids[line["account_no"]] for line in (*clean, *credit, *debt)]
    closings = len(clean) + len(credit)
    for number in range(WORKERS):
        running.workers.start(concurrency=CHILDREN, beat=number == 0)
    started = time.perf_counter()
    running.request(wanted)
    print(f"requested {len(wanted)} in {time.perf_counter() - started:.1f} s", flush=True)
    running.until(
        lambda: plant.states() == {"CLOSED": closings, "BLOCKED": len(debt)},
        patience=PATIENCE,
        look=every(TOLD_EVERY, lambda: print(f"  {plant.states()}", flush=True)),
    )
    seconds = time.perf_counter() - started
    print(
        f"{closings} closed and {len(debt)} blocked {seconds:.0f} s after the first request: "
        f"{closings / seconds:.2f} closings/s\n",
        flush=True,
    )
    running.until(no_notice_waits, patience=PATIENCE)


def no_notice_waits() -> bool:
    from closures.models import Notice  # noqa: PLC0415

    return not Notice.objects.filter(state__in=("PENDING", "SENDING", "UNKNOWN")).exists()


def every(seconds: float, act: Callable[[], object]) -> Callable[[], None]:
    last = time.perf_counter()

    def run() -> None:
        nonlocal last
        if time.perf_counter() - last > seconds:
            last = time.perf_counter()
            act()

    return run


# --- What must be true --------------------------------------------------------------------------------


def owes(line: Line) -> bool:
    return bool(blocking_codes(line))


def blocking_codes(line: Line) -> set[str]:
    """The block-severity codes that a line of the extract calls for, by its own text. Source: SPEC §3."""
    amounts = {
        "OUTSTANDING_PRINCIPAL": Decimal(line["principal"]),
        "OUTSTANDING_INTEREST_FEES": Decimal(line["interest"]) + Decimal(line["fees"]),
        "UNBILLED": Decimal(line["unbilled"]),
        "INSTALMENTS_REMAINING": int(line["instalments_remaining"]),
        "PENDING_ORDER": int(line["pending_orders"]),
        "REFUND_IN_FLIGHT": Decimal(line["refunds_in_flight"]),
        "DISPUTED": Decimal(line["disputed"]),
    }
    return {code for code, amount in amounts.items() if amount}


def judge(running: plant.Plant, *, clean: list[Line], credit: list[Line], debt: list[Line]) -> list[str]:
    """Our states, the blockers and the partners' ledger against the extract; the invariants."""
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import CommandError, call_command  # noqa: PLC0415

    from closures.models import ClosureTicket  # noqa: PLC0415

    closing = {line["account_no"] for line in (*clean, *credit)}
    ended = {
        line["agreement_no"]
        for line in read(AGREEMENTS)
        if line["account_no"] in closing and line["kind"] not in NOT_ENDED
    }
    closed = ClosureTicket.objects.filter(state="CLOSED").values_list("account__account_no", flat=True)
    wrong = same("closed, by our rows", closing, Counter(closed))
    wrong += same("closed, by the ledger", closing, effects(running, "CLOSE"))
    wrong += same(
        "paid out, by the ledger", {line["account_no"] for line in credit}, effects(running, "PAY_OUT")
    )
    wrong += same("agreements ended, by the partners", ended, effects(running, "UNSIGN"))
    wrong += blocked_as_their_lines_say(debt)
    duplicates = running.control.duplicates()
    print(f"duplicates by the partners' ledger: {len(duplicates)}")
    print(f"approvals refused because the facts had moved: {len(running.refused)}\n", flush=True)
    started = time.perf_counter()
    settings.EFFECTS_LEDGER_URL = running.simulator.url  # invariant 8 asks it too
    try:
        call_command("check_invariants")
    except CommandError as broken:
        wrong.append(str(broken))
    print(f"\ninvariants checked in {time.perf_counter() - started:.1f} s")
    return wrong + [f"duplicate: {row}" for row in duplicates]


def effects(running: plant.Plant, kind: str) -> Counter[str]:
    """How often this happened to each subject."""
    return Counter(row["subject"] for row in running.control.effects(kind=kind))


def same(what: str, expected: set[str], found: Counter[str]) -> list[str]:
    """Nothing, when exactly the expected ones were found, once each."""
    missing, more = expected - set(found), set(found) - expected
    twice = [subject for subject, times in found.items() if times > 1]
    said = f"missing {len(missing)}, others {len(more)}, twice {len(twice)}"
    print(f"{what}: {len(found)}, expected {len(expected)}; {said}")
    bad = {"missing": sorted(missing), "not expected": sorted(more), "twice": sorted(twice)}
    return [f"{what}: {name} {found[:5]}" for name, found in bad.items() if found]


def blocked_as_their_lines_say(debt: list[Line]) -> list[str]:
    from closures.models import Blocker  # noqa: PLC0415

    wrong = []
    for line in debt:
        rows = Blocker.objects.filter(
            ticket__account__account_no=line["account_no"],
            ticket__state="BLOCKED",
            cured_at__isnull=True,
            severity="BLOCK",
        )
        codes = sorted(rows.values_list("code", flat=True))
        if codes != sorted(blocking_codes(line)):
            wrong.append(f"{line['account_no']}: {codes}, its line says {sorted(blocking_codes(line))}")
    told = Counter(code for line in debt for code in blocking_codes(line))
    print(f"blocked with exactly the codes of their lines: {len(debt) - len(wrong)} of {len(debt)}")
    print(f"  {dict(sorted(told.items()))}")
    return wrong


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        failures = inside()
        for failure in failures:
            print(f"NOT AS IT MUST BE: {failure}")
        sys.exit(1 if failures else 0)
    main()
