"""Reversals: proposed on the ticket's page, decided here by somebody without a part in the closing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin.base import Badge, Dialog, held_by, plain, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin.base import TrackedAdmin
from closures.admin.forms import CorrectionForm
from closures.models import Reversal
from closures.rules.deadlines import china_date
from closures.selectors import after_closing, casefile, participants
from closures.services import reversal

NEAR = {"late": "danger", "soon": "warning", "later": ""}
SOON = 5  # days


def took_part(row: Reversal, user: Any) -> bool:
    return user.pk == row.asked_by_id or user.pk in participants.in_the_closing(row.ticket_id)


def decided(row: Reversal, result: Reversal) -> str:
    text = translate("Reversal %(number)s is %(state)s. Next – %(next)s")
    return text % {
        "number": row.number,
        "state": result.get_state_display(),
        "next": after_closing.reversal_next(result),
    }


def corrected(row: Reversal, result: Reversal) -> str:
    text = translate("The correction of the credit report is recorded for reversal %(number)s.")
    return text % {"number": row.number}


APPROVE = Dialog(
    name="approve",
    label=_("Approve the reversal"),
    icon="check",
    variant=ActionVariant.PRIMARY,
    transition="approve",
    hidden_from=took_part,
    call=reversal.approve,
    target="reversal_id",
    description=_(
        "The ticket is reversed, a new account is opened at the core ledger, the customer is told, and the "
        "credit report has to be corrected in time."
    ),
    done=decided,
)
REJECT = Dialog(
    name="reject",
    label=_("Reject the reversal"),
    icon="close",
    variant=ActionVariant.DANGER,
    transition="reject",
    hidden_from=took_part,
    call=reversal.reject,
    target="reversal_id",
    description=_("The closing stands. Another reversal may be proposed."),
    done=decided,
)
CORRECT = Dialog(
    name="correct_bureau",
    label=_("Record the correction"),
    icon="fact_check",
    permission=held_by("closures.correct_bureau"),
    possible=lambda row: row.awaits_bureau,
    call=reversal.record_bureau_correction,
    target="reversal_id",
    form=CorrectionForm,
    deciding=False,
    done=corrected,
)


class Bureau(admin.SimpleListFilter):
    title = _("credit report")
    parameter_name = "bureau"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("to be corrected")), ("done", _("corrected"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "open":
                return queryset.filter(state__in=Reversal.GRANTED, bureau_corrected_at__isnull=True)
            case "done":
                return queryset.filter(bureau_corrected_at__isnull=False)
        return queryset


@admin.register(Reversal)
class ReversalAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "number",
        "ticket_shown",
        "source",
        "root_cause",
        "state_shown",
        "age",
        "bureau_shown",
        "next_shown",
    )
    list_filter = ("state", "source", "root_cause", Bureau)
    search_fields = ("number", "ticket__number", "complaint_number", "new_account__account_no")
    search_help_text = _("The whole number of the reversal, ticket, complaint or new account.")
    ordering = ("-pk",)
    sortable_by = ("number",)
    fields = (
        "number",
        "ticket",
        "state_shown",
        "state_since",
        "next_shown",
        "source",
        "complaint_number",
        "root_cause",
        "ground",
        "compensation_shown",
        "asked_from",
        "asked_at",
        "approved_from",
        "approved_at",
        "new_account",
        "bureau_due_on",
        "rule_shown",
        "bureau_calendar",
        "bureau_corrected_at",
        "corrected_from",
        "bureau_proof",
    )
    history_hidden = ("state_since",)
    dialogs = (APPROVE, REJECT, CORRECT)

    state_shown = state_badge()
    asked_from = plain("asked_by", description=_("proposed by"))
    approved_from = plain("approved_by", description=_("approved by"))
    corrected_from = plain("bureau_corrected_by", description=_("corrected by"))
    rule_shown = plain("bureau_rule", description=_("rule of the correction"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("ticket", *after_closing.PEOPLE)

    @display(description=_("ticket"))
    def ticket_shown(self, row: Reversal) -> str:
        return row.ticket.number

    @display(description=_("since"))
    def age(self, row: Reversal) -> str:
        return timesince(row.state_since, timezone.now(), depth=1)

    @display(description=_("credit report due"), label=NEAR)
    def bureau_shown(self, row: Reversal) -> Badge | None:
        if not row.awaits_bureau or row.bureau_due_on is None:
            return None
        left = (row.bureau_due_on - china_date(moment=timezone.now())).days
        near = "late" if left < 0 else "soon" if left < SOON else "later"
        return Badge(near, row.bureau_due_on.isoformat(), colours=NEAR)

    @display(description=_("what comes next"))
    def next_shown(self, row: Reversal) -> str:
        return after_closing.reversal_next(row)

    @display(description=_("compensation"))
    def compensation_shown(self, row: Reversal) -> str:
        return casefile.yuan(row.compensation_amount)
