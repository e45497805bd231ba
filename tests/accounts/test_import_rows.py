"""What a line of an extract may say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.imports.reasons import MESSAGES, Reason
from accounts.imports.rows import (
    ACCOUNT_COLUMNS,
    AGREEMENT_COLUMNS,
    AccountLine,
    AgreementLine,
    BadRow,
    parse_account,
    parse_agreement,
)
from tests.accounts.extracts import account, agreement, id_number

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
PRODUCTS = {"HUABEI", "JIEBEI"}


def parsed(**changes: str) -> AccountLine:
    return parse_account(list(account(**changes).values()), products=PRODUCTS, now=NOW)


def parsed_agreement(**changes: str) -> AgreementLine:
    return parse_agreement(list(agreement(**changes).values()), now=NOW)


def test_a_good_line_becomes_its_values() -> None:
    line = parsed()
    assert (line.customer_no, line.name, line.principal) == ("C00000001", "𠮷田", Decimal("46990.00"))
    assert (line.instalments_remaining, line.arrears_months) == (6, "2|2|0|0|0|0")
    assert line.ledger_as_of == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["-0.00", "-0", "0", "0.0", "00.00", " 0.00 "])
def test_every_spelling_of_zero_is_zero_without_a_sign(text: str) -> None:
    assert str(parsed(principal=text).principal) == "0.00"


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ("principal", "-0.01", Reason.NEGATIVE),
        ("principal", "-5", Reason.NEGATIVE),
        ("principal", "1e5", Reason.NOT_A_NUMBER),
        ("principal", "NaN", Reason.NOT_A_NUMBER),
        ("principal", "Infinity", Reason.NOT_A_NUMBER),
        ("principal", "1,000.00", Reason.NOT_A_NUMBER),
        ("principal", "+5", Reason.NOT_A_NUMBER),
        ("principal", "５.00", Reason.NOT_A_NUMBER),
        ("principal", ".5", Reason.NOT_A_NUMBER),
        ("principal", "1.005", Reason.DECIMALS),
        ("principal", "0.000", Reason.DECIMALS),
        ("principal", "1" * 15, Reason.TOO_LARGE),
        ("principal", "", Reason.MISSING),
        ("pending_orders", "-1", Reason.NEGATIVE),
        ("pending_orders", "1.0", Reason.NOT_A_NUMBER),
        ("pending_orders", "1" * 10, Reason.NOT_A_NUMBER),
        ("days_past_due", "", Reason.MISSING),
        ("birth_date", "1989-02-30", Reason.NOT_A_DATE),
        ("birth_date", "19891117", Reason.NOT_A_DATE),
        ("birth_date", "1989-11-18", Reason.BIRTH_DATE),
        ("birth_date", "1899-12-31", Reason.TOO_LONG_AGO),
        ("ledger_as_of", "2026-11-20T18:00:00", Reason.NOT_A_MOMENT),
        ("ledger_as_of", "2026-11-20 18:00:00+08:00", Reason.NOT_A_MOMENT),
        ("ledger_as_of", "2026-11-31T18:00:00+08:00", Reason.NOT_A_MOMENT),
        ("ledger_as_of", "2026-11-20T18:00:00+99:99", Reason.NOT_A_MOMENT),
        ("ledger_as_of", "9999-12-31T23:59:59-23:59", Reason.IN_THE_FUTURE),
        ("ledger_as_of", "2026-11-25T18:00:00+08:00", Reason.IN_THE_FUTURE),
        ("ledger_as_of", "", Reason.MISSING),
        ("id_number", "990000198911170040", Reason.CHECK_DIGIT),
        ("id_number", "99000019891117004", Reason.FORM),
        ("id_number", "99000019891117004Y", Reason.FORM),
        ("id_number", "", Reason.MISSING),
        ("name", "", Reason.MISSING),
        ("name", "   ", Reason.MISSING),
        ("name", "张" * 101, Reason.FORM),
        ("name", "张\x00三", Reason.CONTROL_CHARACTER),
        ("name", "张\u202e三", Reason.CONTROL_CHARACTER),
        ("email", "nobody", Reason.FORM),
        ("email", "a b@example.com", Reason.FORM),
        ("phone", "one two three", Reason.FORM),
        ("phone", "12345678901234567890123456", Reason.FORM),
        ("customer_no", "", Reason.MISSING),
        ("customer_no", "C" * 33, Reason.FORM),
        ("account_no", "A 1", Reason.FORM),
        ("product_code", "MAIL_ORDER", Reason.UNKNOWN_PRODUCT),
        ("product_code", "", Reason.MISSING),
        ("arrears_months", "2|", Reason.FORM),
        ("arrears_months", "0|" * 30 + "0", Reason.FORM),
    ],
)
def test_a_column_that_cannot_be_is_named_with_its_reason(column: str, text: str, reason: Reason) -> None:
    with pytest.raises(BadRow) as bad:
        parsed(**{column: text})
    assert [tuple(problem) for problem in bad.value.problems] == [(column, reason)]


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ("kind", "MAGAZINE", Reason.UNKNOWN_KIND),
        ("kind", "", Reason.MISSING),
        ("partner", "alipay", Reason.FORM),
        ("agreement_no", "", Reason.MISSING),
        ("signed_on", "2021-13-01", Reason.NOT_A_DATE),
        ("signed_on", "2027-01-01", Reason.IN_THE_FUTURE),
        ("repayment_depends", "yes", Reason.NOT_A_FLAG),
        ("repayment_depends", "", Reason.MISSING),
    ],
)
def test_an_agreement_that_cannot_be_is_named_with_its_reason(column: str, text: str, reason: Reason) -> None:
    with pytest.raises(BadRow) as bad:
        parsed_agreement(**{column: text})
    assert [tuple(problem) for problem in bad.value.problems] == [(column, reason)]


def test_what_may_be_unknown_may_be_empty() -> None:
    line = parsed(phone="", email="", birth_date="", arrears_months="")
    assert (line.phone, line.email, line.birth_date, line.arrears_months) == ("", "", "", "")
    assert parsed_agreement(signed_on="").signed_on is None
    assert parsed_agreement().signed_on == date(2021, 11, 3)


def test_an_id_number_may_be_typed_with_a_small_x() -> None:
    assert parsed(id_number="99000019891117004x").id_number == "99000019891117004X"


def test_all_problems_of_a_line_are_told_at_once() -> None:
    with pytest.raises(BadRow) as bad:
        parsed(principal="NaN", birth_date="never", product_code="NONE")
    assert {problem.column for problem in bad.value.problems} == {"principal", "birth_date", "product_code"}


def test_a_line_of_another_width_is_one_problem() -> None:
    for values in ([], ["x"] * (len(ACCOUNT_COLUMNS) + 1)):
        with pytest.raises(BadRow) as bad:
            parse_account(values, products=PRODUCTS, now=NOW)
        assert [problem.reason for problem in bad.value.problems] == [Reason.NUMBER_OF_FIELDS]


def test_every_reason_has_words_and_no_place_for_a_value() -> None:
    assert set(MESSAGES) == set(Reason)
    assert not any("{" in str(message) or "%" in str(message) for message in MESSAGES.values())


ANYTHING = st.text(max_size=40) | st.sampled_from(["0.00", "-1", "NaN", "2026-02-30", "1e5", "\x00", "0|1"])


@given(values=st.lists(ANYTHING, min_size=len(ACCOUNT_COLUMNS), max_size=len(ACCOUNT_COLUMNS)))
def test_no_text_breaks_the_reading_of_accounts(values: list[str]) -> None:
    with pytest.raises(BadRow) as bad:
        parse_account(values, products=PRODUCTS, now=NOW)
    assert {problem.column for problem in bad.value.problems} <= set(ACCOUNT_COLUMNS)


@given(values=st.lists(ANYTHING, min_size=len(AGREEMENT_COLUMNS), max_size=len(AGREEMENT_COLUMNS)))
def test_no_text_breaks_the_reading_of_agreements(values: list[str]) -> None:
    try:
        parse_agreement(values, now=NOW)
    except BadRow as bad:
        assert {problem.column for problem in bad.problems} <= set(AGREEMENT_COLUMNS)


@given(column=st.sampled_from(ACCOUNT_COLUMNS), text=st.text(min_size=1, max_size=60))
def test_one_spoilt_column_is_read_or_named_and_its_value_is_never_repeated(column: str, text: str) -> None:
    try:
        line = parsed(**{column: text})
    except BadRow as bad:
        assert all(problem.reason in set(Reason) for problem in bad.problems)
    else:
        assert getattr(line, column) is not None


@given(amount=st.decimals(min_value=0, max_value=Decimal("99999999999999.99"), places=2))
def test_every_amount_the_ledger_can_write_is_read_to_the_fen(amount: Decimal) -> None:
    assert parsed(principal=f"{amount:f}").principal == amount


@given(n=st.integers(0, 999), days=st.integers(0, 30000))
def test_every_right_id_number_is_taken_and_every_other_last_digit_is_not(n: int, days: int) -> None:
    born = (date(1930, 1, 1) + timedelta(days=days)).isoformat()
    right = id_number(n, born=born)
    assert parsed(id_number=right, birth_date=born).id_number == right
    for digit in set("0123456789X") - {right[-1]}:
        with pytest.raises(BadRow):
            parsed(id_number=right[:-1] + digit, birth_date=born)
