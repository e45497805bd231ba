"""Each promise of SPEC §8: it holds on clean rows, and one deliberate breach is found and named.

What the database itself forbids is broken with its constraint taken away, as somebody at a SQL prompt would.
Promises about money, partners and records are in test_invariants_of_records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.actors import SHIPPED
from accounts.models import CreditAccount, Regulation, WorkCalendarDay
from accounts.tracking import save_as
from closures.models import ClosureTicket, InvariantCheck, Notice, UnbindTask
from closures.models.notices import NoticeKind
from closures.models.numbers import new_number
from closures.models.tickets import Reason
from closures.services import invariants
from tests.closed_cases import a_closed_case, a_task, broken, look, unseen
from tests.factories import a_user, an_account

pytestmark = pytest.mark.django_db

ALL = tuple(range(1, 13))


@pytest.fixture
def without() -> Iterator[Callable[[Any, str], None]]:
    """Take a constraint away: a CHECK, or a unique index. The test's roll-back brings it back."""

    def take(model: Any, name: str) -> None:
        table = connection.ops.quote_name(model._meta.db_table)
        with connection.cursor() as cursor:
            if any(c.name == name and hasattr(c, "fields") for c in model._meta.constraints):
                cursor.execute(f"DROP INDEX {name}")
            elif connection.vendor == "sqlite":
                cursor.execute("PRAGMA ignore_check_constraints = ON")
            else:  # rows of this test still have foreign keys to be checked, which would forbid the ALTER
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")

    yield take
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


# --- All of them -------------------------------------------------------------------------------------


def test_on_an_empty_product_everything_holds(now: datetime) -> None:
    assert broken(now) == {}


def test_on_clean_rows_everything_holds_and_every_row_was_looked_at(now: datetime) -> None:
    for reason in Reason:
        a_closed_case(now, reason=reason)
    results = {result.number: result for result in invariants.run(now=now)}
    assert tuple(results) == ALL
    assert {n: r.examples for n, r in results.items() if r.violations or r.examples} == {}
    assert [results[n].examined for n in (1, 2, 4, 5, 6, 7, 8)] == [3, 2, 0, 1, 3, 3, 3]
    assert results[11].examined > 1461 and results[12].examined > 1461  # the calendar alone has so many


def test_a_check_keeps_one_row_each_and_counts_all_violations(now: datetime) -> None:
    a_case = a_closed_case(now)
    UnbindTask.objects.filter(pk=a_case.task.pk).update(state="DEAD")
    found = sum(result.violations for result in invariants.run(now=now))
    assert found == 2  # the task itself, and its history, which does not know
    assert list(InvariantCheck.objects.order_by("number").values_list("number", flat=True)) == list(ALL)
    kept = InvariantCheck.objects.get(number=1)
    assert (kept.examined, kept.violations, kept.examples) == (1, 1, [a_case.ticket.number])
    invariants.run(now=now)
    assert InvariantCheck.objects.filter(number=1).count() == 2


def test_each_night_every_invariant_has_its_turn_and_no_run_takes_more_than_one(now: datetime) -> None:
    turns = sum(invariants.check_next(now=now) for _ in range(3 * len(ALL)))
    assert turns == len(ALL) == InvariantCheck.objects.values("number").distinct().count()
    assert invariants.check_next(now=now + timedelta(hours=19)) == 0
    assert invariants.check_next(now=now + timedelta(hours=21)) == 1


def test_examples_are_few_however_much_is_broken(now: datetime) -> None:
    account = an_account()
    CreditAccount.history.all().delete()
    for _more in range(24):
        an_account(customer=account.customer, product="HUABEI", line_state="CLOSED", closed_at=now)
    CreditAccount.history.all().delete()
    result = look(11, now)
    assert (result.violations, len(result.examples)) == (25, 20)


def test_an_unknown_number_is_refused_before_anything_is_looked_at(now: datetime) -> None:
    with pytest.raises(invariants.NoSuchInvariant):
        invariants.run(now=now, only=[1, 99])
    assert not InvariantCheck.objects.exists()


# --- 1 to 4 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(set(UnbindTask.State.values) - set(UnbindTask.DONE)))
def test_1_a_closed_ticket_with_an_unfinished_task_is_found(state: str, now: datetime) -> None:
    a_case = a_closed_case(now)
    unseen(UnbindTask, a_case.task, state=state)
    assert broken(now) == {1: 1}
    assert look(1, now).examples == [a_case.ticket.number]


