"""The customer's page: who he is (masked), what he holds, why it is limited, what is linked, what stays."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin import overviews
from accounts.admin.base import Dialog, ReadOnlyAdmin, UntrackedAdmin, badge, held_by
from accounts.admin.columns import yes
from accounts.admin.forms import WhyForm
from accounts.admin.searching import ExactSearch, RowsBeforeShown
from accounts.models import Certainty, Customer, CustomerIdentity, Lender, LenderRelationship
from accounts.selectors import identities as who
from accounts.services import identities


class OnlyByNumber(ExactSearch):
    """Who is only stored is on no list for people without the right to one: he is found by his number.

    Source: 个人信息保护法 47: stored and kept secure, nothing else; whoever comes with his number is served.
    """

    standing_path = "standing"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found, duplicates = super().get_search_results(request, queryset, search_term)
        if search_term.strip() or request.user.has_perm("accounts.list_restricted"):
            return found, duplicates
        return found.filter(**{self.standing_path: Customer.Standing.ACTIVE}), duplicates


@admin.register(Customer)
class CustomerAdmin(RowsBeforeShown, OnlyByNumber, ReadOnlyAdmin):
    list_display = ("customer_no", "name_shown", "standing_shown", "notice_channel", "synthetic_shown")
    list_filter = ("standing", "synthetic")
    search_fields = ("customer_no",)
    ordering = ("-pk",)
    list_select_related = ("merged_into",)
    fields = ("customer_no", "standing", "notice_channel", "notice_channel_agreed_on", "deceased_on")
    change_form_outer_before_template = "admin/accounts/customer.html"

    standing_shown = badge("standing", description=_("standing"))
    synthetic_shown = yes("synthetic", description=_("synthetic"))

    dialogs: tuple[Dialog, ...] = (
        Dialog(
            name="reveal",
            label=_("Reveal the identity"),
            icon="visibility",
            permission=held_by(identities.PERMISSION),
            possible=lambda customer: customer.standing != Customer.Standing.ERASED,
            call=identities.reveal,
            target="customer_id",
            form=WhyForm,
            submit=_("Reveal"),
            description=_(
                "Your name, the moment and the reason are kept. What you see is stored nowhere else."
            ),
            result_template="admin/accounts/revealed.html",
        ),
    )

    def prepare(self, rows: list[Any]) -> None:
        masked = who.identities_of(rows)
        for customer in rows:
            customer.masked = masked[customer.pk]

    @display(description=_("name"))
    def name_shown(self, customer: Any) -> str:
        return customer.masked.name or "—"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        customer = self.get_object(request, object_id)
        overview = self.overview(request, customer) if customer else {}
        return super().change_view(request, object_id, form_url, {**overview, **(extra_context or {})})

    def overview(self, request: HttpRequest, customer: Customer) -> dict[str, Any]:
        """What the page shows beside the row's own columns; a higher app adds to it."""
        return overviews.of_customer(customer, user=request.user)


@admin.register(CustomerIdentity)
class CustomerIdentityAdmin(RowsBeforeShown, OnlyByNumber, UntrackedAdmin):
    """Masked, and only the current version: what somebody was called before is nobody's work here."""

    standing_path = "customer__standing"

    list_display = ("customer", "version", "name", "id_number", "phone", "recorded_at", "superseded_at")
    list_select_related = ("customer",)
    search_fields = ("customer__customer_no",)
    ordering = ("-pk",)
    fields = (
        "customer",
        "version",
        "name",
        "id_number",
        "phone",
        "email",
        "birth_date",
        "recorded_at",
        "superseded_at",
    )

    def prepare(self, rows: list[Any]) -> None:
        masked = who.identities_of([row.customer for row in rows])
        for row in rows:
            row.masked = masked[row.customer_id]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.prepare([row])
        return row

    def shown(self, row: Any, field: str) -> str:
        return getattr(row.masked, field) or "—" if row.superseded_at is None else "—"

    @display(description=_("name"))
    def name(self, row: CustomerIdentity) -> str:
        return self.shown(row, "name")

    @display(description=_("ID number"))
    def id_number(self, row: CustomerIdentity) -> str:
        return self.shown(row, "id_number")

    @display(description=_("phone"))
    def phone(self, row: CustomerIdentity) -> str:
        return self.shown(row, "phone")

    @display(description=_("e-mail"))
    def email(self, row: CustomerIdentity) -> str:
        return self.shown(row, "email")

    @display(description=_("birth date"))
    def birth_date(self, row: CustomerIdentity) -> str:
        return self.shown(row, "birth_date")


@admin.register(Lender)
class LenderAdmin(ReadOnlyAdmin):
    list_display = ("legal_name", "code", "kind", "certainty_shown")
    list_filter = ("kind",)
    ordering = ("code",)
    fields = ("legal_name", "code", "kind", "certainty_shown", "source")

    @display(description=_("how sure"))
    def certainty_shown(self, lender: Lender) -> str:
        return str(dict(Certainty.choices).get(lender.certainty, lender.certainty) or "—")


@admin.register(LenderRelationship)
class LenderRelationshipAdmin(ExactSearch, ReadOnlyAdmin):
    list_display = ("customer", "lender", "started_on", "ended_on", "retain_until")
    list_select_related = ("customer", "lender")
    list_filter = ("lender",)
    search_fields = ("customer__customer_no",)
    ordering = ("-pk",)
    fields = list_display

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("customer", "lender")
