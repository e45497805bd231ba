"""Files for the credit bureau: downloaded, handed in by hand, and what the bureau said."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin.base import Dialog, DialogForm, UntrackedAdmin, plain, state_badge
from accounts.admin.columns import yes
from accounts.admin.searching import ExactSearch
from closures.admin.base import TrackedAdmin
from closures.admin.downloads import CSV, handed_out
from closures.admin.forms import ConfirmForm
from closures.models import BureauRecord, BureauReport
from closures.models.tickets import Reason
from closures.services import reporting


class ReceiptForm(DialogForm):
    receipt_no = forms.CharField(
        label=_("The bureau's receipt"),
        max_length=80,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The number under which the bureau took the file."),
    )


def said(text: Any) -> Any:
    return lambda report, result: str(text) % {"number": result.number, "old": report.number}


SUBMIT = Dialog(
    name="submit",
    label=_("Enter the receipt"),
    icon="outbox",
    variant=ActionVariant.PRIMARY,
    transition="submit",
    call=reporting.submit,
    target="report_id",
    form=ReceiptForm,
    description=_(
        "There is no line to the bureau: download the file, hand it in there, then enter its receipt."
    ),
    done=said(_("Report %(number)s is handed in. Next: the bureau's answer.")),
)
ACCEPT = Dialog(
    name="accept",
    label=_("The bureau accepted it"),
    icon="check",
    transition="accept",
    call=reporting.accept,
    target="report_id",
    form=ConfirmForm,
    done=said(_("Report %(number)s is accepted.")),
)
REJECT = Dialog(
    name="reject",
    label=_("The bureau rejected it"),
    icon="close",
    variant=ActionVariant.DANGER,
    transition="reject",
    call=reporting.reject,
    target="report_id",
    done=said(_("Report %(number)s is rejected. Next: prepare a correction.")),
)
CORRECT = Dialog(
    name="correct",
    label=_("Prepare a correction"),
    icon="edit_document",
    transition="correct",
    call=reporting.correct,
    target="report_id",
    description=_(
        "A new version with the same closings as they are now; closings undone since are left out."
    ),
    done=said(_("Report %(number)s stands in for %(old)s. Next: hand it in.")),
)


@admin.register(BureauReport)
class BureauReportAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "number", "version", "state_shown", "from_on", "to_on", "lines", "receipt_no", "state_since",
        "content_hash",
    )  # fmt: skip
    list_filter = ("state",)
    search_fields = ("number", "receipt_no")
    ordering = ("-pk",)
    sortable_by = ("state_since",)
    fields = (
        "number", "version", "replaces_shown", "state_shown", "state_since", "from_on", "to_on", "lines",
        "content_hash", "receipt_no", "submitted_at", "submitted_from",
    )  # fmt: skip
    history_hidden = ("state_since",)
    dialogs = (SUBMIT, ACCEPT, REJECT, CORRECT)
    change_form_outer_before_template = "admin/closures/bureaureport/download.html"

    state_shown = state_badge()
    replaces_shown = plain("replaces", description=_("replaces"))
    submitted_from = plain("submitted_by", description=_("handed in by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("replaces", "submitted_by")

    def get_urls(self) -> list[URLPattern]:
        download = path(
            "<path:object_id>/download/",
            self.admin_site.admin_view(self.download_view),
            name="closures_bureaureport_download",
        )
        return [download, *super().get_urls()]

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The file as CSV; one whose lines no longer give its hash is not handed out."""
        report = self.get_object(request, object_id)
        if report is None:
            raise Http404
        if not self.has_view_permission(request, report):
            raise PermissionDenied
        try:
            content = reporting.content(report)
        except reporting.FileChanged as changed:
            messages.error(request, changed.message)
            return redirect("admin:closures_bureaureport_change", report.pk)
        return handed_out(request, content, name=f"{report.number}.csv", kind=CSV)


@admin.register(BureauRecord)
class BureauRecordAdmin(ExactSearch, UntrackedAdmin):
    list_display = (
        "ticket_shown",
        "report_shown",
        "account_no",
        "closed_on",
        "reason_shown",
        "current_shown",
    )
    search_fields = ("ticket__number", "report__number")
    ordering = ("-pk",)
    sortable_by = ()
    fields = ("ticket", "report", "account_no", "closed_on", "reason_shown", "current_shown")

    current_shown = yes("current", description=_("in the newest version"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("ticket", "report")

    @display(description=_("ticket"))
    def ticket_shown(self, record: BureauRecord) -> str:
        return record.ticket.number

    @display(description=_("bureau report"))
    def report_shown(self, record: BureauRecord) -> str:
        return record.report.number

    @display(description=_("account number"))
    def account_no(self, record: BureauRecord) -> str:
        return record.values.get("account_no", "")

    @display(description=_("closed on"))
    def closed_on(self, record: BureauRecord) -> str:
        return record.values.get("closed_on", "")

    @display(description=_("reason"))
    def reason_shown(self, record: BureauRecord) -> str:
        code = record.values.get("reason", "")
        return str(dict(Reason.choices).get(code, code))
