"""The fields of the closing dialogs. Each field is named like the service's argument."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.admin.base import DialogForm, ReasonForm
from closures.models import Hold, Reversal
from closures.selectors.timeline import SEE_SILENT


class ConfirmForm(DialogForm):
    """Nothing to fill in: the button says it all."""


class ApprovalForm(ReasonForm):
    """The reason, and the fingerprint of what the reviewer was shown."""

    seen_hash = forms.CharField(widget=forms.HiddenInput, max_length=64)


class AmendForm(DialogForm):
    ground = forms.CharField(
        label=_("Ground of the closing"),
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text=_("Replaces the present ground; the history keeps both. Whoever amends it cannot decide."),
    )


class HoldForm(DialogForm):
    kind = forms.ChoiceField(label=_("Kind"), widget=UnfoldAdminSelectWidget)
    ground = forms.CharField(
        label=_("Ground"),
        max_length=300,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("An order's number, a complaint's number, what has to be clarified. Write no name."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        silent = self.user.has_perm(SEE_SILENT)
        kind: Any = self.fields["kind"]
        kind.choices = [choice for choice in Hold.Kind.choices if silent or choice[0] not in Hold.SILENT]

    def clean_kind(self) -> Hold.Kind:
        return Hold.Kind(self.cleaned_data["kind"])


class EvidenceForm(DialogForm):
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text=_("What shows that the agreement has ended: a reference, a date, a document number."),
    )


class SeenEvidenceForm(ReasonForm):
    """The reason, and the evidence as it was shown."""

    seen_evidence = forms.CharField(widget=forms.HiddenInput, max_length=500, required=False)


class ProofForm(DialogForm):
    proof = forms.CharField(
        label=_("Tracking number"),
        max_length=80,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The number under which the postal service shows that the letter was handed over."),
    )


class RevealForm(DialogForm):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("Your name, the time and this reason are recorded before anything is shown."),
    )


class ReversalForm(ReasonForm):
    """Why the closing was wrong, who found it, and what the customer gets for it."""

    source = forms.ChoiceField(
        label=_("Source"), choices=Reversal.Source.choices, widget=UnfoldAdminSelectWidget
    )
    complaint_number = forms.CharField(
        label=_("Complaint number"),
        max_length=24,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Empty where the finding is our own."),
    )
    root_cause = forms.ChoiceField(
        label=_("Root cause"), choices=Reversal.RootCause.choices, widget=UnfoldAdminSelectWidget
    )
    compensation_amount = forms.DecimalField(
        label=_("Compensation in yuan"),
        min_value=0,
        max_digits=16,
        decimal_places=2,
        initial=0,
        widget=UnfoldAdminTextInputWidget,
    )
    field_order = ("source", "complaint_number", "root_cause", "compensation_amount", "ground")


class CorrectionForm(DialogForm):
    proof = forms.CharField(
        label=_("Proof of the correction"),
        max_length=80,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The number under which the credit bureau confirms the correction."),
    )


class PaymentForm(DialogForm):
    proof = forms.CharField(
        label=_("Number of the payment"),
        max_length=80,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Under which the payment is found in the bank's statement."),
    )
