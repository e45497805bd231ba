"""Money that the ledger shows on an account that is closed here: written down once, for others to follow up.

The account itself stays on record as it was closed; what becomes of the money is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from accounts.imports import loading
from accounts.imports.rows import AccountLine
from accounts.imports.writes import Run
from accounts.models import ClosedAccountMovement, CreditAccount
from accounts.statements import new_ids

DEBTS = ("principal", "interest", "fees", "unbilled")
# A refund in flight is the customer's money that has not arrived, a disputed amount is nobody's yet: they
# come as a credit balance or a debt once it is known what they are. Until then the line is not kept.
UNSETTLED = ("refunds_in_flight", "disputed", *CreditAccount.OWED_COUNTS)
COLUMNS = ("id", "account", "ledger_as_of", "owed_by_customer", "owed_to_customer", "digest", "recorded_at")


class LaterMoney:
    """The movements of one batch, judged against those that were written before."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._digests: set[tuple[int, str]] = set()
        self._newest: dict[int, tuple[Decimal, Decimal]] = {}  # owed by and to the customer, by account
        self._new: list[tuple[int, Any, Decimal, Decimal, str]] = []
        self._lines: list[int] = []

    def read(self, accounts: Iterable[CreditAccount]) -> None:
        """What is known of the closed ones among these accounts. One query, none where none is closed."""
        closed = [a.pk for a in accounts if a.line_state == CreditAccount.LineState.CLOSED]
        if not closed:
            return
        rows = ClosedAccountMovement.objects.filter(account_id__among=closed).order_by("ledger_as_of", "pk")
        for account_id, digest, by_him, to_him in rows.values_list(
            "account_id", "digest", "owed_by_customer", "owed_to_customer"
        ):
            self._digests.add((account_id, digest))
            self._newest[account_id] = by_him, to_him

    def take(self, account: CreditAccount, row: AccountLine, *, digest: str, line: int) -> bool:
        """Whether the line moves money on the closed account, and nobody has said so yet; it will be written.

        A line without money counts too where the line before it had some: what was there has gone.
        """
        owed = sum((getattr(row, name) for name in DEBTS), Decimal("0.00")), row.credit_balance
        silent = not any(owed) and not any(self._newest.get(account.pk, ()))
        if silent or (account.pk, digest) in self._digests:
            return False
        self._digests.add((account.pk, digest))
        self._newest[account.pk] = owed
        self._new.append((account.pk, row.ledger_as_of, *owed, digest))
        self._lines.append(line)
        return True

    def write(self) -> list[int]:
        """The new movements are in the database; the lines they stood on."""
        if self._new:
            pks = new_ids(ClosedAccountMovement, len(self._new))
            rows = [(pk, *values, self.run.now) for pk, values in zip(pks, self._new, strict=True)]
            loading.insert(ClosedAccountMovement, COLUMNS, rows)
        return self._lines


def is_unsettled(row: AccountLine) -> bool:
    """The line of a closed account shows no money yet, but orders or amounts whose fate is open."""
    return any(getattr(row, name) for name in UNSETTLED) and not (
        any(getattr(row, name) for name in DEBTS) or row.credit_balance
    )
