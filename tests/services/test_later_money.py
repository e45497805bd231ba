"""Money after a closing: found once whichever way it comes, paid out once, or owed until it is settled."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from accounts.models import ClosedAccountMovement, CreditAccount
from accounts.tracking import NotPermitted, NotPossible
from closures.errors import GroundMissing
from closures.models import ClosureTicket, LedgerCommand, PartnerCallback, PostClosureItem
from closures.services import callbacks, commands, invariants, later_money
from closures.services.later_money import (
    Ended,
    NotReceivable,
    ProofOfPaymentMissing,
    SameAsker,
    WriteOffNotAsked,
    WrongDirection,
)
from tests.races import at_once, race
from tests.services.test_callbacks import apply, signed
from tests.stage import Stage, refused, seen, written

serial = itertools.count(1)
REFUND = {"kind": "REFUND", "ref": "R-1", "amount": "66.00"}
CLAWBACK = {"kind": "CLAWBACK", "ref": "K-1", "amount": "66.00", "takes_back": "R-1"}


def event(account: CreditAccount | str, at: datetime | None = None, **fields: Any) -> dict[str, Any]:
    number = account if isinstance(account, str) else account.account_no
    body = {"event_id": f"evt_m{next(serial)}", "type": "ledger.money_after_closing", "account_no": number}
    return {**body, **fields, **({"at": at.isoformat()} if at else {})}


def hear(stage: Stage, account: Any, at: datetime | None = None, **fields: Any) -> tuple[str, str]:
    """The ledger's signed message came in and the job has applied it; what came of it."""
    raw, headers = signed(event(account, at or stage.now, **fields), stage.now)
    callbacks.receive(partner="LEDGER", raw=raw, headers=headers, now=stage.now)
    return apply(stage)[-1]


def posted(stage: Stage, account: CreditAccount, **fields: Any) -> tuple[str, str]:
    """The same as `hear`, after the simulated ledger has really booked it."""
    stage.simulator.later_money(account.account_no, quietly=True, **fields)
    return hear(stage, account, **fields)


def moved(
    stage: Stage, account: CreditAccount, *, to_him: str = "0.00", by_him: str = "0.00", at: Any = None
) -> ClosedAccountMovement:
    """What the import leaves of a line about a closed account."""
    return ClosedAccountMovement.objects.create(
        account=account,
        ledger_as_of=at or stage.now,
        owed_to_customer=Decimal(to_him),
        owed_by_customer=Decimal(by_him),
        digest=f"{next(serial):064d}",
        recorded_at=stage.now,
    )


def closed(stage: Stage) -> CreditAccount:
    return stage.ticket("CLOSED").account


def refund(stage: Stage, account: CreditAccount | None = None, **fields: Any) -> PostClosureItem:
    account = account or closed(stage)
    assert posted(stage, account, **{**REFUND, **fields}) == ("APPLIED", "NEW")
    return account.later_money.latest("pk")


def debt(stage: Stage, *, booked: bool = False) -> PostClosureItem:
    account = closed(stage)
    fields = {"kind": "CORRECTION", "ref": "D-1", "amount": "12.30", "direction": "BY_CUSTOMER"}
    assert posted(stage, account, **fields) == ("APPLIED", "NEW")
    item = account.later_money.get()
    if booked:
        do(stage, "book_receivable", item)
    return item


def do(stage: Stage, act: str, item: PostClosureItem, *, by: Any = "reviewer", **given: Any) -> Any:
    actor = stage.staff(by) if isinstance(by, str) else by
    given = given or {"ground": "已核对"}
    return getattr(later_money, act)(item_id=item.pk, actor=actor, now=stage.now, **given)


def paid(stage: Stage, item: PostClosureItem, rounds: int = 8) -> PostClosureItem:
    for _ in range(rounds):
        commands.run(clock=stage.clock)
        later_money.run(clock=stage.clock)
        item = PostClosureItem.objects.get(pk=item.pk)
        if item.state == "PAID_OUT":
            break
        stage.clock.skip()
    return item


