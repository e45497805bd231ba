"""The core ledger: what is owed, and the four commands that change a line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from closures.gateways import http
from closures.gateways.errors import Refused, Unclear

ARREARS = re.compile(r"(?=.{1,60}$)\d{1,3}(\|\d{1,3})*", re.ASCII)  # as much as our copy holds
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


def command(*, account_no: str, verb: str, key: str) -> None:
    """The ledger says that it is done; a claim, until it is read back.

    Safe to repeat with the same key, but ask first. Raises `Refused` (STILL_OWED, CREDIT_BALANCE …,
    NOT_FOUND for an unknown account), `Unreachable`, `Unclear`.
    """
    verb = Verb(verb)
    answer = http.post(_endpoint(), "accounts", account_no, "commands", body={"key": key, "verb": verb})
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


def check_config() -> list[str]:
    """What is wrong with the settings of the ledger; empty when nothing is. Calls nobody."""
    entry = settings.LEDGER
    return http.Endpoint("LEDGER", entry["url"], entry["key_id"], entry["secret"].encode()).problems()


def _endpoint() -> http.Endpoint:
    return http.Endpoint.of("LEDGER", settings.LEDGER)
