"""Why data is kept: lender by lender, cases and duties, each with its day."""

from __future__ import annotations

from datetime import date

import pytest

from closures.rules.retention import Keep, KeepCode, Relationship, reasons

TODAY = date(2030, 5, 6)
EARLIER, LATER, LATEST = date(2030, 5, 6), date(2030, 5, 7), date(2036, 1, 1)


def relationship(until: date | None, lender: str = "A") -> Relationship:
    return Relationship(lender=lender, retain_until=until)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ((), ()),
        ((None,), (Keep(code=KeepCode.RELATIONSHIP, lender="A"),)),
        ((LATEST, None), (Keep(code=KeepCode.RELATIONSHIP, lender="A"),)),
        ((LATEST,), (Keep(code=KeepCode.RETENTION, lender="A", until=LATEST),)),
        ((LATEST, EARLIER, LATER), (Keep(code=KeepCode.RETENTION, lender="A", until=LATEST),)),
        ((LATER,), (Keep(code=KeepCode.RETENTION, lender="A", until=LATER),)),
        ((EARLIER,), ()),
    ],
)
def test_each_lender_keeps_until_the_latest_of_its_days(days, expected) -> None:
    found = reasons(relationships=[relationship(d) for d in days], open_cases=(), held=False, on=TODAY)
    assert found == expected


def test_one_lender_does_not_keep_for_another() -> None:
    found = reasons(
        relationships=[relationship(EARLIER), relationship(LATEST, "B")], open_cases=(), held=False, on=TODAY
    )
    assert found == (Keep(code=KeepCode.RETENTION, lender="B", until=LATEST),)


def test_cases_and_duties_come_after_the_lenders_and_name_no_kind_of_hold() -> None:
    found = reasons(relationships=[relationship(LATEST)], open_cases=("CT1", "CT2"), held=True, on=TODAY)
    assert [keep.code for keep in found] == ["RETENTION", "CASE", "CASE", "LEGAL_DUTY"]
    assert [keep.case for keep in found] == ["", "CT1", "CT2", ""]
    assert found[-1] == Keep(code=KeepCode.LEGAL_DUTY)
