"""What became of the lines of a file: the counts of the summary, and the rejects file."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from accounts.imports.reasons import MESSAGES, Problem, Reason


class Remark(NamedTuple):
    """A line that was rejected, or kept and flagged; never a value from it."""

    line: int
    column: str
    reason: Reason


@dataclass
class Counts:
    """Lines by what they did. Every line counts once, but for `flagged`, which are kept lines too."""

    imported: int = 0  # a new row
    updated: int = 0  # a row changed, with history
    unchanged: int = 0  # nothing to write but, at most, a newer ledger date
    stale: int = 0  # older than what is known; nothing was written
    rejected: int = 0
    flagged: int = 0
    later_money: int = 0  # money on a closed account: kept apart, the account stays as it was closed

    def add(self, other: Counts) -> None:
        for each in fields(Counts):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def as_dict(self) -> dict[str, int]:
        return {each.name: getattr(self, each.name) for each in fields(Counts)}

    def __str__(self) -> str:
        return " ".join(f"{name}={count}" for name, count in self.as_dict().items())


@dataclass
class Outcome:
    """What became of one batch."""

    counts: Counts = field(default_factory=Counts)
    remarks: list[Remark] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # the keys a later line of the file may not use again

    def reject(self, line: int, problems: Iterable[Problem]) -> None:
        self.counts.rejected += 1
        self.remarks += [Remark(line, column, reason) for column, reason in problems]

    def flag(self, line: int, column: str, reason: Reason) -> None:
        self.counts.flagged += 1
        self.remarks.append(Remark(line, column, reason))

    def add(self, other: Outcome) -> None:
        self.counts.add(other.counts)
        self.remarks += other.remarks
        self.kept += other.kept


class RejectsFile:
    """line, column, reason and message of every remark; the file is made with the first of them."""

    HEADER = ("line", "column", "reason", "message")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None
        self._writer: Any = None

    @property
    def written(self) -> bool:
        return self._file is not None

    def write(self, remarks: Iterable[Remark]) -> None:
        for remark in sorted(remarks):
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("w", encoding="utf-8", newline="")
                self._writer = csv.writer(self._file)
                self._writer.writerow(self.HEADER)
            self._writer.writerow([remark.line, remark.column, remark.reason, MESSAGES[remark.reason]])
        if self._file is not None:
            self._file.flush()

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
