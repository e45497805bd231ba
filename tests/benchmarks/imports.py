"""How fast extracts go in, and that memory does not grow with the file.

`python -m tests.benchmarks.imports [--database …] [--lines …] [--rounds …]`. Every import is a process of
its own, so that its peak memory belongs to nothing else. The files are made from the real extract when it
lies beside the project, each line with a person of its own, else from invented lines.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks import harness

REAL = harness.ROOT.parent / "shared" / "data" / "accounts-20k.csv.gz"
LINES, MANY_TIMES, ROUNDS = 20_000, 10, 5
TARGETS = {"postgresql": 5000, "sqlite": 2000}  # lines/s of new accounts; issue 2
MEMORY_TARGET = 1.2  # peak at ten times the lines over peak at the lines; issue 2
LATER = "2026-11-21T18:00:00+08:00"
PERSONAL = ("customer_no", "id_number", "phone", "email", "birth_date", "account_no")
STEPS = {
    # what: (the file, the count that must hold every line, words)
    "new": ("accounts", "imported", "new accounts: customer, identity sealed, relationship, account"),
    "again": ("accounts", "unchanged", "the same file again"),
    "newer": ("newer", "updated", "a newer extract, every balance changed"),
    "agreements": ("agreements", "imported", "two new agreements an account"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.imports", description=__doc__)
    parser.add_argument("--database", choices=harness.DATABASES, action="append")
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    # Run by the harness's own command line, nothing of it is ours.
    options, _ = parser.parse_known_args()
    databases = options.database or list(harness.DATABASES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in ("accounts", "newer", "agreements"):
            _child("sqlite://:memory:", "write", f"{folder}/{name}.csv.gz", str(options.lines))
        _child("sqlite://:memory:", "write", f"{folder}/many.csv.gz", str(options.lines * MANY_TIMES))
        found = {database: _life(database, Path(folder), options.rounds) for database in databases}
        print(_rates(found), flush=True)
        print(f"\n{_memory(found, Path(folder))}", flush=True)


def _life(database: str, folder: Path, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Every step on a fresh database, `rounds` times: what → its measurements."""
    found: dict[str, list[dict[str, Any]]] = {what: [] for what in STEPS}
    for _ in range(rounds):
        with harness.scratch(database) as url:
            _child(url, "migrate")
            for what, (file, _, _) in STEPS.items():
                found[what].append(json.loads(_child(url, "keep", what, f"{folder}/{file}.csv.gz")))
    return found


def _rates(found: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    rows = []
    for database, life in found.items():
        for what, measured in life.items():
            rate = median(one["lines"] / one["seconds"] for one in measured)
            target = f"{TARGETS[database]:,}" if what == "new" else ""
            rows.append([STEPS[what][2], database, f"{measured[0]['lines']:,}", f"{rate:,.0f}", target])
    return harness.table(["import", "database", "lines", "lines/s", "target"], rows)


def _memory(found: dict[str, dict[str, list[dict[str, Any]]]], folder: Path) -> str:
    rows = []
    for database, life in found.items():
        with harness.scratch(database) as url:
            _child(url, "migrate")
            many = json.loads(_child(url, "keep", "new", f"{folder}/many.csv.gz"))
        few = median(one["peak_kib"] for one in life["new"])
        rows.append(
            [
                database,
                f"{few / 1024:.1f} MB at {life['new'][0]['lines']:,}",
                f"{many['peak_kib'] / 1024:.1f} MB at {many['lines']:,}",
                f"{many['peak_kib'] / few:.2f} (≤ {MEMORY_TARGET})",
                f"{many['lines'] / many['seconds']:,.0f}",
            ]
        )
    return harness.table(["peak memory", "few", "many", "ratio", "lines/s of many"], rows)


def _child(url: str, *words: str) -> str:
    """Run one step in a process of its own on this database; returns the last line it prints."""
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings.test"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.imports", "--inside", *words],
        cwd=harness.ROOT,
        env={**settings, **os.environ, "DATABASE_URL": url, "DEBUG": "False"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip().rpartition("\n")[2]


# --- In the child -----------------------------------------------------------------------------------


def inside(step: str, *rest: str) -> None:
    if step == "migrate":
        harness.setup()
        return
    import django  # noqa: PLC0415

    django.setup()
    if step == "write":
        write(Path(rest[0]), int(rest[1]))
    else:
        print(json.dumps(keep(*rest)))


def keep(what: str, file: str) -> dict[str, float]:
    """Import the file; how many lines, how long, and the most memory the process ever held."""
    from django.db import connection  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from accounts.actors import Actor  # noqa: PLC0415
    from accounts.imports.accounts import AccountImport  # noqa: PLC0415
    from accounts.imports.agreements import AgreementImport  # noqa: PLC0415
    from accounts.imports.outcomes import RejectsFile  # noqa: PLC0415
    from accounts.imports.runs import import_file  # noqa: PLC0415

    connection.ensure_connection()
    kind = AgreementImport if what == "agreements" else AccountImport
    run = kind(actor=Actor.job("import"), reason="benchmark", now=timezone.now())
    before = time.perf_counter()
    with RejectsFile(Path(f"{file}.rejects")) as rejects:
        counts = import_file(Path(file), kind=run, rejects=rejects).counts
    seconds = time.perf_counter() - before
    lines = getattr(counts, STEPS[what][1])
    if sum(counts.as_dict().values()) != lines:
        raise RuntimeError(f"{what}: {counts}")
    return {"lines": lines, "seconds": seconds, "peak_kib": peak_kib()}


def peak_kib() -> int:
    # Not ru_maxrss where it can be helped: Linux lets a child inherit its parent's peak.
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def write(path: Path, lines: int) -> None:
    """An extract of this many accounts, or of two agreements for each; the file's name says which."""
    from tests.accounts.extracts import account, agreement  # noqa: PLC0415

    rows = _agreements(lines) if path.name.startswith("agreements") else _accounts(lines)
    columns = list(agreement() if path.name.startswith("agreements") else account())
    with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1) as out:
        writer = csv.DictWriter(out, fieldnames=columns, lineterminator="\r\n")
        writer.writeheader()
        for row in rows:
            if path.name.startswith("newer"):
                row |= {"principal": str(Decimal(row["principal"]) + 1), "ledger_as_of": LATER}
            writer.writerow(row)


def _accounts(lines: int) -> Iterator[dict[str, str]]:
    from tests.accounts.extracts import account, id_number  # noqa: PLC0415

    for n, line in enumerate(itertools.islice(_patterns(), lines), start=1):
        # A thousand ID numbers a birthday, then the next birthday.
        born = f"{1951 + n // 1000 % 50}-{1 + n // 50_000 % 12:02}-{1 + n // 600_000 % 28:02}"
        person = account(n, birth_date=born, id_number=id_number(n, born=born))
        yield line | {name: person[name] for name in PERSONAL}


def _patterns() -> Iterator[dict[str, str]]:
    from tests.accounts.extracts import account  # noqa: PLC0415

    while True:
        if REAL.exists():
            with gzip.open(REAL, "rt", encoding="utf-8-sig", newline="") as lines:
                yield from csv.DictReader(lines)
        else:
            yield account()


def _agreements(accounts: int) -> Iterator[dict[str, str]]:
    from tests.accounts.extracts import agreement  # noqa: PLC0415

    for n in range(1, accounts + 1):
        yield agreement(n)
        yield agreement(n, agreement_no=f"JD{n:010d}", kind="PASSWORD_FREE", partner="JD")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(*sys.argv[2:])
    else:
        main()
