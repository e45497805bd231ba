"""Reads on people: who a customer is, masked, and which customers carry a number.

Nothing here shows personal data unmasked; that is `accounts.services.identities.reveal`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts import pii
from accounts.models import Customer, CustomerIdentity

UNREADABLE = "⚠"  # on a list, one seal that cannot be opened must not hide all the others


@dataclass(frozen=True, kw_only=True)
class MaskedIdentity:
    """A customer's current identity as a screen may show it; blank where nothing is known."""

    version: int = 0  # 0: no identity is kept (erased, or never imported)
    name: str = ""
    id_number: str = ""
    phone: str = ""
    email: str = ""
    birth_date: str = ""

    def __str__(self) -> str:
        return self.name


NOBODY = MaskedIdentity()


def identity_of(customer: Customer) -> MaskedIdentity:
    """The customer's current identity, masked; `NOBODY` when none is kept. One query."""
    return identities_of([customer])[customer.pk]


def identities_of(customers: Iterable[Customer]) -> dict[int, MaskedIdentity]:
    """The masked current identity of each customer by pk, for lists. One query for all of them."""
    numbers = {customer.pk: customer.customer_no for customer in customers}
    found = CustomerIdentity.objects.filter(customer_id__in=numbers, superseded_at__isnull=True)
    masked = {row.customer_id: _masked(row, customer_no=numbers[row.customer_id]) for row in found}
    return {pk: masked.get(pk, NOBODY) for pk in numbers}


def _masked(row: CustomerIdentity, *, customer_no: str) -> MaskedIdentity:
    shown = {}
    for field in CustomerIdentity.SEALED:
        try:
            value = pii.reveal(getattr(row, f"{field}_sealed"), subject=customer_no, field=field)
        except pii.Unreadable:
            shown[field] = UNREADABLE
        else:
            shown[field] = pii.mask(field, value)
    return MaskedIdentity(version=row.version, **shown)


def restricted_since(customer: Customer) -> datetime | None:
    """Since when his data is only stored, or None while it may be used. One query at most."""
    if customer.standing != Customer.Standing.RESTRICTED:
        return None
    restricted = customer.history.filter(standing=Customer.Standing.RESTRICTED)
    before = customer.history.exclude(standing=Customer.Standing.RESTRICTED)
    newest_use = before.order_by("-history_id").values("history_id")[:1]
    since = restricted.filter(history_id__gt=Coalesce(Subquery(newest_use), 0)).order_by("history_id")
    return since.values_list("history_date", flat=True).first()


def find_customers(*, id_number: str = "", phone: str = "") -> QuerySet[Customer]:
    """Customers whose current identity carries exactly this number; both given, both must match.

    A number may be typed in any of its spellings (blanks, small x, +86). Nothing given finds nobody. Whoever
    is only stored (RESTRICTED) is not found by phone alone: it may be somebody else's by now.
    """
    given = {"id_number": id_number, "phone": phone}
    indexes = {field: pii.blind_index(field, value) for field, value in given.items()}
    wanted = {f"{field}_index": index for field, index in indexes.items() if index}
    if not wanted:
        return Customer.objects.none()
    current = CustomerIdentity.objects.filter(superseded_at__isnull=True, **wanted)
    if "id_number_index" not in wanted:
        current = current.filter(customer__standing=Customer.Standing.ACTIVE)
    return Customer.objects.filter(pk__in=current.values("customer_id")).order_by("customer_no")


def same_id_number(customer: Customer) -> QuerySet[Customer]:
    """Other customers whose current identity carries this customer's ID number: flagged, never rejected."""
    current = CustomerIdentity.objects.filter(superseded_at__isnull=True)
    own = current.filter(customer=customer).values("id_number_index")
    others = current.filter(id_number_index__in=own).values("customer_id")
    return Customer.objects.filter(pk__in=others).exclude(pk=customer.pk).order_by("customer_no")
