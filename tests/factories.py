"""Rows for tests, made through `save_as` so that they carry history like any other."""

from __future__ import annotations

import itertools
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.utils.timezone import make_aware

from accounts import pii
from accounts.actors import SHIPPED, Actor
from accounts.models import (
    CreditAccount,
    CreditProduct,
    Customer,
    CustomerIdentity,
    PartnerAgreement,
    User,
)
from accounts.models.agreements import shipped_effect
from accounts.tracking import save_as

counter = itertools.count(1)
LONG_AGO = make_aware(datetime(2026, 11, 20, 18, 0))
LONG_BEFORE = make_aware(datetime(2024, 5, 6, 9, 0))


def a_user(*roles: str, **fields: Any) -> User:
    n = next(counter)
    user = User(
        staff_no=fields.pop("staff_no", f"T{n:05d}"),
        name=fields.pop("name", f"员工{n}"),
        state=fields.pop("state", User.State.ACTIVE),
        **fields,
    )
    user.set_password("correct horse battery")
    save_as(user, actor=SHIPPED, reason="test")
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def staff(*roles: str, **fields: Any) -> Actor:
    return Actor.staff(a_user(*roles, **fields))


def a_customer(**fields: Any) -> Customer:
    """A customer of whom nothing but the number is known; see `a_person`."""
    n = next(counter)
    fields.setdefault("customer_no", f"TC{n:07d}")
    return save_as(Customer(**fields), actor=SHIPPED, reason="test")


def a_person(*, known: dict[str, str] | None = None, **fields: Any) -> Customer:
    """A customer with his identity on file, sealed as the import seals it; `known` names what matters."""
    customer = a_customer(**fields)
    an_identity(customer, **(known or {}))
    return customer


def an_identity(customer: Customer, **known: str) -> CustomerIdentity:
    """The customer's next identity version; the one before is superseded at the same moment."""
    n = next(counter)
    values = {
        "name": "测试某",
        "id_number": f"99000019900307{n % 10_000:04d}",
        "phone": f"199{n:08d}",
        "email": f"person{n}@example.com",
        "birth_date": "1990-03-07",
        **known,
    }
    recorded_at = LONG_BEFORE if not customer.identities.exists() else LONG_AGO
    earlier = customer.identities.filter(superseded_at__isnull=True)
    earlier.update(superseded_at=recorded_at)
    return CustomerIdentity.objects.create(
        customer=customer,
        version=customer.identities.count() + 1,
        id_number_index=pii.blind_index("id_number", values["id_number"]),
        phone_index=pii.blind_index("phone", values["phone"]),
        digest=pii.row_digest(values.values()),
        recorded_at=recorded_at,
        **{
            f"{name}_sealed": pii.seal(value, subject=customer.customer_no, field=name)
            for name, value in values.items()
        },
    )


def an_account(product: str = "HUABEI", **fields: Any) -> CreditAccount:
    """A spotless account with nothing owed either way, unless `fields` say otherwise."""
    n = next(counter)
    fields.setdefault("account_no", f"TA{n:07d}")
    fields.setdefault("ledger_as_of", LONG_AGO)
    fields.setdefault("credit_limit", Decimal("5000.00"))
    fields.setdefault("arrears_months", "0|0|0|0|0|0")
    if "customer" not in fields:
        fields["customer"] = a_customer()
    return save_as(
        CreditAccount(product=CreditProduct.objects.get(code=product), **fields), actor=SHIPPED, reason="test"
    )


def an_agreement(
    account: CreditAccount, kind: str = "PASSWORD_FREE", partner: str = "ALIPAY", **fields: Any
) -> PartnerAgreement:
    n = next(counter)
    fields.setdefault("agreement_no", f"TAG{n:07d}")
    fields.setdefault("signed_on", date(2024, 1, 2))
    fields.setdefault("effect", shipped_effect(kind))
    return save_as(
        PartnerAgreement(account=account, kind=kind, partner=partner, **fields), actor=SHIPPED, reason="test"
    )