def rows(account: CreditAccount) -> list[tuple[str, str, str]]:
    found = account.later_money.order_by("pk").values_list("kind", "amount", "state")
    return [(kind, f"{amount:.2f}", state) for kind, amount, state in found]


def all_hold(stage: Stage, numbers: Iterable[int] = (3, 6, 11, 12)) -> None:
    broken = {r.number: r.examples for r in invariants.run(now=stage.now, only=numbers) if r.violations}
    assert broken == {}


# --- Told by the ledger -------------------------------------------------------------------------------


def test_a_refund_after_closing_is_in_suspense_and_the_account_stays_as_it_was(stage: Stage) -> None:
    account = closed(stage)
    before = seen(account)
    item = refund(stage, account)
    assert (item.kind, item.direction, item.amount) == ("REFUND", "TO_CUSTOMER", Decimal("66.00"))
    assert (item.source, item.external_ref, item.state) == ("LEDGER", "R-1", "SUSPENSE")
    assert (item.ticket, item.found_at, item.owner) == (account.tickets.get(), stage.now, None)
    assert item.number.startswith("PM260112")
    assert written(item) == ("job:later_money", "found")
    assert seen(account) == before
    all_hold(stage)


def test_the_same_posting_told_again_is_counted_and_nothing_else(stage: Stage) -> None:
    account = closed(stage)
    item = refund(stage, account)
    for _ in range(2):
        assert posted(stage, account, **REFUND) == ("NO_EFFECT", "REPEATED")
    item.refresh_from_db()
    assert (item.repeats, item.history.count(), rows(account)) == (2, 1, [("REFUND", "66.00", "SUSPENSE")])
    assert stage.effects("REFUND", account.account_no) == 1


@pytest.mark.parametrize(
    ("fields", "heard"),
    [
        ({"amount": "66.01"}, "REF_REUSED"),
        ({"kind": "CLAWBACK"}, "REF_REUSED"),
        ({"amount": "0.00", "ref": "R-2"}, "UNREADABLE"),
        ({"amount": "-1.00", "ref": "R-2"}, "UNREADABLE"),
        ({"amount": 66, "ref": "R-2"}, "UNREADABLE"),
        ({"kind": "GIFT", "ref": "R-2"}, "UNREADABLE"),
        ({"direction": "BY_CUSTOMER", "ref": "R-2"}, "UNREADABLE"),
        ({"kind": "CORRECTION", "ref": "R-2"}, "UNREADABLE"),
        ({"ref": "x" * 200}, "UNREADABLE"),
        ({"ref": ""}, "UNREADABLE"),
        ({"account_no": "NOBODYS"}, "NO_ACCOUNT"),
        ({"at": "yesterday"}, "UNREADABLE"),
    ],
)
def test_what_cannot_be_read_raises_an_alarm_and_keeps_nothing(
    stage: Stage, fields: dict[str, Any], heard: str
) -> None:
    account = closed(stage)
    item = refund(stage, account)
    before = seen(item)
    raw, headers = signed({**event(account, stage.now, **REFUND), **fields}, stage.now)
    callbacks.receive(partner="LEDGER", raw=raw, headers=headers, now=stage.now)
    known = heard if heard != "REF_REUSED" else "REF_REUSED"
    assert apply(stage)[-1] == ("ALARM", known)
    assert account.later_money.count() == 1 and seen(item) == before


def test_only_the_ledger_tells_of_money(stage: Stage) -> None:
    account = closed(stage)
    raw, headers = signed(event(account, stage.now, **REFUND), stage.now)
    callbacks.receive(partner="ALIPAY", raw=raw, headers=headers, now=stage.now)
    assert apply(stage) == [("ALARM", "UNKNOWN_EVENT")]
    assert not PostClosureItem.objects.exists()


def test_an_open_account_shows_its_money_by_its_balance(stage: Stage) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    assert hear(stage, ticket.account, **REFUND) == ("NO_EFFECT", "NOT_CLOSED")
    assert not PostClosureItem.objects.exists()


def test_money_for_a_reversed_closing_is_kept_on_the_closed_account(stage: Stage) -> None:
    from tests.services.test_reversal import approve, opened, proposed  # noqa: PLC0415

    ticket = stage.ticket("CLOSED")
    opened(stage, approve(stage, proposed(stage, ticket)))
    item = refund(stage, ticket.account)
    assert (item.account, item.ticket) == (ticket.account, ticket)


