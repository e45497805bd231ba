"""The certified facts of a closed ticket as a page prints them: codes become words, moments become local."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.utils.timezone import localtime
from django.utils.translation import get_language

from accounts.models import AgreementKind
from closures.models import UnbindTask
from closures.models.tickets import Reason
from closures.selectors import letters


def shown(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts in the active language. The hash stays that of the facts themselves."""
    chinese = (get_language() or "").startswith("zh")
    return {
        **facts,
        "brand": facts["brand"] if chinese else facts["brand_en"],
        "reason": Reason(facts["reason"]).label,
        "requested_at": local(facts["requested_at"]),
        "closed_at": local(facts["closed_at"]),
        "agreements": [
            {
                **agreement,
                "kind": AgreementKind(agreement["kind"]).label,
                "result": UnbindTask.State(agreement["result"]).label,
                "since": local(agreement["since"]),
            }
            for agreement in facts["agreements"]
        ],
    }


def agreements(facts: dict[str, Any]) -> Iterator[tuple[str, bool, str]]:
    """Each agreement in the customer's words: its name, whether it has ended, since when."""
    for row in facts["agreements"]:
        name = letters.named(row["kind"], row["partner"], row["agreement_no"])
        yield name, row["result"] != UnbindTask.State.WAIVED, local(row["since"])


def local(moment: str) -> str:
    return localtime(datetime.fromisoformat(moment)).strftime("%Y-%m-%d %H:%M")
