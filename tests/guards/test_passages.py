"""What `{% translate %}` and `{% blocktranslate %}` say, and plurals and phrases of Python, has its Chinese.

Beside test_translations, which reads the plain marks: here Django's own extraction reads the templates.
"""

from __future__ import annotations

import ast
import re

import polib
import pytest
from django.utils.translation.template import templatize

from tests.guards.sources import ROOT, calls, modules

TEMPLATES = sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / "templates").rglob("*.html") if path.is_file()
)
LITERAL = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
MARKED = re.compile(rf"(?:gettext|_)\(u?({LITERAL})(?:,\s*u?({LITERAL}))?")
PLURALS = {"ngettext", "ngettext_lazy"}
PHRASES = {"gettext_noop", "pgettext", "pgettext_lazy"}


def catalogue() -> dict[str, polib.POEntry]:
    found: dict[str, polib.POEntry] = {}
    for po in ("config/locale/unfold", "config/locale"):
        for entry in polib.pofile(str(ROOT / po / "zh_Hans/LC_MESSAGES/django.po")):
            if not entry.obsolete:
                found[entry.msgid] = entry
    return found


def chinese(entry: polib.POEntry | None) -> bool:
    if entry is None or entry.fuzzy:
        return False
    return all(entry.msgstr_plural.values()) if entry.msgid_plural else bool(entry.msgstr)


def test_the_extraction_finds_what_is_there() -> None:
    source = (
        '{% blocktranslate trimmed with a=b %}\n One {{ a }}\n{% endblocktranslate %}{% translate "Two" %}'
    )
    assert [ast.literal_eval(m[1]) for m in MARKED.finditer(templatize(source))] == ["One %(a)s", "Two"]


@pytest.mark.parametrize("path", TEMPLATES)
def test_every_passage_of_a_template_has_its_chinese(path: str) -> None:
    known = catalogue()
    said = [ast.literal_eval(m[1]) for m in MARKED.finditer(templatize((ROOT / path).read_text()))]
    assert [text for text in said if not chinese(known.get(text))] == []


def test_every_plural_and_every_phrase_of_python_has_its_chinese() -> None:
    known = catalogue()
    missing = {}
    for path, tree in modules().items():
        for name, call in calls(tree):
            mark = name.split(".")[-1]
            if mark in PLURALS | PHRASES and call.args:
                first = call.args[1 if mark.startswith("p") else 0]
                if isinstance(first, ast.Constant) and not chinese(known.get(first.value)):
                    missing[first.value] = path
    assert missing == {}


def test_nothing_in_our_catalogue_is_fuzzy_or_empty() -> None:
    own = polib.pofile(str(ROOT / "config/locale/zh_Hans/LC_MESSAGES/django.po"))
    assert [entry.msgid for entry in own if not entry.obsolete and not chinese(entry)] == []