# --- A refund and its clawback ------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "out of order"])
@pytest.mark.parametrize("named", [True, False])
def test_a_clawback_takes_back_a_refund_that_still_waits(
    stage: Stage, order: tuple[int, int], named: bool
) -> None:
    account = closed(stage)
    back = CLAWBACK if named else {k: v for k, v in CLAWBACK.items() if k != "takes_back"}
    events = [REFUND, back]
    for n in order:
        assert hear(stage, account, **events[n]) == ("APPLIED", "NEW")
    one, other = account.later_money.order_by("pk")
    assert (one.state, one.offset_with, other.state, other.offset_with) == ("OFFSET", other, "OFFSET", one)
    assert one.ended_at is not None and written(one) == ("job:later_money", "offset")
    with refused(NotPossible, one, other):
        do(stage, "pay_out", one if one.direction == "TO_CUSTOMER" else other)
    all_hold(stage)


@pytest.mark.parametrize(
    ("back", "rest"),
    [("30.00", ("REFUND", "36.00", "SUSPENSE")), ("70.00", ("CLAWBACK", "4.00", "SUSPENSE"))],
)
def test_what_is_over_waits_alone(stage: Stage, back: str, rest: tuple[str, str, str]) -> None:
    account = closed(stage)
    refund(stage, account)
    assert hear(stage, account, **{**CLAWBACK, "amount": back}) == ("APPLIED", "NEW")
    assert rows(account) == [("REFUND", "66.00", "OFFSET"), ("CLAWBACK", back, "OFFSET"), rest]
    assert hear(stage, account, **{**CLAWBACK, "amount": back}) == ("NO_EFFECT", "REPEATED")
    assert len(rows(account)) == 3


def test_a_clawback_of_what_was_paid_out_is_the_customers_debt(stage: Stage) -> None:
    account = closed(stage)
    item = refund(stage, account)
    do(stage, "pay_out", item)
    paid(stage, item)
    assert posted(stage, account, **CLAWBACK) == ("APPLIED", "NEW")
    assert rows(account) == [("REFUND", "66.00", "PAID_OUT"), ("CLAWBACK", "66.00", "SUSPENSE")]
    owed = do(stage, "book_receivable", account.later_money.latest("pk"))
    assert (owed.state, owed.owner) == ("RECEIVABLE", stage.staff("reviewer").user)


def test_a_clawback_that_names_another_refund_takes_none(stage: Stage) -> None:
    account = closed(stage)
    refund(stage, account)
    assert hear(stage, account, **{**CLAWBACK, "takes_back": "R-9"}) == ("APPLIED", "NEW")
    assert [state for _, _, state in rows(account)] == ["SUSPENSE", "SUSPENSE"]


# --- Seen by the import -------------------------------------------------------------------------------


def test_what_the_extract_shows_is_taken_once(stage: Stage) -> None:
    account = closed(stage)
    movement = moved(stage, account, to_him="66.00")
    assert later_money.take_movements(now=stage.now) == 1
    assert later_money.take_movements(now=stage.now) == 0
    item = account.later_money.get()
    assert (item.kind, item.direction, item.source) == ("REFUND", "TO_CUSTOMER", "IMPORT")
    assert (item.amount, item.occurred_at) == (Decimal("66.00"), movement.ledger_as_of)
    movement.refresh_from_db()
    assert movement.taken_at == stage.now
    moved(stage, account, to_him="66.00", at=stage.now + timedelta(hours=1))
    later_money.take_movements(now=stage.now)
    assert account.later_money.count() == 1, "the next extract shows the same balance"
    all_hold(stage)


def test_what_a_message_told_is_no_news_in_the_extract(stage: Stage) -> None:
    account = closed(stage)
    refund(stage, account)
    moved(stage, account, to_him="66.00", at=stage.clock.skip())
    assert later_money.take_movements(now=stage.now) == 1
    assert account.later_money.count() == 1
    moved(stage, account, to_him="76.50", at=stage.clock.skip())
    later_money.take_movements(now=stage.now)
    assert rows(account)[1] == ("REFUND", "10.50", "SUSPENSE"), "only the difference"


