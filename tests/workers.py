"""Real Celery workers as real processes, on a broker and a database of their own; none outlives its test.

TEST_BROKER_URL chooses the broker: unset means files in the test's folder; redis://… and amqp://… are used
under a name of the test's own, which is gone afterwards.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import pytest
from celery import Celery
from kombu import Connection, pools

from closures.demo.run import PACE
from closures.demo.simulator_control import SimulatorControl
from closures.demo.world import World
from tests.simulator_process import SECRET, SimulatorProcess
from tests.worlds import here

ROOT = Path(__file__).resolve().parents[1]
# The usual limits, scaled down so that a test can wait for a lapsed lease.
LIMITS = {
    "PARTNER_CONNECT_SECONDS": "1",
    "PARTNER_READ_SECONDS": "1.5",
    "TASK_SOFT_SECONDS": "4",
    "TASK_HARD_SECONDS": "5",
    "LEASE_SECONDS": "6",
    "WAKE_UP_LOST_SECONDS": "3",
    "TICK_SECONDS": "0.5",
    "FIRST_LOOK_SECONDS": "0.1",
    "RETRY_BASE_SECONDS": "0.5",
    "RETRY_CAP_SECONDS": "1",
    "LATE_EFFECT_SECONDS": "1",
    "UNBIND_ATTEMPT_LIMIT": "200",  # at this pace a story that stalls would use up twelve in seconds
}
PATIENCE = 60.0  # seconds a test waits for what real workers do
GENTLE_STOP = 10.0  # seconds a worker gets to end by itself


@dataclass(frozen=True)
class Broker:
    """One broker under one name; two with different names do not meet."""

    url: str
    queue: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"CELERY_BROKER_URL": self.url, "CELERY_QUEUE": self.queue, "VAR_DIR": str(self.folder)}

    def options(self) -> dict[str, Any]:
        """What the settings of a process with our environment would say."""
        from config.settings import base  # noqa: PLC0415 - reads the environment, which Django has set up

        usual = base.broker_transport_options(self.url)
        if self.url.startswith("filesystem"):
            for name in ("data_folder_in", "data_folder_out", "control_folder", "processed_folder"):
                folder = self.folder / Path(usual[name]).relative_to(base.VAR_DIR)
                folder.mkdir(parents=True, exist_ok=True)
                usual[name] = str(folder)
            return usual
        return usual | ({"global_keyprefix": f"{self.queue}:"} if "global_keyprefix" in usual else {})

    def connect(self) -> Connection:
        return Connection(self.url, transport_options=self.options())

    def purge(self) -> int:
        """Every waiting message is lost; returns how many there were."""
        with self.connect() as connection, connection.channel() as channel:
            channel.queue_declare(queue=self.queue, durable=True, auto_delete=False)
            return int(channel.queue_purge(self.queue) or 0)

    def remove(self) -> None:
        """Nothing of ours is left at a server that others use too."""
        if self.url.startswith("amqp"):
            with self.connect() as connection, connection.channel() as channel:
                channel.queue_delete(queue=self.queue)
                channel.exchange_delete(self.queue)
        elif self.url.startswith("redis"):
            import redis  # noqa: PLC0415

            with redis.Redis.from_url(self.url) as server:
                for key in server.scan_iter(f"{self.queue}:*"):
                    server.delete(key)


@dataclass
class Workers:
    """Celery workers of one place. Each is a process group of its own, so that `kill` leaves nothing."""

    environment: dict[str, str]
    folder: Path
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _logs: list[IO[bytes]] = field(default_factory=list)

    def start(
        self, *, concurrency: int = 1, beat: bool = True, **environment: str
    ) -> subprocess.Popen[bytes]:
        """One more worker runs, with beat inside it unless told otherwise."""
        number = len(self._logs) + 1
        command = [sys.executable, "-m", "celery", "-A", "config", "worker"]
        command += [
            "--concurrency",
            str(concurrency),
            "--hostname",
            f"{self.environment['CELERY_QUEUE']}-{number}@%h",
            "--loglevel",
            "WARNING",
        ]
        command += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        command += ["--beat", "--schedule", str(self.folder / f"beat{number}")] if beat else []
        log = (self.folder / f"worker{number}.log").open("wb")
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._logs.append(log)
        self._running.append(process)
        return process

    def kill(self) -> None:
        """Every worker and every child of it is dead at once, as in a power cut."""
        for process in self._running:
            kill_group(process)
        self._running.clear()

    def stop(self) -> None:
        """Every worker has finished what it had begun and has ended."""
        for process in self._running:
            process.terminate()
        deadline = time.monotonic() + GENTLE_STOP
        for process in self._running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
        self.kill()

    def close(self) -> None:
        self.kill()
        for log in self._logs:
            log.close()

    def check(self) -> None:
        """Raises AssertionError if a worker has ended by itself: nobody needs to wait for it."""
        for process in self._running:
            assert process.poll() is None, f"a worker ended with {process.returncode}"

    def said(self) -> str:
        """What the workers wrote, for the report of a failed test."""
        return "\n".join(
            path.read_text("utf-8", "replace") for path in sorted(self.folder.glob("worker*.log"))
        )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and to everything it started; returns when all of it is gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    while alive(process.pid):
        time.sleep(0.01)


def alive(group: int) -> list[int]:
    """The processes of a group that still run; a zombie does not."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


