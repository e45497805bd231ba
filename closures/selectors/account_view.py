"""Accounts as risk rules and campaigns see them: an allow-listed view, each field named and explained.

What is not in `FIELDS` cannot be asked for: no identity, no number of a person, no row of another customer.
Only the fields that a condition names are computed, each by set.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    Count,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Floor, Least
from django.utils.translation import gettext_lazy as _

from accounts.models import CreditAccount, Customer
from closures.models import ClosureTicket, Complaint, Hold, RiskAlert

USED_UP = 1_000_000  # percent; a greater share says no more
MONTHS = 6  # the extract tells the delays of six months
OPEN = ~Q(line_state=CreditAccount.LineState.CLOSED)
TIERS = ("NORMAL", "SPECIAL_MENTION", "SUBSTANDARD", "DOUBTFUL", "LOSS")
INTEGER, MONEY, CHOICE, YES_NO = "integer", "money", "choice", "yes or no"


@dataclass(frozen=True, kw_only=True)
class ViewField:
    """One thing that may be asked about an account: its kind, its label, and where it stands.

    `expression` tells it; without one it is a column, the one that `column` names or that has its own name.
    """

    kind: str
    label: Any
    expression: Any = None
    column: str = ""
    choices: tuple[str, ...] = ()


class MonthsLate(Func):
    """Months of delay of the n-th newest month, 0 where the record does not reach so far back."""

    output_field = IntegerField()

    def __init__(self, *expressions: Any, month: int, **extra: Any) -> None:
        super().__init__(*expressions, month=month, **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "COALESCE(NULLIF(split_part(%(expressions)s, '|', %(month)s), '')::integer, 0)"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        month = self.extra["month"] - 1
        template = (
            "COALESCE(json_extract('[' || replace(%(expressions)s, '|', ',') || ']', " + f"'$[{month}]'), 0)"
        )
        return self.as_sql(compiler, connection, template=template, **context)


def yes(condition: Any) -> Any:
    return ExpressionWrapper(condition, output_field=BooleanField())


def _owed() -> Any:
    return F("principal") + F("interest") + F("fees") + F("unbilled")


def _of_the_customer(total: Any, output: Any) -> Any:
    """A figure over all open accounts of the account's customer."""
    theirs = CreditAccount.objects.filter(OPEN, customer=OuterRef("customer")).order_by()
    found = Subquery(theirs.values("customer").annotate(found=total).values("found"), output_field=output)
    return Coalesce(found, Value(0), output_field=output)


def _open_ticket() -> Any:
    return Exists(ClosureTicket.objects.filter(account=OuterRef("pk"), state__in=ClosureTicket.OPEN))


def _open_hold(*kinds: str) -> Any:
    holds = Hold.objects.filter(ticket__account=OuterRef("pk"), state=Hold.State.OPEN)
    return Exists(holds.filter(kind__in=kinds) if kinds else holds)


def _open_complaint() -> Any:
    waiting = Complaint.objects.filter(customer=OuterRef("customer"), state__in=Complaint.UNANSWERED)
    return Exists(waiting)


def _open_alert() -> Any:
    return Exists(RiskAlert.objects.filter(account=OuterRef("pk"), state__in=RiskAlert.UNENDED))


def _limit_use() -> Any:
    exact = DecimalField(max_digits=30, decimal_places=4)  # the greatest debt over the least limit fits in
    used = Cast((F("principal") + F("unbilled")) * 100 / F("credit_limit"), exact)
    share = Least(Floor(used), Value(USED_UP), output_field=exact)
    return Case(
        When(credit_limit=0, then=Value(0)),
        default=Cast(share, IntegerField()),
        output_field=IntegerField(),
    )


def _tier() -> Any:
    """Source: 金融资产风险分类办法 (FACTS L19); the same bounds as `CreditAccount.risk_tier`."""
    bounds = ((360, "LOSS"), (270, "DOUBTFUL"), (90, "SUBSTANDARD"), (0, "SPECIAL_MENTION"))
    return Case(
        *[When(days_past_due__gt=days, then=Value(tier)) for days, tier in bounds], default=Value("NORMAL")
    )


def _worse() -> Any:
    return yes(Q(late_1__gt=F("late_2")))


MONEY_FIELD = DecimalField(max_digits=20, decimal_places=2)
COLUMNS = ("credit_limit", "principal", "interest", "fees", "unbilled", "refunds_in_flight", "disputed")

