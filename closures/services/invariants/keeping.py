"""Invariant of retention: data is kept long enough, and legal holds win (SPEC §8, 10)."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.functions import TruncDate

from accounts import pii
from accounts.models import Customer, LenderRelationship, Regulation
from closures.models import ClosureTicket, Hold
from closures.rules.deadlines import add_years
from closures.services.invariants.clocks import CHINA
from closures.services.invariants.finding import EXAMPLES, Finding, judge

RULE = "RETENTION_YEARS"


def kept_long_enough() -> Finding:
    """10. An ended relationship is kept for the regulation's years; nobody was erased who had to be kept."""
    return _days_are_far_enough() + _nobody_erased_too_early()


def _days_are_far_enough() -> Finding:
    """Relationships of one pair of days share a count: the work grows with days, not with customers."""
    rules = list(Regulation.objects.filter(code=RULE, state=Regulation.State.IN_FORCE).order_by("valid_from"))
    ended = LenderRelationship.objects.filter(ended_on__isnull=False)
    found = Finding(examined=0)
    alike: Any = ended.order_by().values("ended_on", "retain_until").annotate(rows=Count("pk"))
    for group in alike.iterator():
        count = group.pop("rows")
        if group["retain_until"] is not None and group["retain_until"] >= _earliest(group["ended_on"], rules):
            found += Finding(examined=count)
            continue
        named = ended.filter(**group).order_by("pk").values_list("customer__customer_no", flat=True)
        found += Finding(examined=count, violations=count, examples=tuple(named[:EXAMPLES]))
    return found


def _earliest(ended_on: date, rules: list[Regulation]) -> date:
    """The first day on which the records may go, by the rule of the day of the end.

    An end before the first rule is kept under the first: what is still kept then is kept under it.
    """
    in_force = [rule for rule in rules if rule.valid_from <= ended_on] or rules[:1]
    return add_years(day=ended_on, n=int(in_force[-1].value)) if in_force else date.max


def _nobody_erased_too_early() -> Finding:
    """No erased customer had a reason to be kept on the day of the erasure, or has anything sealed left."""
    erased_at = (
        Customer.history.filter(id=OuterRef("pk"), standing=Customer.Standing.ERASED)
        .order_by("history_id")
        .values("history_date")[:1]
    )
    erased: Any = Customer.objects.filter(standing=Customer.Standing.ERASED).annotate(
        erased_on=TruncDate(Subquery(erased_at), tzinfo=CHINA)
    )
    times = LenderRelationship.objects.filter(customer=OuterRef("pk"))
    going_on = Exists(times.filter(ended_on__isnull=True))
    running = Exists(times.filter(retain_until__gt=OuterRef("erased_on")))
    held = Exists(Hold.objects.filter(ticket__account__customer=OuterRef("pk"), state=Hold.State.OPEN))
    asked = Exists(
        ClosureTicket.objects.filter(account__customer=OuterRef("pk"), state__in=ClosureTicket.OPEN)
    )
    too_early = Q(going_on) | Q(running) | Q(held) | Q(asked) | Q(erased_on__isnull=True)
    return judge(examined=erased, broken=erased.filter(too_early | _sealed()), show="customer_no")


def _sealed() -> Q:
    """Something sealed of the customer is left in any table."""
    left = Q()
    for table in pii.personal_tables():
        rows = table.model._base_manager.filter(**{str(table.customer_path): OuterRef("pk")})
        if not table.row_goes:
            filled = Q()
            for field in table.fields:
                filled |= ~Q(**{f"{field}_sealed": ""})
            rows = rows.filter(filled)
        left |= Q(Exists(rows))
    return left
