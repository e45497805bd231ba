"""The credit bureau is told of every closing once, by hand, and what it answers is kept."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import timedelta
from typing import Any

import pytest

from accounts.actors import SHIPPED
from accounts.tracking import NotPermitted, NotPossible, save_as
from closures.models import BureauRecord, BureauReport, ClosureTicket
from closures.services import reporting
from tests.races import at_once, race
from tests.stage import Stage, refused, written

MAY = {"reviewer", "lead"}


def prepared(stage: Stage, *, closings: int = 1) -> BureauReport:
    for _ in range(closings):
        stage.ticket("CLOSED")
    stage.clock.skip(timedelta(days=1))
    assert reporting.prepare(now=stage.now) == closings
    return BureauReport.objects.latest("pk")


def act(stage: Stage, name: str, report: BureauReport, *, by: str = "lead", **given: Any) -> BureauReport:
    given |= {"receipt_no": "ZX-1"} if name == "submit" and "receipt_no" not in given else {}
    given |= {"ground": "字段有误"} if name in ("reject", "correct") and "ground" not in given else {}
    return getattr(reporting, name)(report_id=report.pk, actor=stage.staff(by), now=stage.now, **given)


def lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_yesterdays_closings_are_in_one_file_and_todays_are_not(stage: Stage) -> None:
    first, second = stage.ticket("CLOSED"), stage.ticket("CLOSED")
    assert reporting.prepare(now=stage.now) == 0, "the day is not over"
    stage.clock.skip(timedelta(days=1))
    today = stage.ticket("CLOSED")
    assert reporting.prepare(now=stage.now) == 2
    report = BureauReport.objects.get()
    assert report.number.startswith("BR") and report.state == "PREPARED" and report.lines == 2
    assert report.from_on == report.to_on == first.ended_at.astimezone(stage.now.tzinfo).date()
    content = reporting.content(report)
    assert report.content_hash == hashlib.sha256(content).hexdigest()
    assert {row["ticket"] for row in lines(content)} == {first.number, second.number}
    assert lines(content)[0]["certificate_no"].startswith("CERT-")
    assert not BureauRecord.objects.filter(ticket=today).exists()
    assert written(report)[0] == "job:reporting"


def test_a_closing_is_reported_once(stage: Stage) -> None:
    prepared(stage)
    assert reporting.prepare(now=stage.now) == 0
    assert BureauReport.objects.count() == 1


@pytest.mark.parametrize(
    "cell", ["=1+1", "+86", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠A"]
)
def test_a_formula_is_text_in_the_file(cell: str) -> None:
    assert reporting.neutral(cell) == f"'{cell}"
    assert reporting.neutral("CT1") == "CT1"


def test_from_the_file_to_the_bureaus_answer(stage: Stage) -> None:
    report = prepared(stage)
    report = act(stage, "submit", report, receipt_no=" ZX-2026-7 ")
    assert (report.state, report.receipt_no) == ("SUBMITTED", "ZX-2026-7")
    assert (report.submitted_by, report.submitted_at) == (stage.staff("lead").user, stage.now)
    assert act(stage, "accept", report).state == "ACCEPTED"
    with refused(NotPossible, BureauReport.objects.get(pk=report.pk)):
        act(stage, "accept", report)


def test_a_rejected_file_is_corrected_by_a_new_version(stage: Stage) -> None:
    report = prepared(stage, closings=2)
    act(stage, "submit", report)
    act(stage, "reject", report)
    gone = report.records.first().ticket
    row = ClosureTicket.objects.get(pk=gone.pk)
    row.__dict__["state"] = "CANCELLED"  # as a reversal would leave it
    row.cancelled_by = stage.staff("lead").user
    row.cancel_asked_by = stage.staff("reviewer").user
    save_as(row, actor=SHIPPED, reason="test")
    new = act(stage, "correct", report)
    assert (new.version, new.replaces, new.state, new.lines) == (2, report, "PREPARED", 1)
    assert BureauReport.objects.get(pk=report.pk).state == "CORRECTED"
    assert reporting.content(BureauReport.objects.get(pk=report.pk)), "the old file can still be read"
    current = BureauRecord.objects.filter(current=True)
    assert [record.report for record in current] == [new]
    assert reporting.prepare(now=stage.now) == 0
    with refused(NotPossible, report):
        act(stage, "correct", report)


def test_who_may(stage: Stage) -> None:
    report = prepared(stage)
    for name in ("agent", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted, report):
            act(stage, "submit", report, by=name)
    act(stage, "submit", report, by="reviewer")


def test_no_receipt_and_no_reason_is_refused(stage: Stage) -> None:
    report = prepared(stage)
    with refused(reporting.ReceiptMissing, report):
        act(stage, "submit", report, receipt_no=" ")
    act(stage, "submit", report)
    report = BureauReport.objects.get(pk=report.pk)
    with refused(reporting.GroundMissing, report):
        act(stage, "reject", report, ground="")


def test_a_file_whose_lines_were_changed_is_not_handed_in(stage: Stage) -> None:
    report = prepared(stage)
    record = report.records.get()
    BureauRecord.objects.filter(pk=record.pk).update(values={**record.values, "account_no": "X"})
    with refused(reporting.FileChanged, report):
        act(stage, "submit", report)


@race
def test_two_sweeps_at_once_report_each_closing_once(raise_stage: Any) -> None:
    stage = raise_stage()
    for _ in range(3):
        stage.ticket("CLOSED")
    stage.clock.skip(timedelta(days=1))
    ends = at_once(*(lambda: reporting.prepare(now=stage.now) for _ in range(2)))
    assert sum(ends) == 3, ends
    assert BureauRecord.objects.count() == 3
    assert sum(report.lines for report in BureauReport.objects.all()) == 3
