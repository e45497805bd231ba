"""Who does something: a member of staff, a job, the customer, a partner, or the shipped data.

Every change names its actor; `str(actor)` is what history keeps, and it never holds personal data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounts.models import Customer, User


class ActorKind(StrEnum):
    STAFF = "staff"
    JOB = "job"
    CUSTOMER = "customer"
    PARTNER = "partner"
    SHIPPED = "shipped"


@dataclass(frozen=True, kw_only=True)
class Actor:
    kind: ActorKind
    name: str
    user: User | None = None
    customer_id: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @classmethod
    def staff(cls, user: User) -> Actor:
        return cls(kind=ActorKind.STAFF, name=user.staff_no, user=user)

    @classmethod
    def job(cls, name: str) -> Actor:
        return cls(kind=ActorKind.JOB, name=name)

    @classmethod
    def customer(cls, customer: Customer) -> Actor:
        return cls(kind=ActorKind.CUSTOMER, name=customer.customer_no, customer_id=customer.pk)

    @classmethod
    def partner(cls, code: str) -> Actor:
        return cls(kind=ActorKind.PARTNER, name=code)


SHIPPED = Actor(kind=ActorKind.SHIPPED, name="product")
