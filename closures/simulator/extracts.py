"""The same CSV extracts the product imports, read in the simulator's own way: fast, plain or gzip."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Iterator
from pathlib import Path

from closures.simulator import ledger, wire
from closures.simulator.store import PARTNERS, Store
from closures.simulator.wire import Refusal

BATCH = 5000


def load_accounts(store: Store, path: str) -> int:
    """The accounts of the file are in the ledger. Returns their number; raises `Refusal`."""
    return _load(store, path, table="accounts", row_of=ledger.row_of)


def load_agreements(store: Store, path: str) -> int:
    """The agreements of the file are bound at their partners. Returns their number; raises `Refusal`."""
    return _load(store, path, table="agreements", row_of=agreement_row)


def agreement_row(fields: dict[str, str]) -> tuple[str, str, str, None]:
    """One bound agreement from an extract's line or a control request."""
    partner = wire.choice(fields, "partner", PARTNERS)
    return partner, wire.text(fields, "agreement_no"), wire.text(fields, "account_no"), None


def _load(store: Store, path: str, *, table: str, row_of) -> int:  # type: ignore[no-untyped-def]
    number = 0
    with store.transaction():
        lines = _lines(path)
        while batch := list(itertools.islice(lines, BATCH)):
            store.put(table, [row_of(line) for line in batch])
            number += len(batch)
    return number


def _lines(path: str) -> Iterator[dict[str, str]]:
    source = Path(path)
    try:
        with (
            gzip.open(source, "rt", encoding="utf-8", newline="")
            if source.suffix == ".gz"
            else source.open(encoding="utf-8", newline="") as file
        ):
            yield from csv.DictReader(file)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise Refusal(400, "UNREADABLE_FILE", field=source.name) from error
