"""What every system shares: one clock, one store, the faults in force, and the calls that came in."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from closures.simulator import wire
from closures.simulator.faults import Call, FaultBook
from closures.simulator.scheduler import Scheduler
from closures.simulator.store import Store

CHINA = timezone(timedelta(hours=8))
MAX_SKEW = 300.0  # seconds
CALLS_KEPT = 20_000


@dataclass
class Tuning:
    """What the control plane turns. All durations in seconds."""

    latency: float = 0.0  # before every answer
    settle_delay: float = 0.0  # from an accepted unsign to ENDED
    receipt_delay: float = 0.0  # from an accepted message to its receipt
    clock_offset: float = 0.0  # our clock minus the machine's, for tests that travel in time
    callback_url: str = ""  # "" sends none


@dataclass
class World:
    """The whole simulated outside."""

    store: Store
    secret: bytes
    faults: FaultBook = field(default_factory=FaultBook)
    scheduler: Scheduler = field(default_factory=Scheduler)
    tuning: Tuning = field(default_factory=Tuning)
    calls: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT))
    stopping: threading.Event = field(default_factory=threading.Event)

    def now(self) -> float:
        return time.time() + self.tuning.clock_offset

    def moment(self, at: float | None = None) -> str:
        """A time as the wire writes it: ISO 8601 with China's offset."""
        return datetime.fromtimestamp(self.now() if at is None else at, CHINA).isoformat(
            timespec="milliseconds"
        )

    def wait(self, delay: float) -> None:
        """Sleep, but not through a shutdown."""
        if delay > 0:
            self.stopping.wait(delay)

    def effect(self, *, system: str, kind: str, subject: str, key: str = "", detail: str = "") -> None:
        self.store.effect(at=self.moment(), system=system, kind=kind, subject=subject, key=key, detail=detail)

    def note(self, call: Call, *, key: str, fault: str) -> None:
        """The call is kept in a short memory, so that a test can see what was really asked."""
        self.calls.append(
            {"system": call.system, "method": call.method, "target": call.target, "key": key, "fault": fault}
        )


def subjects(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """What a fault's `subject` may name besides the address: the numbers in the body."""
    return tuple(
        str(fields[name]) for name in ("account_no", "key", "to") if isinstance(fields.get(name), str)
    )


def known(*, operation: Any, kind: str, subject: str) -> bool:
    """The key was used for exactly this before. Raises `Refusal` when it was used for something else."""
    if operation is None:
        return False
    if (operation["kind"], operation["subject"]) != (kind, subject):
        raise wire.Refusal(409, "KEY_REUSED")
    return True
