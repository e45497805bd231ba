"""A condition over accounts is read whole or refused with a sentence, and is true of whom it describes."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import CreditAccount, CreditProduct
from closures.selectors import account_view, rule_language
from closures.selectors.rule_language import ConditionRefused, ConditionTooSlow
from tests import factories

pytestmark = pytest.mark.django_db


def matched(text: str, *, now: datetime) -> set[str]:
    found = rule_language.read(text).accounts(now=now)
    return set(found.values_list("account_no", flat=True))


@pytest.fixture
def known(now: datetime) -> dict[str, CreditAccount]:
    """Three accounts that differ in everything a rule may ask; late and careful are one customer's."""
    both = factories.a_customer()
    other = CreditProduct.objects.get(code="JIEBEI")
    late = factories.an_account(
        customer=both, principal="900.00", interest="10.50", unbilled="0.00", credit_limit="1000.00",
        days_past_due=95, arrears_months="3|2|1|0|0|0", ledger_as_of=now - timedelta(days=3),
    )  # fmt: skip
    careful = factories.an_account(
        customer=both, product=other, credit_limit="500.00", ledger_as_of=now - timedelta(hours=1)
    )
    idle = factories.an_account(credit_limit="0.00", credit_balance="1.00", arrears_months="")
    return {"late": late, "careful": careful, "idle": idle}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("days_past_due >= 60", {"late"}),
        ("late_1 = 3", {"late"}),
        ("late_6 > 0", set()),
        ("worse = True", {"late"}),
        ("worse = False", {"careful", "idle"}),
        ('tier = "SUBSTANDARD"', {"late"}),
        ('tier not in ("NORMAL", "LOSS")', {"late"}),
        ("owed = 910.5", {"late"}),
        ("exposure > 910 and owed = 0", {"careful"}),
        ("total_limit = 1500", {"late", "careful"}),
        ("products_held = 2", {"late", "careful"}),
        ("limit_use >= 90", {"late"}),
        ("limit_use = 0", {"careful", "idle"}),
        ('product = "JIEBEI"', {"careful"}),
        ("ledger_age_days >= 3", {"late"}),
        ("ledger_age_days < 3 and products_held = 2", {"careful"}),
        ("ledger_age_days = 3", {"late"}),
        ("ledger_age_days in (0, 3) and products_held = 2", {"late", "careful"}),
        ("(credit_balance > 0.99 or worse = True) and (open_ticket = False)", {"late", "idle"}),
        ("open_hold = True or open_complaint = True", set()),
    ],
)
def test_a_condition_is_true_of_the_accounts_it_describes(
    known: dict[str, CreditAccount], now: datetime, text: str, expected: set[str]
) -> None:
    assert matched(text, now=now) == {known[name].account_no for name in expected}


def test_every_field_of_the_view_can_be_asked_and_told(
    known: dict[str, CreditAccount], now: datetime
) -> None:
    names = tuple(account_view.FIELDS)
    told = account_view.values(account_view.accounts(naming=names), names, now=now)[known["late"].pk]

    assert told.keys() == account_view.FIELDS.keys()
    assert (told["tier"], told["owed"], told["late_2"], told["worse"]) == ("SUBSTANDARD", "910.50", 2, True)
    assert told["tier"] == known["late"].risk_tier
    assert told["ledger_age_days"] == 3


def test_closed_accounts_stored_customers_and_drills_are_never_among_them(now: datetime) -> None:
    drill = factories.an_account(customer=factories.a_customer(synthetic=True))
    kept = factories.an_account(customer=factories.a_customer(standing="RESTRICTED"))
    closed = factories.an_account(line_state="CLOSED", closed_at=now)

    assert matched("days_past_due >= 0", now=now).isdisjoint(
        {drill.account_no, kept.account_no, closed.account_no}
    )
    only = rule_language.read("days_past_due >= 0").accounts(now=now, synthetic=True)
    assert set(only) == {drill}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "days_past_due >=",
        "days_past_due >= 60 or",
        "days_past_due",
        "customer.customer_no = 1",
        'identities.name_sealed ~ "王"',
        "pk = 1",
        'customer = "1"',
        'row_digest startswith "a"',
        "days_past_due = 1 and worse = True or late_1 = 2",
        " or ".join(["days_past_due = 1"] * 3_000),
        " or ".join(["late_1 = 1"] * 60),
        "days_past_due = " + "9" * 1_900,
        "days_past_due = 1000000000001",
        "principal = 1e400",
        "principal = 0.001",
        "principal = " + "9" * 400 + ".5",
        f"late_1 in ({', '.join(['1'] * 300)})",
        "(" * 40 + "late_1 = 1" + ")" * 40,
        'tier = "WORST"',
        'tier ~ "N"',
        'tier > "A"',
        'tier ~ "NORMAL"',
        'line_state > "ACTIVE"',
        'product startswith "HUABEI"',
        'tier startswith "N"',
        "worse > True",
        "worse = None",
        "days_past_due = None",
        'days_past_due = "60"',
        'ledger_age_days ~ "1"',
        "days_past_due >= 60; drop table accounts_creditaccount",
        "days_past_due >= 60 \x00",
        "late_7 = 1",
        '"a" = "a"',
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ConditionRefused) as refused:
        rule_language.read(text)
    assert len(refused.value.message) < 2_000


@given(st.text(alphabet=' ()=<>~!,."andorin01_dyspetlw\u202e𠮷', max_size=80))
def test_no_text_does_anything_else(text: str) -> None:
    with suppress(ConditionRefused):
        assert rule_language.read(text).names


def test_the_greatest_debt_over_the_least_limit_is_a_number_too(now: datetime) -> None:
    odd = factories.an_account(credit_limit="0.01", principal="99999999999999.99")
    assert matched("limit_use > 500", now=now) == {odd.account_no}


def test_a_condition_that_runs_too_long_is_stopped_and_the_connection_lives_on() -> None:
    forever = (
        "SELECT pg_sleep(5)"
        if connection.vendor == "postgresql"
        else "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    )
    with pytest.raises(ConditionTooSlow), rule_language.bounded(0.2), connection.cursor() as cursor:
        cursor.execute(forever)
    assert CreditAccount.objects.count() >= 0


def test_a_condition_costs_one_query_and_no_other_field_is_computed(
    now: datetime, django_assert_num_queries: Any
) -> None:
    condition = rule_language.read("days_past_due >= 60")
    rows = condition.accounts(now=now)
    assert set(rows.query.annotations) == set()
    with django_assert_num_queries(1):
        list(rows)
