"""`manage.py demo_stories`: tell the stories against running workers and a running simulator."""

import os
import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from closures.demo import telling


class Command(BaseCommand):
    help = "Tells the demo's stories; exit code 1 if one did not go as expected"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--stay", action="store_true", help="wait for Ctrl-C afterwards")

    def handle(self, *args: Any, **options: Any) -> None:
        good = telling.tell_all(write=self.stdout.write)
        if options["stay"]:
            telling.where_to_sign_in(write=self.stdout.write, port=os.environ.get("WEB_PORT", "8000"))
            signal.pause()
        sys.exit(0 if good else 1)
