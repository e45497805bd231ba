"""What a line of an extract may say. Pure: texts in, an `AccountLine` or `AgreementLine` or `BadRow` out.

A reason never repeats the value: the rejects file leaves the building, personal data does not.
Source of the format: shared/data/README.md.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from accounts import pii
from accounts.imports.reasons import Problem, Reason
from accounts.models.agreements import AgreementKind

# Clocks differ; but a ledger date further ahead would shut out every later extract.
FUTURE_TOLERANCE = timedelta(days=1)
OLDEST = date(1900, 1, 1)


class BadRow(ValueError):
    """A line that cannot be kept, with every problem it has."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(", ".join(f"{p.column}: {p.reason}" for p in problems))


class Invalid(ValueError):
    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason)


class AccountLine(NamedTuple):
    """One account with its customer, as the core ledger had them; the fields are the columns."""

    customer_no: str
    name: str
    id_number: str
    phone: str
    email: str
    birth_date: str
    account_no: str
    product_code: str
    credit_limit: Decimal
    principal: Decimal
    interest: Decimal
    fees: Decimal
    unbilled: Decimal
    instalments_remaining: int
    pending_orders: int
    refunds_in_flight: Decimal
    disputed: Decimal
    credit_balance: Decimal
    days_past_due: int
    arrears_months: str
    ledger_as_of: datetime


class AgreementLine(NamedTuple):
    """One partner agreement of an account; the fields are the columns."""

    account_no: str
    partner: str
    kind: str
    agreement_no: str
    signed_on: date | None
    repayment_depends: bool


# --- One text ---------------------------------------------------------------------------------------

ZERO = Decimal("0.00")
NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
AGREEMENT_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
CODE = re.compile(r"[A-Z0-9][A-Z0-9_]{0,29}")
PARTNER = re.compile(r"[A-Z0-9][A-Z0-9_]{0,19}")
AMOUNT = re.compile(r"(-?)([0-9]{1,14})(?:\.([0-9]{1,2}))?")
COUNT = re.compile(r"[0-9]{1,9}")
PHONE = re.compile(r"\+?[0-9][0-9 -]{4,20}[0-9]")
EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")
ID_NUMBER = re.compile(r"[1-9][0-9]{16}[0-9X]")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
ARREARS = re.compile(r"[0-9]{1,3}(?:\|[0-9]{1,3})*")
# C0, C1, line separators, bidirectional overrides (they make a name read as another), lone surrogates.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_CHECK = "10X98765432"
NAME_MAX = 100
ARREARS_MAX = 60


def form(pattern: re.Pattern[str], *, required: bool = True, longest: int = 254) -> Callable[[str], str]:
    """A parser of texts of this form."""

    def parse(text: str) -> str:
        if not text:
            if required:
                raise Invalid(Reason.MISSING)
            return ""
        if len(text) > longest or not pattern.fullmatch(text):
            raise Invalid(Reason.FORM)
        return text

    return parse


def parse_name(text: str) -> str:
    if not text:
        raise Invalid(Reason.MISSING)
    if len(text) > NAME_MAX:
        raise Invalid(Reason.FORM)
    return text


def parse_amount(text: str) -> Decimal:
    """Yuan with at most two decimals, not negative; −0.00 is zero. No NaN, no exponents, no commas."""
    if text == "0.00":
        return ZERO
    found = AMOUNT.fullmatch(text)
    if not found:
        raise Invalid(_why_not_an_amount(text))
    sign, yuan, fen = found.groups()
    amount = Decimal(f"{yuan}.{fen or '':0<2}")
    if sign and amount:
        raise Invalid(Reason.NEGATIVE)
    return amount


def _why_not_an_amount(text: str) -> Reason:
    if not text:
        return Reason.MISSING
    if re.fullmatch(r"-?[0-9]{1,40}\.[0-9]{3,40}", text):
        return Reason.DECIMALS
    if re.fullmatch(r"[0-9]{15,}(\.[0-9]{1,2})?", text):
        return Reason.TOO_LARGE
    return Reason.NOT_A_NUMBER


def parse_count(text: str) -> int:
    if text == "0":
        return 0
    if not text:
        raise Invalid(Reason.MISSING)
    if not COUNT.fullmatch(text):
        negative = re.fullmatch(r"-[0-9]+", text)
        raise Invalid(Reason.NEGATIVE if negative else Reason.NOT_A_NUMBER)
    return int(text)


def parse_id_number(text: str) -> str:
    """Eighteen characters with their check digit. Source: GB 11643-1999, ISO 7064 MOD 11-2."""
    number = pii.normalised("id_number", text)
    if not number:
        raise Invalid(Reason.MISSING)
    if not ID_NUMBER.fullmatch(number):
        raise Invalid(Reason.FORM)
    total = sum(map(operator.mul, map(int, number[:17]), ID_WEIGHTS))
    if ID_CHECK[total % 11] != number[17]:
        raise Invalid(Reason.CHECK_DIGIT)
    return number


