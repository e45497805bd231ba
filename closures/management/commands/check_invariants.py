"""`manage.py check_invariants`: do the promises of the specification hold over all rows?"""

from __future__ import annotations

import unicodedata
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from closures.models import InvariantCheck
from closures.services import invariants

HEADINGS = ("", "invariant", "examined", "violations", "holds")


class Command(BaseCommand):
    help = "Checks the invariants over all rows and keeps the results; ends with 1 if any does not hold."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", default="", help="numbers, such as 1,2 (default: all)")

    def handle(self, *args: Any, only: str, **options: Any) -> None:
        try:
            numbers = [int(part) for part in only.split(",")] if only else None
            results = invariants.run(now=timezone.now(), only=numbers)
        except ValueError as error:
            raise CommandError(f"--only {only}: {error}") from error
        self._print(results)
        broken = [str(result.number) for result in results if result.violations]
        if broken:
            raise CommandError(f"Does not hold: {', '.join(broken)}")

    def _print(self, results: list[InvariantCheck]) -> None:
        rows = [
            (
                str(result.number),
                str(invariants.INVARIANTS[result.number].what),
                str(result.examined),
                str(result.violations),
                "NO" if result.violations else "yes",
            )
            for result in results
        ]
        widths = [max(map(width, column)) for column in zip(HEADINGS, *rows, strict=True)]
        for row in (HEADINGS, *rows):
            cells = (text + " " * (wide - width(text)) for text, wide in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())
        for result in results:
            for example in result.examples:
                self.stdout.write(f"{result.number}: {example}")


def width(text: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