def test_1_a_repair_after_the_closing_is_not_the_tickets_own_task(now: datetime) -> None:
    a_case = a_closed_case(now)
    a_task(a_case.ticket, a_case.task.agreement, now, generation=2, state=UnbindTask.State.PENDING)
    assert broken(now) == {}


@pytest.mark.parametrize("reason", [Reason.RISK_CONTROL, Reason.POLICY])
@pytest.mark.parametrize(
    "change",
    [
        {"delivered_at": datetime(2026, 11, 23, 9, 59).astimezone()},
        {"state": Notice.State.SENT},
        {"kind": NoticeKind.RECEIVED},
    ],
    ids=["late", "only sent", "another kind"],
)
def test_2_a_date_of_arrival_without_a_delivered_notice_is_not_believed(
    reason: str, change: dict[str, Any], now: datetime
) -> None:
    a_case = a_closed_case(now, reason=reason)
    unseen(Notice, a_case.ticket.notices.get(), **change)
    assert broken(now) == {2: 1}
    assert look(2, now).examples == [a_case.ticket.number]


def test_2_two_people_may_waive_the_arrival_and_one_may_not(now: datetime, without: Any) -> None:
    a_case = a_closed_case(now, reason=Reason.POLICY)
    unseen(Notice, a_case.ticket.notices.get(), state=Notice.State.SENT)
    first, second = a_user(), a_user()
    unseen(
        ClosureTicket,
        a_case.ticket,
        notice_arrived_at=None,
        notice_waiver_asked_by=first,
        notice_waived_by=second,
    )
    assert broken(now) == {}
    without(ClosureTicket, "ticket_notice_waiver_names_two")
    unseen(ClosureTicket, a_case.ticket, notice_waiver_asked_by=second)
    assert broken(now) == {2: 1, 3: 1}
    unseen(ClosureTicket, a_case.ticket, notice_waiver_asked_by=None)
    assert broken(now) == {2: 1, 3: 1}


def test_2_a_customers_own_closing_needs_no_such_notice(now: datetime) -> None:
    assert not a_closed_case(now).ticket.notices.exists()
    assert look(2, now).violations == 0


def test_3_a_requester_who_decided_is_found(now: datetime, without: Any) -> None:
    a_case = a_closed_case(now)
    without(ClosureTicket, "ticket_requester_does_not_decide")
    unseen(ClosureTicket, a_case.ticket, decided_by=a_case.ticket.requested_by)
    assert broken(now) == {3: 1}
    assert look(3, now).examples == [a_case.ticket.number]


def test_3_a_requester_who_once_decided_is_found_in_history(now: datetime) -> None:
    a_case = a_closed_case(now)
    older = a_case.ticket.history.get()
    older.pk, older.decided_by_id = None, older.requested_by_id
    older.save(force_insert=True)
    save_as(a_case.ticket, actor=SHIPPED, reason="as if nothing had been", now=now)
    assert broken(now) == {3: 1}


def test_3_nobody_having_decided_is_found_unless_it_went_straight_through(
    now: datetime, without: Any
) -> None:
    a_case = a_closed_case(now)
    unseen(ClosureTicket, a_case.ticket, decided_by=None, straight_through=True)
    assert broken(now) == {}
    without(ClosureTicket, "ticket_past_review_was_decided")
    unseen(ClosureTicket, a_case.ticket, straight_through=False)
    assert broken(now) == {3: 1}


@pytest.mark.parametrize(
    ("constraint", "first", "second"),
    [
        ("task_evidence_names_two_people", "evidence_by", "confirmed_by"),
        ("task_waiver_names_two_people", "waiver_asked_by", "waived_by"),
    ],
)
def test_3_evidence_and_waivers_by_one_person_are_found(
    constraint: str, first: str, second: str, now: datetime, without: Any
) -> None:
    a_case = a_closed_case(now)
    person = a_user()
    unseen(UnbindTask, a_case.task, **{first: a_user(), second: person})
    assert broken(now) == {}
    without(UnbindTask, constraint)
    for same in (person, None):
        unseen(UnbindTask, a_case.task, **{first: same})
        assert broken(now) == {3: 1}
    assert look(3, now).examples == [a_case.task.key]


