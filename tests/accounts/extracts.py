"""Extracts for tests: good lines of invented people, which a test spoils as it likes."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from accounts.actors import Actor
from accounts.imports.accounts import AccountImport
from accounts.imports.agreements import AgreementImport
from accounts.imports.outcomes import RejectsFile
from accounts.imports.rows import ACCOUNT_COLUMNS, AGREEMENT_COLUMNS, ID_CHECK, ID_WEIGHTS
from accounts.imports.runs import Summary, import_file

LEDGER_DATE = "2026-11-20T18:00:00+08:00"
NEXT_DATE = "2026-11-21T18:00:00+08:00"


def id_number(n: int, *, born: str = "1989-11-17") -> str:
    """An ID number of area 990000, which does not exist, with its right check digit."""
    body = f"990000{born.replace('-', '')}{n % 1000:03d}"
    return body + ID_CHECK[sum(int(d) * w for d, w in zip(body, ID_WEIGHTS, strict=True)) % 11]


def account(n: int = 1, **changes: str) -> dict[str, str]:
    """A good line of accounts; `changes` spoil or alter it."""
    return {
        "customer_no": f"C{n:08d}", "name": "𠮷田", "id_number": id_number(n), "phone": f"199{n:08d}",
        "email": f"c{n}@example.com", "birth_date": "1989-11-17", "account_no": f"A{n:08d}",
        "product_code": "HUABEI", "credit_limit": "50000.00", "principal": "46990.00", "interest": "1.20",
        "fees": "60.00", "unbilled": "0.00", "instalments_remaining": "6", "pending_orders": "0",
        "refunds_in_flight": "0.00", "disputed": "0.00", "credit_balance": "0.00", "days_past_due": "60",
        "arrears_months": "2|2|0|0|0|0", "ledger_as_of": LEDGER_DATE, **changes,
    }  # fmt: skip


def agreement(n: int = 1, **changes: str) -> dict[str, str]:
    """A good line of agreements, of account `n`."""
    return {
        "account_no": f"A{n:08d}", "partner": "ALIPAY", "kind": "WITHHOLDING", "agreement_no": f"AL{n:010d}",
        "signed_on": "2021-11-03", "repayment_depends": "1", **changes,
    }  # fmt: skip


def written(
    path: Path, rows: Iterable[Mapping[str, str]], *, columns: Sequence[str] = ACCOUNT_COLUMNS
) -> Path:
    """The rows as the extract they come in: header, CRLF, UTF-8; compressed when the name says so."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return raw(path, text.getvalue().encode("utf-8", "surrogatepass"))


def raw(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


class Desk:
    """Imports files and remembers what was remarked about their lines."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.folder = folder
        self.now = now
        self.remarks: list[tuple[int, str, str]] = []

    def accounts(self, *rows: Mapping[str, str], **options: Any) -> Summary:
        return self.keep(AccountImport, written(self.folder / "accounts.csv", rows), **options)

    def agreements(self, *rows: Mapping[str, str], **options: Any) -> Summary:
        path = written(self.folder / "agreements.csv", rows, columns=AGREEMENT_COLUMNS)
        return self.keep(AgreementImport, path, **options)

    def keep(self, kind: Any, path: Path, **options: Any) -> Summary:
        listed = self.folder / "rejects.csv"
        listed.unlink(missing_ok=True)
        run = kind(actor=Actor.job("import"), reason="import of a test", now=options.pop("now", self.now))
        with RejectsFile(listed) as rejects:
            summary = import_file(path, kind=run, rejects=rejects, **options)
        self.remarks = []
        if listed.exists():
            with listed.open(encoding="utf-8", newline="") as lines:
                self.remarks = [
                    (int(line["line"]), line["column"], line["reason"]) for line in csv.DictReader(lines)
                ]
        return summary
