"""What crosses the simulator's wire: requests, replies, refusals, and strict readers of their fields.

No behaviour of any system lives here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

MONEY = re.compile(r"\d{1,15}\.\d{2}", re.ASCII)
NUMBER = re.compile(r"[\x21-\x7e]{1,100}")
KEY = re.compile(r"[\x21-\x7e]{1,200}")
SECONDS_LIMIT = 10 * 366 * 86400.0


class Refusal(Exception):
    """The request is answered with this status and code; nothing was changed."""

    def __init__(self, status: int, code: str, field: str = "") -> None:
        super().__init__(f"{status} {code} {field}".strip())
        self.status = status
        self.code = code
        self.field = field


class BadField(Refusal):
    """A field is missing or is not what the protocol says: 400 with the field's name."""

    def __init__(self, field: str) -> None:
        super().__init__(400, "BAD_FIELD", field)


@dataclass(frozen=True)
class Reply:
    """One answer; `body` wins over `payload` when a fault wants bytes that are not JSON."""

    status: int = 200
    payload: Any = None
    body: bytes | None = None

    def encoded(self) -> bytes:
        if self.body is not None:
            return self.body
        return json.dumps(self.payload, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Silence:
    """No answer at all: the connection is held for `hold` seconds, then closed."""

    hold: float = 0.0


@dataclass(frozen=True)
class Request:
    """One request as it came in. `target` is the raw path with its query, as it was signed."""

    method: str
    target: str
    segments: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def json(self) -> Any:
        return parse_json(self.body)

    @property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; an empty body is an empty object."""
        if not self.body:
            return {}
        if not isinstance(self.json, dict):
            raise Refusal(400, "NOT_AN_OBJECT")
        return self.json

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The body as a list of JSON objects."""
        if not isinstance(self.json, list) or not all(isinstance(row, dict) for row in self.json):
            raise Refusal(400, "NOT_A_LIST_OF_OBJECTS")
        return self.json


def parse_json(body: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN or Infinity, no name twice, no bottomless nesting."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "NOT_JSON") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Readers: the value of one field, or BadField


def text(fields: Mapping[str, Any], name: str, *, pattern: re.Pattern[str] = NUMBER) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadField(name)
    return value


def words(fields: Mapping[str, Any], name: str, *, limit: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= limit:
        raise BadField(name)
    return value


def choice(fields: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or value not in choices:
        raise BadField(name)
    return value


def count(fields: Mapping[str, Any], name: str, *, default: int | None = None, limit: int = 1_000_000) -> int:
    """A whole number ≥ 0; a string of digits is taken too, because extracts are text."""
    value = fields.get(name, default)
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise BadField(name)
    return value


def seconds(fields: Mapping[str, Any], name: str, *, default: float | None = None) -> float:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadField(name)
    if not 0 <= value <= SECONDS_LIMIT:
        raise BadField(name)
    return float(value)


def fen(fields: Mapping[str, Any], name: str, *, default: str | None = None) -> int:
    """Money with exactly two decimals, as whole fen."""
    value = fields.get(name, default)
    if not isinstance(value, str) or not MONEY.fullmatch(value):
        raise BadField(name)
    return int(value.replace(".", ""))


def yuan(amount: int) -> str:
    """Whole fen as the wire writes them."""
    return f"{amount // 100}.{amount % 100:02d}"
