"""What `import_accounts` and `import_agreements` share: arguments, progress, summary, exit code."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from accounts.actors import Actor
from accounts.errors import Refusal
from accounts.imports.outcomes import RejectsFile
from accounts.imports.runs import Summary, import_file


class ImportCommand(BaseCommand):
    """Keeps every good line and lists every other one; exit code 0 unless the file itself is unusable."""

    kind: type[Any]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the extract: CSV, plain or gz, UTF-8")
        parser.add_argument("--rejects", type=Path, help="where rejected and flagged lines are listed")
        parser.add_argument("--json", action="store_true", help="print the summary as JSON")
        parser.add_argument("--progress", action="store_true", help="a progress bar even without a terminal")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar even on a terminal")

    def handle(self, *args: Any, **options: Any) -> None:
        path, now = options["file"], timezone.now()
        kind = self.kind(actor=Actor.job("import"), reason=f"import of {path.name}", now=now)
        rejects = RejectsFile(options["rejects"] or _rejects_path(path, now))
        # None lets tqdm itself decide: a bar on a terminal only.
        hidden = True if options["no_progress"] else False if options["progress"] else None
        try:
            with rejects, _bar(path, hidden=hidden) as bar:
                summary = import_file(path, kind=kind, rejects=rejects, progress=bar.update)
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror or error}") from error
        self._report(summary, rejects=rejects, as_json=options["json"])

    def _report(self, summary: Summary, *, rejects: RejectsFile, as_json: bool) -> None:
        listed = str(rejects.path) if rejects.written else None
        if as_json:
            self.stdout.write(json.dumps({**summary.counts.as_dict(), "rejects": listed}))
        else:
            self.stdout.write(str(summary.counts))
            if listed:
                self.stdout.write(f"rejected and flagged lines: {listed}")
        if summary.damaged:
            raise CommandError(
                f"{summary.damaged.message} The whole batches before the damage were kept, as counted above."
            )


def _rejects_path(path: Path, now: datetime) -> Path:
    return settings.VAR_DIR / "rejects" / f"{path.name.split('.')[0]}-{now:%Y%m%dT%H%M%S%f}.csv"


def _bar(path: Path, *, hidden: bool | None) -> tqdm[Any]:
    total = path.stat().st_size
    return tqdm(total=total, desc=path.name, unit="B", unit_scale=True, disable=hidden)