def test_a_message_that_comes_after_the_extract_names_what_it_showed(stage: Stage) -> None:
    account, then = closed(stage), stage.now
    moved(stage, account, to_him="66.00", at=stage.clock.skip())
    later_money.take_movements(now=stage.now)
    for ref, amount in (("R-1", "40.00"), ("R-2", "26.00")):
        fields = {"kind": "REFUND", "ref": ref, "amount": amount}
        assert hear(stage, account, then, **fields) == ("APPLIED", "NAMED")
        assert hear(stage, account, then, **fields) == ("NO_EFFECT", "REPEATED")
    item = account.later_money.get()
    assert (item.named, item.repeats) == ({"R-1": "40.00", "R-2": "26.00"}, 2)
    new = {"kind": "REFUND", "ref": "R-3", "amount": "66.00"}
    assert hear(stage, account, stage.clock.skip(), **new) == ("APPLIED", "NEW"), "younger than the extract"


def test_an_extract_without_the_money_any_more_takes_the_refund_back(stage: Stage) -> None:
    account = closed(stage)
    refund(stage, account)
    moved(stage, account, to_him="0.00", at=stage.clock.skip())
    later_money.take_movements(now=stage.now)
    assert rows(account) == [("REFUND", "66.00", "OFFSET"), ("CLAWBACK", "66.00", "OFFSET")]


def test_a_debt_in_the_extract_is_a_correction(stage: Stage) -> None:
    account = closed(stage)
    moved(stage, account, by_him="3.50")
    later_money.take_movements(now=stage.now)
    assert rows(account) == [("CORRECTION", "3.50", "SUSPENSE")]
    assert account.later_money.get().direction == "BY_CUSTOMER"


def test_an_extract_of_before_a_payout_does_not_find_the_money_again(stage: Stage) -> None:
    account = closed(stage)
    item = refund(stage, account)
    before = stage.clock.skip()
    stage.clock.skip()
    do(stage, "pay_out", item)
    moved(stage, account, to_him="66.00", at=before)
    assert later_money.take_movements(now=stage.now) == 0, "a balance proves nothing during a payout"
    paid(stage, item)
    assert later_money.take_movements(now=stage.now) == 1
    moved(stage, account, to_him="0.00", at=stage.clock.skip())
    later_money.take_movements(now=stage.now)
    assert rows(account) == [("REFUND", "66.00", "PAID_OUT")]


def test_an_older_extract_that_is_read_late_says_nothing(stage: Stage) -> None:
    account, earlier = closed(stage), stage.now
    moved(stage, account, to_him="66.00", at=stage.clock.skip())
    later_money.take_movements(now=stage.now)
    moved(stage, account, to_him="10.00", at=earlier)
    assert later_money.take_movements(now=stage.now) == 1
    assert account.later_money.count() == 1


# --- Paying out ---------------------------------------------------------------------------------------


def test_a_payout_is_done_once_the_ledger_shows_the_posting(stage: Stage) -> None:
    item = refund(stage)
    going = do(stage, "pay_out", item)
    assert (going.state, going.paid_by, going.owner) == ("PAYING", *[stage.staff("reviewer").user] * 2)
    assert (going.command.verb, going.command.amount, going.command.reference) == (
        "RETURN", Decimal("66.00"), item.number,
    )  # fmt: skip
    later_money.run(clock=stage.clock)
    assert PostClosureItem.objects.get(pk=item.pk).state == "PAYING"
    item = paid(stage, item)
    assert (item.state, item.ended_at is not None) == ("PAID_OUT", True)
    assert written(item) == ("job:later_money", "read back returned")
    (effect,) = stage.simulator.effects(kind="RETURN", subject=item.number)
    assert effect["detail"] == f"{item.account.account_no} 66.00"
    assert CreditAccount.objects.get(pk=item.account_id).credit_balance == 0
    all_hold(stage)


