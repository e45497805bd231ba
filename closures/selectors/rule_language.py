"""Conditions over accounts, written in DjangoQL by risk officers and campaign authors.

The one place that reads such a text. Whatever the text is, the answer is a condition or a refusal fit for a
form; nothing in it can reach past `account_view.FIELDS`, run for minutes, or read a column by suggestion.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.db import DataError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from djangoql.exceptions import DjangoQLError, DjangoQLSyntaxError
from djangoql.lexer import DjangoQLLexer
from djangoql.parser import DjangoQLParser
from djangoql.queryset import build_filter
from djangoql.schema import BoolField, DjangoQLField, DjangoQLSchema, FloatField, IntField, StrField

from accounts.models import CreditAccount, CreditProduct
from accounts.statements import stopped_after
from closures.errors import ClosureError
from closures.selectors import account_view
from closures.selectors.account_view import FIELDS

# Engineering limits. Source: DESIGN §6; the depth and the list are ours.
CHARACTERS = 2_000
TERMS = 50
DEPTH = 20
LIST = 200
SOME_DAY = datetime(2100, 1, 1, tzinfo=UTC)  # to see whether a condition can be built at all
GREATEST = 10**12  # no count and no amount comes near it, and no column overflows


class ConditionRefused(ClosureError):
    code = "condition_refused"
    template = _("The condition cannot be read: {why}")


class ConditionTooSlow(ClosureError):
    code = "condition_too_slow"
    template = _("The condition took longer than {seconds} seconds and was stopped. Make it simpler.")


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A readable condition: its text, and the fields it names in the view's order."""

    text: str
    names: tuple[str, ...]

    def accounts(self, *, now: datetime, synthetic: bool = False) -> QuerySet[CreditAccount]:
        """The accounts that it is true of, by set. Whoever evaluates it does so within `bounded`."""
        rows = account_view.accounts(naming=self.names, synthetic=synthetic)
        return rows.filter(build_filter(_parsed(self.text), _schema(now)))


def read(text: str) -> Condition:
    """The condition that `text` states. Raises ConditionRefused, whatever the text makes the parser do."""
    text = text.strip()
    if not text:
        raise ConditionRefused(why=_("it is empty"))
    if len(text) > CHARACTERS:
        raise ConditionRefused(why=_("it has more than {most} characters").format(most=CHARACTERS))
    try:
        names = _checked(text)
        schema = _schema(SOME_DAY)
        schema.validate(_parsed(text))
        build_filter(_parsed(text), schema)  # operators are looked at here and nowhere before
    except DjangoQLSyntaxError as wrong:
        place = {"line": wrong.line or 1, "column": wrong.column or len(text)}
        raise ConditionRefused(
            why=_("nobody can read on at line {line}, column {column}").format(**place)
        ) from wrong
    except DjangoQLError as wrong:
        raise ConditionRefused(why=_("a field is compared with a value of another kind")) from wrong
    except (RecursionError, ValueError, OverflowError, ArithmeticError, TypeError, KeyError) as wrong:
        raise ConditionRefused(why=_("a value in it is out of all bounds")) from wrong
    return Condition(text=text, names=tuple(name for name in FIELDS if name in names))


@contextmanager
def bounded(seconds: float | None = None) -> Iterator[None]:
    """What is asked of the database inside is stopped after `seconds`; then ConditionTooSlow is raised.

    Opens a transaction. Default: `settings.CONDITION_SECONDS`.
    """
    limit = settings.CONDITION_SECONDS if seconds is None else seconds
    try:
        with transaction.atomic(), stopped_after(limit):
            yield
    except DataError as odd:
        raise ConditionRefused(why=_("a figure of some account is out of all bounds")) from odd
    except OperationalError as stopped:
        if not any(said in str(stopped) for said in ("statement timeout", "interrupted")):
            raise
        raise ConditionTooSlow(seconds=f"{limit:g}") from stopped


# --- Reading ------------------------------------------------------------------------------------------


