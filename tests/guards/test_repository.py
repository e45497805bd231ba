"""The repository guards itself: layers, sizes, migrations, catalogues, no path of anybody's machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.guards.sources import ROOT, modules

LONGEST_MODULE, LONGEST_FUNCTION = 400, 50
ROOT_ENTRIES = {
    "manage.py", "closures", "accounts", "config", "templates", "tests", "docs", "requirements.txt",
    "requirements-dev.txt", "pyproject.toml", "Makefile", "Procfile", "README.md", "README_zh.md", "LICENSE",
    ".ci", ".env.example", ".gitignore",
}  # fmt: skip


def test_imports_only_go_down() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted(modules()))
def test_no_module_hides_a_missing_concept(path: str) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= LONGEST_MODULE


def test_no_function_hides_a_missing_concept() -> None:
    long = [
        f"{path}:{node.lineno} {node.name} {node.end_lineno - node.lineno + 1}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


@pytest.mark.django_db
def test_the_migrations_are_the_models() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_the_catalogues_are_compiled() -> None:
    call_command("compile_catalogues", check=True)


def tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.splitlines()


def test_the_root_holds_what_was_agreed() -> None:
    assert {name.split("/")[0] for name in tracked_files()} <= ROOT_ENTRIES


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    place = re.compile(r"/(?:home|Users|root|work|tmp/pip)/\w+")
    found = []
    for name in tracked_files():
        if name.endswith((".mo", ".png", ".svg")) or name == "tests/guards/test_repository.py":
            continue
        text = (ROOT / name).read_text(errors="ignore") if (ROOT / name).is_file() else ""
        found += [f"{name}: {match.group()}" for match in place.finditer(text)]
    assert found == []
