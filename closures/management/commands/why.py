"""`manage.py why NUMBER`: what a ticket, task, complaint, reversal or later money waits for, in words."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation

from closures.selectors import health


class Command(BaseCommand):
    help = "Says in one sentence what a case waits for, since when, whose move it is and what comes next."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", help="a number, or the key of a task")
        parser.add_argument("--language", default=settings.LANGUAGE_CODE, choices=["zh-hans", "en"])

    def handle(self, *args: Any, number: str, language: str, **options: Any) -> None:
        with translation.override(language):
            waiting = health.why(number)
            if waiting is None:
                raise CommandError(f"Nothing has the number {number}.")
            self.stdout.write(str(waiting))
