"""The suite's tables are made from the models; the migrations make the very same ones."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.own_database import Template, connected_to, on_server, url_of

OURS = ("accounts_", "closures_")
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.django_db(transaction=True)  # no transaction is open while databases change places


def tables() -> dict[str, Any]:
    """Every table of ours in the present database: its columns and types, its constraints and indexes."""
    found = {}
    here = connections["default"]
    with here.cursor() as cursor:
        for table in here.introspection.table_names(cursor):
            if not table.startswith(OURS):
                continue
            columns = here.introspection.get_table_description(cursor, table)
            rules = here.introspection.get_constraints(cursor, table)
            found[table] = (
                {column.name: (str(column.type_code), bool(column.null_ok)) for column in columns},
                {name: (sorted(rule["columns"] or ()), rule["unique"]) for name, rule in rules.items()}
                if here.vendor != "sqlite"  # which names some of them by their place
                else sorted((sorted(rule["columns"] or ()), rule["unique"]) for rule in rules.values()),
            )
    return found


@pytest.fixture
def migrated(tmp_path: Path) -> Any:
    """The name of a database that `manage.py migrate` has made, in a process of its own."""
    place = Template(name=f"own_{uuid.uuid4().hex[:8]}", folder=tmp_path)
    if place.on_a_server:
        on_server(f'CREATE DATABASE "{place.name}"')
    name = place.place(place.name)
    environment = {
        **os.environ,
        "DATABASE_URL": url_of(name),
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
    }
    made = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    yield name
    place.drop()


def test_the_migrations_make_the_tables_that_the_models_ask_for(migrated: str) -> None:
    asked_for = tables()
    with connected_to(migrated):
        made = tables()
    assert made == asked_for
    assert len(made) > 50
