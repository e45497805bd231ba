"""Invariant of the complaint desk: decided in time, by dates that can be counted again (SPEC §8, 9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

from accounts.models import Regulation
from closures.models import Complaint, ComplaintExtension
from closures.rules import complaints as rules
from closures.rules.complaints import Step
from closures.rules.deadlines import china_date
from closures.services.invariants.clocks import days_as_of
from closures.services.invariants.finding import Finding

BATCH = 1000
FIRST = {"COMPLAINT": "COMPLAINT_SIMPLE", "BUREAU_DISPUTE": "BUREAU_DISPUTE"}
Approved = ComplaintExtension.State.APPROVED


def decided_in_time(*, now: datetime) -> Finding:
    """9. Every complaint is decided by its due date, or is not due yet, and the date is rightly its own.

    Rightly: counted from the regulation and the calendar version that it names, through a chain of approved
    extensions each told before the date it moved; a new clock began before the old one was over.
    """
    counting = Counting()
    found = Finding(examined=0)
    for batch in _batches():
        counting.read(batch)
        for complaint in batch:
            good = counting.in_time(complaint, now=now)
            found += Finding(
                examined=1, violations=int(not good), examples=() if good else (complaint.number,)
            )
    return found


def _batches() -> Iterator[list[Complaint]]:
    """Complaints that were not taken back, merged or turned away: those have nothing to decide."""
    rows = Complaint.objects.exclude(
        state__in=(Complaint.State.WITHDRAWN, Complaint.State.MERGED, Complaint.State.OUT_OF_SCOPE)
    )
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        yield batch
        last = batch[-1].pk


class Counting:
    """The rules, the calendars and a batch's extensions, read once each."""

    def __init__(self) -> None:
        self.rules = {rule.pk: rule for rule in Regulation.objects.all()}
        self.calendars: dict[str, dict[date, bool]] = {}
        self.extensions: dict[int, list[ComplaintExtension]] = {}
        self.others: dict[int, Complaint] = {}

    def read(self, batch: Iterable[Complaint]) -> None:
        """Also whose clocks were taken over by merging, however often."""
        self.others, wanted = {}, {row.clock_of_id for row in batch if row.clock_of_id}
        while wanted:
            found = Complaint.objects.in_bulk(wanted)
            self.others |= found
            wanted = {row.clock_of_id for row in found.values() if row.clock_of_id} - self.others.keys()
        self.extensions = defaultdict(list)
        keys = [*(row.pk for row in batch), *self.others]
        rows = ComplaintExtension.objects.filter(complaint__in=keys, state=Approved)
        for row in rows.order_by("from_due_on", "pk"):
            self.extensions[row.complaint_id].append(row)

    def in_time(self, complaint: Complaint, *, now: datetime) -> bool:
        decided = complaint.decided_at or now
        return (
            china_date(moment=decided) <= complaint.due_on
            and self._chain_holds(complaint)
            and self._clocks_hold(complaint)
        )

    def _chain_holds(self, complaint: Complaint) -> bool:
        chain = self._chain(complaint)
        first = chain[0] if chain else None
        rule_id = first.from_rule_id if first else complaint.due_rule_id
        version = first.from_calendar if first else complaint.due_calendar
        stands = first.from_due_on if first else complaint.due_on
        rule = self.rules[rule_id]
        started_on = complaint.clock_started_on
        if rule.code != FIRST[complaint.kind] or not self._counts(
            started_on, int(rule.value), version, stands
        ):
            return False
        days = 0
        for row in chain:
            days += int(self.rules[row.to_rule_id].value)
            if not self._counts(started_on, days, row.to_calendar, row.to_due_on):
                return False
        last = (chain[-1].to_rule_id, chain[-1].to_calendar) if chain else (rule_id, version)
        if last != (complaint.due_rule_id, complaint.due_calendar):
            return False
        return rules.unbroken(
            first_due_on=stands, chain=[_step(row) for row in chain], due_on=complaint.due_on
        )

    def _chain(self, complaint: Complaint) -> list[ComplaintExtension]:
        own = [row for row in self.extensions[complaint.pk] if row.clock == complaint.clock]
        before = self.others.get(complaint.clock_of_id or 0)
        return (self._chain(before) if before else []) + own

    def _counts(self, started_on: date, days: int, version: str, due_on: date) -> bool:
        """The named calendar gives this day; where none is named it is the day itself, unmoved."""
        if version not in self.calendars:
            self.calendars[version] = days_as_of(version) if version else {}
        found = rules.due(started_on=started_on, days=days, is_working=self.calendars[version])
        return found.on == due_on and found.known == bool(version)

    def _clocks_hold(self, complaint: Complaint) -> bool:
        """A first clock starts with the receipt; each later one began before the one before it was over."""
        if complaint.clock == 1:
            return complaint.clock_started_on == complaint.received_on
        stood: tuple[int, date] | None = None
        rows = Complaint.history.filter(id=complaint.pk).order_by("history_id")
        for clock, due_on, at in rows.values_list("clock", "due_on", "history_date"):
            if stood and clock != stood[0] and china_date(moment=at) > stood[1]:
                return False
            stood = clock, due_on
        return True


def _step(row: Any) -> Step:
    told = china_date(moment=row.told_at)
    return Step(from_on=row.from_due_on, to_on=row.to_due_on, level=str(row.level), told_on=told)
