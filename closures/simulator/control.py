"""The control plane: unsigned, loopback only. Sets the scene, breaks things, reads the effects.

GET    /health                           GET    /control/effects?system=&subject=&kind=&key=
POST   /control/reset                    GET    /control/effects/duplicates
POST   /control/load                     GET    /control/effects/tally
POST   /control/accounts [rows]          GET    /control/calls?system=&method=&contains=
PATCH  /control/accounts/{no}            GET    /control/messages?key=
POST   /control/accounts/{no}/repay      POST   /control/faults
POST   /control/accounts/{no}/spend      GET    /control/faults
POST   /control/accounts/{no}/credit     DELETE /control/faults
POST   /control/accounts/{no}/later
POST   /control/agreements [rows]        DELETE /control/faults/{id}
POST   /control/agreements/{P}/{no}/end  POST   /control/latency
                                         POST   /control/settings
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from closures.simulator import after, extracts, ledger, partners, wire
from closures.simulator.faults import Call
from closures.simulator.store import PARTNERS
from closures.simulator.wire import BadField, Refusal, Reply, Request
from closures.simulator.world import Tuning, World

EFFECT_FILTERS = ("system", "subject", "kind", "key")
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


def guard(*, client: str, headers: Mapping[str, str]) -> None:
    """Only a program on this machine may command. Raises `Refusal` (403).

    A browser page that was made to call us carries a foreign Host or an Origin.
    """
    host = re.sub(r":\d+$", "", headers.get("host", ""))
    if not (client.startswith("127.") or client == "::1") or host not in LOCAL_NAMES or headers.get("origin"):
        raise Refusal(403, "LOOPBACK_ONLY")


def answer(world: World, request: Request) -> Reply:
    """Carry out one control request. Raises `Refusal`."""
    match (request.method, *request.segments[1:]):
        case ("POST", "reset"):
            return reset(world)
        case ("POST", "load"):
            return load(world, request)
        case ("POST", "latency"):
            world.tuning.latency = wire.seconds(request.fields, "seconds")
            return Reply(payload={})
        case ("POST", "settings"):
            return tune(world, request.fields)
        case (_, "faults", *rest):
            return faults(world, request, rest)
        case (_, "accounts", *rest):
            return accounts(world, request, rest)
        case ("POST", "agreements", *rest):
            return agreements(world, request, rest)
        case ("GET", *rest):
            return read(world, request, rest)
    raise Refusal(404, "NO_SUCH_ROUTE")


def reset(world: World) -> Reply:
    """As on the first start: no data but the canaries, no effects, no faults, nothing pending."""
    url = world.tuning.callback_url
    world.scheduler.clear()
    world.faults.clear()
    world.calls.clear()
    world.tuning = Tuning(callback_url=url)
    world.store.reset()
    return Reply(payload={})


def load(world: World, request: Request) -> Reply:
    """The extracts' rows are there. Returns how many of each."""
    loaded = {}
    if "accounts" in request.fields:
        path = wire.words(request.fields, "accounts", limit=4096)
        loaded["accounts"] = extracts.load_accounts(world.store, path)
    if "agreements" in request.fields:
        path = wire.words(request.fields, "agreements", limit=4096)
        loaded["agreements"] = extracts.load_agreements(world.store, path)
    return Reply(payload=loaded)


def tune(world: World, fields: dict[str, Any]) -> Reply:
    """Settle and receipt delays, callback address, clock and the seed of the faults' dice."""
    for name in fields:
        if name in ("settle_delay", "receipt_delay"):
            setattr(world.tuning, name, wire.seconds(fields, name))
        elif name == "callback_url":
            url = wire.words(fields, name, limit=500) if fields[name] else ""
            if url and not url.startswith(("http://", "https://")):
                raise BadField(name)
            world.tuning.callback_url = url
        elif name == "clock":
            world.tuning.clock_offset += moment(fields, name).timestamp() - world.now()
        elif name == "seed":
            world.faults.seed(wire.count(fields, name))
        else:
            raise BadField(name)
    return Reply(payload={})


