"""Risk alerts and appeals against them: the worklist, and every move a person can make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin.base import COLOURS, Dialog, badge, held_by, plain, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin import base
from closures.admin.base import TrackedAdmin
from closures.admin.risk_forms import AnswerForm, AppealForm, DemandForm, DismissForm, FreezeForm
from closures.models import RiskAlert, RiskAppeal
from closures.models.risk_alerts import APPEAL
from closures.selectors import risk_lists, risk_words
from closures.services.risk import alerts, appeals


def says(text: Any) -> Callable[[Any, Any], str]:
    return lambda row, result: str(text) % {"number": result.number}


def frozen(alert: RiskAlert, result: RiskAlert) -> str:
    text = translate("Account %(account)s is repay-only until %(until)s.")
    until = timezone.localtime(result.frozen_until).strftime("%Y-%m-%d %H:%M")
    return text % {"account": alert.account.account_no, "until": until}


def asked(alert: RiskAlert, result: RiskAlert) -> str:
    ticket = base.fresh(cast(int, result.ticket_id))
    text = translate("Ticket %(ticket)s asks for the closing. Next: %(next)s")
    return text % {"ticket": ticket.number, "next": base.comes_next(ticket)}


TRIAGE = Dialog(
    name="triage",
    label=_("Take it on"),
    icon="visibility",
    variant=ActionVariant.PRIMARY,
    transition="triage",
    call=alerts.triage,
    target="alert_id",
    description=_("You have looked at the account and the alert goes on."),
    deciding=False,
    done=says(_("Alert %(number)s is taken on. Next: freeze, propose a closing, or dismiss it.")),
)
FREEZE = Dialog(
    name="freeze",
    label=_("Freeze the line"),
    icon="ac_unit",
    permission=held_by(alerts.FREEZE),
    possible=lambda alert: alert.is_unended,
    call=alerts.freeze,
    target="alert_id",
    form=FreezeForm,
    description=_("Repay-only from now, and open again by itself at the end. Other limits stay."),
    done=frozen,
)
THAW = Dialog(
    name="thaw",
    label=_("Lift the freeze"),
    icon="lock_open",
    permission=held_by(alerts.FREEZE),
    possible=lambda alert: alert.is_frozen(timezone.now()),
    call=alerts.thaw,
    target="alert_id",
    description=_("Only what this alert had put; other limits stay."),
    done=says(_("The freeze of alert %(number)s is lifted.")),
)
PROPOSE = Dialog(
    name="propose",
    label=_("Propose a closing"),
    icon="gavel",
    transition="propose",
    call=alerts.propose,
    target="alert_id",
    description=_("Somebody else decides."),
    done=says(_("A closing is proposed on alert %(number)s. Next: somebody else decides.")),
)
DECIDE = Dialog(
    name="decide",
    label=_("Ask for the closing"),
    icon="shield",
    variant=ActionVariant.WARNING,
    transition="ask_closing",
    hidden_from=lambda alert, user: alert.proposed_by_id == user.pk,
    call=alerts.decide,
    target="alert_id",
    form=DemandForm,
    description=_(
        "In your name. The compliance lead reviews it; debt stays on its terms, and nothing closes before "
        "the notice has arrived."
    ),
    done=asked,
)
DISMISS = Dialog(
    name="dismiss",
    label=_("Dismiss"),
    icon="close",
    transition="dismiss",
    call=alerts.dismiss,
    target="alert_id",
    form=DismissForm,
    description=_("What it has frozen is free again."),
    done=says(_("Alert %(number)s is dismissed.")),
)
ENTER_APPEAL = Dialog(
    name="appeal",
    label=_("Enter an appeal"),
    icon="record_voice_over",
    permission=held_by(APPEAL),
    possible=lambda alert: alert.is_unended,
    call=appeals.enter,
    target="alert_id",
    form=AppealForm,
    description=_(
        "The customer objects to the alert or the freeze. Somebody who had no part in it decides; until then "
        "nothing is closed."
    ),
    deciding=False,
    done=says(_("Appeal %(number)s is entered. Next: somebody without a part in it decides.")),
)
GRANT = Dialog(
    name="grant",
    label=_("Grant the appeal"),
    icon="check",
    variant=ActionVariant.PRIMARY,
    transition="grant",
    hidden_from=lambda appeal, user: had_a_part(appeal, user),
    call=appeals.grant,
    target="appeal_id",
    form=AnswerForm,
    description=_("The freeze is lifted and the alert dismissed."),
    done=says(_("Appeal %(number)s is granted; the line is free of this alert.")),
)
DENY = Dialog(
    name="deny",
    label=_("Deny the appeal"),
    icon="block",
    transition="deny",
    hidden_from=lambda appeal, user: had_a_part(appeal, user),
    call=appeals.deny,
    target="appeal_id",
    form=AnswerForm,
    description=_("The alert stands. The answer says why."),
    done=says(_("Appeal %(number)s is denied; the alert stands.")),
)


def had_a_part(appeal: RiskAppeal, user: Any) -> bool:
    return user.pk in appeal.alert.parties() | {appeal.entered_by_id}


class Show(admin.SimpleListFilter):
    """What a risk officer has to look at, or all."""

    title = _("show")
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("to_handle", _("new and taken on")), ("unended", _("not ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        states = {
            "to_handle": (RiskAlert.State.NEW, RiskAlert.State.TRIAGED),
            "unended": RiskAlert.UNENDED,
        }.get(self.value() or "")
        return queryset.filter(state__in=states) if states else queryset


@admin.register(RiskAlert)
class RiskAlertAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "number", "severity_shown", "rule_title", "account_shown", "state_shown", "state_since",
        "frozen_until", "last_seen_at",
    )  # fmt: skip
    list_filter = (Show, "state", "severity")
    search_fields = ("number", "account__account_no", "ticket__number")
    search_help_text = _("The whole number of an alert, an account or a ticket.")
    sortable_by = ("state_since",)
    fields = (
        "number", "rule_title", "severity_shown", "account", "state_shown", "state_since", "raised_at",
        "folded", "last_seen_at", "frozen_until", "triaged_from", "proposed_from", "decided_from",
        "dismiss_code", "dismiss_text", "ticket", "ended_at",
    )  # fmt: skip
    history_hidden = ("state_since",)
    dialogs = (TRIAGE, FREEZE, THAW, PROPOSE, DECIDE, DISMISS, ENTER_APPEAL)
    change_form_outer_before_template = "admin/closures/riskalert/page.html"

    class Media:
        css = {"all": ("console/case.css",)}  # buttons beside rows

    state_shown = state_badge()
    severity_shown = badge("severity", description=_("severity"))
    triaged_from = plain("triaged_by", description=_("looked at by"))
    proposed_from = plain("proposed_by", description=_("proposed by"))
    decided_from = plain("decided_by", description=_("decided by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        related = ("rule", "account", "ticket", "triaged_by", "proposed_by", "decided_by")
        return super().get_queryset(request).select_related(*related)

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        return (risk_lists.by_severity(), "-pk")

    @display(description=_("risk rule"))
    def rule_title(self, alert: RiskAlert) -> str:
        return f"{alert.rule} · {risk_words.rule_title(alert.rule)}"

    @display(description=_("account"))
    def account_shown(self, alert: RiskAlert) -> str:
        return alert.account.account_no

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        alert = self.get_object(request, object_id)
        shown = alert and self.has_view_permission(request, alert)
        page = self.page(request, alert) if shown else {}
        return super().change_view(request, object_id, form_url, {**page, **(extra_context or {})})

    def page(self, request: HttpRequest, alert: RiskAlert) -> dict[str, Any]:
        rows: list[Any] = list(alert.appeals.select_related("entered_by", "decided_by", "alert"))
        for row in rows:
            row.colour = COLOURS[row.state]
        return {
            "sentence": risk_words.sentence(alert),
            "fired": risk_words.fired(alert),
            "still_frozen": alert.is_frozen(timezone.now()),
            "may_see_rule": request.user.has_perm("closures.view_riskrule"),
            "appeals": [(row, base.buttons(request, row)) for row in rows],
        }


@admin.register(RiskAppeal)
class RiskAppealAdmin(ExactSearch, TrackedAdmin):
    list_display = ("number", "alert_shown", "state_shown", "raised_at", "entered_from", "decided_from")
    list_filter = ("state",)
    search_fields = ("number", "alert__number")
    search_help_text = _("The whole number of an appeal or an alert.")
    ordering = ("-pk",)
    sortable_by = ("raised_at",)
    fields = (
        "number", "alert", "state_shown", "state_since", "raised_at", "ground", "entered_from",
        "decided_from", "answer",
    )  # fmt: skip
    history_hidden = ("state_since",)
    dialogs = (GRANT, DENY)

    state_shown = state_badge()
    entered_from = plain("entered_by", description=_("entered by"))
    decided_from = plain("decided_by", description=_("decided by"))
    alert_shown = plain("alert", description=_("risk alert"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("alert", "entered_by", "decided_by")
