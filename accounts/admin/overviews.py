"""What the pages of a customer and of an account show at a glance. Reads only; a few queries per page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.admin.base import COLOURS
from accounts.models import (
    AgreementEffect,
    CreditAccount,
    CreditProduct,
    Customer,
    LineRestriction,
    PartnerAgreement,
)
from accounts.selectors import identities

LINKED = (PartnerAgreement.State.BOUND, PartnerAgreement.State.UNBINDING)
TIERS = {
    "NORMAL": (_("normal"), "success"),
    "SPECIAL_MENTION": (_("special mention"), "warning"),
    "SUBSTANDARD": (_("substandard"), "danger"),
    "DOUBTFUL": (_("doubtful"), "danger"),
    "LOSS": (_("loss"), "danger"),
}
# What the customer owes or is owed, in the order a clerk reads it out.
AMOUNTS = (
    "principal",
    "interest",
    "fees",
    "unbilled",
    "instalments_remaining",
    "pending_orders",
    "refunds_in_flight",
    "disputed",
    "credit_balance",
)


@dataclass
class AccountCard:
    """One account as the pages show it."""

    account: CreditAccount
    restrictions: list[LineRestriction] = field(default_factory=list)
    agreements: list[PartnerAgreement] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)  # what a higher app knows of it

    @property
    def brand(self) -> str:
        return brand(self.account.product)

    @property
    def colour(self) -> str:
        return COLOURS[self.account.line_state]

    @property
    def tier(self) -> tuple[Any, str]:
        return TIERS[self.account.risk_tier]

    @property
    def amounts(self) -> list[tuple[Any, Any, bool]]:
        """Label, value, and whether it is a count, for everything that is not zero."""
        rows = []
        for name in AMOUNTS:
            value = getattr(self.account, name)
            if value:
                column: Any = self.account._meta.get_field(name)
                rows.append((column.verbose_name, value, name in CreditAccount.OWED_COUNTS))
        return rows

    @property
    def arrears(self) -> list[int]:
        """Months of delay, newest first."""
        return [int(month) for month in self.account.arrears_months.split("|") if month.strip().isdigit()]

    @property
    def closed(self) -> bool:
        return bool(self.account.line_state == CreditAccount.LineState.CLOSED)

    @property
    def linked(self) -> list[PartnerAgreement]:
        return [row for row in self.agreements if row.state in LINKED]

    @property
    def staying(self) -> list[PartnerAgreement]:
        return [row for row in self.linked if row.effect == AgreementEffect.WARN]


def brand(product: CreditProduct) -> str:
    return product.brand_en if get_language() == "en" else product.brand


def cards(accounts: list[CreditAccount]) -> list[AccountCard]:
    """A card per account with what limits it and what is linked to it. Three queries, however many."""
    found = {account.pk: AccountCard(account=account) for account in accounts}
    limits: list[Any] = list(
        LineRestriction.objects.filter(account__in=found, lifted_at__isnull=True).order_by("since", "pk")
    )
    said: dict[int, str] = defaultdict(str)
    for pk, reason in LineRestriction.history.filter(
        id__in=[row.pk for row in limits], history_type="+"
    ).values_list("id", "history_change_reason"):
        said[pk] = reason or ""
    for row in limits:
        # Our own restrictions only repeat the ticket's number, which stands beside them already.
        row.said = "" if row.reference and row.reference in said[row.pk] else said[row.pk]
        found[row.account_id].restrictions.append(row)
    agreements: list[Any] = list(PartnerAgreement.objects.filter(account__in=found).order_by("partner", "pk"))
    for agreement in agreements:
        agreement.colour = COLOURS[agreement.state]
        found[agreement.account_id].agreements.append(agreement)
    return list(found.values())


def of_customer(customer: Customer, *, user: Any) -> dict[str, Any]:
    """Everything the customer's page shows, for somebody who may read it."""
    context: dict[str, Any] = {
        "identity": identities.identity_of(customer),
        "standing_colour": COLOURS[customer.standing],
        "same_id_number": list(identities.same_id_number(customer)[:10]),
        "cards": [],
        "relationships": [],
        "restricted_since": identities.restricted_since(customer),
    }
    if user.has_perm("accounts.view_creditaccount"):
        accounts = customer.accounts.select_related("product__lender").order_by("pk")
        context["cards"] = cards(list(accounts))
    if user.has_perm("accounts.view_lenderrelationship"):
        context["relationships"] = list(customer.relationships.select_related("lender").order_by("pk"))
    return context
