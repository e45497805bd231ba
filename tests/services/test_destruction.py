"""Destruction: two people, a wait, one more look under the lock, and a proof that nothing is left."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts import pii
from accounts.actors import SHIPPED
from accounts.models import Customer, CustomerIdentity, LenderRelationship, RefusedAction
from accounts.services import relationships
from accounts.tracking import NotPermitted, NotPossible, save_as
from closures.models import (
    ComplaintText,
    DestructionItem,
    DestructionList,
    NoticeBody,
    PartnerCallback,
    PostClosureItem,
    UnbindAttempt,
)
from closures.selectors import retention as reads
from closures.services import invariants, retention, reversal
from closures.services.retention import erasing
from tests.complaint_cases import act, lodge
from tests.factories import a_customer, a_person
from tests.keeping import (
    after_the_wait,
    an_order,
    approve,
    approved,
    closed,
    item_of,
    over,
    quiet,
    sealed_left,
    to,
)
from tests.races import at_once, race
from tests.stage import Stage, refused, written


def erase(stage: Stage) -> int:
    return retention.run(clock=stage.clock)


def fresh(row: Any) -> Any:
    return type(row)._base_manager.get(pk=row.pk)


def a_former_customer(until: date, **fields: Any) -> Customer:
    """Restricted, with one ended relationship whose data may go on `until`."""
    customer = a_person(standing="RESTRICTED", **fields)
    from accounts.models import Lender  # noqa: PLC0415

    row = LenderRelationship(
        customer=customer, lender=Lender.objects.first(), started_on=date(2015, 1, 1),
        ended_on=until.replace(year=until.year - 10), retain_until=until,
    )  # fmt: skip
    save_as(row, actor=SHIPPED, reason="test")
    return customer


# --- Collecting ---------------------------------------------------------------------------------------


def test_the_sweep_drafts_whoever_is_due_and_nobody_else(stage: Stage) -> None:
    today = stage.now.date()
    due, tomorrow = a_former_customer(today), a_former_customer(today + timedelta(days=1))
    a_person()
    assert retention.collect(now=stage.now) == 1
    row = DestructionList.objects.get()
    assert (row.state, row.population, row.as_of_on) == ("DRAFT", 1, today)
    item = row.items.get()
    assert (item.customer, item.retain_until, item.state) == (due, today, "WAITING")
    assert written(item)[0] == "job:retention"
    assert item_of_nobody(tomorrow)
    assert retention.collect(now=stage.now) == 0, "a draft that nobody took up is not followed by another"
    assert not RefusedAction.objects.exists()


def item_of_nobody(customer: Customer) -> bool:
    return not DestructionItem.objects.filter(customer=customer).exists()


def test_nobody_is_on_two_lists_at_once(stage: Stage) -> None:
    a_former_customer(stage.now.date())
    retention.propose_new(actor=stage.staff("lead"), now=stage.now)
    assert retention.collect(now=stage.now) == 0
    with refused(retention.NobodyIsDue):
        retention.propose_new(actor=stage.staff("lead"), now=stage.now)


KEPT = {
    "IN_USE": lambda stage, c: relationships.begin(
        customer_id=c.pk, lender_id=c.relationships.get().lender_id, started_on=stage.now.date(),
        actor=SHIPPED, reason="test", now=stage.now,
    ),
    "REQUEST_UNANSWERED": lambda stage, c: retention.request_deletion(
        customer_id=c.pk, channel="AGENT", actor=stage.staff("agent"), now=stage.now
    ),
    "CASE_OPEN": lambda stage, c: stage.request(stage.account(customer=c)),
}  # fmt: skip


@pytest.mark.parametrize("code", sorted(KEPT))
def test_what_keeps_somebody_keeps_him_off_the_list_and_is_named(stage: Stage, code: str) -> None:
    customer = a_former_customer(stage.now.date())
    assert reads.keeps(customer.pk, on=stage.now.date()) == ""
    KEPT[code](stage, customer)
    found = reads.keeps(customer.pk, on=stage.now.date())
    assert found == ("ACCOUNT_OPEN" if code == "CASE_OPEN" else code)
    assert list(reads.erasable(on=stage.now.date())) == []


@pytest.mark.parametrize("code", ["COMPLAINT_OPEN", "REVERSAL_OPEN", "MONEY_OPEN"])
def test_what_is_open_after_a_closing_keeps_him(stage: Stage, code: str) -> None:
    customer, ticket = closed(stage)
    on = over(stage, customer).date()
    assert reads.keeps(customer.pk, on=on) == ""
    match code:
        case "COMPLAINT_OPEN":
            complaint = lodge(stage, ticket_id=ticket.pk)
            assert complaint.number in [k.get("case") for k in reads.kept(customer, on=on)]
        case "REVERSAL_OPEN":
            reversal.propose(
                ticket_id=ticket.pk, source="OWN_FINDING", root_cause="NOT_ASKED_FOR", ground="录音核查",
                compensation_amount=Decimal(0), actor=stage.staff("reviewer2"), now=stage.now,
            )  # fmt: skip
        case "MONEY_OPEN":
            item = PostClosureItem(
                number="PM-TEST", account=ticket.account, ticket=ticket, kind="REFUND", source="LEDGER",
                direction="TO_CUSTOMER", amount=Decimal("66.00"), external_ref="R-1",
                occurred_at=stage.now, found_at=stage.now, state_since=stage.now,
            )  # fmt: skip
            save_as(item, actor=SHIPPED, reason="test", now=stage.now)
    assert reads.keeps(customer.pk, on=on) == code
    assert list(reads.erasable(on=on)) == []


def test_every_reason_to_keep_is_asked_alike_of_one_and_of_all(stage: Stage) -> None:
    customer, ticket = closed(stage)
    on = over(stage, customer).date()
    assert reads.keeps(customer.pk, on=on) == "" and list(reads.erasable(on=on)) == [customer]
    assert reads.keeps(customer.pk, on=on - timedelta(days=1)) == "RETENTION_RUNS"
    assert list(reads.erasable(on=on - timedelta(days=1))) == []
    an_order(stage, ticket)
    assert reads.keeps(customer.pk, on=on) == "OPEN_HOLD" and list(reads.erasable(on=on)) == []
    assert reads.keeps(a_customer(standing="RESTRICTED").pk, on=on) == "NO_RELATIONSHIP"


# --- Two people ---------------------------------------------------------------------------------------


def test_a_second_person_approves_and_the_wait_begins(stage: Stage) -> None:
    customer = a_former_customer(stage.now.date())
    row = approved(stage)
    assert row.state == "APPROVED"
    assert (row.proposed_by, row.approved_by) == (stage.staff("reviewer").user, stage.staff("lead").user)
    assert (row.wait_rule.code, row.wait_ends_on) == ("DESTRUCTION_WAIT", stage.now.date() + timedelta(30))
    assert written(row) == (str(stage.staff("lead")), "保存期均已届满")
    assert erase(stage) == 0
    stage.clock.now += timedelta(days=30)
    assert erase(stage) == 0 and fresh(customer).standing == "RESTRICTED"
    stage.clock.now += timedelta(days=1)
    assert erase(stage) == 1 and fresh(customer).standing == "ERASED"
    assert fresh(row).state == "DONE"


def test_who_may_propose_and_who_may_approve(stage: Stage) -> None:
    a_former_customer(stage.now.date())
    for name in ("agent", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted):
            retention.propose_new(actor=stage.staff(name), now=stage.now)
    row = retention.propose_new(actor=stage.staff("lead"), now=stage.now)
    for name in ("agent", "reviewer", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted, row):
            approve(stage, row, by=name)
    assert approve(stage, row, by="lead2").state == "APPROVED"


@pytest.mark.parametrize("who", ["lead", "boss"])
def test_whoever_proposed_does_not_approve(stage: Stage, who: str) -> None:
    a_former_customer(stage.now.date())
    row = retention.propose_new(actor=stage.staff(who), now=stage.now)
    with refused(retention.SameApprover, row):
        approve(stage, row, by=who)


def test_an_approval_is_of_the_list_that_was_seen(stage: Stage) -> None:
    first, _second = a_former_customer(stage.now.date()), a_former_customer(stage.now.date())
    row = retention.propose_new(actor=stage.staff("reviewer"), now=stage.now)
    seen = row.digest
    retention.take_off(
        item_id=item_of(first).pk, ground="诉讼中", actor=stage.staff("reviewer"), now=stage.now
    )
    assert fresh(row).population == 1
    for wrong in (seen, ""):
        with refused(retention.ListChanged, fresh(row)):
            approve(stage, row, seen=wrong)
    assert approve(stage, fresh(row)).state == "APPROVED"


@pytest.mark.parametrize("act", ["propose", "approve", "call_off", "take_off"])
def test_nothing_is_decided_without_a_reason(stage: Stage, act: str) -> None:
    customer = a_former_customer(stage.now.date())
    row = retention.propose_new(actor=stage.staff("reviewer"), now=stage.now)
    given: dict[str, Any] = {"ground": " ", "actor": stage.staff("lead"), "now": stage.now}
    given |= {"item_id": item_of(customer).pk} if act == "take_off" else {"list_id": row.pk}
    given |= {"seen_digest": row.digest} if act == "approve" else {}
    with refused(retention.GroundMissing, row, item_of(customer)):
        getattr(retention, act)(**given)


def test_during_the_wait_the_list_can_be_called_off_and_one_can_be_taken_off(stage: Stage) -> None:
    first, second = a_former_customer(stage.now.date()), a_former_customer(stage.now.date())
    row = approved(stage)
    actor = stage.staff("reviewer")
    item = retention.take_off(item_id=item_of(first).pk, ground="诉讼中", actor=actor, now=stage.now)
    assert (item.state, item.reason_code) == ("SKIPPED", "TAKEN_OFF")
    with refused(NotPossible, item):
        retention.take_off(item_id=item.pk, ground="诉讼中", actor=actor, now=stage.now)
    retention.call_off(list_id=row.pk, ground="名单有误", actor=actor, now=stage.now)
    assert (item_of(second).state, item_of(second).reason_code) == ("SKIPPED", "LIST_CALLED_OFF")
    after_the_wait(stage, row)
    assert erase(stage) == 0
    assert {fresh(first).standing, fresh(second).standing} == {"RESTRICTED"}
    with refused(NotPossible, fresh(row)):
        retention.call_off(list_id=row.pk, ground="名单有误", actor=actor, now=stage.now)


# --- The erasure --------------------------------------------------------------------------------------


def test_nothing_sealed_is_left_and_the_proof_says_what_went(stage: Stage) -> None:
    customer, ticket = closed(stage)
    PartnerCallback.objects.create(
        partner="ALIPAY", event_id="e1", kind="agreement.ended", received_at=stage.now, customer=customer,
        body_sealed=pii.seal("{}", subject="e1", field="body"),
    )  # fmt: skip
    UnbindAttempt.objects.filter(task__ticket=ticket).update(answer_sealed="k.x")
    other = a_person()
    history = {"ticket": ticket.history.count(), "customer": customer.history.count()}
    over(stage, customer)
    row = approved(stage)
    after_the_wait(stage, row)
    before = sealed_left(customer)
    assert before > 4
    assert erase(stage) == 1
    item = item_of(customer)
    assert item.state == "ERASED" and item.proof["left"] == 0 and len(item.proof["digest"]) == 64
    assert sum(item.proof["rows"].values()) == before
    assert set(item.proof["rows"]) == {t.model._meta.label_lower for t in pii.personal_tables()}
    assert sealed_left(customer) == 0 and sealed_left(other) == 1
    assert not CustomerIdentity.objects.filter(customer=customer).exists()
    assert not NoticeBody.objects.filter(notice__customer=customer).exists()
    assert ticket.notices.exists() and UnbindAttempt.objects.filter(task__ticket=ticket).exists()
    assert ticket.history.count() == history["ticket"], "history is never deleted"
    assert fresh(customer).standing == "ERASED"
    assert customer.history.count() == history["customer"] + 1
    assert {r.number: r.violations for r in invariants.run(now=stage.now) if r.violations} == {}


def test_what_was_written_of_a_complaint_goes_with_him(stage: Stage) -> None:
    customer, ticket = closed(stage)
    complaint = lodge(stage, ticket_id=ticket.pk)
    act(stage, complaint, "withdraw")
    quiet(stage)
    over(stage, customer)
    row = approved(stage)
    after_the_wait(stage, row)
    assert erase(stage) == 1
    assert not ComplaintText.objects.exists() and sealed_left(customer) == 0
    complaint.refresh_from_db()
    assert complaint.state == "WITHDRAWN", "that there was one stays known"


def test_erasing_twice_is_erasing_once(stage: Stage) -> None:
    customer = a_former_customer(stage.now.date())
    row = approved(stage)
    after_the_wait(stage, row)
    assert (erase(stage), erase(stage)) == (1, 0)
    proof = item_of(customer).proof
    assert retention.empty(customer)["rows"] == dict.fromkeys(proof["rows"], 0)


@pytest.mark.parametrize("when", ["before the approval", "in the wait"])
def test_a_hold_wins(stage: Stage, when: str) -> None:
    customer, ticket = closed(stage)
    over(stage, customer)
    row = retention.propose_new(actor=stage.staff("reviewer"), now=stage.now)
    if when == "before the approval":
        an_order(stage, ticket)
    row = approve(stage, row)
    if when == "in the wait":
        an_order(stage, ticket)
    after_the_wait(stage, row)
    assert erase(stage) == 1
    item = item_of(customer)
    assert (item.state, item.reason_code, item.proof) == ("SKIPPED", "OPEN_HOLD", {})
    assert fresh(customer).standing == "RESTRICTED" and sealed_left(customer) > 0
    assert fresh(row).state == "DONE"


def test_who_has_come_back_is_left_alone(stage: Stage) -> None:
    customer = a_former_customer(stage.now.date())
    row = approved(stage)
    KEPT["IN_USE"](stage, customer)
    after_the_wait(stage, row)
    erase(stage)
    assert (item_of(customer).reason_code, fresh(customer).standing) == ("IN_USE", "ACTIVE")


def test_a_crash_half_way_leaves_everything_and_the_next_run_finishes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = a_former_customer(stage.now.date()), a_former_customer(stage.now.date())
    row = approved(stage)
    after_the_wait(stage, row)
    crashed = []

    def crash(point: str, **of: Any) -> None:
        if point == "retention.after_emptying" and not crashed:
            crashed.append(point)
            raise RuntimeError("power cut")

    monkeypatch.setattr(erasing, "reach", crash)
    erase(stage)
    states = {item_of(first).state, item_of(second).state}
    assert crashed and states == {"WAITING", "ERASED"}, "the other one did not wait for it"
    left = first if item_of(first).state == "WAITING" else second
    assert sealed_left(left) == 1 and fresh(left).standing == "RESTRICTED" and fresh(row).state == "APPROVED"
    stage.clock.skip()  # the lease of the crashed run lapses
    assert erase(stage) == 1
    assert fresh(left).standing == "ERASED" and fresh(row).state == "DONE"


def test_a_table_that_does_not_say_whose_its_seals_are_stops_the_erasure(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = a_former_customer(stage.now.date())
    row = approved(stage)
    after_the_wait(stage, row)
    monkeypatch.setattr(pii.personal_tables()[-1], "customer_path", "")
    erase(stage)
    assert fresh(customer).standing == "RESTRICTED" and sealed_left_of_identity(customer) == 1


def sealed_left_of_identity(customer: Customer) -> int:
    return CustomerIdentity.objects.filter(customer=customer).count()


def test_an_answered_request_ends_with_the_erasure(stage: Stage) -> None:
    customer = a_former_customer(stage.now.date())
    request = retention.request_deletion(
        customer_id=customer.pk, channel="AGENT", actor=stage.staff("agent"), now=stage.now
    )
    retention.answer(request_id=request.pk, actor=stage.staff("reviewer"), now=stage.now)
    assert reads.keeps(customer.pk, on=stage.now.date()) == "NOTICE_ON_ITS_WAY"
    stage.work()
    row = approved(stage)
    after_the_wait(stage, row)
    erase(stage)
    assert fresh(request).state == "ERASED" and written(request)[1] == f"list {row.number}"


def test_the_price_of_a_collection_does_not_grow_with_the_customers(
    stage: Stage, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        a_former_customer(stage.now.date())
    with django_assert_max_num_queries(30):
        assert retention.collect(now=stage.now) == 12


@race
def test_two_collections_at_once_put_each_customer_on_one_list(raise_stage: Any) -> None:
    stage = raise_stage()
    for _ in range(6):
        a_former_customer(stage.now.date())
    stage.staff("lead"), stage.staff("lead2")
    acts = [lambda n=n: retention.propose_new(actor=stage.staff(n), now=stage.now) for n in ("lead", "lead2")]
    ends = at_once(*acts)
    assert DestructionItem.objects.filter(state="WAITING").count() == 6
    assert all(isinstance(end, DestructionList | retention.NobodyIsDue) for end in ends), ends


@race
def test_an_erasure_that_races_a_return_ends_in_exactly_one_of_the_two(raise_stage: Any) -> None:
    stage = raise_stage()
    for name in ("reviewer", "lead"):
        stage.staff(name)
    for _ in range(8):
        customer = a_former_customer(stage.now.date())
        row = approved(stage)
        after_the_wait(stage, row)
        ends = at_once(lambda: erase(stage), lambda c=customer: KEPT["IN_USE"](stage, c))
        came_back = not isinstance(ends[1], Exception)
        assert fresh(customer).standing == ("ACTIVE" if came_back else "ERASED"), ends
        assert (sealed_left(customer) > 0) == came_back
        if not came_back:
            assert isinstance(ends[1], relationships.CustomerErased)
        to(stage, stage.now.date() + timedelta(days=1))


@race
def test_two_workers_erase_one_customer_once(raise_stage: Any) -> None:
    stage = raise_stage()
    customer = a_former_customer(stage.now.date())
    after_the_wait(stage, approved(stage))
    ends = at_once(lambda: erase(stage), lambda: erase(stage))
    assert sum(ends) == 1 and item_of(customer).state == "ERASED"
