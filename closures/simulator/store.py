"""The simulator's SQLite file: its own copy of everything, and the append-only ledger of effects.

One connection behind one lock: requests are short, and a lock is cheaper than SQLite's own queue.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

TABLES = ("effects", "accounts", "agreements", "operations", "messages")
PARTNERS = ("ALIPAY", "WECHAT", "UNIONPAY", "JD")
CANARY = "CANARY"
ONCE = ("UNSIGN", "CLOSE", "PAY_OUT", "OPEN", "RETURN", "SMS")  # kinds that may happen to a subject only once

SCHEMA = """
CREATE TABLE IF NOT EXISTS effects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, system TEXT NOT NULL, kind TEXT NOT NULL,
    subject TEXT NOT NULL, key TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS effects_by_subject ON effects (subject, kind, system);
CREATE INDEX IF NOT EXISTS effects_by_key ON effects (key);
CREATE TRIGGER IF NOT EXISTS effects_no_update BEFORE UPDATE ON effects
    BEGIN SELECT RAISE(ABORT, 'effects are append-only'); END;
CREATE TRIGGER IF NOT EXISTS effects_no_delete BEFORE DELETE ON effects
    BEGIN SELECT RAISE(ABORT, 'effects are append-only'); END;
CREATE TABLE IF NOT EXISTS accounts (
    account_no TEXT PRIMARY KEY, customer_no TEXT NOT NULL, state TEXT NOT NULL,
    credit_limit INTEGER NOT NULL, principal INTEGER NOT NULL, interest INTEGER NOT NULL,
    fees INTEGER NOT NULL, unbilled INTEGER NOT NULL, instalments_remaining INTEGER NOT NULL,
    pending_orders INTEGER NOT NULL,
    refunds_in_flight INTEGER NOT NULL, disputed INTEGER NOT NULL, credit_balance INTEGER NOT NULL,
    days_past_due INTEGER NOT NULL, arrears_months TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agreements (
    partner TEXT NOT NULL, agreement_no TEXT NOT NULL, account_no TEXT NOT NULL, ended_at REAL,
    PRIMARY KEY (partner, agreement_no)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS agreements_by_account ON agreements (partner, account_no);
CREATE TABLE IF NOT EXISTS operations (
    system TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    PRIMARY KEY (system, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    key TEXT PRIMARY KEY, message_id TEXT NOT NULL, recipient TEXT NOT NULL, text TEXT NOT NULL,
    fate TEXT NOT NULL, receipt_at REAL NOT NULL) WITHOUT ROWID;
"""


class Store:
    """The file. `transaction()` is the only way in; it is thread safe and re-entrant."""

    def __init__(self, path: str) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        # A killed process loses nothing in WAL; only a power cut could, and a simulator may.
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._prepare()

    def _prepare(self) -> None:
        self._connection.executescript(SCHEMA)
        self._connection.executemany(
            "INSERT OR REPLACE INTO agreements VALUES (?, ?, ?, NULL)",
            [(p, CANARY, CANARY) for p in PARTNERS],
        )

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def reset(self) -> None:
        """Everything is gone, effects too (their table is dropped: it lets no row be deleted)."""
        with self._lock:
            for table in TABLES:
                self._connection.execute(f"DROP TABLE IF EXISTS {table}")
            self._prepare()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing of it, one thread at a time."""
        with self._lock:
            if self._depth:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    # Effects

    def effect(
        self, *, at: str, system: str, kind: str, subject: str, key: str = "", detail: str = ""
    ) -> None:
        """One line is appended. Call it in the transaction of what it records."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO effects (at, system, kind, subject, key, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (at, system, kind, subject, key, detail),
            )

    def effects(self, **filters: str) -> list[sqlite3.Row]:
        """Effects in order, by any of system, kind, subject and key."""
        where = " AND ".join(f"{name} = ?" for name in filters) or "1"
        return self.rows(f"SELECT * FROM effects WHERE {where} ORDER BY seq", *filters.values())

    def duplicates(self) -> list[sqlite3.Row]:
        """What happened more than once to the same subject though it may happen only once."""
        marks = ", ".join("?" * len(ONCE))
        return self.rows(
            f"SELECT system, kind, subject, COUNT(*) AS count FROM effects WHERE kind IN ({marks}) "
            "GROUP BY system, kind, subject HAVING COUNT(*) > 1 ORDER BY MIN(seq)",
            *ONCE,
        )

    def tally(self) -> list[sqlite3.Row]:
        return self.rows(
            "SELECT system, kind, COUNT(*) AS count FROM effects GROUP BY system, kind ORDER BY 1, 2"
        )

    # Operations: which key did what

    def operation(self, system: str, key: str) -> sqlite3.Row | None:
        return self.row("SELECT * FROM operations WHERE system = ? AND key = ?", system, key)

    def remember(self, *, system: str, key: str, kind: str, subject: str) -> None:
        with self.transaction() as connection:
            connection.execute("INSERT INTO operations VALUES (?, ?, ?, ?)", (system, key, kind, subject))

    # Bulk

    def put(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """The rows are there; rows with the same number are replaced."""
        if not rows:
            return
        marks = ", ".join("?" * len(rows[0]))
        with self.transaction() as connection:
            connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)
