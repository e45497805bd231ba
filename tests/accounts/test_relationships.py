"""When the last account with a lender is closed, ten years of storage begin."""

from __future__ import annotations

import functools
import threading
from datetime import date, datetime
from typing import Any

import pytest
from django.db import transaction

from accounts.actors import Actor
from accounts.models import (
    CreditAccount,
    Customer,
    Lender,
    LenderRelationship,
    RefusedAction,
    Regulation,
    RestrictionCause,
)
from accounts.selectors.regulations import NoRegulation
from accounts.services import lines, relationships
from tests.factories import a_customer, an_account
from tests.races import at_once, race

pytestmark = pytest.mark.django_db

ACTOR = Actor.job("test")
STARTED = date(2020, 2, 29)
TODAY = date(2026, 11, 23)


def lender(code: str = "ANT_CONSUMER_FINANCE") -> Lender:
    return Lender.objects.get(code=code)


def begin(customer: Customer, now: datetime, code: str = "ANT_CONSUMER_FINANCE") -> LenderRelationship:
    return relationships.begin(
        customer_id=customer.pk,
        lender_id=lender(code).pk,
        started_on=STARTED,
        actor=ACTOR,
        reason="test",
        now=now,
    )


def end(customer: Customer, now: datetime, code: str = "ANT_CONSUMER_FINANCE", **more: Any) -> Any:
    act = more.pop("act", relationships.end)
    given = {"ended_on": TODAY, "actor": ACTOR, "reason": "test", "now": now, **more}
    return act(customer_id=customer.pk, lender_id=lender(code).pk, **given)


def standing(customer: Customer) -> str:
    return Customer.objects.get(pk=customer.pk).standing


def close(account: CreditAccount, now: datetime) -> None:
    lines.restrict(
        account_id=account.pk,
        cause=RestrictionCause.CLOSING,
        reference="T",
        actor=ACTOR,
        reason="test",
        now=now,
    )
    lines.close(account_id=account.pk, actor=ACTOR, reason="test", now=now)


def test_a_relationship_begins_once(now: datetime) -> None:
    customer = a_customer()
    row = begin(customer, now)
    assert begin(customer, now) == row
    assert (row.started_on, row.ended_on, row.retain_until) == (STARTED, None, None)
    assert row.history.get().history_actor == "job:test"


def test_at_its_end_the_data_is_kept_for_ten_years_and_only_stored(now: datetime) -> None:
    customer = a_customer()
    begin(customer, now)
    row = end(customer, now)
    assert (row.ended_on, row.retain_until) == (TODAY, date(2036, 11, 23))
    assert standing(customer) == "RESTRICTED"
    assert row.history.latest("history_id").retain_until == date(2036, 11, 23)
    assert customer.history.latest("history_id").history_actor == "job:test"


def test_ending_twice_is_ending_once(now: datetime) -> None:
    customer = a_customer()
    begin(customer, now)
    first = end(customer, now)
    again = end(customer, now, ended_on=date(2026, 11, 24))
    assert again == first and again.ended_on == TODAY
    assert first.history.count() == 2 and customer.history.count() == 2


def test_who_never_was_with_a_lender_does_not_leave_it(now: datetime) -> None:
    customer = a_customer()
    assert end(customer, now) is None
    assert standing(customer) == "ACTIVE"


def test_another_lender_keeps_the_customer_active(now: datetime) -> None:
    customer = a_customer()
    begin(customer, now)
    begin(customer, now, "MYBANK")
    end(customer, now)
    assert standing(customer) == "ACTIVE"
    end(customer, now, "MYBANK")
    assert standing(customer) == "RESTRICTED"


def test_an_open_account_with_the_lender_keeps_the_relationship(now: datetime) -> None:
    customer = a_customer()
    row = begin(customer, now)
    huabei, jiebei = an_account("HUABEI", customer=customer), an_account("JIEBEI", customer=customer)
    close(huabei, now)

    with pytest.raises(relationships.AccountsStillOpen):
        end(customer, now)
    assert RefusedAction.objects.get().code == "accounts_still_open"
    assert end(customer, now, act=relationships.end_if_last) is None
    row.refresh_from_db()
    assert row.ended_on is None and standing(customer) == "ACTIVE"
    assert RefusedAction.objects.count() == 1, "asking whether it is the last one is no refusal"

    close(jiebei, now)
    assert end(customer, now, act=relationships.end_if_last).ended_on == TODAY
    assert standing(customer) == "RESTRICTED"


def test_an_account_with_another_lender_is_no_hindrance(now: datetime) -> None:
    customer = a_customer()
    begin(customer, now)
    an_account("WANGSHANGDAI", customer=customer)
    assert end(customer, now).ended_on == TODAY


@pytest.mark.parametrize(
    ("ended_on", "until"),
    [
        (date(2028, 2, 29), date(2038, 3, 1)),
        (date(2027, 2, 28), date(2037, 2, 28)),
        (date(2026, 12, 31), date(2036, 12, 31)),
    ],
)
def test_retention_is_never_a_day_too_short(ended_on: date, until: date, now: datetime) -> None:
    customer = a_customer()
    begin(customer, now)
    assert end(customer, now, ended_on=ended_on).retain_until == until


def test_an_end_before_the_law_is_kept_under_the_law_of_today(now: datetime) -> None:
    """The ten years are in force from 2025-01-01; what is still kept then is kept under them."""
    customer = a_customer()
    begin(customer, now)
    assert end(customer, now, ended_on=date(2024, 6, 1)).retain_until == date(2034, 6, 1)


def test_an_end_before_the_beginning_is_refused(now: datetime) -> None:
    customer = a_customer()
    row = begin(customer, now)
    with pytest.raises(relationships.EndsBeforeItStarts):
        end(customer, now, ended_on=date(2020, 2, 28))
    row.refresh_from_db()
    assert row.ended_on is None and standing(customer) == "ACTIVE"


def test_without_a_retention_period_nothing_ends(now: datetime) -> None:
    Regulation.objects.filter(code="RETENTION_YEARS").update(valid_from=date(2099, 1, 1))
    customer = a_customer()
    row = begin(customer, now)
    with pytest.raises(NoRegulation):
        end(customer, now)
    row.refresh_from_db()
    assert row.ended_on is None and standing(customer) == "ACTIVE"


def test_who_comes_back_is_active_again_and_the_old_date_stays(now: datetime) -> None:
    customer = a_customer()
    begin(customer, now)
    old = end(customer, now)
    new = begin(customer, now)
    assert new != old and standing(customer) == "ACTIVE"
    old.refresh_from_db()
    assert old.retain_until == date(2036, 11, 23)


def test_who_was_erased_does_not_come_back(now: datetime) -> None:
    customer = a_customer(standing=Customer.Standing.ERASED)
    with pytest.raises(relationships.CustomerErased):
        begin(customer, now)
    assert not customer.relationships.exists()


@race
def test_of_two_accounts_that_close_at_the_same_moment_one_ends_the_relationship(now: datetime) -> None:
    customer = a_customer()
    row = begin(customer, now)
    accounts = [an_account(product, customer=customer) for product in ("HUABEI", "JIEBEI")]
    both_closed = threading.Barrier(2, timeout=20)

    def close_and_end(account: CreditAccount) -> None:
        with transaction.atomic():
            close(account, now)
            both_closed.wait()
            end(customer, now, act=relationships.end_if_last)

    ends = at_once(*(functools.partial(close_and_end, account) for account in accounts))
    assert ends == [None, None]
    row.refresh_from_db()
    assert row.ended_on == TODAY and standing(customer) == "RESTRICTED"
