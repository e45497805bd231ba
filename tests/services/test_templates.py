"""Texts on disk become versions, and only when they changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from closures.models import NoticeTemplate
from closures.models.notices import NoticeChannel, NoticeKind
from closures.services import templates

TEXTS = len(NoticeKind) * len(NoticeChannel) * len(templates.LANGUAGES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A short text for every kind, channel and language; one of them has a shared passage."""
    for kind in NoticeKind.values:
        (tmp_path / kind.lower()).mkdir()
        for channel in NoticeChannel.values:
            for language in templates.LANGUAGES:
                text = f"Subject: {kind}\n\n{channel} {language}\n"
                (tmp_path / kind.lower() / f"{channel.lower()}.{language}.txt").write_text(text)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "end.en.txt").write_text("the end of {{ ticket }}\n")
    (tmp_path / "closed" / "inbox.en.txt").write_text(
        'Subject: over\n\nIt is over.\n{% include "parts/end.en.txt" %}\n'
    )
    return tmp_path


def newest(kind: str, channel: str, language: str = "en") -> NoticeTemplate:
    rows = NoticeTemplate.objects.filter(kind=kind, channel=channel, language=language)
    return rows.latest("version")


@pytest.mark.django_db
def test_after_migrate_every_kind_channel_and_language_has_a_text() -> None:
    assert NoticeTemplate.objects.count() == TEXTS
    assert templates.ship() == 0
    assert NoticeTemplate.objects.count() == TEXTS


@pytest.mark.django_db
def test_a_changed_text_is_a_new_version_and_the_old_one_stays(folder: Path) -> None:
    NoticeTemplate.objects.all().delete()
    assert templates.ship(folder=folder) == TEXTS
    old = newest("CLOSED", "SMS")
    (folder / "closed" / "sms.en.txt").write_text("Subject: CLOSED\n\nanother text\n")
    assert templates.ship(folder=folder) == 1
    fresh = newest("CLOSED", "SMS")
    assert (fresh.version, fresh.body) == (2, "another text")
    assert NoticeTemplate.objects.get(pk=old.pk).body == "SMS en"
    assert templates.ship(folder=folder) == 0


@pytest.mark.django_db
def test_a_text_that_returns_to_an_earlier_one_is_a_new_version(folder: Path) -> None:
    NoticeTemplate.objects.all().delete()
    path = folder / "closed" / "sms.en.txt"
    first = path.read_text()
    for text in (first, "Subject: x\n\ny\n", first):
        path.write_text(text)
        templates.ship(folder=folder)
    assert newest("CLOSED", "SMS").version == 3


@pytest.mark.django_db
def test_a_shared_passage_is_copied_in_and_its_change_is_a_new_version(folder: Path) -> None:
    NoticeTemplate.objects.all().delete()
    templates.ship(folder=folder)
    assert newest("CLOSED", "INBOX").body == "It is over.\nthe end of {{ ticket }}"
    (folder / "parts" / "end.en.txt").write_text("bye\n")
    assert templates.ship(folder=folder) == 1
    assert newest("CLOSED", "INBOX").body == "It is over.\nbye"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["", "Subject: x", "Subject: x\n\n \n", "Subject: x\nno blank line\n", "no subject\n\nbody\n"]
)
def test_a_malformed_text_is_named_and_nothing_is_shipped(folder: Path, text: str) -> None:
    NoticeTemplate.objects.all().delete()
    (folder / "withdrawn" / "letter.en.txt").write_text(text)
    with pytest.raises(templates.Malformed, match=r"withdrawn/letter\.en\.txt"):
        templates.ship(folder=folder)
    assert not NoticeTemplate.objects.exists()


@pytest.mark.django_db
def test_a_missing_text_is_an_error_not_a_gap(folder: Path) -> None:
    (folder / "refused" / "sms.en.txt").unlink()
    with pytest.raises(FileNotFoundError):
        templates.ship(folder=folder)


@pytest.mark.django_db
def test_versions_are_whole_by_themselves() -> None:
    assert not NoticeTemplate.objects.filter(body__contains="include").exists()


@pytest.mark.django_db
def test_shipping_what_is_there_costs_a_look_because_every_flush_pays_for_it(
    django_assert_max_num_queries: Any,
) -> None:
    with django_assert_max_num_queries(3):
        assert templates.ship() == 0


@pytest.mark.django_db(transaction=True)
def test_a_flush_brings_the_texts_back() -> None:
    call_command("flush", interactive=False, verbosity=0)
    assert NoticeTemplate.objects.count() == TEXTS


def test_every_file_is_a_text_or_a_passage_that_is_used() -> None:
    used = "".join(path.read_text() for path in templates.FOLDER.rglob("*.txt"))
    for path in templates.FOLDER.rglob("*"):
        if path.is_dir():
            continue
        name = path.relative_to(templates.FOLDER).as_posix()
        channel, language = path.stem.split(".")
        text = path.parent.name.upper() in NoticeKind.values and channel.upper() in NoticeChannel.values
        assert language in templates.LANGUAGES
        assert text or f'{{% include "{name}" %}}' in used, name