def test_3_a_regulation_by_one_person_is_found(now: datetime, without: Any) -> None:
    rule = Regulation.objects.get(code="BUREAU_DISPUTE")
    without(Regulation, "regulation_four_eyes")
    person = a_user()
    unseen(Regulation, rule, shipped=False, proposed_by=person, approved_by=person)
    assert broken(now) == {3: 1}


def test_4_two_open_tickets_for_an_account_are_found(now: datetime, without: Any) -> None:
    without(ClosureTicket, "ticket_one_open_per_account")
    accounts = [an_account(), an_account()]
    for account in (*accounts, accounts[0]):
        ticket = ClosureTicket(
            number=new_number(now), account=account, reason=Reason.POLICY, channel="CAMPAIGN",
            state_since=now, requested_at=now,
        )  # fmt: skip
        save_as(ticket, actor=SHIPPED, reason="test", now=now)
    result = look(4, now)
    assert (result.examined, result.violations, result.examples) == (3, 1, [accounts[0].account_no])


# --- 5 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"answer_due_on": date(2026, 12, 14)},
        {"answer_due_on": date(2026, 12, 10)},
        {"answer_due_on": None},
        {"answer_rule": None},
        {"answer_calendar": "cn-2025.1"},
        {"answer_calendar": ""},
    ],
    ids=str,
)
def test_5_a_date_that_does_not_follow_from_what_it_names_is_found(
    change: dict[str, Any], now: datetime
) -> None:
    a_case, fine = a_closed_case(now), a_closed_case(now)
    unseen(ClosureTicket, a_case.ticket, **change)
    assert broken(now) == {5: 1}
    result = look(5, now)
    assert (result.examined, result.examples) == (2, [a_case.ticket.number])
    assert fine.ticket.number not in result.examples


def test_5_the_day_begins_in_china(now: datetime) -> None:
    a_case = a_closed_case(now)
    # 2026-11-22 23:59 in Shanghai is a Sunday; one minute later it is Monday, and the date one day later.
    sunday = datetime.fromisoformat("2026-11-22T15:59:00+00:00")
    unseen(ClosureTicket, a_case.ticket, requested_at=sunday)
    assert broken(now) == {}
    unseen(ClosureTicket, a_case.ticket, requested_at=sunday + timedelta(minutes=1))
    assert broken(now) == {5: 1}


def test_5_a_later_calendar_or_rule_moves_no_date(now: datetime) -> None:
    a_case = a_closed_case(now)
    day = WorkCalendarDay.objects.get(date=date(2026, 12, 1))
    day.is_working, day.calendar_version = False, "cn-2026.2"
    save_as(day, actor=SHIPPED, reason="corrected", now=now)
    newer = Regulation(
        code="ANSWER_DUE", value="10", unit="working_days", source="t", certainty="C", shipped=True,
        valid_from=date(2026, 11, 1), state=Regulation.State.IN_FORCE,
    )  # fmt: skip
    save_as(newer, actor=SHIPPED, reason="test", now=now)
    assert broken(now) == {}
    unseen(ClosureTicket, a_case.ticket, answer_rule=Regulation.objects.get(code="BUREAU_DISPUTE"))
    assert broken(now) == {5: 1}


# --- The command -------------------------------------------------------------------------------------


def test_the_command_prints_a_line_each_and_ends_well(now: datetime) -> None:
    a_closed_case(now)
    out = StringIO()
    call_command("check_invariants", stdout=out)
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines[1:]] == [str(number) for number in ALL]
    assert all(line.endswith("yes") for line in lines[1:])


def test_the_command_ends_with_an_error_that_names_what_does_not_hold(now: datetime) -> None:
    a_case = a_closed_case(now)
    unseen(UnbindTask, a_case.task, state="DEAD")
    out = StringIO()
    with pytest.raises(CommandError, match="1"):
        call_command("check_invariants", only="1,2", stdout=out)
    assert f"1: {a_case.ticket.number}" in out.getvalue()
    assert InvariantCheck.objects.count() == 2
    call_command("check_invariants", only="2", stdout=out)


@pytest.mark.parametrize("only", ["99", "x", "1,", "0"])
def test_the_command_refuses_a_number_it_does_not_know(only: str) -> None:
    with pytest.raises(CommandError, match="--only"):
        call_command("check_invariants", only=only)
