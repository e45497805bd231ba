"""Closings per second through two worker processes and the simulator, beside what latency alone allows.

`python -m tests.benchmarks.closings [--closings …] [--rounds …] [--latency …]`. Each closing has two
agreements and three notices. Then one process alone closes some, with a clock on every statement and call.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from statistics import median
from typing import Any

from tests.benchmarks import harness, plant

WORKERS = 2
CALLS_REMEMBERED = 20_000  # by the simulator; all rounds together must stay below
PATIENCE = 600.0  # seconds for one round


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.closings", description=__doc__)
    parser.add_argument("--closings", default="60")
    parser.add_argument("--rounds", default="5")
    parser.add_argument("--latency", default="0.05")
    # Run by the harness's own command line, nothing of it is ours.
    options, _ = parser.parse_known_args()
    with harness.scratch("postgresql") as url:
        words = (options.closings, options.rounds, options.latency)
        harness.in_child("tests.benchmarks.closings", url, "--inside", *words)


def inside(closings: int, rounds: int, latency: float) -> None:
    """In a child, on an empty database: measure and print."""
    harness.setup()
    with plant.plant(os.environ["DATABASE_URL"], latency=latency) as running:
        for number in range(WORKERS):
            running.workers.start(concurrency=1, beat=number == 0)
        _round(running, closings=4, tag="WU")  # the workers are up and have imported everything
        before = _calls(running)
        rates = [_round(running, closings=closings, tag=f"R{number}") for number in range(rounds)]
        calls = _calls(running) - before
        running.workers.stop()
        _show(rates, calls, closings=closings, latency=latency)
        _show_split(_alone(running, closings=max(10, closings // 3)))


def _round(running: plant.Plant, *, closings: int, tag: str) -> float:
    """So many requests at once, approved as they come; closings per second until the last is closed."""
    ids = plant.customers(running.control, number=closings, tag=tag)
    started = time.perf_counter()
    running.request(ids)
    running.until(plant.closed(ids), patience=PATIENCE)
    seconds = time.perf_counter() - started
    if duplicates := running.control.duplicates():
        raise RuntimeError(f"duplicates: {duplicates}")
    return closings / seconds


def _calls(running: plant.Plant) -> Counter[str]:
    """How often each system was called so far."""
    remembered = running.control.calls()
    if len(remembered) >= CALLS_REMEMBERED:
        raise RuntimeError("more calls than the simulator remembers: fewer closings or rounds, please")
    return Counter(call["system"] for call in remembered)


def _show(rates: list[float], calls: Counter[str], *, closings: int, latency: float) -> None:
    rounds, each = len(rates), {name: n / len(rates) / closings for name, n in sorted(calls.items())}
    rate, bound = median(rates), WORKERS / (sum(each.values()) * latency)
    headings = ("rounds × closings", "closings/s", "slowest", "fastest", "bound by latency", "of it")
    row = (f"{rounds} × {closings}", *(f"{x:.2f}" for x in (rate, min(rates), max(rates), bound)))
    print(harness.table(headings, [(*row, f"{rate / bound:.0%}")]))
    print(
        f"\n{WORKERS} worker processes, one job at a time each; every call is answered after "
        f"{latency * 1000:.0f} ms; the bound is workers / (calls of a closing × latency).\n"
    )
    rows = [(name, f"{n:.1f}", f"{n * latency * 1000:.0f}") for name, n in each.items()]
    total = sum(each.values())
    rows.append(("all", f"{total:.1f}", f"{total * latency * 1000:.0f}"))
    print(harness.table(("calls to", "a closing", "waiting, ms a closing"), rows), "\n")


# --- Where the time goes ------------------------------------------------------------------------------


@dataclass
class Split:
    """The seconds of one process that closed so many accounts alone."""

    closings: int
    whole: float = 0.0
    calls: float = 0.0
    database: float = 0.0
    statements: int = 0


def _alone(running: plant.Plant, *, closings: int) -> Split:
    """This process does every job itself, with a clock on its statements, its commits and its calls."""
    from django.conf import settings  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    from closures.gateways import http  # noqa: PLC0415
    from tests import worlds  # noqa: PLC0415
    from tests.simulator_process import point_at  # noqa: PLC0415

    point_at(settings, running.simulator.url)
    settings.FIRST_LOOK = timedelta(0)
    ids = plant.customers(running.control, number=closings, tag="AL")
    running.request(ids)
    split, done = Split(closings), plant.closed(ids)

    def statement(execute: Callable[..., Any], *arguments: Any) -> Any:
        split.statements += 1
        with clock(split, "database"):
            return execute(*arguments)

    usual_call, usual_commit = http._call, connection.commit
    http._call = timed(usual_call, split, "calls")
    connection.commit = timed(usual_commit, split, "database")
    try:
        started = time.perf_counter()
        while not done():
            running.approve_what_waits()  # a person's work: not counted
            with connection.execute_wrapper(statement), clock(split, "whole"):
                worlds.work()
            if time.perf_counter() - started > PATIENCE:
                raise plant.Stuck(str(plant.states()))
    finally:
        http._call, connection.commit = usual_call, usual_commit
    return split


@contextmanager
def clock(split: Split, name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        setattr(split, name, getattr(split, name) + time.perf_counter() - started)


def timed(function: Callable[..., Any], split: Split, name: str) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with clock(split, name):
            return function(*args, **kwargs)

    return run


def _show_split(split: Split) -> None:
    rest = split.whole - split.calls - split.database
    parts = {"waiting for calls": split.calls, "database": split.database, "Python": rest}
    rows = [
        (name, f"{seconds / split.closings * 1000:.0f}", f"{seconds / split.whole:.0%}")
        for name, seconds in {**parts, "all": split.whole}.items()
    ]
    each = split.statements / split.closings
    print(f"One process alone, {split.closings} closings, {each:.0f} statements each:\n")
    print(harness.table(("time of one process", "ms a closing", "share"), rows))


if __name__ == "__main__":
    import sys

    if sys.argv[1:2] == ["--inside"]:
        inside(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    else:
        main()
