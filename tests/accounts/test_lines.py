"""A line's state follows from its open restrictions, and lifting one never lifts another."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import combinations

import pytest

from accounts.actors import Actor
from accounts.models import CreditAccount, LineRestriction, RefusedAction, RestrictionCause
from accounts.services import lines
from accounts.services.lines import LineState
from accounts.tracking import NotPossible
from tests.factories import an_account
from tests.races import at_once, race

pytestmark = pytest.mark.django_db

ACTOR = Actor.job("test")
ALL_SETS = [set(some) for n in range(len(RestrictionCause) + 1) for some in combinations(RestrictionCause, n)]


def put(
    account: CreditAccount, cause: str, now: datetime, reference: str = "T1", **more: object
) -> lines.LineChange:
    return lines.restrict(
        account_id=account.pk, cause=cause, reference=reference, actor=ACTOR, reason="test", now=now, **more
    )


def lift(account: CreditAccount, cause: str, now: datetime, reference: str = "T1") -> lines.LineChange:
    return lines.lift(
        account_id=account.pk, cause=cause, reference=reference, actor=ACTOR, reason="test", now=now
    )


def close(account: CreditAccount, now: datetime) -> lines.LineChange:
    return lines.close(account_id=account.pk, actor=ACTOR, reason="test", now=now)


def state_of(account: CreditAccount) -> str:
    return CreditAccount.objects.get(pk=account.pk).line_state


@pytest.mark.parametrize("causes", ALL_SETS, ids=lambda causes: "+".join(sorted(causes)) or "none")
def test_the_strongest_open_cause_decides(causes: set[str]) -> None:
    if RestrictionCause.CLOSING in causes:
        wanted = LineState.CLOSING
    elif causes - {RestrictionCause.CUSTOMER_LOCK}:
        wanted = LineState.FROZEN
    elif causes:
        wanted = LineState.LOCKED
    else:
        wanted = LineState.ACTIVE
    assert lines.state_for(causes) == wanted


def test_a_restriction_stops_the_line_and_says_by_whom(now: datetime) -> None:
    account = an_account()
    change = put(account, RestrictionCause.RISK, now, reference="A7", until=now + timedelta(days=3))

    assert (change.before, change.after, change.froze, change.thawed) == ("ACTIVE", "FROZEN", True, False)
    row = LineRestriction.objects.get(account=account)
    assert (row.cause, row.reference, row.since, row.until) == ("RISK", "A7", now, now + timedelta(days=3))
    newest = account.history.latest("history_id")
    assert (newest.line_state, newest.history_actor, newest.history_date) == ("FROZEN", "job:test", now)
    assert row.history.latest("history_id").history_actor == "job:test"


def test_lifting_one_never_lifts_another(now: datetime) -> None:
    account = an_account()
    for cause in RestrictionCause:
        put(account, cause, now)
    put(account, RestrictionCause.RISK, now, reference="T2")

    seen = [
        lift(account, cause, now).after
        for cause in ("CLOSING", "COOLING_OFF", "POLICY", "JUDICIAL", "RISK", "CUSTOMER_LOCK")
    ]

    assert seen == ["FROZEN"] * 6, "the second RISK restriction is still open"
    last = lift(account, RestrictionCause.RISK, now, reference="T2")
    assert (last.after, last.thawed) == ("ACTIVE", True)


def test_a_lock_of_the_customer_outlives_a_freeze(now: datetime) -> None:
    account = an_account()
    locked = put(account, RestrictionCause.CUSTOMER_LOCK, now)
    assert (locked.after, locked.froze) == ("LOCKED", False)
    put(account, RestrictionCause.COOLING_OFF, now)
    thawed = lift(account, RestrictionCause.COOLING_OFF, now)
    assert (thawed.after, thawed.thawed) == ("LOCKED", True)


def test_restricting_twice_is_restricting_once(now: datetime) -> None:
    account = an_account()
    put(account, RestrictionCause.RISK, now)
    again = put(account, RestrictionCause.RISK, now + timedelta(hours=1))
    assert again.before == again.after == "FROZEN"
    row = LineRestriction.objects.get(account=account)
    assert row.since == now and row.history.count() == 1
    assert account.history.count() == 2


def test_the_latest_end_counts(now: datetime) -> None:
    account = an_account()
    put(account, RestrictionCause.RISK, now, until=now + timedelta(days=1))
    put(account, RestrictionCause.RISK, now, until=now + timedelta(days=9))
    row = LineRestriction.objects.get(account=account)
    assert row.until == now + timedelta(days=9) and row.history.count() == 2


def test_lifting_what_is_not_there_changes_nothing(now: datetime) -> None:
    account = an_account()
    put(account, RestrictionCause.RISK, now)
    change = lift(account, RestrictionCause.POLICY, now)
    assert change.before == change.after == "FROZEN"
    lift(account, RestrictionCause.RISK, now)
    assert lift(account, RestrictionCause.RISK, now).thawed is False
    assert LineRestriction.objects.get(account=account).history.count() == 2


def test_a_closed_line_is_not_restricted(now: datetime) -> None:
    account = an_account()
    put(account, RestrictionCause.CLOSING, now)
    close(account, now)
    rows = LineRestriction.history.count()

    with pytest.raises(lines.LineClosed):
        put(account, RestrictionCause.RISK, now)

    assert state_of(account) == "CLOSED" and LineRestriction.history.count() == rows
    refused = RefusedAction.objects.get()
    assert (refused.action, refused.code, refused.subject) == (
        "lines.restrict",
        "line_closed",
        {"account_id": account.pk},
    )


def test_closing_lifts_everything_and_stays(now: datetime) -> None:
    account = an_account()
    put(account, RestrictionCause.JUDICIAL, now)
    put(account, RestrictionCause.CLOSING, now)

    change = close(account, now)

    account = CreditAccount.objects.get(pk=account.pk)
    assert (change.before, change.after) == ("CLOSING", "CLOSED")
    assert (account.line_state, account.closed_at) == ("CLOSED", now)
    assert not LineRestriction.objects.filter(account=account, lifted_at__isnull=True).exists()
    histories = account.history.count()
    assert close(account, now + timedelta(days=1)).before == "CLOSED"
    assert lift(account, RestrictionCause.JUDICIAL, now).after == "CLOSED"
    account.refresh_from_db()
    assert account.closed_at == now and account.history.count() == histories


@pytest.mark.parametrize("cause", [None, RestrictionCause.CUSTOMER_LOCK, RestrictionCause.RISK])
def test_only_a_closing_line_closes(cause: str | None, now: datetime) -> None:
    account = an_account()
    if cause:
        put(account, cause, now)
    before = state_of(account)
    with pytest.raises(NotPossible):
        close(account, now)
    assert state_of(account) == before
    assert LineRestriction.objects.filter(account=account, lifted_at__isnull=True).count() == bool(cause)


def test_recomputing_repairs_a_state_that_has_drifted(now: datetime) -> None:
    account = an_account()
    put(account, RestrictionCause.RISK, now)
    CreditAccount.objects.filter(pk=account.pk).update(line_state="ACTIVE")
    change = lines.recompute(account_id=account.pk, actor=ACTOR, reason="repair", now=now)
    assert (change.before, change.after, state_of(account)) == ("ACTIVE", "FROZEN", "FROZEN")


# --- Sets ---------------------------------------------------------------------------------------------


def restrict_many(accounts: list[CreditAccount], now: datetime) -> list[lines.LineChange]:
    return lines.restrict_many(
        {account.pk: f"T{account.pk}" for account in accounts},
        cause=RestrictionCause.CLOSING,
        actor=ACTOR,
        reason="test",
        now=now,
    )


def test_many_are_restricted_as_one_would_be(now: datetime) -> None:
    fresh, frozen, closed = an_account(), an_account(), an_account()
    put(frozen, RestrictionCause.RISK, now)
    put(closed, RestrictionCause.CLOSING, now)
    close(closed, now)

    changes = restrict_many([fresh, frozen, closed], now)

    assert {(c.account_id, c.before, c.after, c.froze) for c in changes} == {
        (fresh.pk, "ACTIVE", "CLOSING", True),
        (frozen.pk, "FROZEN", "CLOSING", False),
    }
    assert [state_of(a) for a in (fresh, frozen, closed)] == ["CLOSING", "CLOSING", "CLOSED"]
    row = LineRestriction.objects.get(account=fresh)
    assert (row.reference, row.since) == (f"T{fresh.pk}", now)
    assert row.history.get().history_actor == "job:test"
    assert fresh.history.latest("history_id").line_state == "CLOSING"


def test_restricting_many_twice_is_restricting_them_once(now: datetime) -> None:
    accounts = [an_account(), an_account()]
    restrict_many(accounts, now)
    rows = (LineRestriction.history.count(), CreditAccount.history.count())
    changes = restrict_many(accounts, now)
    assert all(change.before == change.after == "CLOSING" for change in changes)
    assert (LineRestriction.history.count(), CreditAccount.history.count()) == rows


def test_what_has_run_out_is_lifted_and_nothing_else(now: datetime) -> None:
    over, longer, both, endless = (an_account() for _ in range(4))
    put(over, RestrictionCause.RISK, now, until=now + timedelta(days=1))
    put(longer, RestrictionCause.RISK, now, until=now + timedelta(days=2))
    put(both, RestrictionCause.RISK, now, until=now + timedelta(days=1))
    put(both, RestrictionCause.JUDICIAL, now)
    put(endless, RestrictionCause.POLICY, now)
    later = now + timedelta(days=1)

    freed = lines.expire(now=later, actor=ACTOR)

    assert freed == sorted([over.pk, both.pk])
    assert [state_of(a) for a in (over, longer, both, endless)] == ["ACTIVE", "FROZEN", "FROZEN", "FROZEN"]
    row = LineRestriction.objects.get(account=over)
    assert row.lifted_at == later and row.history.latest("history_id").history_change_reason == "time is over"
    assert lines.expire(now=later, actor=ACTOR) == []
    assert row.history.count() == 2


def test_a_sweep_takes_a_bounded_batch_oldest_first(now: datetime) -> None:
    accounts = [an_account() for _ in range(3)]
    for hours, account in zip((3, 1, 2), accounts, strict=True):
        put(account, RestrictionCause.RISK, now, until=now + timedelta(hours=hours))
    later = now + timedelta(days=1)
    batches = [lines.expire(now=later, actor=ACTOR, limit=1) for _ in range(4)]
    assert batches == [[accounts[1].pk], [accounts[2].pk], [accounts[0].pk], []]


def test_a_sweep_asks_as_often_for_twenty_lines_as_for_two(
    now: datetime, django_assert_max_num_queries
) -> None:
    def some(n: int) -> None:
        for _ in range(n):
            put(an_account(), RestrictionCause.RISK, now, until=now)

    some(2)
    with django_assert_max_num_queries(100) as few:
        lines.expire(now=now, actor=ACTOR)
    some(20)
    with django_assert_max_num_queries(len(few)):
        assert len(lines.expire(now=now, actor=ACTOR)) == 20


# --- Races --------------------------------------------------------------------------------------------


@race
def test_a_freeze_and_a_lift_at_the_same_moment_leave_the_line_where_its_rows_put_it(now: datetime) -> None:
    for _ in range(5):
        account = an_account()
        put(account, RestrictionCause.COOLING_OFF, now)
        at_once(
            lambda account=account: lift(account, RestrictionCause.COOLING_OFF, now),
            lambda account=account: put(account, RestrictionCause.RISK, now),
            lambda: lines.expire(now=now, actor=ACTOR),
        )
        assert state_of(account) == "FROZEN"
        open_rows = LineRestriction.objects.filter(account=account, lifted_at__isnull=True)
        assert [row.cause for row in open_rows] == ["RISK"]


@race
def test_sweeps_beside_each_other_lift_each_row_once(now: datetime) -> None:
    accounts = [an_account() for _ in range(6)]
    for account in accounts:
        put(account, RestrictionCause.RISK, now, until=now)
    at_once(*[lambda: lines.expire(now=now, actor=ACTOR)] * 3)
    assert {state_of(account) for account in accounts} == {"ACTIVE"}
    for row in LineRestriction.objects.filter(account__in=accounts):
        assert row.history.count() == 2