@contextmanager
def publishing_to(app: Celery, broker: Broker, *, url: str = "") -> Iterator[None]:
    """This process sends its wake-ups there (or, given `url`, to another server)."""
    wanted = {
        "broker_url": url or broker.url,
        "broker_transport_options": replace(broker, url=url or broker.url).options(),
        **dict.fromkeys(
            ("task_default_queue", "task_default_exchange", "task_default_routing_key"), broker.queue
        ),
    }
    usual = {name: app.conf[name] for name in wanted}
    usual_environment = os.environ.pop("CELERY_BROKER_URL", None)  # Celery prefers it to its own settings
    app.conf.update(wanted)
    forget_connections(app)
    try:
        yield
    finally:
        app.conf.update(usual)
        if usual_environment is not None:
            os.environ["CELERY_BROKER_URL"] = usual_environment
        forget_connections(app)


def forget_connections(app: Celery) -> None:
    pools.reset()
    app._pool = None
    app.__dict__.pop("amqp", None)


# --- Fixtures -----------------------------------------------------------------------------------------


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """The broker of this run, under a name of this test's own; this process publishes to it too."""
    from config.celery import app  # noqa: PLC0415 - Django is set up only now

    url = os.environ.get("TEST_BROKER_URL", "filesystem://localhost/")
    broker = Broker(url=url, queue=f"test-{uuid.uuid4().hex[:12]}", folder=tmp_path / "var")
    broker.folder.mkdir()
    with publishing_to(app, broker):
        yield broker
    broker.remove()


@pytest.fixture
def workers(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    own_database: str,
    broker: Broker,
    simulator: SimulatorProcess,
    simulated: SimulatorControl,
) -> Iterator[Workers]:
    """Workers of this test: none runs yet. All are dead afterwards."""
    place = {
        **os.environ, **PACE, **LIMITS, **broker.environment,
        "DATABASE_URL": own_database,
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "SIMULATOR_URL": simulator.url,
        "SIMULATOR_SECRET": SECRET,
        "EFFECTS_LEDGER_URL": simulator.url,
    }  # fmt: skip
    for name in ("EMAIL_URL", "FAILPOINT", "PYTEST_CURRENT_TEST"):
        place.pop(name, None)
    made = Workers(environment=place, folder=tmp_path)
    try:
        yield made
    finally:
        made.close()
        request.node.add_report_section("teardown", "workers", made.said())


@pytest.fixture
def real_world(workers: Workers, simulated: SimulatorControl) -> World:
    """The world of the stories, in which real workers do the work; the test starts them."""
    return World(simulated, work=workers.check, patience=PATIENCE, web=here())
