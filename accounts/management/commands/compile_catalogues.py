"""`manage.py compile_catalogues`: write the .mo file that stands beside every .po file of ours.

The .mo files are committed: Django reads nothing else, and requirements.txt alone has to serve Chinese.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

try:
    import polib
except ImportError:  # requirements.txt alone: the committed .mo files are all that is needed to serve
    polib = None


class Command(BaseCommand):
    help = (
        "Compiles every .po file below LOCALE_PATHS, without a gettext binary. The same .po gives the same "
        "bytes on every machine, so a second run changes nothing. With --check nothing is written."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="exit 1 if a .mo file is missing or does not say what its .po says",
        )

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        if polib is None:
            raise CommandError("Compiling needs polib: install requirements-dev.txt.")
        stale = [(path, content) for path, content in _compiled() if _read(path) != content]
        if check and stale:
            names = "\n".join(f"  {path}" for path, _ in stale)
            raise CommandError(f"Missing or not as its .po file says; run compile_catalogues:\n{names}")
        for path, content in stale:
            path.write_bytes(content)
            self.stdout.write(f"wrote {path}")
        if not stale:
            self.stdout.write("every catalogue is as its .po file says")


def _compiled() -> list[tuple[Path, bytes]]:
    # A set, because one of LOCALE_PATHS may lie below another.
    sources = {source.resolve() for root in settings.LOCALE_PATHS for source in Path(root).rglob("*.po")}
    return [(source.with_suffix(".mo"), _compile(source)) for source in sorted(sources)]


def _compile(source: Path) -> bytes:
    try:
        # A msgid that stands twice would be decided by its place in the file.
        catalogue = polib.pofile(str(source), encoding="utf-8", check_for_duplicates=True)
    except (OSError, ValueError) as error:
        raise CommandError(f"{source}: {error}") from error
    # tools stamp these; the time of an edit is no content, and would make every edit a conflict
    for stamp in ("POT-Creation-Date", "PO-Revision-Date"):
        catalogue.metadata.pop(stamp, None)
    return catalogue.to_binary()


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