@pytest.mark.parametrize("fault", ["timeout_after_success", "http_500", "garbage"])
def test_whatever_the_ledger_answers_the_payout_happens_once(stage: Stage, fault: str) -> None:
    item = refund(stage)
    do(stage, "pay_out", item)
    stage.simulator.fault(system="LEDGER", kind=fault, method="POST", times=2, hold_s=0.1, effect=True)
    item = paid(stage, item, rounds=12)
    assert (item.state, stage.effects("RETURN", item.number)) == ("PAID_OUT", 1)
    assert stage.simulator.duplicates() == []


def test_a_crash_after_the_order_pays_once(stage: Stage) -> None:
    """The worker that sent the command died: nobody knows, so it is asked, never sent again blindly."""
    item = refund(stage)
    do(stage, "pay_out", item)
    (claimed,) = LedgerCommand.objects.filter(verb="RETURN").claim(now=stage.now, limit=1)
    assert commands._begin(claimed, now=stage.now)
    commands._send(claimed)  # and there it ends
    stage.clock.skip(timedelta(minutes=5))
    item = paid(stage, item)
    assert (item.state, stage.effects("RETURN", item.number)) == ("PAID_OUT", 1)


def test_a_refused_payout_waits_for_a_person_and_is_not_called_paid(stage: Stage) -> None:
    account = closed(stage)
    assert hear(stage, account, **REFUND) == ("APPLIED", "NEW")  # told, and not on the ledger
    item = account.later_money.get()
    do(stage, "pay_out", item)
    item = paid(stage, item, rounds=3)
    assert (item.state, item.command.state, item.command.reason_code) == (
        "PAYING", "DEAD", "NOTHING_TO_RETURN",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("refusal", "act", "given"),
    [
        (GroundMissing, "pay_out", {"ground": " "}),
        (NotPermitted, "pay_out", {"by": "agent"}),
        (NotPermitted, "pay_out", {"by": "operator"}),
        (WrongDirection, "book_receivable", {}),
        (NotPossible, "settle_receivable", {"proof": "B-1"}),
        (NotReceivable, "ask_write_off", {}),
        (NotPossible, "write_off", {"by": "lead"}),
        (NotPermitted, "take_on", {"by": "agent"}),
    ],
)
def test_what_may_not_be_done_with_a_refund_changes_nothing(
    stage: Stage, refusal: Any, act: str, given: dict[str, Any]
) -> None:
    item = refund(stage)
    if act == "take_on":
        with refused(refusal, item):
            later_money.take_on(item_id=item.pk, actor=stage.staff(given["by"]), now=stage.now)
        return
    with refused(refusal, item):
        do(stage, act, item, **given)
    assert not LedgerCommand.objects.filter(verb="RETURN").exists()


def test_a_payout_is_ordered_once(stage: Stage) -> None:
    item = refund(stage)
    do(stage, "pay_out", item)
    with refused(NotPossible, item):
        do(stage, "pay_out", item, by="lead")
    assert LedgerCommand.objects.filter(verb="RETURN").count() == 1


# --- What the customer owes ---------------------------------------------------------------------------


def test_a_receivable_is_settled_with_the_number_of_the_payment(stage: Stage) -> None:
    item = debt(stage, booked=True)
    with refused(ProofOfPaymentMissing, item):
        do(stage, "settle_receivable", item, proof=" ")
    done = do(stage, "settle_receivable", item, proof="B-2026-7")
    assert (done.state, done.proof, done.ended_at) == ("SETTLED", "B-2026-7", stage.now)
    with refused(NotPossible, item):
        do(stage, "settle_receivable", item, proof="B-2026-8")


def test_a_write_off_takes_two(stage: Stage) -> None:
    item = debt(stage, booked=True)
    with refused(WriteOffNotAsked, item):
        do(stage, "write_off", item, by="lead")
    do(stage, "ask_write_off", item, by="lead")
    with refused(SameAsker, item):
        do(stage, "write_off", item, by="lead")
    with refused(NotPermitted, item):
        do(stage, "write_off", item, by="reviewer")
    done = do(stage, "write_off", item, by="lead2")
    assert (done.state, done.write_off_asked_by, done.written_off_by) == (
        "WRITTEN_OFF", stage.staff("lead").user, stage.staff("lead2").user,
    )  # fmt: skip
    all_hold(stage)


