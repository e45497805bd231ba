"""The core ledger: what is owed, the commands that change a line, and what it has returned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.utils import timezone

from closures.gateways import http
from closures.gateways.errors import Refused, Unclear
from closures.gateways.wire import Fields

ARREARS = re.compile(r"(?=.{1,60}$)\d{1,3}(\|\d{1,3})*", re.ASCII)  # as much as our copy holds
ACCOUNT_NO = re.compile(r"[\x21-\x7e]{1,32}")
REF = re.compile(r"[\x21-\x7e]{1,70}")
CLOCKS_DIFFER_BY = timedelta(minutes=5)  # our choice: a fresher "as of" than that is no clock at all


class LineState(StrEnum):
    """What the ledger itself says about the line."""

    OPEN = "OPEN"
    FROZEN = "FROZEN"
    CLOSED = "CLOSED"


class Verb(StrEnum):
    """The commands the ledger knows."""

    FREEZE = "FREEZE"
    UNFREEZE = "UNFREEZE"
    PAY_OUT = "PAY_OUT"
    CLOSE = "CLOSE"
    OPEN = "OPEN"
    RETURN = "RETURN"


@dataclass(frozen=True)
class LedgerFacts:
    """One account as the ledger shows it now. Money in yuan, `arrears_months` newest first, "2|0|1"."""

    account_no: str
    state: LineState
    credit_limit: Decimal
    principal: Decimal
    interest: Decimal
    fees: Decimal
    unbilled: Decimal
    instalments_remaining: int
    pending_orders: int
    refunds_in_flight: Decimal
    disputed: Decimal
    credit_balance: Decimal
    days_past_due: int
    arrears_months: str
    as_of: datetime


@dataclass(frozen=True)
class Posting:
    """Money that the ledger has returned from a closed account, under our number."""

    ref: str
    account_no: str
    amount: Decimal


def read(account_no: str) -> LedgerFacts:
    """What the ledger says about the account now. Changes nothing.

    Raises `Refused` NOT_FOUND when the ledger does not know the account, `Unreachable`, `Unclear`.
    """
    answer = http.get(_endpoint(), "accounts", account_no)
    if answer.not_found():
        raise Refused("NOT_FOUND", raw=answer.fields.raw)
    fields = answer.success()
    as_of = fields.moment("as_of")
    if as_of > timezone.now() + CLOCKS_DIFFER_BY:
        raise fields.unclear("as_of")
    return LedgerFacts(
        account_no=fields.equal("account_no", account_no),
        state=fields.choice("state", LineState),
        credit_limit=fields.money("credit_limit"),
        principal=fields.money("principal"),
        interest=fields.money("interest"),
        fees=fields.money("fees"),
        unbilled=fields.money("unbilled"),
        instalments_remaining=fields.count("instalments_remaining"),
        pending_orders=fields.count("pending_orders"),
        refunds_in_flight=fields.money("refunds_in_flight"),
        disputed=fields.money("disputed"),
        credit_balance=fields.money("credit_balance"),
        days_past_due=fields.count("days_past_due"),
        arrears_months=fields.text("arrears_months", pattern=ARREARS),
        as_of=as_of,
    )


def command(*, account_no: str, verb: str, key: str, **particulars: str) -> None:
    """The ledger says that it is done; a claim, until it is read back.

    `particulars` are what a verb says besides: OPEN the closed account that it `reopens`, RETURN the
    `amount` ("66.00") and our `ref`. Safe to repeat with the same key, but ask first.
    Raises `Refused` (STILL_OWED, CREDIT_BALANCE …, NOT_FOUND for an unknown account), `Unreachable`,
    `Unclear`.
    """
    verb = Verb(verb)
    body = {"key": key, "verb": verb, **particulars}
    answer = http.post(_endpoint(), "accounts", account_no, "commands", body=body)
    if answer.not_found():
        raise Refused("NOT_FOUND", raw=answer.fields.raw)
    fields = answer.success()
    fields.equal("key", key)
    fields.equal("verb", verb)
    fields.equal("state", "DONE")


def ask(*, key: str) -> bool:
    """Whether the ledger carried out the command of this key; False when it does not know the key.

    False is no proof that it never will: a late command may still be on its way (settle window).
    Raises `Unreachable`, `Unclear`.
    """
    answer = http.get(_endpoint(), "commands", key)
    if answer.not_found():
        return False
    try:
        fields = answer.success()
    except Refused as refused:
        raise Unclear("a question was refused", raw=refused.raw) from refused
    fields.equal("key", key)
    fields.choice("verb", Verb)
    fields.equal("state", "DONE")
    return True


def returned(*, ref: str) -> Posting | None:
    """The posting by which money of a closed account went back to the customer; None if there is none.

    The read-back of RETURN: what the ledger has booked, not what it answered. Changes nothing.
    Raises `Unreachable`, `Unclear`.
    """
    answer = http.get(_endpoint(), "returns", ref)
    if answer.not_found():
        return None
    try:
        fields = answer.success()
    except Refused as refused:
        raise Unclear("a question was refused", raw=refused.raw) from refused
    fields.equal("state", "RETURNED")
    return Posting(
        ref=fields.equal("ref", ref), account_no=fields.text("account_no"), amount=fields.money("amount")
    )


class PostingKind(StrEnum):
    """What a posting on a closed account is."""

    REFUND = "REFUND"
    CLAWBACK = "CLAWBACK"
    CORRECTION = "CORRECTION"


class PostingSide(StrEnum):
    """Whom the money of a posting belongs to."""

    TO_CUSTOMER = "TO_CUSTOMER"
    BY_CUSTOMER = "BY_CUSTOMER"


USUAL_SIDE = {
    PostingKind.REFUND: PostingSide.TO_CUSTOMER,
    PostingKind.CLAWBACK: PostingSide.BY_CUSTOMER,
}


def read_posting(event: Mapping[str, object], *, now: datetime) -> dict[str, Any]:
    """The fields of a verified event `ledger.money_after_closing`, strictly read.

    account_no, ref, kind, amount, at; `direction` where the kind does not say whose money it is;
    `takes_back` may name the refund that a clawback takes back. Raises `Unclear`.
    """
    fields = Fields(event)
    kind = fields.choice("kind", PostingKind)
    usual = USUAL_SIDE.get(kind)
    side = fields.choice("direction", PostingSide) if "direction" in event or usual is None else usual
    if usual is not None and side is not usual:
        raise fields.unclear("direction")
    amount = fields.money("amount")
    if not amount:
        raise fields.unclear("amount")
    return {
        "account_no": fields.text("account_no", pattern=ACCOUNT_NO),
        "ref": fields.text("ref", pattern=REF),
        "kind": str(kind),
        "amount": amount,
        "direction": str(side),
        "takes_back": fields.text("takes_back", pattern=REF) if event.get("takes_back") else "",
        "occurred_at": fields.moment("at") if event.get("at") else now,
    }


def check_config() -> list[str]:
    """What is wrong with the settings of the ledger; empty when nothing is. Calls nobody."""
    entry = settings.LEDGER
    return http.Endpoint("LEDGER", entry["url"], entry["key_id"], entry["secret"].encode()).problems()


def _endpoint() -> http.Endpoint:
    return http.Endpoint.of("LEDGER", settings.LEDGER)
