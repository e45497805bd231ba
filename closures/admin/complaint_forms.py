"""The fields of the complaint dialogs. Each field is named like the service's argument."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.admin.base import DialogForm, ReasonForm
from accounts.admin.forms import day_input
from accounts.models import User
from closures.models import ClosureTicket, Complaint, ComplaintExtension
from closures.models.complaints import HANDLE
from closures.selectors import canned
from closures.selectors.canned import FIELDS, UnknownField
from closures.services.complaints.desk import LONGEST_TEXT

NOBODY = [("", "—")]
SEALED = _("Sealed when it is kept; shown to whoever may see the complaint.")


# The dialog's form sets these for its own answers; what its fields fetch goes elsewhere.
OWN_WAY = {"hx-select": "unset", "hx-disabled-elt": "unset"}


def choice(label: Any, choices: Any, *, required: bool = True, help_text: Any = "") -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        choices=choices if required else [*NOBODY, *(pair for pair in choices if pair[0])],
        required=required,
        widget=UnfoldAdminSelectWidget,
        help_text=help_text,
    )


def words(label: Any, *, rows: int = 6, required: bool = True, help_text: Any = SEALED) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=LONGEST_TEXT,
        required=required,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": rows}),
        help_text=help_text,
    )


def day(label: Any, *, help_text: Any = "") -> forms.DateField:
    return forms.DateField(label=label, required=False, widget=day_input(), help_text=help_text)


class StaffField(forms.CharField):
    """A member of staff by his number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=20, widget=UnfoldAdminTextInputWidget, **kwargs)

    def clean(self, value: Any) -> User | None:
        number = super().clean(value)
        if not number:
            return None
        found = User.objects.filter(staff_no=number).first()
        if found is None:
            raise forms.ValidationError(_("Nobody on the staff has this number."))
        return found


class WordsForm(DialogForm):
    """A text and nothing else."""

    text = words(_("Text"))


class RegisterForm(DialogForm):
    """What an agent takes down: on a ticket's page what it is about is known, on a customer's it is asked."""

    kind = choice(_("Kind"), Complaint.Kind.choices)
    topic = choice(
        _("Topic"),
        Complaint.Topic.choices,
        help_text=_("“Closed wrongly” and “notice not received” hold a closing under way."),
    )
    channel = choice(_("Came by"), Complaint.Channel.choices)
    text = words(_("What the customer says, in his own words"))
    received_on = day(_("Received on"), help_text=_("Empty: today. The clock starts on this day."))
    regulator_number = forms.CharField(
        label=_("Regulator's number"), max_length=60, required=False, widget=UnfoldAdminTextInputWidget
    )
    regulator_deadline = day(_("Regulator's deadline"))
    about_staff = StaffField(
        label=_("Complained about"), required=False, help_text=_("Staff number, if it is about a person.")
    )


