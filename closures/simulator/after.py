"""What the core ledger plays after an account was closed: money that still comes (control plane).

A closed account takes no spending, but refunds and corrections are posted to it as in real life; each is
announced by a signed event (`ledger.money_after_closing`).
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from closures.simulator import callbacks, ledger, wire
from closures.simulator.faults import Call
from closures.simulator.signing import callback_headers
from closures.simulator.wire import Refusal, Reply
from closures.simulator.world import World

EVENT = "ledger.money_after_closing"
KINDS = ("REFUND", "CLAWBACK", "CORRECTION")
DIRECTIONS = ("TO_CUSTOMER", "BY_CUSTOMER")
USUAL = {"REFUND": "TO_CUSTOMER", "CLAWBACK": "BY_CUSTOMER"}


def arrives(world: World, call: Call, fields: Mapping[str, Any], *, account_no: str) -> Reply:
    """Money is posted to the closed account, once per `ref`, and announced, each time this is called.

    `kind`, `ref`, `amount`; `direction` where the kind does not say it, `takes_back` the ref of a refund,
    `quietly` to announce nothing. The reply holds the signed event, for whoever has no callback address.
    """
    kind = wire.choice(fields, "kind", KINDS)
    direction = wire.choice({"direction": USUAL.get(kind), **fields}, "direction", DIRECTIONS)
    ref, amount = wire.text(fields, "ref", pattern=wire.KEY), wire.fen(fields, "amount")
    with world.store.transaction():
        row = ledger.account(world, account_no)
        if row["state"] != "CLOSED":
            raise Refusal(409, "NOT_CLOSED")
        if world.store.operation(call.system, f"later:{ref}") is None:
            ledger.update(world, account_no, posted(row, direction, amount))
            world.store.remember(system=call.system, key=f"later:{ref}", kind=kind, subject=account_no)
            world.effect(system=call.system, kind=kind, subject=account_no, key=ref, detail=wire.yuan(amount))
    facts = {"account_no": account_no, "ref": ref, "kind": kind, "amount": wire.yuan(amount)}
    facts |= {"direction": direction}
    if fields.get("takes_back"):
        facts["takes_back"] = wire.text(fields, "takes_back", pattern=wire.KEY)
    if fields.get("quietly"):
        return Reply(payload={"sent": False})
    return told(world, call, facts)


def posted(row: sqlite3.Row, direction: str, amount: int) -> dict[str, int]:
    """What the posting makes of the balances: a debt takes a credit balance first."""
    if direction == "TO_CUSTOMER":
        return {"credit_balance": row["credit_balance"] + amount}
    part = min(row["credit_balance"], amount)
    return {
        "credit_balance": row["credit_balance"] - part,
        "principal": row["principal"] + amount - part,
    }


def told(world: World, call: Call, facts: dict[str, Any]) -> Reply:
    """The event is on its way, or in the reply where there is no address to send it to."""
    if world.tuning.callback_url:
        callbacks.announce(world, call=call, type=EVENT, facts=facts)
        return Reply(payload={"sent": True})
    event_id = f"evt_{uuid.uuid4().hex}"
    body = json.dumps({"event_id": event_id, "type": EVENT, **facts, "at": world.moment()})
    headers = callback_headers(event_id=event_id, body=body.encode(), secret=world.secret, now=world.now())
    return Reply(payload={"sent": False, "body": body, "headers": headers})
