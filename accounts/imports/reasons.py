"""Why a line of an extract was not kept, or was kept and flagged: codes for machines, words for people.

A reason never repeats the value: the rejects file leaves the building, personal data does not.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from django.utils.translation import gettext_lazy as _


class Reason(StrEnum):
    """Why a line was not kept, or was kept and flagged. The value is stable and for machines."""

    MISSING = "missing"
    NOT_A_NUMBER = "not_a_number"
    NEGATIVE = "negative"
    DECIMALS = "more_than_two_decimals"
    TOO_LARGE = "too_large"
    NOT_A_DATE = "not_a_date"
    NOT_A_MOMENT = "not_a_moment_with_offset"
    IN_THE_FUTURE = "in_the_future"
    TOO_LONG_AGO = "too_long_ago"
    NOT_A_FLAG = "not_0_or_1"
    FORM = "wrong_form"
    CHECK_DIGIT = "wrong_check_digit"
    BIRTH_DATE = "differs_from_id_number"
    CONTROL_CHARACTER = "control_character"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_PRODUCT = "unknown_product"
    UNKNOWN_ACCOUNT = "unknown_account"
    NUMBER_OF_FIELDS = "wrong_number_of_fields"
    QUOTING = "broken_quoting"
    LINE_TOO_LONG = "line_too_long"
    NOT_UTF8 = "not_utf8"
    TWICE = "twice_in_this_file"
    OTHER_CUSTOMER = "belongs_to_another_customer"
    OTHER_PRODUCT = "belongs_to_another_product"
    OTHER_ACCOUNT = "belongs_to_another_account"
    SECOND_OPEN = "second_open_account_of_this_product"
    IDENTITY_DIFFERS = "identity_differs_from_other_account"
    ERASED = "customer_erased"
    CLOSED_MOVED = "money_on_a_closed_account"
    LATER_MONEY = "kept_money_on_a_closed_account"
    REFUSED = "refused_by_the_database"
    SAME_ID_NUMBER = "kept_same_id_number"
    ON_CLOSED_ACCOUNT = "kept_account_is_closed"


FLAGS = frozenset({Reason.SAME_ID_NUMBER, Reason.ON_CLOSED_ACCOUNT, Reason.LATER_MONEY})

MESSAGES = {
    Reason.MISSING: _("empty"),
    Reason.NOT_A_NUMBER: _("not a plain number"),
    Reason.NEGATIVE: _("negative"),
    Reason.DECIMALS: _("more than two decimals"),
    Reason.TOO_LARGE: _("too large"),
    Reason.NOT_A_DATE: _("not a date that exists, as YYYY-MM-DD"),
    Reason.NOT_A_MOMENT: _("not a time that exists, with its offset"),
    Reason.IN_THE_FUTURE: _("in the future"),
    Reason.TOO_LONG_AGO: _("too long ago"),
    Reason.NOT_A_FLAG: _("neither 0 nor 1"),
    Reason.FORM: _("not in the form this column has"),
    Reason.CHECK_DIGIT: _("the check digit is wrong"),
    Reason.BIRTH_DATE: _("differs from the date in the ID number"),
    Reason.CONTROL_CHARACTER: _("holds a control character"),
    Reason.UNKNOWN_KIND: _("no such kind of agreement"),
    Reason.UNKNOWN_PRODUCT: _("no such product"),
    Reason.UNKNOWN_ACCOUNT: _("no such account"),
    Reason.NUMBER_OF_FIELDS: _("the line has more or fewer fields than the header"),
    Reason.QUOTING: _("a quotation mark is not closed, or stands inside a field"),
    Reason.LINE_TOO_LONG: _("the line is too long to be one"),
    Reason.NOT_UTF8: _("the line is not UTF-8"),
    Reason.TWICE: _("stands in this file already; the first line was kept"),
    Reason.OTHER_CUSTOMER: _("belongs to another customer"),
    Reason.OTHER_PRODUCT: _("is an account of another product"),
    Reason.OTHER_ACCOUNT: _("belongs to another account"),
    Reason.SECOND_OPEN: _("the customer has another open account of this product"),
    Reason.IDENTITY_DIFFERS: _("another account of this customer names another identity"),
    Reason.ERASED: _("the customer's data was erased"),
    Reason.CLOSED_MOVED: _("the account is closed here and shows orders or unsettled amounts in the ledger"),
    Reason.LATER_MONEY: _("kept: money on a closed account, followed up apart"),
    Reason.REFUSED: _("the database refused the line"),
    Reason.SAME_ID_NUMBER: _("kept: another customer has the same ID number"),
    Reason.ON_CLOSED_ACCOUNT: _("kept: the account is closed"),
}


class Problem(NamedTuple):
    column: str
    reason: Reason