class RegisterForCustomerForm(RegisterForm):
    account_id = forms.TypedChoiceField(
        label=_("Account"), coerce=int, empty_value=None, required=False, widget=UnfoldAdminSelectWidget
    )
    field_order = ("account_id",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accounts = self.obj.accounts.select_related("product").order_by("pk") if self.obj else ()
        field: Any = self.fields["account_id"]
        shown = [(row.pk, f"{row.product.brand} {row.account_no}") for row in accounts]
        field.choices = [("", translate("no account in particular")), *shown]


class ScopeForm(ReasonForm):
    scope_reason = choice(
        _("Why it is not ours"), [pair for pair in Complaint.ScopeReason.choices if pair[0]]
    )
    field_order = ("scope_reason", "ground")


class AssignForm(DialogForm):
    handler = forms.ChoiceField(label=_("Handler"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        app, codename = HANDLE.split(".")
        people = User.objects.filter(
            state=User.State.ACTIVE,
            groups__permissions__codename=codename,
            groups__permissions__content_type__app_label=app,
        ).distinct()
        field: Any = self.fields["handler"]
        field.choices = [(str(user.pk), str(user)) for user in people.order_by("staff_no")[:200]]

    def clean_handler(self) -> User:
        return User.objects.get(pk=self.cleaned_data["handler"])


class ExtensionForm(ReasonForm):
    level = choice(
        _("Level"),
        ComplaintExtension.Level.choices,
        help_text=_("Complex first; special circumstances after it, with a compliance lead's approval."),
    )
    field_order = ("level", "ground")


class VerdictForm(DialogForm):
    """An outcome and what it needs; a decision and its review ask the same."""

    outcome = choice(_("Outcome"), Complaint.Outcome.choices)
    text = words(_("Decision and its grounds"))
    root_cause = choice(
        _("Root cause"), Complaint.RootCause.choices, required=False, help_text=_("Needed if upheld.")
    )
    remedy = choice(_("Remedy"), Complaint.Remedy.choices)
    remedy_text = words(_("What is done to put it right"), rows=3, required=False)
    compensation = forms.DecimalField(
        label=_("Compensation, yuan"),
        min_value=Decimal(0),
        max_digits=12,
        decimal_places=2,
        required=False,
        widget=UnfoldAdminDecimalFieldWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ticket = self.obj.ticket if self.obj else None
        if ticket is None or ticket.state != ClosureTicket.State.CLOSED:
            field: Any = self.fields["remedy"]
            field.choices = [pair for pair in field.choices if pair[0] != Complaint.Remedy.REVERSAL]

    def clean_compensation(self) -> Decimal:
        return self.cleaned_data["compensation"] or Decimal("0.00")


class ReviewForm(VerdictForm):
    text = words(
        _("Decision of the review"), help_text=_("The complainant reads it as it stands, on the letter.")
    )


class ReplyForm(DialogForm):
    """A canned reply fills the text, the text shows its preview: by htmx, rendered by the server."""

    canned = forms.ChoiceField(label=_("Canned reply"), required=False, widget=UnfoldAdminSelectWidget)
    text = words(_("Reply"), rows=10)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.obj is None:
            return
        offered = canned.offered(self.obj)
        field: Any = self.fields["canned"]
        field.choices = [*NOBODY, *((str(row.pk), row.title) for row in offered)]
        preview = reverse("admin:closures_complaint_preview", args=[self.obj.pk])
        field.widget.attrs |= {
            "hx-get": preview,
            "hx-trigger": "change",
            "hx-target": "#id_text",
            "hx-swap": "outerHTML",
            **OWN_WAY,
        }
        text: Any = self.fields["text"]
        text.widget.attrs |= reply_box(preview)
        text.help_text = translate("Fields that are filled: %(fields)s.") % {
            "fields": ", ".join(f"{{{{ {name} }}}}" for name in FIELDS)
        }

    def clean_text(self) -> str:
        text = str(self.cleaned_data["text"])
        try:
            canned.check(text)
        except UnknownField as unknown:
            raise forms.ValidationError(unknown.message) from unknown
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned.pop("canned", None)  # how the text came about is nobody's business but the typist's
        return cleaned


def reply_box(preview: str) -> dict[str, str]:
    """What makes the text box show its preview, wherever it is rendered."""
    return {
        "hx-post": preview,
        "hx-trigger": "load, input changed delay:400ms",
        "hx-target": "#reply-preview",
        "hx-swap": "innerHTML",
        **OWN_WAY,
    }


class MergeForm(DialogForm):
    into_id = forms.CharField(
        label=_("Number of the complaint that goes on"),
        max_length=20,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Of the same customer and kind, undecided. The earlier due date of the two stands."),
    )

    def clean_into_id(self) -> int:
        number = self.cleaned_data["into_id"].strip().upper()
        found = Complaint.objects.filter(number=number).values_list("pk", flat=True).first()
        if found is None:
            raise forms.ValidationError(_("There is no complaint with this number."))
        return int(found)


class CannedForm(DialogForm):
    title = forms.CharField(label=_("Title"), max_length=80, widget=UnfoldAdminTextInputWidget)
    topic = choice(_("For the topic"), Complaint.Topic.choices, required=False)
    outcome = choice(_("For the outcome"), Complaint.Outcome.choices, required=False)
    body = forms.CharField(
        label=_("Text"), max_length=4000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 12})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["body"].help_text = translate("Fields that are filled: %(fields)s.") % {
            "fields": ", ".join(f"{{{{ {name} }}}}" for name in FIELDS)
        }
