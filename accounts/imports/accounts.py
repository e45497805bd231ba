"""Accounts with their customers, from an extract of the core ledger: one `AccountBatch` per transaction.

A batch reads what is known about its lines in a handful of queries, judges line by line in the order of
the file, and writes in sets. Which texts a line may hold is `accounts.imports.rows`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from accounts import pii
from accounts.actors import Actor
from accounts.imports.entries import Entry, Person, person_of
from accounts.imports.later import LaterMoney, is_unsettled
from accounts.imports.outcomes import Outcome
from accounts.imports.reading import Line
from accounts.imports.reasons import Problem, Reason
from accounts.imports.rows import ACCOUNT_COLUMNS, AccountLine, BadRow, parse_account
from accounts.imports.seen import Seen
from accounts.imports.writes import AccountWrites, IdentityVersion, Run, products_by_code
from accounts.models import CreditAccount, Customer, CustomerIdentity, LenderRelationship

ACCOUNT_NO_AT = ACCOUNT_COLUMNS.index("account_no")


class Holding(NamedTuple):
    """One account of a customer, stored or about to be."""

    product_id: int
    ledger_as_of: datetime
    is_open: bool


class AccountImport:
    """How a file of accounts is kept, batch by batch; the products are read once, when it begins."""

    columns = ACCOUNT_COLUMNS
    tables = (Customer, CustomerIdentity, LenderRelationship, CreditAccount)

    def __init__(self, *, actor: Actor, reason: str, now: datetime) -> None:
        self.run = Run(actor=actor, reason=reason, now=now, products=products_by_code())

    def prepare(self, line: Line) -> Entry[AccountLine]:
        """What the line says; pure, so it can be done while the batch before is written."""
        if line.problem:
            return Entry(line.number, problems=(Problem("", line.problem),))
        key, digest = line.values[ACCOUNT_NO_AT].strip(), pii.row_digest(line.values)
        try:
            row = parse_account(line.values, products=self.run.products.keys(), now=self.run.now)
        except BadRow as bad:
            return Entry(line.number, key, digest, problems=bad.problems)
        return Entry(line.number, key, digest, row, person_of(row))

    def keep(self, entries: Sequence[Entry[AccountLine]], *, seen: Seen) -> Outcome:
        """The good lines are in the database; the caller holds the transaction. Safe to repeat."""
        return AccountBatch(self.run).keep(entries, seen=seen)


class AccountBatch:
    """The lines of one transaction, and what is known about them."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.outcome = Outcome()
        self.customers: dict[str, Customer] = {}
        self.accounts: dict[str, CreditAccount] = {}
        self.holdings: dict[str, dict[str, Holding]] = defaultdict(dict)  # by customer_no, account_no
        self.identities: dict[str, IdentityVersion] = {}  # by customer_no
        self.writes = AccountWrites(run)
        self.later = LaterMoney(run)

    def keep(self, entries: Sequence[Entry[AccountLine]], *, seen: Seen) -> Outcome:
        good = [entry for entry in entries if entry.row]
        numbers = [entry.key for entry in good]
        known = CreditAccount.objects.filter(account_no__among=numbers)
        stored = dict(known.values_list("account_no", "row_digest"))
        changed = [entry.row for entry in good if entry.row and stored.get(entry.key) != entry.digest]
        if changed:
            self._read(changed, known=stored.keys())
        taken = seen.among(numbers)
        for entry in entries:
            problems = entry.problems
            if not problems and entry.key in taken:
                problems = (Problem("account_no", Reason.TWICE),)
            elif not problems and stored.get(entry.key) == entry.digest:
                self.outcome.counts.unchanged += 1
            elif entry.row and entry.person and (problem := self._judge(entry, entry.row, entry.person)):
                problems = (problem,)
            if problems:
                self.outcome.reject(entry.line, problems)
            else:
                taken.add(entry.key)
                self.outcome.kept.append(entry.key)
        for line in self.writes.write(self.customers):
            self.outcome.flag(line, "id_number", Reason.SAME_ID_NUMBER)
        for line in self.later.write():
            self.outcome.flag(line, "account_no", Reason.LATER_MONEY)
        return self.outcome

    # --- What is known ------------------------------------------------------------------------------

    def _read(self, rows: Sequence[AccountLine], *, known: Collection[str]) -> None:
        """Read and lock the customers and accounts concerned: parents first, lowest key first."""
        customers = Customer.objects.filter(customer_no__among={row.customer_no for row in rows}).order_by(
            "pk"
        )
        self.customers = {c.customer_no: c for c in customers.select_for_update(of=("self",), no_key=True)}
        if changed := [row.account_no for row in rows if row.account_no in known]:
            accounts = CreditAccount.objects.filter(account_no__among=changed).order_by("pk")
            self.accounts = {a.account_no: a for a in accounts.select_for_update(of=("self",), no_key=True)}
            self.later.read(self.accounts.values())
        number_of = {c.pk: c.customer_no for c in self.customers.values()}
        if not number_of:
            return
        held = CreditAccount.objects.filter(customer_id__among=number_of).values_list(
            "customer_id", "account_no", "product_id", "ledger_as_of", "line_state"
        )
        for customer_id, account_no, product_id, as_of, state in held:
            is_open = state != CreditAccount.LineState.CLOSED
            self.holdings[number_of[customer_id]][account_no] = Holding(product_id, as_of, is_open)
        current = CustomerIdentity.objects.filter(customer_id__among=number_of, superseded_at__isnull=True)
        for customer_id, pk, version, digest in current.values_list("customer_id", "pk", "version", "digest"):
            self.identities[number_of[customer_id]] = IdentityVersion(pk, version, digest)

    # --- What becomes of a line -----------------------------------------------------------------------

    def _judge(self, entry: Entry[AccountLine], row: AccountLine, person: Person) -> Problem | None:
        """Count the line and put it among what will be written; or why it cannot be kept."""
        counts = self.outcome.counts
        customer, account = self.customers.get(row.customer_no), self.accounts.get(row.account_no)
        if customer and customer.standing == Customer.Standing.ERASED:
            return Problem("customer_no", Reason.ERASED)
        problem = self._judge_known(row, account, customer) if account else self._judge_new(row)
        if problem:
            return problem
        if account and account.ledger_as_of > row.ledger_as_of:
            counts.stale += 1
            return None
        is_closed = account is not None and account.line_state == CreditAccount.LineState.CLOSED
        if is_closed and is_unsettled(row):
            return Problem("account_no", Reason.CLOSED_MOVED)
        identity = self._identity(row, digest=person.digest)
        if isinstance(identity, Problem):
            return identity
        if identity:
            self.identities[row.customer_no] = identity
            self.writes.identity(row.customer_no, identity, person, line=entry.line)
        if account is None:
            self.writes.open(row, digest=entry.digest)
            counts.imported += 1
        elif is_closed and self.later.take(account, row, digest=entry.digest, line=entry.line):
            counts.later_money += 1
        elif (not is_closed and self.writes.copy(account, row, digest=entry.digest)) or identity:
            counts.updated += 1  # a closed account itself stays on record as it was closed
        else:
            counts.unchanged += 1
        product_id = self.run.products[row.product_code].pk
        self.holdings[row.customer_no][row.account_no] = Holding(product_id, row.ledger_as_of, not is_closed)
        return None

    def _judge_known(
        self, row: AccountLine, account: CreditAccount, customer: Customer | None
    ) -> Problem | None:
        if customer is None or account.customer_id != customer.pk:
            return Problem("account_no", Reason.OTHER_CUSTOMER)
        if account.product_id != self.run.products[row.product_code].pk:
            return Problem("product_code", Reason.OTHER_PRODUCT)
        return None

    def _judge_new(self, row: AccountLine) -> Problem | None:
        product_id = self.run.products[row.product_code].pk
        others = self.holdings[row.customer_no].values()
        if any(other.is_open and other.product_id == product_id for other in others):
            return Problem("product_code", Reason.SECOND_OPEN)
        return None

    def _identity(self, row: AccountLine, *, digest: str) -> IdentityVersion | Problem | None:
        """A new version of who the customer is, None when there is nothing to say.

        # Note [Which of two identities is true]
        The one of the newer ledger date. Two accounts of one customer that differ on the same ledger
        date contradict each other: nobody here can tell which is true, so the second is rejected, and
        again each time the file is read.
        """
        current = self.identities.get(row.customer_no)
        if current is None:
            return IdentityVersion(None, 1, digest, planned=True)
        if current.digest == digest:
            return None
        others = self.holdings[row.customer_no]
        newest = max((held.ledger_as_of for no, held in others.items() if no != row.account_no), default=None)
        if newest and newest == row.ledger_as_of:
            return Problem("customer_no", Reason.IDENTITY_DIFFERS)
        if newest and newest > row.ledger_as_of:
            return None
        # A version this batch has planned and not stored is replaced, not superseded.
        version = current.version if current.planned else current.version + 1
        return IdentityVersion(current.pk, version, digest, planned=True)
