"""Reading untrusted answers: strict JSON, strict fields. Whatever does not fit is `Unclear`.

No meaning of any partner's answer lives here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from closures.gateways.errors import Unclear

MONEY = re.compile(r"\d{1,14}\.\d{2}", re.ASCII)  # as much as our copy holds
CODE = re.compile(r"[A-Z0-9_]{1,60}", re.ASCII)
NUMBER = re.compile(r"[\x21-\x7e]{1,100}")
COUNT_LIMIT = 1_000_000

Choice = TypeVar("Choice", bound=StrEnum)


def parse_json(body: bytes) -> Any:
    """The value of strict UTF-8 JSON: no NaN, no name twice. Raises ValueError for anything else."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True)
class Fields:
    """The fields of one JSON object. Every reader raises `Unclear` naming the field, never its value."""

    values: Mapping[str, Any]
    raw: bytes = b""

    def text(self, name: str, *, pattern: re.Pattern[str] = NUMBER) -> str:
        value = self.values.get(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.unclear(name)
        return value

    def equal(self, name: str, expected: str) -> str:
        """The field repeats what we asked for: an answer about something else proves nothing."""
        if self.values.get(name) != expected:
            raise self.unclear(name)
        return expected

    def choice(self, name: str, choices: type[Choice]) -> Choice:
        value = self.values.get(name)
        if not isinstance(value, str) or value not in choices._value2member_map_:
            raise self.unclear(name)
        return choices(value)

    def count(self, name: str) -> int:
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COUNT_LIMIT:
            raise self.unclear(name)
        return value

    def money(self, name: str) -> Decimal:
        """An amount ≥ 0 written with exactly two decimals; numbers that are not text are refused."""
        return Decimal(self.text(name, pattern=MONEY))

    def moment(self, name: str) -> datetime:
        """A time with its offset."""
        try:
            value = datetime.fromisoformat(self.text(name))
        except ValueError as error:
            raise self.unclear(name) from error
        if value.tzinfo is None:
            raise self.unclear(name)
        return value

    def objects(self, name: str, *, limit: int) -> list[Fields]:
        value = self.values.get(name)
        if not isinstance(value, list) or len(value) > limit:
            raise self.unclear(name)
        if not all(isinstance(item, dict) for item in value):
            raise self.unclear(name)
        return [Fields(item, self.raw) for item in value]

    def unclear(self, name: str) -> Unclear:
        return Unclear(f"unreadable answer: {name}", raw=self.raw)
