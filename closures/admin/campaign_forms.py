"""The forms of campaigns. Each field is named like the service's argument."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts.admin.base import DialogForm, ReasonForm
from accounts.admin.forms import day_input
from accounts.models import CreditProduct, User
from closures.models import Campaign, CampaignDepartment, CampaignMilestone
from closures.selectors.account_view import FIELDS

NUMBERS = ("max_unbind_failures", "max_undelivered", "max_complaints", "pilot_percent")


def line(label: Any, *, most: int, required: bool = True, **extra: Any) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=most, required=required, widget=UnfoldAdminTextInputWidget, **extra
    )


def text(label: Any, *, most: int, rows: int = 3, required: bool = False, **extra: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=most,
        required=required,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": rows}),
        **extra,
    )


def number(label: Any, *, least: int, most: int, initial: int, **extra: Any) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        min_value=least,
        max_value=most,
        initial=initial,
        widget=UnfoldAdminTextInputWidget,
        **extra,
    )


class PlanForm(forms.Form):
    """The whole plan on one page."""

    title = line(_("Title"), most=120)
    legal_basis = text(_("Legal basis"), most=500, required=True)
    product = forms.ModelChoiceField(
        label=_("Product"),
        queryset=CreditProduct.objects.filter(
            state__in=(CreditProduct.State.OFFERED, CreditProduct.State.SUSPENDED)
        ).order_by("code"),
        widget=UnfoldAdminSelectWidget,
    )
    source = forms.ChoiceField(
        label=_("Population by"), choices=Campaign.Source.choices, widget=UnfoldAdminSelectWidget
    )
    population = text(
        _("Condition of the population"),
        most=2000,
        rows=4,
        help_text=_(
            "Only accounts of the product count. For example: days_past_due = 0 and owed < 100. "
            "Empty for a file, which is uploaded afterwards."
        ),
    )
    effective_on = forms.DateField(
        label=_("Effective on"),
        widget=day_input(),
        help_text=_("Nothing irreversible happens to anybody before this day."),
    )
    pilot_percent = number(_("Pilot, %"), least=1, most=100, initial=1)
    wave_percents = line(
        _("Waves, cumulative %"),
        most=80,
        initial="10, 50, 100",
        help_text=_("Rising shares of the population, the last one 100."),
    )
    daily_cap = number(_("Most closings opened in a day"), least=1, most=1_000_000, initial=1000)
    max_unbind_failures = number(_("Pause above: unbinding failures, %"), least=0, most=100, initial=5)
    max_undelivered = number(_("Pause above: undelivered notices, %"), least=0, most=100, initial=20)
    max_complaints = number(_("Pause above: complaints, %"), least=0, most=100, initial=2)
    minimum_sample = number(_("Cases before a guard-rail judges"), least=1, most=1_000_000, initial=20)
    excludes_debt = forms.BooleanField(
        label=_("Leave out accounts that owe"), required=False, widget=UnfoldBooleanWidget
    )
    withdraws_product = forms.BooleanField(
        label=_("Withdraw the product"),
        required=False,
        widget=UnfoldBooleanWidget,
        help_text=_("It is suspended with the pilot and withdrawn when the campaign is completed."),
    )
    resources = text(_("Resources"), most=2000)
    risks = text(_("Risks and counter-measures"), most=2000)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known: Any = self.fields["population"]
        known.help_text = f"{known.help_text} {', '.join(FIELDS)}"

    def clean_wave_percents(self) -> list[int]:
        given = self.cleaned_data["wave_percents"].replace("，", ",").replace("%", "").split(",")
        shares = [part.strip() for part in given if part.strip()]
        if not all(share.isascii() and share.isdigit() and len(share) < 4 for share in shares):
            raise forms.ValidationError(_("Write whole numbers with commas, such as 10, 50, 100."))
        return [int(share) for share in shares]


def plan_of(campaign: Campaign) -> dict[str, Any]:
    """What the form begins with when a plan is edited."""
    values = {name: getattr(campaign, name) for name in PlanForm.base_fields if name != "wave_percents"}
    return {**values, "wave_percents": ", ".join(map(str, campaign.wave_percents))}


class PopulationFileForm(forms.Form):
    file = forms.FileField(
        label=_("File of account numbers"),
        allow_empty_file=True,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("UTF-8 text, one account number a line; whatever follows a comma is ignored."),
    )


class DepartmentForm(DialogForm):
    department = line(_("Department"), most=60)
    owner = forms.ModelChoiceField(
        label=_("Owner"), queryset=User.objects.none(), widget=UnfoldAdminSelectWidget
    )
    duty = line(_("Duty"), most=200)
    resources = line(_("Resources"), most=200, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner: Any = self.fields["owner"]
        owner.queryset = User.objects.filter(state=User.State.ACTIVE).order_by("staff_no")


class MilestoneForm(DialogForm):
    title = line(_("Title"), most=120)
    due_on = forms.DateField(label=_("Due on"), widget=day_input())
    department = forms.ModelChoiceField(
        label=_("Department"),
        required=False,
        queryset=CampaignDepartment.objects.none(),
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        department: Any = self.fields["department"]
        department.queryset = self.obj.departments.filter(removed_at__isnull=True).order_by("pk")


class ReachedForm(DialogForm):
    milestone = forms.ModelChoiceField(
        label=_("Milestone"), queryset=CampaignMilestone.objects.none(), widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        milestone: Any = self.fields["milestone"]
        milestone.queryset = self.obj.milestones.filter(removed_at__isnull=True, done_at__isnull=True)


class RemoveForm(DialogForm):
    part = forms.ChoiceField(label=_("Department or milestone"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = [
            *self.obj.departments.filter(removed_at__isnull=True).order_by("pk"),
            *self.obj.milestones.filter(removed_at__isnull=True).order_by("due_on", "pk"),
        ]
        self.rows = {f"{type(row).__name__}:{row.pk}": row for row in rows}
        part: Any = self.fields["part"]
        part.choices = [(key, str(row)) for key, row in self.rows.items()]

    def clean_part(self) -> Any:
        return self.rows[self.cleaned_data["part"]]


class CampaignApprovalForm(ReasonForm):
    """The reason, and the hashes of what was shown."""

    seen_plan = forms.CharField(widget=forms.HiddenInput, max_length=64)
    seen_population = forms.CharField(widget=forms.HiddenInput, max_length=64)
