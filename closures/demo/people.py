"""Invented people: staff of every role, and customers as a core-ledger extract would list them.

ID numbers use area code 990000, which does not exist, with right check digits; phones use 199.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group

from accounts.actors import SHIPPED
from accounts.models import User
from accounts.roles import Role
from accounts.tracking import move, save_as

PASSWORD = "closing-demo-2026"
STAFF = (
    ("agent", "客服 陈晓", (Role.AGENT,)),
    ("agent2", "客服 许文", (Role.AGENT,)),
    ("reviewer", "审核 林静", (Role.REVIEWER,)),
    ("reviewer2", "审核 何平", (Role.REVIEWER,)),
    ("lead", "主管 周岚", (Role.LEAD,)),
    ("lead2", "主管 沈毅", (Role.LEAD,)),
    ("risk", "风控 高远", (Role.RISK,)),
    ("risk2", "风控 秦朗", (Role.RISK,)),
    ("operator", "运维 郑凯", (Role.OPERATOR,)),
    ("operator2", "运维 方敏", (Role.OPERATOR,)),
    ("auditor", "审计 罗青", (Role.AUDITOR,)),
    ("admin", "系统 韩雪", (Role.ADMINISTRATOR,)),
    ("security", "安全 冯涛", (Role.SECURITY,)),
)
ACCOUNT_COLUMNS = (
    "customer_no", "name", "id_number", "phone", "email", "birth_date", "account_no", "product_code",
    "credit_limit", "principal", "interest", "fees", "unbilled", "instalments_remaining", "pending_orders",
    "refunds_in_flight", "disputed", "credit_balance", "days_past_due", "arrears_months", "ledger_as_of",
)  # fmt: skip
AGREEMENT_COLUMNS = ("account_no", "partner", "kind", "agreement_no", "signed_on", "repayment_depends")
PRODUCTS = ("HUABEI", "JIEBEI", "WANGSHANGDAI", "BAITIAO")
KINDS = (
    ("ALIPAY", "AUTO_REPAY", 1), ("ALIPAY", "PASSWORD_FREE", 0), ("WECHAT", "WITHHOLDING", 1),
    ("UNIONPAY", "WITHHOLDING", 0), ("ALIPAY", "PAY_AFTER_USE", 0), ("ALIPAY", "WEALTH_LINK", 0),
    ("JD", "PASSWORD_FREE", 0),
)  # fmt: skip
SURNAMES, GIVEN = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨𠮷", "晓静平岚毅远凯敏青雪涛安宁嘉文博"


@dataclass
class Person:
    """One customer with one account and his agreements, as rows of the two extracts."""

    account: dict[str, Any]
    agreements: list[dict[str, Any]] = field(default_factory=list)

    @property
    def account_no(self) -> str:
        return str(self.account["account_no"])


def id_number(born_on: str, serial: int) -> str:
    """An ID number of the area that does not exist, with its check digit (GB 11643)."""
    body = f"990000{born_on}{serial % 1000:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def person(
    *, serial: int, tag: str, product: str, now: datetime, agreements: Iterable[tuple[str, str, int]] = (),
    **balances: Any,
) -> Person:  # fmt: skip
    """One invented customer; owes nothing unless `balances` say so ("principal": "800.00" …)."""
    dice = random.Random(f"{tag}{serial}")
    born = f"{dice.randint(1965, 2003)}{dice.randint(1, 12):02d}{dice.randint(1, 28):02d}"
    account_no = f"{tag}A{serial:06d}"
    row: dict[str, Any] = {
        "customer_no": f"{tag}C{serial:06d}",
        "name": dice.choice(SURNAMES) + dice.choice(GIVEN) + dice.choice(("", dice.choice(GIVEN))),
        "id_number": id_number(born, serial),
        "phone": f"199{dice.randint(0, 99_999_999):08d}",
        "email": f"{tag}{serial}@example.com".lower(),
        "birth_date": f"{born[:4]}-{born[4:6]}-{born[6:]}",
        "account_no": account_no,
        "product_code": product,
        "credit_limit": f"{dice.choice((2000, 5000, 10000, 20000, 50000))}.00",
        **dict.fromkeys(ACCOUNT_COLUMNS[9:13], "0.00"),
        "instalments_remaining": 0,
        "pending_orders": 0,
        **dict.fromkeys(("refunds_in_flight", "disputed", "credit_balance"), "0.00"),
        "days_past_due": 0,
        "arrears_months": "0|0|0|0|0|0",
        "ledger_as_of": (now - timedelta(hours=1)).isoformat(timespec="seconds"),
        **balances,
    }
    signed = [
        {
            "account_no": account_no, "partner": partner, "kind": kind,
            "agreement_no": f"{partner[:2]}{tag}{serial:06d}{n:02d}", "signed_on": "2024-03-05",
            "repayment_depends": depends,
        }
        for n, (partner, kind, depends) in enumerate(agreements)
    ]  # fmt: skip
    return Person(account=row, agreements=signed)


def crowd(*, size: int, now: datetime) -> Iterator[Person]:
    """`size` customers for the console: most owe something, some are in arrears, some are clean."""
    dice = random.Random(2026)
    for serial in range(1, size + 1):
        balances: dict[str, Any] = {}
        if dice.random() < 0.6:
            late = dice.choice((0, 0, 0, 30, 60, 90))
            balances["principal"] = f"{dice.randint(50, 9000)}.{dice.randint(0, 99):02d}"
            balances["days_past_due"] = late
            earlier = [str(dice.choice((0, 0, 1))) for _month in range(5)]
            balances["arrears_months"] = "|".join([str(late // 30), *earlier])
            if late:
                balances["interest"] = f"{dice.randint(1, 90)}.00"
        elif dice.random() < 0.2:
            balances["credit_balance"] = f"{dice.randint(1, 300)}.00"
        kinds = dice.sample(KINDS, dice.randint(0, 3))
        product = PRODUCTS[serial % 4]
        yield person(serial=serial, tag="D", product=product, now=now, agreements=kinds, **balances)


def write_extracts(people: Iterable[Person], folder: Path) -> tuple[Path, Path]:
    """The people as the two CSV extracts that the import and the simulator both read."""
    folder.mkdir(parents=True, exist_ok=True)
    accounts, agreements = folder / "accounts.csv", folder / "agreements.csv"
    people = list(people)
    for path, columns, rows in (
        (accounts, ACCOUNT_COLUMNS, [p.account for p in people]),
        (agreements, AGREEMENT_COLUMNS, [row for p in people for row in p.agreements]),
    ):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(rows)
    return accounts, agreements


def hire(*, now: datetime) -> None:
    """The demo's staff exist, one login per role, all with the same password. Safe to repeat."""
    for staff_no, name, roles in STAFF:
        if User.objects.filter(staff_no=staff_no).exists():
            continue
        user = User(staff_no=staff_no, name=name)
        user.set_password(PASSWORD)
        save_as(user, actor=SHIPPED, reason="demo", now=now)
        user.groups.set(Group.objects.filter(name__in=roles))
        move(user, "activate", actor=SHIPPED, reason="demo", now=now)
