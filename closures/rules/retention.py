"""Why a customer's data is kept, and until when: facts in, reasons out.

Read aloud, lender by lender:

    a relationship goes on            → kept, for as long as it lasts
    every relationship has ended      → kept until the latest of its retention days, if that lies ahead
    a closing is under way            → kept until it has ended
    a hold is open                    → kept for as long as the duty behind it lasts; its kind is never said

Source: 反洗钱法 34; 个人信息保护法 13, 47 (storage only while a legal period runs); FACTS §2.2 (1), (2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class KeepCode(StrEnum):
    RELATIONSHIP = "RELATIONSHIP"
    RETENTION = "RETENTION"
    CASE = "CASE"
    LEGAL_DUTY = "LEGAL_DUTY"


@dataclass(frozen=True, kw_only=True)
class Relationship:
    """One time with one lender; it goes on while `retain_until` is None."""

    lender: str
    retain_until: date | None


@dataclass(frozen=True, kw_only=True)
class Keep:
    """One reason: whose data, under which head, and the first day on which it may go (None: not known)."""

    code: KeepCode
    lender: str = ""
    case: str = ""
    until: date | None = None


def reasons(
    *, relationships: Iterable[Relationship], open_cases: Iterable[str], held: bool, on: date
) -> tuple[Keep, ...]:
    """Every reason to keep the data on that day; nothing when nothing wants it kept."""
    found = []
    by_lender: dict[str, list[date | None]] = {}
    for relationship in relationships:
        by_lender.setdefault(relationship.lender, []).append(relationship.retain_until)
    for lender, days in by_lender.items():
        ended = [day for day in days if day is not None]
        if len(ended) < len(days):
            found.append(Keep(code=KeepCode.RELATIONSHIP, lender=lender))
        elif max(ended) > on:
            found.append(Keep(code=KeepCode.RETENTION, lender=lender, until=max(ended)))
    found += [Keep(code=KeepCode.CASE, case=number) for number in open_cases]
    if held:
        found.append(Keep(code=KeepCode.LEGAL_DUTY))
    return tuple(found)
