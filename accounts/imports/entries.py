"""A line that was read and judged by itself, before the database is asked about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from accounts import pii
from accounts.imports.reasons import Problem
from accounts.imports.rows import AccountLine, AgreementLine
from accounts.models import CustomerIdentity

RowT = TypeVar("RowT", AccountLine, AgreementLine)


class Person(NamedTuple):
    """Who an account line says the customer is, in the form it is stored."""

    digest: str
    sealed: list[str]  # in the order of CustomerIdentity.SEALED
    id_number_index: str
    phone_index: str


@dataclass(frozen=True, slots=True)
class Entry(Generic[RowT]):
    """One line of a file: its row, or its problems."""

    line: int
    key: str = ""  # what stands for the row within a file
    digest: str = ""
    row: RowT | None = None
    person: Person | None = None
    problems: Sequence[Problem] = ()


def person_of(row: AccountLine) -> Person:
    """Sealed whether or not it turns out to be new: done ahead, it costs time that nobody waits for."""
    fields = {name: getattr(row, name) for name in CustomerIdentity.SEALED}
    return Person(
        digest=pii.row_digest(fields.values()),
        sealed=pii.seal_all(fields, subject=row.customer_no),
        id_number_index=pii.blind_index("id_number", row.id_number),
        phone_index=pii.blind_index("phone", row.phone),
    )
