"""What the benchmarks share: scratch databases, child processes on them, medians, slopes and tables.

Nothing here needs Django before `setup()`: a database is chosen by the environment of a child process.
"""

from __future__ import annotations

import gc
import math
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
DATABASES = ("postgresql", "sqlite")
# A database of the run's own: two runs at once must not drop each other's.
SCRATCH = f"bench_closures_{os.getpid()}"


def server() -> str:
    """The PostgreSQL server, as the URL of a database on it that stays as it is."""
    here = os.environ.get("DATABASE_URL", "")
    default = here if here.startswith("postgres") else "postgres://postgres@127.0.0.1:5432/postgres"
    return os.environ.get("BENCH_POSTGRES", default)


@contextmanager
def scratch(database: str) -> Iterator[str]:
    """The URL of an empty database, gone afterwards, also when the run is told to end."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            yield f"sqlite:///{folder}/bench.sqlite3"
        return
    import psycopg  # noqa: PLC0415

    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {SCRATCH}")
        try:
            yield f"{server().rpartition('/')[0]}/{SCRATCH}"
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)")


def in_child(module: str, url: str, *words: str) -> None:
    """Run `python -m module words…` on this database; what it prints is printed. Raises when it fails."""
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings.test", **os.environ, "DATABASE_URL": url}
    subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, env=environment, check=True)


def setup() -> None:
    """In a child: Django is ready, and the scratch database has its tables and shipped rows."""
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", verbosity=0)


def seconds(
    act: Callable[[], object], *, prepare: Callable[[], object] | None = None, rounds: int = 5
) -> float:
    """The median time of `act`, each time after `prepare`, which is not counted."""
    taken = []
    for _ in range(rounds):
        if prepare:
            prepare()
        gc.collect()
        before = time.perf_counter()
        act()
        taken.append(time.perf_counter() - before)
    return median(taken)


def slope(sizes: Sequence[int], taken: Sequence[float]) -> float:
    """The slope of log time over log size, by least squares: 1 is linear, 2 is quadratic."""
    xs, ys = [math.log(size) for size in sizes], [math.log(one) for one in taken]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def machine() -> str:
    """What the numbers depend on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        model = named[0] if named else model
    return (
        f"`python -m {' '.join(['tests.benchmarks', *sys.argv[1:]])}`: {os.cpu_count()} × {model}, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}; medians"
    )
