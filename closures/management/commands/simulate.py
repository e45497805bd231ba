"""`manage.py simulate`: the simulated outside, as a process of its own."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from closures.simulator import command


class Command(BaseCommand):
    """Partners, SMS provider and core ledger on one port, with their own ledger of effects."""

    help = "Simulate partners, SMS provider and core ledger"
    requires_system_checks: list[str] = []  # it shares nothing with the project, so nothing to check

    def add_arguments(self, parser: CommandParser) -> None:
        command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(command.run(argparse.Namespace(**options)))
