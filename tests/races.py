"""Things that happen at the same moment: only a database with row locks can tell who was first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

ON_POSTGRES = "postgresql" in settings.DATABASES["default"]["ENGINE"]


def race(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that races threads: PostgreSQL only, and every transaction really commits."""
    for mark in (
        pytest.mark.postgres,
        pytest.mark.skipif(not ON_POSTGRES, reason="row locks need PostgreSQL"),
        pytest.mark.django_db(transaction=True),
    ):
        test = mark(test)
    return test


def at_once(*acts: Callable[[], Any], patience: float = 30) -> Sequence[Any]:
    """Every act begins at the same moment on a connection of its own; what each gave, or what it raised."""
    gate = threading.Barrier(len(acts))
    ends: list[Any] = [None] * len(acts)

    def run(n: int) -> None:
        try:
            connection.ensure_connection()
            gate.wait(patience)
            ends[n] = acts[n]()
        except Exception as error:  # the test judges what came of it
            ends[n] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience)
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    return ends