def _checked(text: str) -> set[str]:
    """The names in it. Raises ConditionRefused for what no parser should be asked to read.

    `a or b and c` means one thing to one reader and another to the next: mixed, it needs parentheses.
    """
    names: set[str] = set()
    terms = items = 0
    joined: list[set[str]] = [set()]
    for token in DjangoQLLexer().input(text):
        match token.type:
            case "PAREN_L":
                joined.append(set())
                items = 0
            case "PAREN_R":
                if len(joined) > 1:
                    joined.pop()
            case "COMMA":
                items += 1
            case "AND" | "OR":
                joined[-1].add(token.type)
            case "NAME":
                names.add(token.value)
                terms += 1
        if terms > TERMS:
            raise ConditionRefused(why=_("it has more than {most} terms").format(most=TERMS))
        if len(joined) > DEPTH:
            raise ConditionRefused(why=_("its parentheses are nested too deep"))
        if items >= LIST:
            raise ConditionRefused(why=_("a list in it has more than {most} values").format(most=LIST))
        if len(joined[-1]) > 1:
            raise ConditionRefused(
                why=_("it mixes “and” with “or”; say by parentheses what belongs together")
            )
    if unknown := sorted(names - FIELDS.keys()):
        raise ConditionRefused(why=_("there is no field called {name}").format(name=unknown[0][:60]))
    return names


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    return DjangoQLParser().parse(text)


class _Number(IntField):
    def validate(self, value: Any) -> None:
        super().validate(value)
        if abs(value) > GREATEST:
            raise ConditionRefused(
                why=_("{field} is compared with a number out of all bounds").format(field=self.name)
            )


class _Money(FloatField):
    """Yuan; compared as the database keeps them, to the fen."""

    value_types_description = "numbers"

    def validate(self, value: Any) -> None:
        super().validate(value)
        try:
            exact = Decimal(str(value))
        except InvalidOperation:
            exact = Decimal("NaN")
        if not exact.is_finite() or abs(exact) > GREATEST or round(exact, 2) != exact:
            raise ConditionRefused(
                why=_("{field} is compared with what is no amount").format(field=self.name)
            )

    def get_lookup_value(self, value: Any) -> Any:
        return [Decimal(str(one)) for one in value] if isinstance(value, list) else Decimal(str(value))


class _Choice(StrField):
    """One of a few codes, compared whole."""

    def __init__(self, *, name: str, options: tuple[str, ...]) -> None:
        super().__init__(model=CreditAccount, name=name, suggest_options=True)
        self.options = options

    def get_lookup_name(self) -> str:
        return FIELDS[self.name].column or self.name

    def _field_choices(self) -> list[tuple[str, str]]:
        return [(option, option) for option in self.options]

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value not in self.options:
            raise ConditionRefused(
                why=_("{field} is one of: {options}").format(field=self.name, options=", ".join(self.options))
            )

    def get_operator(self, operator: str) -> Any:
        if operator not in ("=", "!=", "in", "not in"):
            raise ConditionRefused(why=_("{field} is compared with = or “in” only").format(field=self.name))
        return super().get_operator(operator)


class _LedgerAge(_Number):
    """Whole days since the ledger was read: a later date is a smaller age."""

    def __init__(self, *, now: datetime) -> None:
        super().__init__(model=CreditAccount, name="ledger_age_days")
        self.now = now

    def get_lookup(self, path: list[str], operator: str, value: Any) -> Q:
        if isinstance(value, list):
            any_of = Q()
            for one in value:
                any_of |= self._within(one)
            return ~any_of if operator == "not in" else any_of
        return {
            "=": self._within(value),
            "!=": ~self._within(value),
            ">": Q(ledger_as_of__lte=self._ago(value + 1)),
            ">=": Q(ledger_as_of__lte=self._ago(value)),
            "<": Q(ledger_as_of__gt=self._ago(value)),
            "<=": Q(ledger_as_of__gt=self._ago(value + 1)),
        }[operator]

    def _within(self, days: int) -> Q:
        return Q(ledger_as_of__lte=self._ago(days), ledger_as_of__gt=self._ago(days + 1))

    def _ago(self, days: int) -> datetime:
        return self.now - timedelta(days=min(max(days, -1), 36_500))


def _schema(now: datetime) -> DjangoQLSchema:
    """The view as DjangoQL wants it: no relation in it, and nothing found by looking at the model."""

    class Schema(DjangoQLSchema):
        include = (CreditAccount,)

        def get_fields(self, model: Any) -> list[DjangoQLField]:
            return [_field(name, now=now) for name in FIELDS]

    return Schema(CreditAccount)


def _field(name: str, *, now: datetime) -> DjangoQLField:
    told = FIELDS[name]
    if name == "ledger_age_days":
        return _LedgerAge(now=now)
    if told.kind == account_view.CHOICE:
        options = told.choices or tuple(CreditProduct.objects.order_by("code").values_list("code", flat=True))
        return _Choice(name=name, options=options)
    kinds = {account_view.INTEGER: _Number, account_view.MONEY: _Money, account_view.YES_NO: BoolField}
    return kinds[told.kind](model=CreditAccount, name=name)
