"""Which numbers a file has brought already: exact, and in flat memory however long the file is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence


class Seen:
    """A set of keys that spills to a temporary file of its own, gone when closed.

    # Note [Why not a Python set]
    200,000 keys in a set are some 20 MB, as much as everything else the import holds; an unnamed
    SQLite database keeps a cache of fixed size and puts the rest on disk.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("")  # SQLite's own name for a private temporary file
        self._db.execute("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")

    def among(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that were added before."""
        found: set[str] = set()
        for start in range(0, len(keys), 500):  # within SQLite's limit of parameters
            some = keys[start : start + 500]
            marks = ",".join("?" * len(some))
            found.update(
                row[0] for row in self._db.execute(f"SELECT key FROM seen WHERE key IN ({marks})", some)
            )
        return found

    def add(self, keys: Iterable[str]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ((key,) for key in keys))

    def close(self) -> None:
        self._db.close()
