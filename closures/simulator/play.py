"""The signed door: authenticates a request, lets the faults have it, and hands it to its system."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

from closures.simulator import ledger, partners, sms
from closures.simulator.faults import TRANSPORT, Call, Fault
from closures.simulator.signing import check_request
from closures.simulator.store import PARTNERS
from closures.simulator.wire import Refusal, Reply, Request, Silence
from closures.simulator.world import MAX_SKEW, World, subjects

GARBAGE = b"<html><body>502 Bad Gateway</body></html>"
STATUS = {"http_429": 429, "http_500": 500, "http_503": 503}

System = Callable[..., Reply]


def answer(world: World, request: Request) -> Reply | Silence:
    """What the outside answers, faults included. Raises `Refusal` for what the protocol refuses."""
    system, play = system_of(request)
    check_request(
        headers=request.headers,
        method=request.method,
        target=request.target,
        body=request.body,
        secret=world.secret,
        now=world.now(),
        skew=MAX_SKEW,
    )
    fields = request.fields if request.method == "POST" else {}
    call = Call(system=system, method=request.method, target=request.target, subjects=subjects(fields))
    slow = world.faults.take(call, {"slow"})
    world.wait(world.tuning.latency + (slow.latency_s if slow else 0.0))
    fault = world.faults.take(call, TRANSPORT)
    key = fields.get("key")
    world.note(call, key=key if isinstance(key, str) else "", fault=fault.kind if fault else "")
    act = partial(play, world, request, call)
    return act() if fault is None else misbehave(world, fault, act)


def system_of(request: Request) -> tuple[str, System]:
    """Which system the address belongs to. Raises `Refusal` (404)."""
    match request.segments:
        case ("ledger", *_):
            return "LEDGER", ledger.play
        case ("sms", *_):
            return "SMS", sms.play
        case ("partners", partner, *_) if partner in PARTNERS:
            return partner, partners.play
    raise Refusal(404, "NO_SUCH_ROUTE")


def misbehave(world: World, fault: Fault, act: System) -> Reply | Silence:
    """Answer as the fault says. Raises `Refusal` where the fault is a refusal."""
    if fault.kind == "refuse":
        raise Refusal(409, fault.code)
    if fault.kind == "wrong_404":
        raise Refusal(404, "NOT_FOUND")
    if fault.kind == "down":
        return Silence()
    if fault.kind == "late_effect":
        world.scheduler.after(fault.latency_s, partial(quietly, partial(act, late=True)))
        return Silence(hold=fault.hold_s)
    if fault.kind == "timeout_after_success" or fault.effect:
        quietly(act)
    if fault.kind == "timeout_after_success":
        return Silence(hold=fault.hold_s)
    if fault.kind == "garbage":
        return Reply(body=GARBAGE)
    return Reply(status=STATUS[fault.kind], payload={"code": "FAULT"})


def quietly(act: Callable[[], Reply]) -> None:
    """The effect happens if it may; nobody hears about it."""
    with contextlib.suppress(Refusal):
        act()