def test_what_is_owed_by_him_is_never_paid_out(stage: Stage) -> None:
    item = debt(stage)
    with refused(WrongDirection, item):
        do(stage, "pay_out", item)


def test_an_item_has_an_owner_until_it_has_ended(stage: Stage) -> None:
    item = debt(stage)
    for who in ("reviewer", "reviewer", "lead"):
        later_money.take_on(item_id=item.pk, actor=stage.staff(who), now=stage.now)
    item.refresh_from_db()
    assert (item.owner, item.history.count()) == (stage.staff("lead").user, 3)
    do(stage, "book_receivable", item)
    assert PostClosureItem.objects.get(pk=item.pk).owner == stage.staff("lead").user
    do(stage, "settle_receivable", item, proof="B-1")
    with refused(Ended, item):
        later_money.take_on(item_id=item.pk, actor=stage.staff("lead"), now=stage.now)


# --- Invariant ----------------------------------------------------------------------------------------


def test_money_on_a_closed_account_itself_is_found(stage: Stage) -> None:
    account = closed(stage)
    CreditAccount.objects.filter(pk=account.pk).update(credit_balance=Decimal("1.00"))
    (found,) = invariants.run(now=stage.now, only=[6])
    assert (found.violations, found.examples) == (1, [account.account_no])


# --- Races --------------------------------------------------------------------------------------------


@race
def test_one_posting_told_many_times_at_once_is_one_item(raise_stage: Any) -> None:
    stage = raise_stage()
    account = closed(stage)
    for _ in range(4):
        raw, headers = signed(event(account, stage.now, **REFUND), stage.now)
        callbacks.receive(partner="LEDGER", raw=raw, headers=headers, now=stage.now)
    at_once(*(lambda: callbacks.apply(clock=stage.clock) for _ in range(4)))
    assert not PartnerCallback.objects.filter(outcome="WAITING").exists()
    item = account.later_money.get()
    assert item.repeats == 3


@race
def test_a_payout_racing_a_clawback_ends_in_exactly_one_of_the_two(raise_stage: Any) -> None:
    stage = raise_stage()
    for n in range(4):
        account = closed(stage)
        item = refund(stage, account, ref=f"R-{n}")
        raw, headers = signed(
            event(account, stage.now, **{**CLAWBACK, "ref": f"K-{n}", "takes_back": f"R-{n}"}), stage.now
        )
        callbacks.receive(partner="LEDGER", raw=raw, headers=headers, now=stage.now)
        reviewer = stage.staff("reviewer")
        at_once(partial(do, stage, "pay_out", item, by=reviewer), partial(callbacks.apply, clock=stage.clock))
        item.refresh_from_db()
        other = account.later_money.get(kind="CLAWBACK")
        assert (item.state, other.state) in (("PAYING", "SUSPENSE"), ("OFFSET", "OFFSET"))
        assert account.commands.filter(verb="RETURN").count() == (item.state == "PAYING")


@race
def test_two_orders_at_once_pay_once(raise_stage: Any) -> None:
    stage = raise_stage()
    item = refund(stage)
    people = [stage.staff(name) for name in ("reviewer", "lead", "lead2")]
    ends = at_once(*(partial(do, stage, "pay_out", item, by=who) for who in people))
    assert sorted(type(end).__name__ for end in ends) == ["NotPossible", "NotPossible", "PostClosureItem"]
    at_once(*(lambda: commands.run(clock=stage.clock) for _ in range(3)))
    assert paid(stage, item).state == "PAID_OUT"
    assert stage.effects("RETURN", item.number) == 1


@race
def test_two_sweeps_at_once_take_a_movement_once(raise_stage: Any) -> None:
    stage = raise_stage()
    account = closed(stage)
    moved(stage, account, to_him="66.00")
    at_once(*(lambda: later_money.take_movements(now=stage.now) for _ in range(4)))
    assert account.later_money.count() == 1
    assert ClosureTicket.objects.filter(state="CLOSED").count() == 1
