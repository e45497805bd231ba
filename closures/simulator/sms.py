"""The SMS provider: takes messages, and says later whether the carrier delivered them.

POST /sms/messages         {"key", "to", "text"}
GET  /sms/messages/{key}
"""

from __future__ import annotations

import re
import uuid

from closures.simulator import wire
from closures.simulator.callbacks import announce
from closures.simulator.faults import Call
from closures.simulator.wire import Refusal, Reply, Request
from closures.simulator.world import World

PHONE = re.compile(r"\+?\d{5,20}", re.ASCII)
TEXT_LIMIT = 2000  # characters
FATES = {"": "DELIVERED", "receipt_failed": "FAILED", "receipt_missing": ""}


def play(world: World, request: Request, call: Call, *, late: bool = False) -> Reply:
    """Answer one request to the provider. Raises `Refusal`."""
    match (request.method, *request.segments[1:]):
        case ("POST", "messages"):
            return send(world, request, call, late=late)
        case ("GET", "messages", key):
            return receipt(world, key=key)
    raise Refusal(404, "NO_SUCH_ROUTE")


def send(world: World, request: Request, call: Call, *, late: bool) -> Reply:
    """The message is with the carrier. The same key sends nothing more, unless a fault forgets it."""
    key = wire.text(request.fields, "key", pattern=wire.KEY)
    to = wire.text(request.fields, "to", pattern=PHONE)
    text = wire.words(request.fields, "text", limit=TEXT_LIMIT)
    forgotten = world.faults.take(call, {"ignore_key"}) is not None
    with world.store.transaction() as connection:
        row = world.store.row("SELECT * FROM messages WHERE key = ?", key)
        if row is not None and not forgotten:
            if (row["recipient"], row["text"]) != (to, text):
                raise Refusal(409, "KEY_REUSED")
            return Reply(payload={"message_id": row["message_id"]})
        fate = world.faults.take(call, {"receipt_failed", "receipt_missing"})
        outcome = FATES[fate.kind if fate else ""]
        message_id = f"sms_{uuid.uuid4().hex}"
        receipt_at = world.now() + world.tuning.receipt_delay
        connection.execute(
            "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?)",
            (key, message_id, to, text, outcome, receipt_at),
        )
        world.effect(system=call.system, kind="SMS", subject=key, key=key, detail="late" if late else "")
    if outcome:
        facts = {"key": key, "account_no": None, "status": outcome}
        announce(world, call=call, type="sms.receipt", facts=facts, delay=world.tuning.receipt_delay)
    return Reply(payload={"message_id": message_id})


def receipt(world: World, *, key: str) -> Reply:
    """What the carrier said so far."""
    row = world.store.row("SELECT * FROM messages WHERE key = ?", key)
    if row is None:
        raise Refusal(404, "NOT_FOUND")
    arrived = row["fate"] and row["receipt_at"] <= world.now()
    return Reply(payload={"message_id": row["message_id"], "status": row["fate"] if arrived else "PENDING"})
