"""The API at 50 requests a second beside a bare django-ninja endpoint with the same reads and writes.

`python -m tests.benchmarks.api [--rate …] [--seconds …] [--rounds …]`, on PostgreSQL. Real gunicorn processes
as the Procfile starts them, called on a schedule that does not wait for answers (an open loop): a slow
answer makes no later request later. Three of four calls ask for a status, one what stands in the way.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles

import httpx

from tests.benchmarks import harness

TICKETS = 200
CALLERS = 16


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.api", description=__doc__)
    parser.add_argument("--rate", default="50")
    parser.add_argument("--seconds", default="8")
    parser.add_argument("--rounds", default="5")
    options, _ = parser.parse_known_args()
    with harness.scratch("postgresql") as url:
        words = (options.rate, options.seconds, options.rounds)
        harness.in_child("tests.benchmarks.api", url, "--inside", *words)


def inside(rate: int, seconds: int, rounds: int) -> None:
    """In a child, on an empty database: measure and print."""
    harness.setup()
    key_id, secret, known = _rows()
    with serving("config.settings.test") as ours, serving("tests.benchmarks.bare_settings") as bare:
        callers = {"ours": _ours(ours, key_id, secret, known), "bare": _bare(bare, key_id, known)}
        for call in callers.values():
            _loop(call, rate=rate, seconds=3)
        taken: dict[str, list[list[float]]] = {name: [] for name in callers}
        for _ in range(rounds):  # in turn: what the machine does meanwhile disturbs both
            for name, call in callers.items():
                taken[name].append(_loop(call, rate=rate, seconds=seconds))
    _show(taken, rate=rate)


def _rows() -> tuple[str, str, list[tuple[str, str, str]]]:
    """A client, and tickets in review with agreements, as the services make them."""
    from django.utils import timezone  # noqa: PLC0415

    from accounts.roles import Role  # noqa: PLC0415
    from closures.models.api import Scope  # noqa: PLC0415
    from closures.services import api_clients  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415
    from tests.admin import scenes  # noqa: PLC0415

    issued = api_clients.create(
        name="bench", scopes=Scope.values, requests_per_minute=60_000, webhook_url="", reason="bench",
        actor=factories.staff(Role.SECURITY), now=timezone.now(),
    )  # fmt: skip
    agent, known = factories.a_user(Role.AGENT), []
    for n in range(TICKETS):
        account = scenes.an_account(principal="100.00" if n % 2 else "0.00")
        factories.an_agreement(account)
        factories.an_agreement(account, "AUTO_REPAY")
        ticket = scenes.examined(scenes.a_request(account, by=agent))
        known.append((ticket.number, account.customer.customer_no, account.account_no))
    return issued.client.key_id, issued.secret, known


@contextmanager
def serving(settings: str) -> Iterator[str]:
    """A web process with these settings on the child's database; its address."""
    from closures.demo.run import free_port  # noqa: PLC0415

    port = free_port("BENCH_PORT", 8700)
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", "1", "--threads", "4", "--log-level", "error"]
    place = {**os.environ, "DJANGO_SETTINGS_MODULE": settings}
    process = subprocess.Popen(command, cwd=harness.ROOT, env=place)
    try:
        _until_it_answers(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/nothing", timeout=5, trust_env=False)
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError("the web process does not answer")


Call = Callable[[int], None]


def _ours(address: str, key_id: str, secret: str, known: list[tuple[str, str, str]]) -> Call:
    from closures.demo.app import App  # noqa: PLC0415

    app = App(address, key_id=key_id, secret=secret)

    def call(n: int) -> None:
        number, customer_no, account_no = known[n % len(known)]
        named = {"customer_no": customer_no, "account_no": account_no}
        answer = app.post("/eligibility", named) if n % 4 == 0 else app.get(f"/closures/{number}", **named)
        answer.raise_for_status()

    return call


def _bare(address: str, key_id: str, known: list[tuple[str, str, str]]) -> Call:
    client = httpx.Client(base_url=address, trust_env=False, timeout=15)

    def call(n: int) -> None:
        ask = {"number": known[n % len(known)][0], "nonce": secrets.token_hex(16), "key_id": key_id}
        path = f"/bare/closures/{ask['number']}"
        answer = client.post("/bare/eligibility", json=ask) if n % 4 == 0 else client.get(path, params=ask)
        answer.raise_for_status()

    return call


def _loop(call: Call, *, rate: int, seconds: int) -> list[float]:
    """The seconds from each request's planned moment to its answer."""
    total, begun = rate * seconds, time.perf_counter() + 0.2
    taken, numbers, lock = [0.0] * total, iter(range(total)), threading.Lock()

    def caller() -> None:
        while True:
            with lock:
                n = next(numbers, None)
            if n is None:
                return
            planned = begun + n / rate
            time.sleep(max(0.0, planned - time.perf_counter()))
            call(n)
            taken[n] = time.perf_counter() - planned

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not all(taken):
        raise RuntimeError("a call failed")
    return taken


def _show(taken: dict[str, list[list[float]]], *, rate: int) -> None:
    def p(times: list[float], percent: int) -> float:
        return quantiles(times, n=100)[percent - 1] * 1000

    # The quietest round: what else the machine does can only add.
    p95 = {name: min(p(times, 95) for times in rounds) for name, rounds in taken.items()}
    rows = [
        (name, f"{min(p(t, 50) for t in rounds):.1f}", f"{p95[name]:.1f}",
         f"{median(p(t, 95) for t in rounds):.1f}", f"{max(p(t, 95) for t in rounds):.1f}")
        for name, rounds in taken.items()
    ]  # fmt: skip
    print(
        harness.table(
            (f"{rate} requests/s", "p50 ms", "p95 ms", "p95, median round", "p95, worst round"), rows
        )
    )
    print(f"\np95 ours ÷ bare, quietest rounds: {p95['ours'] / p95['bare']:.2f} (target ≤ 2.5)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(*map(int, sys.argv[2:5]))
    else:
        main()
