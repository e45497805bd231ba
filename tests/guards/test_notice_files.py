"""Every text on disk is somebody's: a kind, a channel, a language, or a passage that one of them includes."""

from __future__ import annotations

import pytest
from django.template import Engine

from closures.models.notices import NoticeChannel, NoticeKind
from closures.services import templates
from closures.services.templates import FOLDER, INCLUDE, LANGUAGES

EXPECTED = {
    f"{kind.lower()}/{channel.lower()}.{language}.txt"
    for kind in NoticeKind.values
    for channel in NoticeChannel.values
    for language in LANGUAGES
}


def files() -> set[str]:
    return {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}


def test_every_kind_has_a_text_for_every_channel_and_language() -> None:
    assert EXPECTED - files() == set()


def test_every_other_file_is_a_passage_that_some_text_includes() -> None:
    included = {name for path in FOLDER.rglob("*.txt") for name in INCLUDE.findall(path.read_text())}
    assert files() - EXPECTED == included - EXPECTED
    assert included <= files()


@pytest.mark.parametrize("text", list(templates.texts()), ids=lambda t: f"{t.kind}-{t.channel}-{t.language}")
def test_every_text_is_a_template_that_parses_and_is_whole(text: templates.NoticeTemplate) -> None:
    engine = Engine(autoescape=False)
    engine.from_string(text.subject)
    engine.from_string(text.body)
    assert text.subject and "{% include" not in text.body
