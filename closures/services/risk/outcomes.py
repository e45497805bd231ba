"""Known outcomes of accounts, taken in from a file, batch by batch as every extract (accounts.imports)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from accounts.actors import Actor
from accounts.imports import loading
from accounts.imports.entries import Entry
from accounts.imports.outcomes import Outcome
from accounts.imports.reading import Line
from accounts.imports.reasons import Problem, Reason
from accounts.imports.seen import Seen
from accounts.models import CreditAccount
from accounts.statements import new_ids
from closures.models import LabelledOutcome

FLAGS = {"0": False, "1": True}


class OutcomeLine(NamedTuple):
    account_no: str
    defaulted: bool


class OutcomeImport:
    """How a file of outcomes is kept under the name of its set. The same file twice changes nothing."""

    columns = ("account_no", "defaulted")
    tables = (LabelledOutcome,)

    def __init__(self, *, labels: str, as_of_on: date, actor: Actor, reason: str, now: datetime) -> None:
        self.labels, self.as_of_on = labels, as_of_on

    def prepare(self, line: Line) -> Entry[Any]:
        """What the line says; pure, so it can be done while the batch before is written."""
        if line.problem:
            return Entry(line.number, problems=(Problem("", line.problem),))
        account_no, flag = (value.strip() for value in line.values)
        problems = []
        if not account_no:
            problems.append(Problem("account_no", Reason.MISSING))
        if flag not in FLAGS:
            problems.append(Problem("defaulted", Reason.NOT_A_FLAG))
        if problems:
            return Entry(line.number, problems=problems)
        row: Any = OutcomeLine(account_no, FLAGS[flag])
        return Entry(line.number, account_no, row=row)

    def keep(self, entries: Sequence[Entry[Any]], *, seen: Seen) -> Outcome:
        """The good lines are in the database; the caller holds the transaction. Safe to repeat."""
        outcome, good = Outcome(), self._judged(entries, seen=seen)
        for entry in entries:
            if not isinstance(problems := good[entry.line], int):
                outcome.reject(entry.line, problems)
        new, changed = [], {True: [], False: []}  # type: ignore[var-annotated]
        known = self._known(pk for pk in good.values() if isinstance(pk, int))
        for entry in entries:
            account_id = good[entry.line]
            if not isinstance(account_id, int):
                continue
            outcome.kept.append(entry.key)
            defaulted = entry.row.defaulted  # type: ignore[union-attr]
            if account_id not in known:
                new.append((account_id, defaulted))
                outcome.counts.imported += 1
            elif known[account_id] != defaulted:
                changed[defaulted].append(account_id)
                outcome.counts.updated += 1
            else:
                outcome.counts.unchanged += 1
        self._write(new, changed)
        return outcome

    def _judged(self, entries: Sequence[Entry[Any]], *, seen: Seen) -> dict[int, int | list[Problem]]:
        """Line → its account's key, or why it cannot be kept."""
        numbers = [entry.key for entry in entries if not entry.problems]
        rows = CreditAccount.objects.filter(account_no__among=numbers)
        accounts = dict(rows.values_list("account_no", "pk"))
        taken = seen.among(numbers)
        judged: dict[int, int | list[Problem]] = {}
        for entry in entries:
            if entry.problems:
                judged[entry.line] = list(entry.problems)
            elif entry.key in taken:
                judged[entry.line] = [Problem("account_no", Reason.TWICE)]
            elif entry.key not in accounts:
                judged[entry.line] = [Problem("account_no", Reason.UNKNOWN_ACCOUNT)]
            else:
                taken.add(entry.key)
                judged[entry.line] = accounts[entry.key]
        return judged

    def _known(self, account_ids: Any) -> dict[int, bool]:
        rows = LabelledOutcome.objects.filter(labels=self.labels, account_id__among=list(account_ids))
        return dict(rows.values_list("account_id", "defaulted"))

    def _write(self, new: list[tuple[int, bool]], changed: dict[bool, list[int]]) -> None:
        if new:
            keys = new_ids(LabelledOutcome, len(new))
            loading.insert(
                LabelledOutcome,
                ("id", "account", "labels", "defaulted", "as_of_on"),
                [
                    (key, pk, self.labels, bad, self.as_of_on)
                    for key, (pk, bad) in zip(keys, new, strict=True)
                ],
            )
        for defaulted, account_ids in changed.items():
            if account_ids:
                LabelledOutcome.objects.filter(labels=self.labels, account_id__among=account_ids).update(
                    defaulted=defaulted, as_of_on=self.as_of_on
                )
