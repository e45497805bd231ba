"""Starting and stopping: the options, the line a caller waits for, a clean end."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from closures.simulator import extracts
from closures.simulator.server import Server
from closures.simulator.store import Store
from closures.simulator.wire import Refusal
from closures.simulator.world import World

DEFAULT_PORT = 8931
LOCAL_SECRET = "local-simulator-secret"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)"
    )
    parser.add_argument("--ledger", help="SQLite file of the effects (default: a temporary one)")
    parser.add_argument("--fresh", action="store_true", help="forget what the ledger file holds")
    parser.add_argument("--load-accounts", metavar="FILE", help="account extract to load, CSV or CSV.gz")
    parser.add_argument("--load-agreements", metavar="FILE", help="agreement extract to load, CSV or CSV.gz")
    parser.add_argument("--callback-url", default="", help="callbacks go to this address + /{system}")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument(
        "--until-eof", action="store_true", help="stop when standard input closes: no orphan is left"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    Prints one line, `simulator listening on http://…`, when requests are taken.
    """
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        path = Path(options.ledger or Path(folder) / "ledger.sqlite3")
        path.parent.mkdir(parents=True, exist_ok=True)
        secret = os.environ.get("SIMULATOR_SECRET", LOCAL_SECRET)
        world = World(store=Store(str(path)), secret=secret.encode())
        world.tuning.callback_url = options.callback_url
        world.tuning.latency = max(0.0, options.latency)
        try:
            _prepare(world, options)
            server = Server((options.host, options.port), world)
        except Refusal as refusal:
            print(f"simulator: {refusal}", file=sys.stderr)
            return 1
        except (OSError, OverflowError) as error:
            print(f"simulator: cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
            return 1
        try:
            _serve(world, server, options)
        finally:
            world.store.close()
    return 0


def _prepare(world: World, options: argparse.Namespace) -> None:
    if options.fresh:
        world.store.reset()
    if options.load_accounts:
        extracts.load_accounts(world.store, options.load_accounts)
    if options.load_agreements:
        extracts.load_agreements(world.store, options.load_agreements)


def _serve(world: World, server: Server, options: argparse.Namespace) -> None:
    def stop(*_: object) -> None:
        # shutdown() waits for the serving loop, which is the thread the signal interrupts.
        world.stopping.set()
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if options.until_eof:
        threading.Thread(target=_wait_for_eof, args=(stop,), daemon=True).start()
    world.scheduler.start()
    print(f"simulator listening on http://{options.host}:{server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    world.stopping.set()
    world.scheduler.stop()
    server.server_close()


def _wait_for_eof(stop: Callable[[], None]) -> None:
    # Not sys.stdin: a thread that holds its lock breaks the interpreter's shutdown.
    while os.read(0, 1024):
        pass
    stop()
