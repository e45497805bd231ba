"""Every string a person reads has its Chinese."""

from __future__ import annotations

import ast
import re
from functools import cache

import polib

from tests.guards.sources import ROOT, modules

MARKS = {"_", "gettext", "gettext_lazy", "translate", "pgettext_lazy"}
IN_TEMPLATES = re.compile(r"""{%\s*(?:translate|trans)\s+(?:"([^"]+)"|'([^']+)')""")


@cache
def msgids() -> dict[str, str]:
    found: dict[str, str] = {}
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if (
                not isinstance(node, ast.Call)
                or not isinstance(node.func, ast.Name)
                or node.func.id not in MARKS
            ):
                continue
            place = 1 if node.func.id.startswith("pgettext") else 0  # after the context
            first = node.args[place] if len(node.args) > place else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found[first.value] = path
    for template in (ROOT / "templates").rglob("*.html"):
        for double, single in IN_TEMPLATES.findall(template.read_text()):
            found[double or single] = str(template.relative_to(ROOT))
    return found


@cache
def catalogue() -> dict[str, str]:
    """What Chinese a msgid has, ours first, then the framework's."""
    entries: dict[str, str] = {}
    for po in ("config/locale/unfold", "config/locale"):
        for entry in polib.pofile(str(ROOT / po / "zh_Hans/LC_MESSAGES/django.po")):
            if "fuzzy" not in entry.flags:
                entries[entry.msgid] = entry.msgstr or "".join(entry.msgstr_plural.values())
    return entries


def test_every_string_has_its_chinese() -> None:
    chinese = catalogue()
    assert {text: where for text, where in msgids().items() if not chinese.get(text)} == {}


def test_placeholders_survive_translation() -> None:
    hole = re.compile(r"%\(\w+\)[sd]|\{\w*\}")
    torn = {
        text: said
        for text, said in catalogue().items()
        if said and text in msgids() and sorted(set(hole.findall(text))) != sorted(set(hole.findall(said)))
    }
    assert torn == {}