def parse_day(text: str) -> date:
    if not text:
        raise Invalid(Reason.MISSING)
    if not DAY.fullmatch(text):
        raise Invalid(Reason.NOT_A_DATE)
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(Reason.NOT_A_DATE) from error
    if day < OLDEST:
        raise Invalid(Reason.TOO_LONG_AGO)
    return day


@functools.lru_cache(maxsize=256)  # an extract names few ledger dates
def parse_moment(text: str) -> datetime:
    if not text:
        raise Invalid(Reason.MISSING)
    if not MOMENT.fullmatch(text):
        raise Invalid(Reason.NOT_A_MOMENT)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(Reason.NOT_A_MOMENT) from error
    if moment.date() < OLDEST:
        raise Invalid(Reason.TOO_LONG_AGO)
    return moment


def parse_birth_date(text: str) -> str:
    return parse_day(text).isoformat() if text else ""


def parse_kind(text: str) -> str:
    if text not in AgreementKind.values:
        raise Invalid(Reason.UNKNOWN_KIND if text else Reason.MISSING)
    return text


def parse_signed_on(text: str) -> date | None:
    return parse_day(text) if text else None


def parse_flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise Invalid(Reason.NOT_A_FLAG if text else Reason.MISSING)
    return text == "1"


# --- One line ---------------------------------------------------------------------------------------

ACCOUNT_PARSERS: dict[str, Callable[[str], Any]] = {
    "customer_no": form(NUMBER),
    "name": parse_name,
    "id_number": parse_id_number,
    "phone": form(PHONE, required=False),
    "email": form(EMAIL, required=False),
    "birth_date": parse_birth_date,
    "account_no": form(NUMBER),
    "product_code": form(CODE),
    "credit_limit": parse_amount,
    "principal": parse_amount,
    "interest": parse_amount,
    "fees": parse_amount,
    "unbilled": parse_amount,
    "instalments_remaining": parse_count,
    "pending_orders": parse_count,
    "refunds_in_flight": parse_amount,
    "disputed": parse_amount,
    "credit_balance": parse_amount,
    "days_past_due": parse_count,
    "arrears_months": form(ARREARS, required=False, longest=ARREARS_MAX),
    "ledger_as_of": parse_moment,
}
AGREEMENT_PARSERS: dict[str, Callable[[str], Any]] = {
    "account_no": form(NUMBER),
    "partner": form(PARTNER),
    "kind": parse_kind,
    "agreement_no": form(AGREEMENT_NUMBER),
    "signed_on": parse_signed_on,
    "repayment_depends": parse_flag,
}
ACCOUNT_COLUMNS = tuple(ACCOUNT_PARSERS)
AGREEMENT_COLUMNS = tuple(AGREEMENT_PARSERS)


def parse_account(values: Sequence[str], *, products: Collection[str], now: datetime) -> AccountLine:
    """The account on a line whose texts stand in the order of ACCOUNT_COLUMNS. Raises `BadRow`."""
    parsed, problems = _parse(values, ACCOUNT_PARSERS)
    if parsed["product_code"] and parsed["product_code"] not in products:
        problems.append(Problem("product_code", Reason.UNKNOWN_PRODUCT))
    if parsed["ledger_as_of"] and parsed["ledger_as_of"] > now + FUTURE_TOLERANCE:
        problems.append(Problem("ledger_as_of", Reason.IN_THE_FUTURE))
    born, number = parsed["birth_date"], parsed["id_number"]
    if born and born > now.date().isoformat():
        problems.append(Problem("birth_date", Reason.IN_THE_FUTURE))
    if born and number and born.replace("-", "") != number[6:14]:
        problems.append(Problem("birth_date", Reason.BIRTH_DATE))
    if problems:
        raise BadRow(problems)
    return AccountLine._make(parsed.values())


def parse_agreement(values: Sequence[str], *, now: datetime) -> AgreementLine:
    """The agreement on a line whose texts stand in the order of AGREEMENT_COLUMNS. Raises `BadRow`."""
    parsed, problems = _parse(values, AGREEMENT_PARSERS)
    if parsed["signed_on"] and parsed["signed_on"] > (now + FUTURE_TOLERANCE).date():
        problems.append(Problem("signed_on", Reason.IN_THE_FUTURE))
    if problems:
        raise BadRow(problems)
    return AgreementLine._make(parsed.values())


def _parse(
    values: Sequence[str], parsers: dict[str, Callable[[str], Any]]
) -> tuple[dict[str, Any], list[Problem]]:
    if len(values) != len(parsers):
        raise BadRow([Problem("", Reason.NUMBER_OF_FIELDS)])
    problems: list[Problem] = []
    suspect = CONTROL.search("".join(values))  # one look at the whole line; columns only when needed
    parsed: dict[str, Any] = {}
    for (column, parse), text in zip(parsers.items(), values, strict=True):
        try:
            if suspect and CONTROL.search(text):
                raise Invalid(Reason.CONTROL_CHARACTER)
            parsed[column] = parse(text.strip())
        except Invalid as invalid:
            parsed[column] = None
            problems.append(Problem(column, invalid.reason))
    return parsed, problems
