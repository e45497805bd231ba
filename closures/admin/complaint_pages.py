"""Pages of the desk that belong to no row: finding who complains, the figures, a new canned reply."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin.pages import FormPage
from accounts.admin.site import console
from accounts.models import Customer
from accounts.selectors import identities
from closures.admin import intake
from closures.admin.complaint_forms import CannedForm
from closures.admin.intake import MOST, SEARCH, page
from closures.models import CannedReply
from closures.models.complaint_rows import EDIT
from closures.selectors import complaint_figures
from closures.services.complaints import canned
from closures.services.complaints.receiving import REGISTER


class FindForm(intake.FindForm):
    """By ID number or phone, or by the customer number that a letter or a regulator gives."""

    customer_no = intake.forms.CharField(
        label=_("Customer number"), required=False, max_length=32, widget=UnfoldAdminTextInputWidget
    )

    def clean(self) -> dict[str, Any]:
        if (self.cleaned_data.get("customer_no") or "").strip():
            return self.cleaned_data
        return super().clean()


@page(REGISTER, SEARCH)
def find(request: HttpRequest) -> HttpResponse:
    """Who complains: by an exact number, by POST, so that none is ever in an address. Then his page."""
    form = FindForm(request.POST if request.method == "POST" else None)
    found: list[dict[str, Any]] = []
    if request.method == "POST" and form.is_valid():
        customers = customers_of(form.cleaned_data)
        if len(customers) == 1:
            messages.info(request, gettext("Register the complaint with the button on this page."))
            return redirect("admin:accounts_customer_change", customers[0].pk)
        if not customers:
            form.add_error(None, _("Nobody is on file with exactly this. Check each digit and try again."))
        masked = identities.identities_of(customers)
        found = [{"customer": row, "identity": masked[row.pk]} for row in customers[:MOST]]
    context = {
        **admin.site.each_context(request),
        "title": gettext("New complaint"),
        "form": form,
        "found": found,
    }
    return render(request, "admin/closures/complaint/find.html", context)


def customers_of(given: dict[str, Any]) -> list[Customer]:
    number = (given.get("customer_no") or "").strip()
    if number:
        return list(Customer.objects.filter(customer_no=number))
    wanted = {name: given.get(name) or "" for name in ("id_number", "phone")}
    return list(identities.find_customers(**wanted)[: MOST + 1])


def figures(request: HttpRequest) -> HttpResponse:
    """What was complained about, of which product, from which cause, and how much of it came too late."""
    if not request.user.has_perm("closures.view_complaint"):  # type: ignore[union-attr]
        raise PermissionDenied
    asked = request.GET.get("days", "")
    days = int(asked) if asked.isdigit() and int(asked) in complaint_figures.PERIODS else 90
    chinese = (get_language() or "").startswith("zh")
    found = complaint_figures.figures(
        now=timezone.now(),
        days=days,
        label_of_all=gettext("all complaints"),
        brand=lambda zh, en: zh if chinese else en,
    )
    tables = (
        (gettext("By topic"), found.by_topic),
        (gettext("By product"), found.by_product),
        (gettext("By root cause"), found.by_cause),
        (gettext("By way in"), found.by_channel),
    )
    context = {
        **admin.site.each_context(request),
        "title": gettext("Complaint figures"),
        "figures": found,
        "tables": tables,
        "periods": complaint_figures.PERIODS,
    }
    return render(request, "admin/closures/complaint/figures.html", context)


def written(reply: CannedReply) -> tuple[str, str]:
    said = gettext("“%(title)s” is in use: agents find it when they reply.") % {"title": reply.title}
    return said, reverse("admin:closures_cannedreply_change", args=[reply.pk])


console().register_page("complaints/new/", find, name="complaint_new")
console().register_page("complaints/figures/", figures, name="complaint_figures")
FormPage(
    route="complaints/canned/new/",
    name="canned_new",
    title=_("New canned reply"),
    submit=_("Put into use"),
    right=EDIT,
    form=CannedForm,
    call=canned.write,
    done=written,
).register()
