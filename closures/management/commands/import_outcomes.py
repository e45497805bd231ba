"""`manage.py import_outcomes FILE`: accounts whose outcome is known, for back-tests of risk rules."""

from __future__ import annotations

import functools
from datetime import date
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from accounts.management.commands._import import ImportCommand
from closures.services.risk.outcomes import OutcomeImport


class Command(ImportCommand):
    help = (
        "Imports known outcomes (account_no, defaulted) under the name of a set. The same file twice changes "
        "nothing; lines of unknown accounts are rejected."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--labels", help="the name of the set; by default the file's name")
        parser.add_argument("--as-of", type=date.fromisoformat, help="the day it was known; by default today")

    def handle(self, *args: Any, **options: Any) -> None:
        labels = options["labels"] or options["file"].name.split(".")[0]
        as_of_on = options["as_of"] or timezone.localdate()
        self.kind = functools.partial(OutcomeImport, labels=labels[:60], as_of_on=as_of_on)  # type: ignore[assignment]
        super().handle(*args, **options)
