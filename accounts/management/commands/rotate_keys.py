"""`manage.py rotate_keys`: put every seal under the first key of FIELD_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts import pii
from accounts.services import keys


class Command(BaseCommand):
    help = (
        "Reseals whatever is not under the first key of FIELD_KEYS, in batches. Stop and start it at will; "
        "take the old key out of FIELD_KEYS once it reports nothing unreadable."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=500, help="rows in one transaction (default 500)")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar, even on a terminal")

    def handle(self, *args: Any, batch: int, no_progress: bool, **options: Any) -> None:
        unreadable = 0
        for table in pii.sealed_tables():
            name = table.model._meta.label
            # disable=None lets tqdm itself decide: a bar on a terminal only.
            with tqdm(desc=name, unit="row", disable=True if no_progress else None) as bar:
                done = keys.rotate(table=table, batch=batch, progress=bar.update)
            unreadable += len(done.unreadable)
            self.stdout.write(f"{name}: resealed={done.resealed} unreadable={len(done.unreadable)}")
            if done.unreadable:
                first = ", ".join(map(str, done.unreadable[:20]))
                self.stderr.write(f"{name}: cannot be read, left alone: pk {first}")
        if unreadable:
            raise CommandError(f"{unreadable} rows cannot be read with the keys given; keep every old key.")
