"""Notice texts on disk become versions in the database; a version that was used is never edited (SPEC §5)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, router

from closures.models import NoticeTemplate
from closures.models.notices import NoticeChannel, NoticeKind

FOLDER = Path(settings.BASE_DIR) / "templates" / "notices"
LANGUAGES = ("zh-hans", "en")
# A shared passage is copied into the text when it is shipped, so that every version is whole by itself.
INCLUDE = re.compile(r'^\{% include "([a-z_]+/[a-z_]+\.[a-z-]+\.txt)" %\}\n?', re.MULTILINE)
SUBJECT = "Subject: "


class Malformed(ValueError):
    """A text on disk lacks its subject line, or the blank line after it."""


def ship(*, using: str = DEFAULT_DB_ALIAS, folder: Path = FOLDER) -> int:
    """Every text under `folder` is the newest version of its kind; returns how many versions are new.

    Texts are `<kind>/<channel>.<language>.txt`: "Subject: …", a blank line, the body, in Django's template
    language. Nothing is written when nothing has changed, and nothing at all on a database without our
    table (a migrate backwards, another alias). Safe to repeat and to run twice at once.

    Raises: Malformed, FileNotFoundError (a kind, channel and language without a text).
    """
    table = NoticeTemplate._meta.db_table
    if not router.allow_migrate_model(using, NoticeTemplate):
        return 0
    if table not in connections[using].introspection.table_names():
        return 0
    newest: dict[tuple[str, str, str], tuple[int, str]] = {}
    rows = NoticeTemplate.objects.using(using).order_by("version")
    for kind, channel, language, version, digest in rows.values_list(
        "kind", "channel", "language", "version", "digest"
    ):
        newest[kind, channel, language] = version, digest
    fresh = []
    for template in texts(folder):
        version, digest = newest.get((template.kind, template.channel, template.language), (0, ""))
        if template.digest != digest:
            template.version = version + 1
            fresh.append(template)
    if fresh:
        # Two processes that migrate at once both find the text new; one of them wins.
        NoticeTemplate.objects.using(using).bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


def texts(folder: Path = FOLDER) -> Iterator[NoticeTemplate]:
    """One unsaved template, without a version, for every kind, channel and language.

    Raises: Malformed, FileNotFoundError.
    """
    passages: dict[str, str] = {}
    for kind in NoticeKind.values:
        for channel in NoticeChannel.values:
            for language in LANGUAGES:
                name = f"{kind.lower()}/{channel.lower()}.{language}.txt"
                subject, body = _parse(name, _whole(folder, name, passages))
                yield NoticeTemplate(
                    kind=kind,
                    channel=channel,
                    language=language,
                    subject=subject,
                    body=body,
                    digest=hashlib.sha256(f"{subject}\n\n{body}".encode()).hexdigest(),
                )


def _whole(folder: Path, name: str, passages: dict[str, str]) -> str:
    """The file with its passages in place; each file is read once."""
    if name not in passages:
        read = (folder / name).read_text(encoding="utf-8")
        passages[name] = INCLUDE.sub(lambda found: _whole(folder, found[1], passages), read)
    return passages[name]


def _parse(name: str, text: str) -> tuple[str, str]:
    first, blank, body = [*text.split("\n", 2), "", ""][:3]
    if not first.startswith(SUBJECT) or blank.strip() or not body.strip():
        raise Malformed(f"{name}: expected “{SUBJECT}…”, a blank line and the text")
    return first.removeprefix(SUBJECT).strip(), body.strip()
