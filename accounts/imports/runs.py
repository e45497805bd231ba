"""One file from its first line to its last: batches, one transaction each, and what became of them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from django.db import DataError, IntegrityError, OperationalError, reset_queries, transaction
from django.db.models import Model

from accounts.imports import loading
from accounts.imports.entries import Entry
from accounts.imports.outcomes import Counts, Outcome, RejectsFile
from accounts.imports.reading import Damaged, Extract, Line
from accounts.imports.reasons import Problem, Reason
from accounts.imports.seen import Seen

DEADLOCK = "40P01"  # PostgreSQL: this transaction was chosen to give way
BATCH_LINES = 2000  # PERFORMANCE: 2,000-5,000 rows a batch

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Import(Protocol):
    """What one kind of extract knows: its columns, what a line says, and how a batch of lines is kept."""

    columns: tuple[str, ...]
    tables: tuple[type[Model], ...]  # that grow

    def prepare(self, line: Line) -> Entry[Any]: ...

    def keep(self, entries: Sequence[Entry[Any]], *, seen: Seen) -> Outcome: ...


@dataclass
class Summary:
    counts: Counts = field(default_factory=Counts)
    damaged: Damaged | None = None  # the file ended early; `counts` are of the whole batches before


def import_file(
    path: Path,
    *,
    kind: Import,
    rejects: RejectsFile,
    progress: Callable[[int], Any] = lambda file_bytes: None,
    batch_lines: int = BATCH_LINES,
) -> Summary:
    """Every good line of the file is in the database, every other one in the rejects file.

    One transaction per batch, so what was done stays done whatever follows; safe to repeat. Raises
    `WrongEncoding` and `WrongHeader` before anything is read.
    """
    summary, seen = Summary(), Seen()
    try:
        with Extract(path, columns=kind.columns) as extract:
            progressed = 0
            for entries in _ahead(_batches(extract, kind=kind, size=batch_lines)):
                outcome = _kept(kind, entries, seen=seen)
                seen.add(outcome.kept)
                summary.counts.add(outcome.counts)
                rejects.write(outcome.remarks)
                loading.keep_statistics(kind.tables, rows=summary.counts.imported)
                progress(extract.bytes_read - progressed)
                progressed = extract.bytes_read
                reset_queries()  # with DEBUG on, Django keeps every statement; memory must stay flat
    except Damaged as damaged:
        summary.damaged = damaged
    finally:
        seen.close()
    return summary


def _batches(extract: Extract, *, kind: Import, size: int) -> Iterator[list[Entry[Any]]]:
    entries = map(kind.prepare, extract)
    while batch := list(itertools.islice(entries, size)):
        yield batch


def _ahead(batches: Iterator[T]) -> Iterator[T]:
    """The same batches, each made by a second thread while the one before it is being written.

    Preparing takes the interpreter, writing mostly waits for the database: together they take little
    longer than the longer of the two. One batch ahead, so memory stays flat.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare") as pool:
        upcoming = pool.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = pool.submit(next, batches, None)
            yield batch


def _kept(kind: Import, entries: Sequence[Entry[Any]], *, seen: Seen, tries: int = 3) -> Outcome:
    """Keep a batch in one transaction; when the database refuses it, keep its halves, down to one line.

    The lines are judged before they are written, so a refusal means that somebody wrote the same rows
    meanwhile, or a rule the judging does not know: it costs the one line and not its two thousand
    neighbours.
    """
    try:
        with transaction.atomic():
            loading.take_turn()
            return kind.keep(entries, seen=seen)
    except OperationalError as error:
        # A worker locks an account before its agreements, an import many at once: they may meet head-on.
        if getattr(error.__cause__, "sqlstate", "") != DEADLOCK or tries <= 1:
            raise
        return _kept(kind, entries, seen=seen, tries=tries - 1)
    except (IntegrityError, DataError) as error:
        if len(entries) == 1:
            logger.warning("line %s was refused by the database: %s", entries[0].line, type(error).__name__)
            outcome = Outcome()
            outcome.reject(entries[0].line, [Problem("", Reason.REFUSED)])
            return outcome
    half = len(entries) // 2
    first = _kept(kind, entries[:half], seen=seen)
    seen.add(first.kept)
    first.add(_kept(kind, entries[half:], seen=seen))
    return first
