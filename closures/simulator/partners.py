"""The partners: one generic protocol played for each of them.

POST /partners/{P}/agreements/{no}/unsign   {"key", "account_no"}
GET  /partners/{P}/agreements/{no}
GET  /partners/{P}/agreements?account_no=A
GET  /partners/{P}/operations/{key}
"""

from __future__ import annotations

import sqlite3
from typing import Any

from closures.simulator import wire
from closures.simulator.callbacks import announce
from closures.simulator.faults import Call
from closures.simulator.store import CANARY
from closures.simulator.wire import Refusal, Reply, Request
from closures.simulator.world import World, known


def play(world: World, request: Request, call: Call, *, late: bool = False) -> Reply:
    """Answer one partner request. Raises `Refusal`. `late`: an effect that comes after its time."""
    match (request.method, *request.segments[2:]):
        case ("POST", "agreements", agreement_no, "unsign"):
            return unsign(world, request, call, agreement_no=agreement_no, late=late)
        case ("GET", "agreements", agreement_no):
            return status(world, call, agreement_no=agreement_no)
        case ("GET", "agreements"):
            return listed(world, call, account_no=wire.text(request.query, "account_no"))
        case ("GET", "operations", key):
            if world.store.operation(call.system, key) is None:
                raise Refusal(404, "NOT_FOUND")
            return Reply(payload={"key": key, "state": "DONE"})
    raise Refusal(404, "NO_SUCH_ROUTE")


def unsign(world: World, request: Request, call: Call, *, agreement_no: str, late: bool) -> Reply:
    """The agreement ends after the settle delay. Safe to repeat with the same key, and only with it.

    A second key while the first has not settled is carried out again, and so is a late effect after
    somebody else ended the agreement: real partners do that, and `duplicates` must see it.
    """
    key = wire.text(request.fields, "key", pattern=wire.KEY)
    account_no = wire.text(request.fields, "account_no")
    accepted = Reply(payload={"status": "ACCEPTED"})
    if world.faults.take(call, {"lying_unsign"}):
        return accepted
    with world.store.transaction() as connection:
        operation = world.store.operation(call.system, key)
        if known(operation=operation, kind="UNSIGN", subject=agreement_no):
            return accepted
        row = _row(world, call, agreement_no)
        if row is None or row["account_no"] != account_no:
            raise Refusal(404, "NOT_FOUND")
        if agreement_no == CANARY:
            raise Refusal(409, "CANARY_STAYS")
        if _ended(world, row) and not late:
            raise Refusal(409, "ALREADY_ENDED")
        ended_at = world.now() + world.tuning.settle_delay if row["ended_at"] is None else row["ended_at"]
        connection.execute(
            "UPDATE agreements SET ended_at = ? WHERE partner = ? AND agreement_no = ?",
            (ended_at, call.system, agreement_no),
        )
        world.store.remember(system=call.system, key=key, kind="UNSIGN", subject=agreement_no)
        world.effect(
            system=call.system, kind="UNSIGN", subject=agreement_no, key=key, detail="late" if late else ""
        )
    announce_end(world, call, agreement_no=agreement_no, account_no=account_no, at=ended_at)
    return accepted


def end(world: World, call: Call, *, agreement_no: str) -> Reply:
    """The customer ended the agreement himself. Safe to repeat."""
    with world.store.transaction() as connection:
        row = _row(world, call, agreement_no)
        if row is None or agreement_no == CANARY:
            raise Refusal(404, "NOT_FOUND")
        if not _ended(world, row):
            connection.execute(
                "UPDATE agreements SET ended_at = ? WHERE partner = ? AND agreement_no = ?",
                (world.now(), call.system, agreement_no),
            )
            world.effect(system=call.system, kind="CUSTOMER_ENDED", subject=agreement_no)
    announce_end(world, call, agreement_no=agreement_no, account_no=row["account_no"], at=world.now())
    return status(world, call, agreement_no=agreement_no)


def announce_end(world: World, call: Call, *, agreement_no: str, account_no: str, at: float) -> None:
    facts = {"agreement_no": agreement_no, "account_no": account_no, "status": "ENDED"}
    announce(world, call=call, type="agreement.ended", facts=facts, delay=max(0.0, at - world.now()))


def status(world: World, call: Call, *, agreement_no: str) -> Reply:
    """What the agreement is, by its own number."""
    row = _row(world, call, agreement_no)
    if row is None:
        raise Refusal(404, "NOT_FOUND")
    shape = _shape(world, row)
    if shape["status"] == "BOUND" and world.faults.take(call, {"lying_status"}):
        shape |= {"status": "ENDED", "ended_at": world.moment()}
    return Reply(payload=shape)


def listed(world: World, call: Call, *, account_no: str) -> Reply:
    """Every agreement of the account, ended ones too: the second key."""
    rows = world.store.rows(
        "SELECT * FROM agreements WHERE partner = ? AND account_no = ? ORDER BY agreement_no",
        call.system,
        account_no,
    )
    return Reply(payload={"agreements": [_shape(world, row) for row in rows]})


def _row(world: World, call: Call, agreement_no: str) -> sqlite3.Row | None:
    return world.store.row(
        "SELECT * FROM agreements WHERE partner = ? AND agreement_no = ?", call.system, agreement_no
    )


def _ended(world: World, row: sqlite3.Row) -> bool:
    return row["ended_at"] is not None and row["ended_at"] <= world.now()


def _shape(world: World, row: sqlite3.Row) -> dict[str, Any]:
    ended = _ended(world, row)
    return {
        "agreement_no": row["agreement_no"],
        "account_no": row["account_no"],
        "status": "ENDED" if ended else "BOUND",
        "ended_at": world.moment(row["ended_at"]) if ended else None,
    }
