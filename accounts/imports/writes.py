"""What a batch of account lines writes, once it is judged: sets of rows, in the order the keys need."""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from django.utils import timezone

from accounts import bulk
from accounts.actors import Actor
from accounts.imports import loading
from accounts.imports.entries import Person
from accounts.imports.rows import AccountLine
from accounts.models import CreditAccount, CreditProduct, Customer, CustomerIdentity, LenderRelationship
from accounts.statements import new_ids

COPIED = (*CreditAccount.LEDGER_FIELDS, "ledger_as_of")  # columns that bear the names of the model's fields
SEALED_FIELDS = tuple(f"{name}_sealed" for name in CustomerIdentity.SEALED)
IDENTITY_FIELDS = (
    *("id", "customer", "version"),
    *SEALED_FIELDS,
    *("id_number_index", "phone_index", "digest", "recorded_at"),
)


class Product(NamedTuple):
    pk: int
    lender_id: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """What all batches of one import share."""

    actor: Actor
    reason: str
    now: datetime
    products: dict[str, Product]

    @property
    def signed(self) -> dict[str, Any]:
        return {"actor": self.actor, "reason": self.reason, "now": self.now}


def products_by_code() -> dict[str, Product]:
    rows = CreditProduct.objects.values_list("code", "pk", "lender_id")
    return {code: Product(pk, lender_id) for code, pk, lender_id in rows}


class IdentityVersion(NamedTuple):
    """Who a customer is, by digest: the stored version `pk`, or one planned to supersede it."""

    pk: int | None
    version: int
    digest: str
    planned: bool = False


class AccountWrites:
    """Collects what the judged lines change; `write` does it all."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._identities: dict[str, tuple[int, IdentityVersion, Person]] = {}  # by customer_no
        self._opened: list[tuple[AccountLine, str]] = []
        self._copied: list[dict[str, Any]] = []

    def identity(self, customer_no: str, version: IdentityVersion, person: Person, *, line: int) -> None:
        """The customer gets this version; of two in one batch the later one."""
        self._identities[customer_no] = (line, version, person)

    def open(self, row: AccountLine, *, digest: str) -> None:
        """The account is new."""
        self._opened.append((row, digest))

    def copy(self, account: CreditAccount, row: AccountLine, *, digest: str) -> bool:
        """The account takes over what the ledger says; whether anything but the ledger date differs."""
        values = {name: getattr(row, name) for name in COPIED}
        self._copied.append({"account_no": account.account_no, **values, "row_digest": digest})
        return any(getattr(account, name) != values[name] for name in CreditAccount.LEDGER_FIELDS)

    def write(self, known: dict[str, Customer]) -> list[int]:
        """Everything collected is in the database; the lines whose ID number another customer has too."""
        ids = {number: customer.pk for number, customer in known.items()}
        newcomers = list(
            dict.fromkeys(row.customer_no for row, _ in self._opened if row.customer_no not in ids)
        )
        ids.update(zip(newcomers, new_ids(Customer, len(newcomers)), strict=True))
        loading.insert_tracked(
            Customer,
            ("id", "customer_no"),
            [(ids[number], number) for number in newcomers],
            **self.run.signed,
        )
        flagged = self._write_identities(ids)
        self._write_relationships(ids, newcomers=set(newcomers), known=known)
        self._write_accounts(ids)
        return flagged

    def _write_identities(self, ids: dict[str, int]) -> list[int]:
        if not self._identities:
            return []
        planned = [(ids[number], *planned) for number, planned in self._identities.items()]
        superseded = [version.pk for _, _, version, _ in planned if version.pk]
        CustomerIdentity.objects.filter(pk__among=superseded).update(superseded_at=self.run.now)
        shared = self._shared({customer_id: person.id_number_index for customer_id, _, _, person in planned})
        pks = new_ids(CustomerIdentity, len(planned))
        loading.insert(
            CustomerIdentity,
            IDENTITY_FIELDS,
            (
                (
                    pk,
                    customer_id,
                    version.version,
                    *person.sealed,
                    person.id_number_index,
                    person.phone_index,
                    person.digest,
                    self.run.now,
                )
                for pk, (customer_id, _, version, person) in zip(pks, planned, strict=True)
            ),
        )
        return [line for customer_id, line, _, _ in planned if customer_id in shared]

    def _shared(self, indexes: dict[int, str]) -> set[int]:
        """Those of these customers whose ID number another customer, or one before them here, has too."""
        among = list(indexes.values())
        current = CustomerIdentity.objects.filter(superseded_at__isnull=True, id_number_index__among=among)
        owners: dict[str, set[int]] = defaultdict(set)
        for index, customer_id in current.values_list("id_number_index", "customer_id"):
            owners[index].add(customer_id)
        shared = set()
        for customer_id, index in indexes.items():
            if owners[index] - {customer_id}:
                shared.add(customer_id)
            owners[index].add(customer_id)
        return shared

    def _write_relationships(
        self, ids: dict[str, int], *, newcomers: set[str], known: dict[str, Customer]
    ) -> None:
        """A new account begins a relationship where none is open, and who was let go resumes.

        As `services.relationships.begin` does for one customer, in sets.
        """
        returning = [ids[row.customer_no] for row, _ in self._opened if row.customer_no not in newcomers]
        still_open = LenderRelationship.objects.filter(customer_id__among=returning, ended_on__isnull=True)
        related = set(still_open.values_list("customer_id", "lender_id"))
        begun: dict[tuple[int, int], date] = {}
        for row, _ in self._opened:
            pair = (ids[row.customer_no], self.run.products[row.product_code].lender_id)
            if pair not in related:
                begun.setdefault(pair, ledger_day(row.ledger_as_of))
        pks = new_ids(LenderRelationship, len(begun))
        loading.insert_tracked(
            LenderRelationship,
            ("id", "customer", "lender", "started_on"),
            [(pk, *pair, day) for pk, (pair, day) in zip(pks, begun.items(), strict=True)],
            **self.run.signed,
        )
        resting = [
            known[row.customer_no].pk
            for row, _ in self._opened
            if row.customer_no in known and known[row.customer_no].standing == Customer.Standing.RESTRICTED
        ]
        if resting:
            customers = Customer.objects.filter(pk__among=resting)
            bulk.transition_many(customers, Customer.resume, **self.run.signed)

    def _write_accounts(self, ids: dict[str, int]) -> None:
        pks = new_ids(CreditAccount, len(self._opened))
        loading.insert_tracked(
            CreditAccount,
            ("id", "account_no", "customer", "product", *COPIED, "row_digest"),
            [
                (
                    pk,
                    row.account_no,
                    ids[row.customer_no],
                    self.run.products[row.product_code].pk,
                    *[getattr(row, name) for name in COPIED],
                    digest,
                )
                for pk, (row, digest) in zip(pks, self._opened, strict=True)
            ],
            **self.run.signed,
        )
        if self._copied:
            bulk.update_many(
                CreditAccount,
                self._copied,
                key="account_no",
                fields=(*COPIED, "row_digest"),
                **self.run.signed,
            )


@functools.lru_cache(maxsize=256)  # an extract names few ledger dates
def ledger_day(moment: datetime) -> date:
    return timezone.localdate(moment)
