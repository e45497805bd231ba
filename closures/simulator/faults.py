"""Misbehaviour on request: which fault meets which call, how often and for how long.

What a fault then does stands with the system that plays it (world, partners, sms, callbacks).
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from closures.simulator import wire

SYSTEMS = ("*", "LEDGER", "SMS", "ALIPAY", "WECHAT", "UNIONPAY", "JD")

# Meets every request of the system.
ALWAYS = ("down", "http_429", "http_500", "http_503", "wrong_404", "garbage")
# Meets commands only, unless the fault names a method: a status query must not use it up.
ON_COMMAND = ("timeout_after_success", "late_effect", "refuse")
# Meets only the one behaviour it is named for.
SPECIAL = (
    "slow",
    "lying_status",
    "lying_unsign",
    "duplicate_callback",
    "no_callback",
    "receipt_failed",
    "receipt_missing",
    "ignore_key",
)
TRANSPORT = ALWAYS + ON_COMMAND
KINDS = TRANSPORT + SPECIAL

FIELDS = {
    "system", "kind", "path", "method", "subject", "times", "seconds", "rate",
    "code", "latency_s", "hold_s", "effect",
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One call as a fault sees it; `subjects` are the account, agreement and key named in its body."""

    system: str
    method: str
    target: str
    subjects: tuple[str, ...] = ()


@dataclass
class Fault:
    """One fault in force.

    `times` None means for ever; `until` is monotonic seconds; `latency_s` is the delay of slow and
    late_effect, `hold_s` how long a silent connection stays open; `effect` says whether the effect
    happens behind a 5xx or a garbage answer.
    """

    id: int
    system: str
    kind: str
    path: str = ""
    method: str = ""
    subject: str = ""
    times: int | None = None
    until: float | None = None
    rate: float = 1.0
    code: str = "REFUSED"
    latency_s: float = 1.0
    hold_s: float = 0.0
    effect: bool = False
    hits: int = 0

    def meets(self, call: Call) -> bool:
        if self.system not in ("*", call.system) or (self.method and self.method != call.method):
            return False
        if self.kind in ON_COMMAND and not self.method and call.method != "POST":
            return False
        if self.path and self.path not in call.target:
            return False
        return not self.subject or any(self.subject in text for text in (call.target, *call.subjects))


class FaultBook:
    """The faults in force, oldest first. Thread safe; lives in memory, so a restart is healthy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)
        self._random = random.Random()

    def add(self, fields: Mapping[str, Any]) -> Fault:
        """A fault is in force from now on. Raises `BadField` for anything unknown or out of range."""
        for name in fields:
            if name not in FIELDS:
                raise wire.BadField(name)
        given = {name: value for name, value in fields.items() if value is not None}
        kind = wire.choice(given, "kind", KINDS)
        rate = wire.seconds(given, "rate", default=1.0)
        effect = given.get("effect", kind == "garbage")
        if rate > 1 or not isinstance(effect, bool):
            raise wire.BadField("rate" if rate > 1 else "effect")
        fault = Fault(
            id=next(self._ids),
            system=wire.choice(given, "system", SYSTEMS),
            kind=kind,
            path=wire.text(given, "path") if "path" in given else "",
            method=wire.choice(given, "method", ("GET", "POST")) if "method" in given else "",
            subject=wire.text(given, "subject", pattern=wire.KEY) if "subject" in given else "",
            times=wire.count(given, "times") if "times" in given else None,
            until=time.monotonic() + wire.seconds(given, "seconds") if "seconds" in given else None,
            rate=rate,
            code=wire.text(given, "code") if "code" in given else "REFUSED",
            latency_s=wire.seconds(given, "latency_s", default=1.0),
            hold_s=wire.seconds(given, "hold_s", default=0.0),
            effect=effect,
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, call: Call, kinds: Collection[str]) -> Fault | None:
        """The oldest fault of these kinds that meets the call; one of its times is used up."""
        if not self._faults:
            return None
        now = time.monotonic()
        with self._lock:
            self._faults = [f for f in self._faults if f.times != 0 and (f.until is None or now < f.until)]
            for fault in self._faults:
                if fault.kind in kinds and fault.meets(call) and self._random.random() < fault.rate:
                    fault.hits += 1
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def clear(self, fault_id: int | None = None) -> None:
        """No fault is in force any more, or not this one."""
        with self._lock:
            self._faults = [] if fault_id is None else [f for f in self._faults if f.id != fault_id]

    def seed(self, number: int) -> None:
        """Rates below 1 fall the same way again."""
        with self._lock:
            self._random.seed(number)

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{k: v for k, v in asdict(f).items() if k != "until"} for f in self._faults]