FIELDS: dict[str, ViewField] = {
    "product": ViewField(kind=CHOICE, label=_("product's code"), column="product__code"),
    "line_state": ViewField(
        kind=CHOICE, label=_("line"), choices=tuple(str(s) for s in CreditAccount.LineState if s != "CLOSED")
    ),
    "tier": ViewField(kind=CHOICE, label=_("risk tier by days past due"), expression=_tier(), choices=TIERS),
    "days_past_due": ViewField(kind=INTEGER, label=_("days past due")),
    **{
        f"late_{month}": ViewField(
            kind=INTEGER,
            label=_("months of delay, 1 is the newest month"),
            expression=MonthsLate("arrears_months", month=month),
        )
        for month in range(1, MONTHS + 1)
    },
    "worse": ViewField(kind=YES_NO, label=_("later than a month ago"), expression=_worse()),
    **{
        name: ViewField(
            kind=MONEY,
            label=CreditAccount._meta.get_field(name).verbose_name,  # type: ignore[union-attr]
        )
        for name in COLUMNS
    },
    "credit_balance": ViewField(kind=MONEY, label=_("credit balance")),
    "owed": ViewField(
        kind=MONEY,
        label=_("owed on this account"),
        expression=ExpressionWrapper(_owed(), output_field=MONEY_FIELD),
    ),
    "exposure": ViewField(
        kind=MONEY,
        label=_("owed by the customer over all products"),
        expression=_of_the_customer(Sum(_owed()), MONEY_FIELD),
    ),
    "total_limit": ViewField(
        kind=MONEY,
        label=_("the customer's limits over all products"),
        expression=_of_the_customer(Sum("credit_limit"), MONEY_FIELD),
    ),
    "products_held": ViewField(
        kind=INTEGER,
        label=_("open products of the customer"),
        expression=_of_the_customer(Count("pk"), IntegerField()),
    ),
    "limit_use": ViewField(kind=INTEGER, label=_("limit in use, %"), expression=_limit_use()),
    "instalments_remaining": ViewField(kind=INTEGER, label=_("instalments remaining")),
    "pending_orders": ViewField(kind=INTEGER, label=_("pending orders")),
    "ledger_age_days": ViewField(
        kind=INTEGER, label=_("age of our copy of the ledger, days"), column="ledger_as_of"
    ),
    "open_ticket": ViewField(kind=YES_NO, label=_("a closing is under way"), expression=_open_ticket()),
    "open_hold": ViewField(
        kind=YES_NO,
        label=_("a hold is open"),  # silent kinds do not count: who counts matches would learn of them
        expression=_open_hold(*(k for k in Hold.Kind.values if k not in Hold.SILENT)),
    ),
    "open_complaint": ViewField(
        kind=YES_NO, label=_("the customer has an open complaint"), expression=_open_complaint()
    ),
    "open_alert": ViewField(
        kind=YES_NO, label=_("a risk alert on the account waits"), expression=_open_alert()
    ),
}

NEEDS = {"worse": ("late_1", "late_2")}


def accounts(*, naming: Iterable[str] = (), synthetic: bool = False) -> QuerySet[CreditAccount]:
    """Open accounts of customers whose data may be used, with the fields named.

    `synthetic`: those made for drills, and no others; a real customer is never among them.
    """
    rows = CreditAccount.objects.filter(
        OPEN, customer__standing=Customer.Standing.ACTIVE, customer__synthetic=synthetic
    )
    wanted = dict.fromkeys(need for name in naming for need in (*NEEDS.get(name, ()), name))
    for name in wanted:
        if FIELDS[name].expression is not None:
            rows = rows.annotate(**{name: FIELDS[name].expression})
    return rows


def values(
    rows: QuerySet[CreditAccount], names: Iterable[str], *, now: datetime
) -> dict[int, dict[str, Any]]:
    """What the fields say about each row, JSON-ready, by pk. `rows` come from `accounts(naming=names)`."""
    names = tuple(names)
    columns = [FIELDS[name].column or name for name in names]
    found = {}
    for pk, *told in rows.order_by().values_list("pk", *columns):
        found[pk] = {name: _plain(value, now=now) for name, value in zip(names, told, strict=True)}
    return found


def _plain(value: Any, *, now: datetime) -> Any:
    if isinstance(value, datetime):
        return (now - value).days
    return value if isinstance(value, bool | int | str) or value is None else f"{value:.2f}"
