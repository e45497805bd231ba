"""From the wish to be forgotten to its fulfilment, on a fixed clock; and evidence that outlives it."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from accounts import pii
from accounts.models import Customer
from closures.models import DeletionRequest
from closures.services import evidence, invariants, retention
from closures.services.evidence import verify_pack
from tests.keeping import (
    after_the_wait,
    an_order,
    approved,
    closed,
    item_of,
    over,
    retained_until,
    sealed_left,
    to,
    work_days,
)
from tests.stage import Stage

KNOWN = {"name": "𠮷田某某", "phone": "19955566677"}


def ask_and_answer(stage: Stage, customer: Customer) -> DeletionRequest:
    request = retention.request_deletion(
        customer_id=customer.pk, channel="AGENT", actor=stage.staff("agent"), now=stage.now
    )
    request = retention.answer(request_id=request.pk, actor=stage.staff("reviewer"), now=stage.now)
    stage.work()
    return request


def broken(stage: Stage) -> dict[int, int]:
    return {row.number: row.violations for row in invariants.run(now=stage.now) if row.violations}


def test_asked_in_year_one_answered_with_reasons_destroyed_in_year_ten(stage: Stage) -> None:
    customer, _ticket = closed(stage, **KNOWN)
    assert customer.standing == "RESTRICTED"
    until = retained_until(customer)
    assert until == date(2036, 1, 12)

    to(stage, date(2026, 11, 23))  # year 1
    first = ask_and_answer(stage, customer)
    assert [(why["code"], why["until"]) for why in first.kept] == [("RETENTION", "2036-01-12")]
    to(stage, date(2036, 1, 11))
    assert retention.collect(now=stage.now) == 0, "one day too early is a breach"

    over(stage, customer)  # year 10
    work_days(stage)
    second = ask_and_answer(stage, customer)
    assert second.kept == []
    row = approved(stage)
    assert retention.run(clock=stage.clock) == 0, "the wait has begun, not ended"
    after_the_wait(stage, row)
    assert retention.run(clock=stage.clock) == 1
    proof = item_of(customer).proof
    assert proof["left"] == 0 and sum(proof["rows"].values()) > 5
    assert sealed_left(customer) == 0
    assert Customer.objects.get(pk=customer.pk).standing == "ERASED"
    states = DeletionRequest.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["ERASED", "ERASED"]
    assert broken(stage) == {}


def test_ten_years_after_29_february_is_1_march(stage: Stage) -> None:
    to(stage, date(2028, 2, 29))
    work_days(stage)
    customer, _ticket = closed(stage)
    assert retained_until(customer) == date(2038, 3, 1)
    to(stage, date(2038, 2, 28))
    assert retention.collect(now=stage.now) == 0
    to(stage, date(2038, 3, 1))
    assert retention.collect(now=stage.now) == 1
    assert broken(stage) == {}


def test_a_courts_order_wins_over_an_approved_destruction(stage: Stage) -> None:
    customer, ticket = closed(stage, **KNOWN)
    over(stage, customer)
    row = approved(stage)
    order = an_order(stage, ticket)
    after_the_wait(stage, row)
    retention.run(clock=stage.clock)
    assert (item_of(customer).state, item_of(customer).reason_code) == ("SKIPPED", "OPEN_HOLD")
    assert sealed_left(customer) > 0 and broken(stage) == {}

    from closures.services import holds  # noqa: PLC0415

    holds.lift(hold_id=order.pk, ground="已执行完毕", actor=stage.staff("lead"), now=stage.now)
    row = approved(stage)  # he is found again once the order is lifted
    after_the_wait(stage, row)
    retention.run(clock=stage.clock)
    assert Customer.objects.get(pk=customer.pk).standing == "ERASED" and broken(stage) == {}


def test_an_erasure_against_a_hold_is_found_by_the_invariant(stage: Stage) -> None:
    customer, ticket = closed(stage)
    over(stage, customer)
    after_the_wait(stage, approved(stage))
    retention.run(clock=stage.clock)
    an_order(stage, ticket)
    (result,) = invariants.run(now=stage.now, only=[10])
    assert (result.violations, result.examples) == (1, [customer.customer_no])


@pytest.mark.parametrize("what", ["a retention day too early", "a seal left"])
def test_each_breach_of_retention_is_found(stage: Stage, what: str) -> None:
    from tests.closed_cases import unseen  # noqa: PLC0415

    customer, _ticket = closed(stage)
    if what == "a retention day too early":
        row = customer.relationships.get()
        unseen(type(row), row, retain_until=row.retain_until.replace(day=11))
    else:
        over(stage, customer)
        after_the_wait(stage, approved(stage))
        retention.run(clock=stage.clock)
        from tests.factories import an_identity  # noqa: PLC0415

        an_identity(customer)
    (result,) = invariants.run(now=stage.now, only=[10])
    assert (result.violations, result.examples) == (1, [customer.customer_no])


def test_the_pack_outlives_the_person_and_any_change_is_refused(stage: Stage, tmp_path: Path) -> None:
    customer, ticket = closed(stage, **KNOWN)
    over(stage, customer)
    after_the_wait(stage, approved(stage))
    retention.run(clock=stage.clock)
    pack = evidence.make_pack(
        ticket_id=ticket.pk, language="zh-hans", for_outside=True, actor=stage.staff("auditor"), now=stage.now
    )
    content = bytes(pack.content)

    def judged(name: str, packed: bytes) -> tuple[int, str]:
        path = tmp_path / f"{name}.zip"
        path.write_bytes(packed)
        script = tmp_path / "verify_pack.py"
        script.write_bytes(verify_pack.unpacked(content)["verify_pack.py"])
        command = [sys.executable, "-I", str(script), str(path), "--hash", pack.digest]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout

    code, said = judged("whole", content)
    assert code == 0 and pack.number in said and pack.digest in said
    place = content.index(b'"SUBMITTED"')
    changed = content[:place] + b'"SUBMITTEB"' + content[place + 11 :]
    assert judged("changed", changed)[0] == 1
    files = verify_pack.unpacked(content)
    code, said = judged("added", verify_pack.archive({**files, "extra.txt": b"x"}))
    assert code == 1 and "extra file" in said
    assert KNOWN["name"].encode() not in content


def test_what_the_answer_said_is_sealed_and_gone_with_him(stage: Stage) -> None:
    customer, _ticket = closed(stage, **KNOWN)
    request = ask_and_answer(stage, customer)
    notice = customer.notices.filter(about=request.number).first()
    assert pii.reveal(notice.body.text_sealed, subject=notice.key, field="text")
    over(stage, customer)
    after_the_wait(stage, approved(stage))
    retention.run(clock=stage.clock)
    assert not type(notice.body).objects.filter(notice=notice).exists()
    assert customer.notices.filter(about=request.number).first().content_hash == notice.content_hash
