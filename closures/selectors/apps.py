"""What the institution's apps may read: the account they name, what stands in its way, its closings.

An account is named by customer number and account number together; whoever names a pair that does not
belong together learns nothing, as if neither existed. Texts are the customer's, in the active language.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as translate

from accounts.models import CreditAccount, CreditProduct
from closures.models import Blocker, ClosureTicket
from closures.models.tickets import Reason
from closures.rules import eligibility
from closures.rules.codes import Severity
from closures.rules.eligibility import Finding
from closures.selectors import facts, letters, status, texts

SHOWN = 20  # closings of one account in one answer
WITH = ("customer", "product__lender")


def account_named(*, customer_no: str, account_no: str) -> CreditAccount | None:
    """The account, if it is that customer's."""
    found = CreditAccount.objects.filter(account_no=account_no, customer__customer_no=customer_no)
    return found.select_related(*WITH).first()


def ticket_named(*, number: str, customer_no: str, account_no: str) -> ClosureTicket | None:
    """The ticket, if it is about that account of that customer."""
    found = ClosureTicket.objects.filter(
        number=number, account__account_no=account_no, account__customer__customer_no=customer_no
    )
    return found.select_related(*(f"account__{name}" for name in WITH)).first()


@dataclass(frozen=True, kw_only=True)
class Brief:
    number: str
    state: str
    headline: str
    requested_at: datetime
    state_since: datetime


def tickets_of(account: CreditAccount) -> list[Brief]:
    """The newest closings of the account, newest first, at most `SHOWN`."""
    return [
        Brief(
            number=ticket.number,
            state=ticket.state,
            headline=str(status.HEADLINES[ticket.state]),
            requested_at=ticket.requested_at,
            state_since=ticket.state_since,
        )
        for ticket in account.tickets.order_by("-pk")[:SHOWN]
    ]


# --- Products -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Product:
    code: str
    state: str
    brand: str
    lender: str
    platform: str
    closing_path: str
    effects: tuple[str, ...]
    softer_alternative: str
    agreement_version: str
    cooling_off_seconds: int


def products() -> list[tuple[CreditProduct, Product]]:
    """Every product a customer may hold, with what closing means; drafts are nobody's yet."""
    rows = CreditProduct.objects.exclude(state=CreditProduct.State.DRAFT).select_related("lender")
    return [(row, _product(row)) for row in rows.order_by("code")]


def _product(row: CreditProduct) -> Product:
    language = get_language() or "zh-hans"
    return Product(
        code=row.code,
        state=row.state,
        brand=_brand(row),
        lender=row.lender.legal_name,
        platform=row.platform,
        closing_path=row.text("closing_path", language),
        effects=tuple(texts.plain(effect, language) for effect in row.effects),
        softer_alternative=row.text("softer_alternative", language),
        agreement_version=row.agreement_version,
        cooling_off_seconds=int(row.cooling_off.total_seconds()),
    )


def _brand(product: CreditProduct) -> str:
    return product.brand if (get_language() or "zh").startswith("zh") else product.brand_en


# --- What stands in the way ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing found: what, how grave, how much or how many, and what makes it go away."""

    code: str
    label: str
    severity: str
    amount: Decimal | None
    count: int | None
    cure: str


@dataclass(frozen=True, kw_only=True)
class LinkedItem:
    name: str
    severity: str
    ends: bool
    cure: str


@dataclass(frozen=True, kw_only=True)
class Preview:
    brand: str
    lender: str
    account_tail: str
    line: str
    open_ticket: str
    may_request: bool
    ready: bool
    items: tuple[Item, ...]
    linked: tuple[LinkedItem, ...]
    stays: tuple[str, ...]
    figures_as_of: datetime


def preview(account: CreditAccount, *, policy: dict[str, Any], now: datetime) -> Preview:
    """What a request would meet today, by our copy of the ledger; writes nothing and asks nobody.

    An open ticket's holds count, but a silent one shows nowhere.
    """
    ticket = account.tickets.filter(state__in=ClosureTicket.OPEN).first()
    seen = facts.examine(
        account=account, reason=Reason.CUSTOMER_REQUEST, policy=policy, since=now, now=now, ticket=ticket
    )
    findings = eligibility.visible_to_customer(seen.findings, holds=seen.holds)
    closed = account.line_state == CreditAccount.LineState.CLOSED
    return Preview(
        brand=_brand(account.product),
        lender=account.product.lender.legal_name,
        account_tail=account.account_no[-4:],
        line=account.line_state,
        open_ticket=ticket.number if ticket else "",
        may_request=ticket is None and not closed,
        ready=not closed and not eligibility.blocks(findings),
        items=tuple(_item(finding) for finding in findings if finding.agreement_id is None),
        linked=tuple(_linked(account, findings)),
        stays=tuple(_stays(account, findings)),
        figures_as_of=account.ledger_as_of,
    )


def _item(finding: Finding) -> Item:
    return Item(
        code=str(finding.code),
        label=str(Blocker.Code(finding.code).label),
        severity=str(finding.severity),
        amount=finding.amount,
        count=finding.count,
        cure=texts.cure(str(finding.cure)),
    )


def _linked(account: CreditAccount, findings: Iterable[Finding]) -> Iterable[LinkedItem]:
    touched = {f.agreement_id: f for f in findings if f.agreement_id is not None}
    rows = account.agreements.filter(pk__in=touched).order_by("pk") if touched else ()
    for agreement in rows:
        finding = touched[agreement.pk]
        yield LinkedItem(
            name=letters.agreement_name(agreement),
            severity=str(finding.severity),
            ends=finding.severity is Severity.UNBIND,
            cure=texts.cure(str(finding.cure)),
        )


def _stays(account: CreditAccount, findings: Iterable[Finding]) -> Iterable[str]:
    """What closing leaves as it is, so that nobody takes it for ended."""
    for finding in findings:
        if finding.severity is Severity.WARN and finding.count:
            yield translate("%(count)s other line(s) of credit with other lenders") % {"count": finding.count}
    yield translate("other accounts and cards, and the records that the law has us keep")