def moment(fields: dict[str, Any], name: str) -> datetime:
    try:
        value = datetime.fromisoformat(wire.words(fields, name, limit=40))
    except ValueError as error:
        raise BadField(name) from error
    if value.tzinfo is None:
        raise BadField(name)
    return value


def faults(world: World, request: Request, rest: list[str]) -> Reply:
    match (request.method, *rest):
        case ("POST",):
            return Reply(payload={"id": world.faults.add(request.fields).id})
        case ("GET",):
            return Reply(payload={"faults": world.faults.listed()})
        case ("DELETE",):
            world.faults.clear()
            return Reply(payload={})
        case ("DELETE", number) if number.isascii() and number.isdigit():
            world.faults.clear(int(number))
            return Reply(payload={})
    raise Refusal(404, "NO_SUCH_ROUTE")


def accounts(world: World, request: Request, rest: list[str]) -> Reply:
    call = Call(system="LEDGER", method=request.method, target=request.target)
    match (request.method, *rest):
        case ("POST",):
            rows = [ledger.row_of(row) for row in request.rows]
            world.store.put("accounts", rows)
            return Reply(payload={"accounts": len(rows)})
        case ("PATCH", account_no):
            with world.store.transaction():
                ledger.account(world, account_no)
                ledger.update(world, account_no, ledger.patch(request.fields))
                return Reply(payload=ledger.shape(world, ledger.account(world, account_no)))
        case ("POST", account_no, "repay"):
            amount = wire.fen(request.fields, "amount") if request.fields.get("amount") is not None else None
            return ledger.repay(world, call, account_no=account_no, amount=amount)
        case ("POST", account_no, "spend" | "credit" as kind):
            amount = wire.fen(request.fields, "amount")
            return ledger.add(world, call, account_no=account_no, kind=kind.upper(), amount=amount)
        case ("POST", account_no, "later"):
            return after.arrives(world, call, request.fields, account_no=account_no)
    raise Refusal(404, "NO_SUCH_ROUTE")


def agreements(world: World, request: Request, rest: list[str]) -> Reply:
    match rest:
        case []:
            rows = [extracts.agreement_row(row) for row in request.rows]
            world.store.put("agreements", rows)
            return Reply(payload={"agreements": len(rows)})
        case [partner, agreement_no, "end"] if partner in PARTNERS:
            call = Call(
                system=partner, method=request.method, target=request.target, subjects=(agreement_no,)
            )
            return partners.end(world, call, agreement_no=agreement_no)
    raise Refusal(404, "NO_SUCH_ROUTE")


def read(world: World, request: Request, rest: list[str]) -> Reply:
    match rest:
        case ["effects"]:
            filters = {name: request.query[name] for name in EFFECT_FILTERS if request.query.get(name)}
            return Reply(payload={"effects": [dict(row) for row in world.store.effects(**filters)]})
        case ["effects", "duplicates"]:
            return Reply(payload={"duplicates": [dict(row) for row in world.store.duplicates()]})
        case ["effects", "tally"]:
            return Reply(payload={"tally": [dict(row) for row in world.store.tally()]})
        case ["calls"]:
            return Reply(payload={"calls": calls(world, request.query)})
        case ["messages"]:
            key = wire.text(request.query, "key", pattern=wire.KEY)
            rows = world.store.rows("SELECT key, recipient, text FROM messages WHERE key = ?", key)
            return Reply(payload={"messages": [dict(row) for row in rows]})
    raise Refusal(404, "NO_SUCH_ROUTE")


def calls(world: World, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """The newest calls that reached a system, oldest first."""
    return [
        call
        for call in list(world.calls)
        if query.get("system") in (None, "", call["system"])
        and query.get("method") in (None, "", call["method"])
        and query.get("contains", "") in call["target"]
    ]
