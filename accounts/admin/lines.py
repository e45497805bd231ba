"""Credit accounts and what limits them: balances as the core ledger had them, each with its moment."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin import overviews
from accounts.admin.base import ReadOnlyAdmin, UntrackedAdmin, badge
from accounts.admin.searching import ExactSearch
from accounts.models import ClosedAccountMovement, CreditAccount, LineRestriction


@admin.register(CreditAccount)
class CreditAccountAdmin(ExactSearch, ReadOnlyAdmin):
    list_display = (
        "account_no",
        "customer",
        "product_shown",
        "line_shown",
        "credit_limit",
        "owed_shown",
        "credit_balance",
        "days_past_due",
        "ledger_as_of",
    )
    list_filter = ("line_state", "product")
    search_fields = ("account_no", "customer__customer_no")
    list_select_related = ("customer", "product", "reopened_from")
    ordering = ("-pk",)
    fields = (
        "account_no",
        "customer",
        "product_shown",
        "line_state",
        "reopened_from",
        "closed_at",
        "ledger_as_of",
    )
    change_form_outer_before_template = "admin/accounts/account.html"

    line_shown = badge("line_state", description=_("line"))

    @display(description=_("product"), ordering="product")
    def product_shown(self, account: CreditAccount) -> str:
        return overviews.brand(account.product)

    @display(description=_("owed"))
    def owed_shown(self, account: CreditAccount) -> str:
        return f"{account.owed:,.2f}"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        account = self.get_object(request, object_id)
        overview = self.overview(request, account) if account else {}
        return super().change_view(request, object_id, form_url, {**overview, **(extra_context or {})})

    def overview(self, request: HttpRequest, account: CreditAccount) -> dict[str, Any]:
        """What the page shows beside the row's own columns; a higher app adds to it."""
        return {"card": overviews.cards([account])[0]}


@admin.register(LineRestriction)
class LineRestrictionAdmin(ExactSearch, ReadOnlyAdmin):
    list_display = ("account", "cause", "reference", "since", "until", "lifted_at")
    list_filter = ("cause", ("lifted_at", admin.EmptyFieldListFilter))
    list_select_related = ("account",)
    search_fields = ("account__account_no",)
    ordering = ("-pk",)
    fields = list_display


@admin.register(ClosedAccountMovement)
class ClosedAccountMovementAdmin(ExactSearch, UntrackedAdmin):
    """What the import has seen on closed accounts; what becomes of it is shown by a higher app."""

    list_display = (
        "account",
        "ledger_as_of",
        "owed_to_customer",
        "owed_by_customer",
        "recorded_at",
        "taken_at",
    )
    list_filter = (("taken_at", admin.EmptyFieldListFilter),)
    list_select_related = ("account",)
    search_fields = ("account__account_no",)
    ordering = ("-pk",)
    fields = list_display
