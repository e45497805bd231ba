"""`manage.py demo`: set up, start everything, tell the stories. `--once` stops afterwards."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from closures.demo import run


class Command(BaseCommand):
    help = "Starts the whole product on embedded defaults and tells its stories"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop after the stories, exit 0 or 1")

    def handle(self, *args: Any, **options: Any) -> None:
        run.prepare()
        sys.exit(run.start(once=options["once"]))
