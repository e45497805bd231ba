"""The core ledger: what is owed, and the commands that change a line.

GET  /ledger/accounts/{no}
POST /ledger/accounts/{no}/commands   {"key", "verb"}; OPEN: "reopens"; RETURN: "amount", "ref"
GET  /ledger/commands/{key}
GET  /ledger/returns/{ref}
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from closures.simulator import wire
from closures.simulator.faults import Call
from closures.simulator.wire import Refusal, Reply, Request
from closures.simulator.world import World, known

VERBS = ("FREEZE", "UNFREEZE", "PAY_OUT", "CLOSE", "OPEN", "RETURN")
STATES = ("OPEN", "FROZEN", "CLOSED")
MONEY_OWED = ("principal", "interest", "fees", "unbilled", "refunds_in_flight", "disputed")
COUNTS_OWED = ("instalments_remaining", "pending_orders")
MONEY = ("credit_limit", *MONEY_OWED, "credit_balance")
COUNTS = (*COUNTS_OWED, "days_past_due")
REPAY_ORDER = ("fees", "interest", "principal", "unbilled")
COLUMNS = (
    "account_no", "customer_no", "state", "credit_limit", "principal", "interest", "fees", "unbilled",
    "instalments_remaining", "pending_orders", "refunds_in_flight", "disputed", "credit_balance",
    "days_past_due", "arrears_months",
)  # fmt: skip


def play(world: World, request: Request, call: Call, *, late: bool = False) -> Reply:
    """Answer one ledger request. Raises `Refusal`."""
    match (request.method, *request.segments[1:]):
        case ("GET", "accounts", account_no):
            return Reply(payload=shape(world, account(world, account_no)))
        case ("POST", "accounts", account_no, "commands"):
            return command(world, request, call, account_no=account_no, late=late)
        case ("GET", "commands", key):
            operation = world.store.operation(call.system, key)
            if operation is None:
                raise Refusal(404, "NOT_FOUND")
            return Reply(payload={"key": key, "verb": operation["kind"], "state": "DONE"})
        case ("GET", "returns", ref):
            return Reply(payload=posting(world, ref))
    raise Refusal(404, "NO_SUCH_ROUTE")


def command(world: World, request: Request, call: Call, *, account_no: str, late: bool) -> Reply:
    """The command is carried out. Safe to repeat with the same key; a refusal is not remembered."""
    key = wire.text(request.fields, "key", pattern=wire.KEY)
    verb = wire.choice(request.fields, "verb", VERBS)
    done = Reply(payload={"key": key, "verb": verb, "state": "DONE"})
    with world.store.transaction():
        if known(operation=world.store.operation(call.system, key), kind=verb, subject=account_no):
            return done
        subject, detail = carry_out(world, request.fields, account_no=account_no, verb=verb)
        world.store.remember(system=call.system, key=key, kind=verb, subject=account_no)
        world.effect(
            system=call.system,
            kind=verb,
            subject=subject,
            key=key,
            detail=f"late {detail}".strip() if late else detail,
        )
    return done


def carry_out(world: World, fields: Mapping[str, Any], *, account_no: str, verb: str) -> tuple[str, str]:
    """The verb is done; what its effect is about and what it says. Raises `Refusal` (409)."""
    if verb == "OPEN":
        return account_no, reopen(world, fields, account_no=account_no)
    row = account(world, account_no)
    if verb == "RETURN":
        return give_back(world, fields, row)
    change, detail = outcome(row, verb)
    update(world, account_no, change)
    return account_no, detail


def outcome(row: sqlite3.Row, verb: str) -> tuple[dict[str, Any], str]:
    """What the command changes and what the effect says. Raises `Refusal` (409) with the reason."""
    if row["state"] == "CLOSED":
        raise Refusal(409, "ALREADY_CLOSED")
    if verb == "FREEZE":
        return {"state": "FROZEN"}, ""
    if verb == "UNFREEZE":
        return {"state": "OPEN"}, ""
    if verb == "PAY_OUT":
        if not row["credit_balance"]:
            raise Refusal(409, "NOTHING_TO_PAY_OUT")
        return {"credit_balance": 0}, wire.yuan(row["credit_balance"])
    if any(row[name] for name in (*MONEY_OWED, *COUNTS_OWED)):
        raise Refusal(409, "STILL_OWED")
    if row["credit_balance"]:
        raise Refusal(409, "CREDIT_BALANCE")
    return {"state": "CLOSED"}, ""


# After a closing: a new account in place of a closed one, money that goes back from a closed one


def reopen(world: World, fields: Mapping[str, Any], *, account_no: str) -> str:
    """A new account like the closed one, with its limit and nothing owed. Raises `Refusal` (409)."""
    old = account(world, wire.text(fields, "reopens"))
    if old["state"] != "CLOSED":
        raise Refusal(409, "NOT_CLOSED")
    if world.store.row("SELECT 1 FROM accounts WHERE account_no = ?", account_no) is not None:
        raise Refusal(409, "ALREADY_OPEN")
    kept = {name: old[name] for name in ("customer_no", "credit_limit", "arrears_months")}
    values = dict.fromkeys(COLUMNS, 0) | kept | {"account_no": account_no, "state": "OPEN"}
    world.store.put("accounts", [tuple(values[name] for name in COLUMNS)])
    return f"reopens {old['account_no']}"


def give_back(world: World, fields: Mapping[str, Any], row: sqlite3.Row) -> tuple[str, str]:
    """The amount has gone from the closed account to the customer. Raises `Refusal` (409)."""
    ref, amount = wire.text(fields, "ref", pattern=wire.KEY), wire.fen(fields, "amount")
    if row["state"] != "CLOSED":
        raise Refusal(409, "NOT_CLOSED")
    if not 0 < amount <= row["credit_balance"]:
        raise Refusal(409, "NOTHING_TO_RETURN")
    update(world, row["account_no"], {"credit_balance": row["credit_balance"] - amount})
    return ref, f"{row['account_no']} {wire.yuan(amount)}"


def posting(world: World, ref: str) -> dict[str, Any]:
    """What was returned under this number. Raises `Refusal` (404)."""
    booked = world.store.effects(kind="RETURN", subject=ref)
    if not booked:
        raise Refusal(404, "NOT_FOUND")
    account_no, amount = booked[0]["detail"].removeprefix("late ").split(" ")
    return {"ref": ref, "account_no": account_no, "amount": amount, "state": "RETURNED"}


# What the customer does (control plane)


def repay(world: World, call: Call, *, account_no: str, amount: int | None) -> Reply:
    """Everything is repaid, or `amount` fen of it: fees, interest, principal, unbilled in this order."""
    with world.store.transaction():
        row = account(world, account_no)
        change: dict[str, Any]
        if amount is None:
            change = dict.fromkeys((*MONEY_OWED, *COUNTS_OWED, "days_past_due"), 0)
            paid = sum(row[name] for name in REPAY_ORDER)
        else:
            change, left = {}, amount
            for name in REPAY_ORDER:
                part = min(left, row[name])
                change[name], left = row[name] - part, left - part
            # What is paid beyond the debt is the customer's money.
            change["credit_balance"] = row["credit_balance"] + left
            paid = amount
        update(world, account_no, change)
        world.effect(system=call.system, kind="REPAY", subject=account_no, detail=wire.yuan(paid))
        return Reply(payload=shape(world, account(world, account_no)))


def add(world: World, call: Call, *, account_no: str, kind: str, amount: int) -> Reply:
    """`amount` fen were spent (SPEND, only while OPEN) or came in too much (CREDIT)."""
    column = {"SPEND": "principal", "CREDIT": "credit_balance"}[kind]
    with world.store.transaction():
        row = account(world, account_no)
        if row["state"] == "CLOSED" or (kind == "SPEND" and row["state"] != "OPEN"):
            raise Refusal(409, row["state"])
        update(world, account_no, {column: row[column] + amount})
        world.effect(system=call.system, kind=kind, subject=account_no, detail=wire.yuan(amount))
        return Reply(payload=shape(world, account(world, account_no)))


# Rows


def account(world: World, account_no: str) -> sqlite3.Row:
    row = world.store.row("SELECT * FROM accounts WHERE account_no = ?", account_no)
    if row is None:
        raise Refusal(404, "NOT_FOUND")
    return row


def update(world: World, account_no: str, change: Mapping[str, Any]) -> None:
    sets = ", ".join(f"{name} = ?" for name in change)
    with world.store.transaction() as connection:
        connection.execute(f"UPDATE accounts SET {sets} WHERE account_no = ?", (*change.values(), account_no))


def shape(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """The account as the wire shows it; `as_of` is now, because this is the ledger itself."""
    shown = {name: wire.yuan(row[name]) if name in MONEY else row[name] for name in COLUMNS}
    return shown | {"as_of": world.moment()}


def patch(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The columns a control request changes, checked. Raises `BadField`."""
    change: dict[str, Any] = {}
    for name in fields:
        if name in MONEY:
            change[name] = wire.fen(fields, name)
        elif name in COUNTS:
            change[name] = wire.count(fields, name)
        elif name == "state":
            change[name] = wire.choice(fields, name, STATES)
        elif name == "arrears_months":
            change[name] = wire.text(fields, name)
        else:
            raise wire.BadField(name)
    if not change:
        raise Refusal(400, "NOTHING_TO_CHANGE")
    return change


def row_of(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """One account row from an extract's line or a control request; other columns are not kept."""
    values: dict[str, Any] = {
        "account_no": wire.text(fields, "account_no"),
        "customer_no": wire.text(fields, "customer_no") if fields.get("customer_no") else "",
        "state": wire.choice(fields, "state", STATES) if fields.get("state") else "OPEN",
        "arrears_months": wire.text(fields, "arrears_months") if fields.get("arrears_months") else "0",
    }
    for name in MONEY:
        values[name] = wire.fen(fields, name, default="0.00")
    for name in COUNTS:
        values[name] = wire.count(fields, name, default=0)
    return tuple(values[name] for name in COLUMNS)
