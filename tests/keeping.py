"""A customer whose closing lies behind him, for the tests of keeping and destroying."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.utils.timezone import localdate, make_aware

from accounts import pii
from accounts.actors import SHIPPED
from accounts.models import Customer, WorkCalendarDay
from accounts.tracking import save_as
from closures.models import ClosureTicket, DestructionItem, DestructionList, Hold
from closures.services import notices, retention
from closures.services.retention import erasing
from tests.factories import a_person
from tests.stage import Stage

ALIPAY = ("ALIPAY", "PASSWORD_FREE", False)


def closed(stage: Stage, *agreements: Any, **known: str) -> tuple[Customer, ClosureTicket]:
    """He asked, it was closed, and his data is only stored from now on."""
    person = a_person(known=known)
    ticket = stage.request(stage.account(*(agreements or (ALIPAY,)), customer=person))
    stage.assess()
    stage.approve(ticket)
    ticket = stage.until(ticket, "CLOSED")
    quiet(stage)
    return Customer.objects.get(pk=person.pk), ticket


def quiet(stage: Stage) -> None:
    """Every notice has been sent, asked about, or given up."""
    for _ in range(4):
        notices.deliver(clock=stage.clock)
        stage.clock.skip()


def at(day: date) -> datetime:
    """Ten in the morning of that day in China."""
    return make_aware(datetime(day.year, day.month, day.day, 10, 0))


def retained_until(customer: Customer) -> date:
    return max(row.retain_until for row in customer.relationships.all())


def to(stage: Stage, day: date) -> datetime:
    stage.clock.now = at(day)
    return stage.now


def over(stage: Stage, customer: Customer) -> datetime:
    """The first day on which his data may go."""
    return to(stage, retained_until(customer))


def approved(stage: Stage, *, by: str = "lead", seen: str | None = None) -> DestructionList:
    """Whoever is due is on a list that two people agreed to."""
    row = retention.propose_new(actor=stage.staff("reviewer"), now=stage.now)
    return approve(stage, row, by=by, seen=seen)


def approve(stage: Stage, row: DestructionList, *, by: str = "lead", seen: str | None = None) -> Any:
    digest = row.digest if seen is None else seen
    return retention.approve(
        list_id=row.pk, seen_digest=digest, ground="保存期均已届满", actor=stage.staff(by), now=stage.now
    )


def after_the_wait(stage: Stage, row: DestructionList) -> None:
    to(stage, row.wait_ends_on + timedelta(days=1))
    assert localdate(stage.now) > row.wait_ends_on


def item_of(customer: Customer) -> DestructionItem:
    return DestructionItem.objects.filter(customer=customer).latest("pk")


def an_order(stage: Stage, ticket: ClosureTicket, *, kind: str = "JUDICIAL") -> Hold:
    """A hold that appeared on a case that has ended: no button leads there, a court may."""
    hold = Hold(ticket=ticket, kind=kind, ground="（2036）沪01执7号", opened_at=stage.now)
    return save_as(hold, actor=SHIPPED, reason="test", now=stage.now)


def sealed_left(customer: Customer) -> int:
    """How many rows of any table still hold something sealed of him."""
    return sum(erasing.sealed_of(customer, table).count() for table in pii.personal_tables())


def work_days(stage: Stage) -> None:
    """The calendar knows the days around now; each is worked."""
    first = localdate(stage.now) - timedelta(days=2)
    known = set(WorkCalendarDay.objects.filter(date__gte=first).values_list("date", flat=True))
    for day in (first + timedelta(days=n) for n in range(130)):
        if day not in known:
            row = WorkCalendarDay(date=day, is_working=True, source="test", calendar_version="test")
            save_as(row, actor=SHIPPED, reason="test")
