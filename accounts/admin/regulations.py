"""Numbers the law gives and the calendar they are counted over. A new value takes two people."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.urls import reverse
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.actors import Actor
from accounts.admin.base import Dialog, DialogForm, ReadOnlyAdmin, held_by, state_badge
from accounts.admin.columns import yes
from accounts.admin.forms import WhyForm, day_input, reason_field
from accounts.admin.pages import FormPage
from accounts.admin.searching import ExactSearch
from accounts.models import Certainty, Regulation, WorkCalendarDay
from accounts.models.regulations import EDIT
from accounts.services import calendar, regulations

UNITS = {
    "working_days": _("working days"),
    "calendar_days": _("calendar days"),
    "months": _("months"),
    "years": _("years"),
    "times_per_day": _("times a day"),
    "percent": _("percent"),
    "local_time_range": _("local time"),
}


class ProposalForm(DialogForm):
    value = forms.CharField(
        label=_("Value"), max_length=60, widget=UnfoldAdminTextInputWidget, required=False
    )
    valid_from = forms.DateField(label=_("Valid from"), widget=day_input())
    source = forms.CharField(label=_("Source"), max_length=300, widget=UnfoldAdminTextInputWidget)
    certainty = forms.ChoiceField(
        label=_("How sure"), choices=Certainty.choices, widget=UnfoldAdminSelectWidget
    )
    reason = reason_field()


def propose_like(*, regulation_id: int, actor: Actor, now: datetime, **values: Any) -> Regulation:
    """Another value of the regulation that this row is a value of."""
    code = Regulation.objects.values_list("code", flat=True).get(pk=regulation_id)
    return regulations.propose(code=code, actor=actor, now=now, **values)


def own_proposal(obj: Regulation, user: Any) -> bool:
    return obj.proposed_by_id == user.pk


@admin.register(Regulation)
class RegulationAdmin(ExactSearch, ReadOnlyAdmin):
    list_display = ("title_shown", "value_shown", "valid_from", "state_shown", "certainty", "source")
    list_filter = ("state", "certainty")
    search_fields = ("code",)
    search_help_text = _("The whole code, such as ANSWER_DUE.")
    list_select_related = ("proposed_by", "approved_by")
    ordering = ("code", "-valid_from", "-pk")
    fields = (
        "title_shown",
        "code",
        "value_shown",
        "valid_from",
        "state",
        "certainty",
        "source",
        "shipped_shown",
        "proposed_by",
        "approved_by",
    )

    state_shown = state_badge()
    shipped_shown = yes("shipped", description=_("shipped with the product"))

    dialogs = (
        Dialog(
            name="approve",
            label=_("Approve"),
            icon="check",
            variant=ActionVariant.PRIMARY,
            transition="approve",
            call=regulations.approve,
            target="regulation_id",
            form=WhyForm,
            hidden_from=own_proposal,
            done=lambda row, result: (
                gettext("%(code)s is %(value)s from %(day)s. Dates already given stay as they are.")
                % {"code": row.code, "value": row.value or "—", "day": row.valid_from}
            ),
        ),
        Dialog(
            name="reject",
            label=_("Reject"),
            icon="close",
            variant=ActionVariant.DANGER,
            transition="reject",
            call=regulations.reject,
            target="regulation_id",
            form=WhyForm,
            hidden_from=own_proposal,
            done=lambda row, result: (
                gettext("The proposal for %(code)s is turned down.") % {"code": row.code}
            ),
        ),
        Dialog(
            name="propose",
            label=_("Propose another value"),
            icon="edit_calendar",
            permission=held_by(EDIT),
            call=propose_like,
            target="regulation_id",
            form=ProposalForm,
            initial=lambda row: {"value": row.value, "source": row.source, "certainty": row.certainty},
            description=_(
                "A second person decides. Dates already given keep the value they were counted by."
            ),
            done=lambda row, result: (
                gettext("%(code)s = %(value)s from %(day)s is proposed. Next: another person approves it.")
                % {"code": result.code, "value": result.value or "—", "day": result.valid_from}
            ),
        ),
    )

    @display(description=_("regulation"), ordering="code")
    def title_shown(self, row: Regulation) -> str:
        return row.title.get(get_language()) or row.title.get("zh-hans") or row.code

    @display(description=_("value"))
    def value_shown(self, row: Regulation) -> str:
        return f"{row.value or '—'} {UNITS.get(row.unit, row.unit)}"


class YearForm(forms.Form):
    year = forms.IntegerField(
        label=_("Year"), min_value=2020, max_value=2100, widget=UnfoldAdminIntegerFieldWidget
    )
    days = forms.CharField(
        label=_("Days that the notice names"),
        max_length=20_000,
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 10, "placeholder": "date,working\n2027-02-06,1"}),
        help_text=_(
            "One line each: date and 1 for work or 0 for rest, under the heading date,working. Every other "
            "day is Monday to Friday."
        ),
    )
    source = forms.CharField(label=_("Source"), max_length=120, widget=UnfoldAdminTextInputWidget)
    reason = reason_field()

    def clean_days(self) -> dict[date, bool]:
        try:
            return calendar.read_days(self.cleaned_data["days"])
        except calendar.NotACalendar as refusal:
            raise forms.ValidationError(refusal.message) from None


FormPage(
    route="accounts/workcalendarday/load/",
    name="calendar_load",
    title=_("Load the calendar of a year"),
    submit=_("Load"),
    right=calendar.EDIT,
    form=YearForm,
    call=calendar.load_year,
    explanation=_("From the State Council's notice. Due dates already given keep the version they name."),
    done=lambda version: (
        gettext("The calendar is %(version)s now. Next: look at the due dates of the coming year.")
        % {"version": version},
        reverse("admin:accounts_workcalendarday_changelist"),
    ),
).register()


@admin.register(WorkCalendarDay)
class WorkCalendarDayAdmin(ReadOnlyAdmin):
    list_display = ("date", "weekday", "working_shown", "provisional_shown", "calendar_version", "source")
    list_filter = ("is_working", "provisional", ("date", RangeDateFilter))
    list_filter_submit = True
    list_before_template = "admin/accounts/calendar_above.html"
    ordering = ("-date",)
    fields = list_display

    working_shown = yes("is_working", description=_("working day"))
    provisional_shown = yes("provisional", description=_("provisional"))

    @display(description=_("weekday"))
    def weekday(self, day: WorkCalendarDay) -> str:
        return str(WEEKDAYS[day.date.weekday()])


WEEKDAYS = (_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"))
