"""A database of its own for each test whose work is done by other processes.

Other processes see only what is committed, so the test's usual transaction will not do. A template with the
shipped rows, the demo's staff and its pace is made once per session; each test gets a copy, and the test's
own connection is to that copy while it runs.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from closures.demo import people
from closures.demo.world import quicken


@dataclass(frozen=True)
class Template:
    """The database that copies are made of, on the server or in the folder that the settings name."""

    name: str
    folder: Path

    @property
    def on_a_server(self) -> bool:
        return connections["default"].vendor != "sqlite"

    @contextmanager
    def copy(self) -> Iterator[str]:
        """The URL of a copy, gone afterwards; this thread's default connection is to it meanwhile."""
        name = f"{self.name}_{uuid.uuid4().hex[:8]}"
        if self.on_a_server:
            on_server(f'CREATE DATABASE "{name}" TEMPLATE "{self.name}"')
        else:
            shutil.copy(self.folder / self.name, self.folder / name)
        with connected_to(self.place(name)):
            yield url_of(self.place(name))
        if self.on_a_server:
            on_server(f'DROP DATABASE "{name}" WITH (FORCE)')
        else:
            for leftover in self.folder.glob(f"{name}*"):
                leftover.unlink()

    def make(self) -> None:
        """Migrated, with the demo's staff, and with waiting periods of seconds."""
        if self.on_a_server:
            on_server(f'CREATE DATABASE "{self.name}"')
        with connected_to(self.place(self.name)):
            call_command("migrate", verbosity=0, run_syncdb=True)  # as the suite's own: from the models
            people.hire(now=timezone.now())
            quicken(now=timezone.now())

    def drop(self) -> None:
        if self.on_a_server:
            on_server(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def place(self, name: str) -> str:
        return name if self.on_a_server else str(self.folder / name)


def on_server(statement: str) -> None:
    """One statement that needs a connection to no database of ours."""
    import psycopg  # noqa: PLC0415

    wanted = connections["default"].settings_dict
    given = {
        "host": wanted["HOST"],
        "port": wanted["PORT"],
        "user": wanted["USER"],
        "password": wanted["PASSWORD"],
    }
    filled = {name: value for name, value in given.items() if value}
    with closing(psycopg.connect(dbname="postgres", autocommit=True, **filled)) as connection:
        connection.execute(statement)  # type: ignore[arg-type]  # names are ours


@contextmanager
def connected_to(name: str) -> Iterator[None]:
    """This thread's default connection is to the database of that name."""
    usual = connections["default"]
    other = usual.copy()
    other.settings_dict["NAME"] = name
    connections["default"] = other
    try:
        yield
    finally:
        other.close()
        connections["default"] = usual


def url_of(name: str) -> str:
    """DATABASE_URL of a database beside the present one."""
    settings = connections["default"].settings_dict
    if connections["default"].vendor == "sqlite":
        return f"sqlite:///{name}"
    who = quote(settings["USER"] or "", safe="")
    if settings["PASSWORD"]:
        who += ":" + quote(settings["PASSWORD"], safe="")
    where = quote(settings["HOST"] or "", safe="") + (f":{settings['PORT']}" if settings["PORT"] else "")
    return f"postgres://{who + '@' if who else ''}{where}/{name}"


Unblocked = Callable[[], AbstractContextManager[Any]]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[Template]:
    made = Template(name=f"own_{uuid.uuid4().hex[:8]}", folder=tmp_path_factory.mktemp("own"))
    with django_db_blocker.unblock():
        try:
            made.make()
            yield made
        finally:
            made.drop()


@pytest.fixture
def own_database(template: Template, django_db_blocker: Any) -> Iterator[str]:
    """The URL of this test's own database, prepared as a demo's is; the test is connected to it too."""
    with django_db_blocker.unblock(), template.copy() as url:
        yield url
