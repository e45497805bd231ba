"""Rules, fields and alerts in the reader's language; a back-test as rows of a table and lengths of bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from closures.models import BackTest, RiskAlert, RiskRule
from closures.selectors import account_view

KINDS = {
    account_view.INTEGER: _("whole number"),
    account_view.MONEY: _("amount in yuan"),
    account_view.CHOICE: _("one of"),
    account_view.YES_NO: _("True or False"),
}


def chinese() -> bool:
    return (get_language() or "").startswith("zh")


def rule_title(rule: RiskRule) -> str:
    return str(rule.title if chinese() else rule.title_en)


def sentence(row: RiskAlert | RiskRule) -> str:
    """What the customer may hear."""
    return str(row.sentence if chinese() else row.sentence_en)


def fields() -> list[dict[str, Any]]:
    """Every field that a condition may name, with its meaning and what it is compared with."""
    return [
        {
            "name": name,
            "label": field.label,
            "kind": KINDS[field.kind],
            "choices": ", ".join(field.choices) if field.choices else "",
        }
        for name, field in account_view.FIELDS.items()
    ]


def fired(alert: RiskAlert) -> list[tuple[str, Any, str]]:
    """Name, meaning and value of everything that the rule looked at."""
    rows = []
    for name, value in alert.values.items():
        told = account_view.FIELDS.get(name)
        if isinstance(value, bool):
            value = translate("yes") if value else translate("no")
        rows.append((name, told.label if told else name, value))
    return rows


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A share as it is drawn: `width` in whole percent of the widest, `text` as it is read."""

    label: Any
    text: str
    width: int


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A back-test for a page."""

    test: BackTest
    figures: list[tuple[Any, str]]
    shares: list[Bar]
    products: list[dict[str, Any]]
    overlap: list[dict[str, Any]]


def shown(test: BackTest) -> Shown:
    found = test.result
    lift = found["lift"]
    return Shown(
        test=test,
        figures=[
            (_("accounts looked at"), f"{found['accounts']:,}"),
            (_("matches"), f"{found['matches']:,}"),
            (_("known outcomes"), f"{found['labelled']:,}"),
            (_("matches with a known outcome"), f"{found['labelled_matches']:,}"),
            (_("of them defaulted"), f"{found['hits']:,}"),
            (_("times better than chance"), f"{lift:.2f}" if lift is not None else "—"),
        ],
        shares=[
            bar(_("precision: matches that defaulted"), found["precision"]),
            bar(_("recall: defaults that were found"), found["recall"]),
            bar(_("defaulted among all known"), share(found["defaulted"], found["labelled"])),
            bar(_("accounts that match"), share(found["matches"], found["accounts"])),
        ],
        products=[
            {
                **row,
                "bar": bar(row["code"], share(row["matches"], row["accounts"])),
                "precision_text": percent(row["precision"]),
                "recall_text": percent(row["recall"]),
            }
            for row in found["products"]
        ],
        overlap=[
            {**row, "bar": bar(row["rule"], share(row["both"], found["matches"]))}
            for row in found["overlap"]
            if row["both"] is not None  # its condition could not be read
        ],
    )


def bar(label: Any, part: float | None) -> Bar:
    return Bar(label=label, text=percent(part), width=round(100 * (part or 0)))


def percent(part: float | None) -> str:
    return "—" if part is None else f"{100 * part:.1f} %"


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
