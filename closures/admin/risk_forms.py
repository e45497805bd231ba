"""The fields of the risk desk's dialogs. Each field is named like the service's argument."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.admin.base import DialogForm, ReasonForm
from accounts.admin.forms import PeriodField, day_input
from closures.admin.complaint_forms import OWN_WAY
from closures.models import RiskAlert, RiskRule
from closures.models.risk import Severity
from closures.selectors import risk_figures, risk_words
from closures.services.risk.rules import Substance


class ConditionBox(UnfoldAdminTextareaWidget):
    """A condition, what it finds as one types, and every field that it may name."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        live = {
            "hx-post": reverse("admin:risk_try"),
            "hx-trigger": "load, input changed delay:600ms",
            "hx-target": "#rule-found",
            "hx-swap": "innerHTML",
            "spellcheck": "false",
            **OWN_WAY,
        }
        box = super().render(name, value, {**(attrs or {}), **live}, renderer)
        below = render_to_string("admin/closures/riskrule/fields.html", {"fields": risk_words.fields()})
        return mark_safe(box + below)  # both were rendered by templates


def words(label: Any, longest: int, *, rows: int = 2, help_text: Any = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=longest,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": rows}),
        help_text=help_text,
    )


def number(label: Any, initial: int) -> forms.IntegerField:
    return forms.IntegerField(
        label=label, min_value=1, max_value=1_000_000, initial=initial, widget=UnfoldAdminIntegerFieldWidget
    )


def choice(label: Any, choices: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=choices, widget=UnfoldAdminSelectWidget)


class SubstanceForm(DialogForm):
    """What a version says. Cleaned, it is one `substance`."""

    title = forms.CharField(label=_("title"), max_length=80, widget=UnfoldAdminTextInputWidget)
    title_en = forms.CharField(label=_("title in English"), max_length=120, widget=UnfoldAdminTextInputWidget)
    condition = forms.CharField(label=_("condition"), max_length=2000, widget=ConditionBox(attrs={"rows": 4}))
    action = choice(_("action"), RiskRule.Action.choices)
    severity = choice(_("severity"), Severity.choices)
    cap_per_run = number(_("new alerts per scan, at most"), 500)
    cap_per_day = number(_("new alerts per day, at most"), 1000)
    dedupe_window = PeriodField(
        label=_("no second alert within"),
        initial=timedelta(days=30),
        help_text=_("After an alert has ended, the same account is not alerted again for so long."),
    )
    freeze_length = PeriodField(
        label=_("freeze ends after"),
        required=False,
        help_text=_("Only for rules that freeze; the freeze ends by itself."),
    )
    sentence = words(
        _("sentence for the customer"), 300, help_text=_("Plain words that the customer may hear or read.")
    )
    sentence_en = words(_("sentence for the customer, English"), 400)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        given = {name: cleaned.pop(name) for name in RiskRule.SUBSTANCE}
        return {**cleaned, "substance": Substance(**given)}


class NewRuleForm(SubstanceForm):
    code = forms.SlugField(
        label=_("code"),
        max_length=40,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Latin letters, digits and _; every version keeps it."),
    )
    field_order = ("code",)


class BackTestForm(DialogForm):
    labels = forms.ChoiceField(
        label=_("set of outcomes"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("Without known outcomes there are matches and overlaps, but no precision."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["labels"]
        sets = risk_figures.label_sets()
        field.choices = [*[(name, name) for name in sets], ("", "—")]


class FreezeForm(ReasonForm):
    length = PeriodField(
        label=_("freeze ends after"), initial=timedelta(days=15), help_text=_("At most 90 days.")
    )
    field_order = ("length", "ground")


class DismissForm(ReasonForm):
    dismiss_code = choice(
        _("dismissed because"),
        [c for c in RiskAlert.Dismissal.choices if c[0] != RiskAlert.Dismissal.APPEAL_GRANTED],
    )
    field_order = ("dismiss_code", "ground")


class DemandForm(ReasonForm):
    """The ground, and the demand for payment that an overdue account needs first."""

    demanded_on = forms.DateField(
        label=_("payment demanded on"),
        required=False,
        widget=day_input(),
        help_text=_("Needed where the account is past due (Civil Code 563)."),
    )
    demand_until = forms.DateField(
        label=_("period of the demand ends on"),
        required=False,
        widget=day_input(),
        help_text=_("The last day on which the customer could pay; it must be over."),
    )
    field_order = ("demanded_on", "demand_until", "ground")


class AppealForm(DialogForm):
    ground = words(
        _("what the customer says"), 500, rows=4, help_text=_("Write no name, ID number or phone number.")
    )


class AnswerForm(DialogForm):
    ground = words(
        _("answer"), 500, rows=4, help_text=_("Why; the customer may hear it. Write no name or number.")
    )
