"""What customers have signed with partners, and what closing does to each."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.admin.base import ReadOnlyAdmin, state_badge
from accounts.admin.columns import yes
from accounts.admin.searching import ExactSearch
from accounts.models import PartnerAgreement


@admin.register(PartnerAgreement)
class PartnerAgreementAdmin(ExactSearch, ReadOnlyAdmin):
    list_display = (
        "agreement_no",
        "partner",
        "kind",
        "account",
        "state_shown",
        "effect",
        "depends_shown",
        "signed_on",
    )
    list_filter = ("state", "kind", "effect")
    list_select_related = ("account",)
    search_fields = ("agreement_no", "account__account_no")
    ordering = ("-pk",)
    fields = (
        "agreement_no",
        "partner",
        "kind",
        "account",
        "state",
        "effect",
        "depends_shown",
        "signed_on",
    )

    state_shown = state_badge()
    depends_shown = yes("repayment_depends", description=_("repayment depends on it"))
