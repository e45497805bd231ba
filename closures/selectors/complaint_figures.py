"""How many complaints about what, of which product, from which cause, and how many came too late.

Each table is one query over a bounded time; nothing is kept and nothing is counted by a job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import TruncDate

from closures.models import Complaint
from closures.models import complaint_terms as terms
from closures.rules.deadlines import CHINA_TIME, china_date

PERIODS = (30, 90, 365)  # days that the page offers; the longest bounds the work
MOST = 30  # rows of one table


@dataclass(frozen=True, kw_only=True)
class Line:
    label: str
    total: int
    open: int
    upheld: int
    late: int

    @property
    def share(self) -> int:
        """Upheld of what was received, in whole percent."""
        return round(100 * self.upheld / self.total) if self.total else 0


@dataclass(frozen=True, kw_only=True)
class Figures:
    since: date
    days: int
    all: Line
    by_topic: list[Line]
    by_product: list[Line]
    by_cause: list[Line]
    by_channel: list[Line]


def figures(*, now: datetime, days: int, label_of_all: str, brand: Callable[[str, str], str]) -> Figures:
    """The tables for what was received in the last `days`. Five queries, however many complaints."""
    today = china_date(moment=now)
    since = today - timedelta(days=days)
    rows = Complaint.objects.filter(received_on__gt=since).exclude(state=Complaint.State.MERGED)
    rows = rows.annotate(decided_on=TruncDate("decided_at", tzinfo=CHINA_TIME))
    counted = {
        "total": Count("pk"),
        "open": Count("pk", filter=Q(state__in=Complaint.RUNNING)),
        "upheld": Count("pk", filter=_upheld()),
        "late": Count("pk", filter=_late(today)),
    }
    product = ("account__product__brand", "account__product__brand_en")
    return Figures(
        since=since + timedelta(days=1),
        days=days,
        all=Line(label=label_of_all, **rows.aggregate(**counted)),
        by_topic=_table(rows, counted, ("topic",), lambda value: str(Complaint.Topic(value).label)),
        by_product=_table(rows, counted, product, lambda zh, en: brand(zh, en) if zh else "—"),
        by_cause=_table(
            rows.exclude(root_cause=""), counted, ("root_cause",), lambda v: str(Complaint.RootCause(v).label)
        ),
        by_channel=_table(rows, counted, ("channel",), lambda value: str(Complaint.Channel(value).label)),
    )


def _table(
    rows: QuerySet[Any], counted: dict[str, Any], columns: tuple[str, ...], label: Callable[..., str]
) -> list[Line]:
    grouped = rows.order_by().values(*columns).annotate(**counted).order_by("-total", *columns)[:MOST]
    return [
        Line(label=label(*(row[c] for c in columns)), **{name: row[name] for name in counted})
        for row in grouped
    ]


def _upheld() -> Q:
    reviewed = Q(review_outcome__in=terms.UPHELD)
    return reviewed | Q(review_outcome="", outcome__in=terms.UPHELD)


def _late(today: date) -> Q:
    undecided = Q(state__in=Complaint.UNDECIDED, due_on__lt=today)
    return undecided | Q(decided_on__gt=F("due_on"))
