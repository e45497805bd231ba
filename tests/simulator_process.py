"""Fixtures: the real simulator as a real process, one per test session, and the door to command it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from closures.demo.simulator_control import SimulatorControl
from closures.gateways import http

ROOT = Path(__file__).resolve().parents[1]
SECRET = "local-simulator-secret"
SYSTEMS = ("ALIPAY", "WECHAT", "UNIONPAY", "JD")


@dataclass(frozen=True)
class SimulatorProcess:
    """A running simulator: where it listens, its ledger of effects, its process."""

    url: str
    ledger: Path
    process: subprocess.Popen[str]


def start(*arguments: str, ledger: Path, errors: Path) -> SimulatorProcess:
    """A simulator listens on a free port. It ends when its standard input does, so none is orphaned."""
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "closures.simulator", "--port", "0", "--until-eof"]
            + ["--ledger", str(ledger), *arguments],
            cwd=ROOT,
            env={**os.environ, "SIMULATOR_SECRET": SECRET},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("simulator listening on http://"), line + errors.read_text()
    return SimulatorProcess(url=line.rsplit(" ", 1)[1].strip(), ledger=ledger, process=process)


def stop(running: SimulatorProcess) -> int:
    """The simulator has ended. Returns its exit code."""
    if running.process.poll() is None:
        running.process.terminate()
    code = running.process.wait(timeout=10)
    for stream in (running.process.stdin, running.process.stdout):
        assert stream is not None
        stream.close()
    return code


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """The simulator of this session. It must end cleanly and without one word of complaint."""
    folder = tmp_path_factory.mktemp("simulator")
    running = start(ledger=folder / "ledger.sqlite3", errors=folder / "stderr")
    yield running
    for client in http._clients.values():
        client.close()
    http._clients.clear()
    assert stop(running) == 0
    assert (folder / "stderr").read_text() == ""


@pytest.fixture
def control(simulator: SimulatorProcess) -> Iterator[SimulatorControl]:
    """The control plane of a simulator that holds nothing but its canaries and has no fault."""
    with SimulatorControl(simulator.url) as control:
        control.reset()
        control.tune(callback_url="", seed=1)
        yield control


@pytest.fixture
def simulated(simulator: SimulatorProcess, control: SimulatorControl, settings: Any) -> SimulatorControl:
    """Partners, ledger and SMS provider of the product are the simulator; gives its control plane."""
    point_at(settings, simulator.url)
    return control


def point_at(settings: Any, url: str) -> None:
    """Every gateway calls this address with the simulator's key."""
    key = {"key_id": "local", "secret": SECRET}
    settings.PARTNERS = {
        code: {"gateway": "generic", "url": f"{url}/partners/{code}", **key} for code in SYSTEMS
    }
    settings.LEDGER = {"url": f"{url}/ledger", **key}
    settings.SMS = {"url": f"{url}/sms", **key}
    settings.CALLBACK_SECRETS = {code: [SECRET] for code in (*SYSTEMS, "SMS", "LEDGER")}
    settings.PARTNER_PRIVATE_ADDRESSES_ALLOWED = True
