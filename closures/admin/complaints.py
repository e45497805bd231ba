"""The complaints: a list with breaches ahead, the page of one, its printed reply and its preview."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Case, F, IntegerField, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin.base import COLOURS, Badge, plain, state_badge
from accounts.admin.searching import ExactSearch, RowsBeforeShown
from closures.admin import base
from closures.admin.base import TrackedAdmin
from closures.admin.complaint_dialogs import DIALOGS
from closures.admin.complaint_forms import reply_box
from closures.admin.downloads import PDF, handed_out
from closures.models import Complaint
from closures.models.complaints import HANDLE
from closures.rules.deadlines import china_date
from closures.selectors import (
    canned,
    complaint_clocks,
    complaint_file,
    complaint_letters,
    complaint_steps,
    papers,
)
from closures.selectors.canned import UnknownField
from closures.selectors.pdf import FontMissing

DUE = {"late": "danger", "soon": "warning", "later": ""}
RELATED = (
    "customer",
    "account__product__lender",
    "ticket",
    "hold",
    "about_staff",
    "registered_by",
    "handler",
    "due_rule",
    "clock_of",
    "decided_by",
    "review_rule",
    "reviewed_by",
    "merged_into",
)


# Running before ended, and of those the soonest first, so that breaches stand ahead.
SOONEST = (
    Case(
        When(state__in=[*Complaint.UNDECIDED, Complaint.State.REVIEW_REQUESTED], then=Value(0)),
        When(state__in=Complaint.RUNNING, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    ).asc(),
    Case(When(state=Complaint.State.REVIEW_REQUESTED, then=F("review_due_on")), default=F("due_on")).asc(),
    "pk",
)


def how_near(complaint: Complaint, *, now: Any) -> str:
    """How near the date that runs is: late, soon or later."""
    due, today = complaint_clocks.current_due(complaint), china_date(moment=now)
    if due is None:
        return "later"
    return "late" if due < today else "soon" if due <= today + complaint_clocks.SOON else "later"


class Show(admin.SimpleListFilter):
    """What runs, unless something else is asked for: the list is for work."""

    title = _("show")
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("ended", _("ended")), ("all", _("all complaints"))]

    def choices(self, changelist: Any) -> Any:
        for chosen in super().choices(changelist):
            if chosen["query_string"] == changelist.get_query_string(remove=[self.parameter_name]):
                chosen["display"] = _("in hand")
            yield chosen

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "ended":
                return queryset.filter(state__in=Complaint.ENDED)
            case "all":
                return queryset
        asked = {"q", "state__exact"} & set(request.GET)  # who asks for one finds it, whatever its state
        return queryset if asked else queryset.filter(state__in=Complaint.RUNNING)


class Due(admin.SimpleListFilter):
    title = _("due date")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("late", _("overdue")), ("soon", _("overdue or within three days"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        today = china_date(moment=timezone.now())
        undecided = queryset.filter(state__in=Complaint.UNDECIDED)
        match self.value():
            case "late":
                return undecided.filter(due_on__lt=today)
            case "soon":
                return undecided.filter(due_on__lte=today + complaint_clocks.SOON)
        return queryset


@admin.register(Complaint)
class ComplaintAdmin(RowsBeforeShown, ExactSearch, TrackedAdmin):
    list_display = (
        "number",
        "topic",
        "customer_shown",
        "channel_shown",
        "state_shown",
        "due_shown",
        "target_shown",
        "handler_shown",
        "next_shown",
    )
    list_filter = (Show, Due, "state", "kind", "topic", "channel", "outcome", "root_cause")
    search_fields = ("number", "customer__customer_no", "regulator_number", "ticket__number")
    search_help_text = _("The whole number of a complaint, a customer, a ticket, or the regulator's.")
    sortable_by = ("number",)
    fields = (
        "number", "kind", "topic", "channel", "customer_shown", "account", "ticket", "state_shown",
        "state_since", "received_on", "registered_at", "registered_from", "handler_shown", "about_shown",
        "regulator_number", "regulator_deadline", "scope_reason", "clock", "clock_started_on", "due_on",
        "rule_shown", "due_calendar", "outcome", "root_cause", "remedy", "compensation", "decided_from",
        "decided_at", "marked_on", "replied_at", "review_until", "review_requested_on", "review_due_on",
        "review_outcome", "reviewed_from", "reviewed_at", "merged_into", "ended_at",
    )  # fmt: skip
    history_hidden = ("state_since",)
    change_form_template = "admin/closures/complaint/change_form.html"
    dialogs = DIALOGS

    state_shown = state_badge()
    handler_shown = plain("handler", description=_("handler"))
    registered_from = plain("registered_by", description=_("entered by"))
    about_shown = plain("about_staff", description=_("complained about"))
    rule_shown = plain("due_rule", description=_("due by rule"))
    decided_from = plain("decided_by", description=_("decided by"))
    reviewed_from = plain("reviewed_by", description=_("reviewed by"))

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: Any) -> URLPattern:
            return path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"closures_complaint_{name}",
            )

        return [page("letter", self.letter_view), page("preview", self.preview_view), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related(*RELATED)

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        return SOONEST

    def prepare(self, rows: list[Any]) -> None:
        now = timezone.now()
        targets = complaint_clocks.targets(rows, now=now)
        beside = complaint_steps.beside_many(rows)
        for row in rows:
            row.target_on = targets[row.pk] if row.is_undecided else None
            row.near = how_near(row, now=now)
            row.step = complaint_steps.next_step(row, beside=beside[row.pk])

    # The list

    @display(description=_("customer"))
    def customer_shown(self, complaint: Complaint) -> str:
        return complaint.customer.customer_no

    @display(description=_("came by"))
    def channel_shown(self, complaint: Complaint) -> str:
        number = complaint.regulator_number
        return f"{complaint.get_channel_display()} {number}".strip()

    @display(description=_("due on"), label=DUE)
    def due_shown(self, complaint: Any) -> Badge | None:
        due = complaint_clocks.current_due(complaint)
        return Badge(complaint.near, due.isoformat(), colours=DUE) if due else None

    @display(description=_("our target"))
    def target_shown(self, complaint: Any) -> str:
        return complaint.target_on.isoformat() if complaint.target_on else "—"

    @display(description=_("what comes next"))
    def next_shown(self, complaint: Any) -> str:
        return f"{complaint.step.whose}: {complaint.step.sentence}"

    # The page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        complaint = self.get_object(request, object_id)
        shown = complaint and self.has_view_permission(request, complaint)
        page = self.page(request, complaint) if shown else {}
        return super().change_view(request, object_id, form_url, {**page, **(extra_context or {})})

    def page(self, request: HttpRequest, complaint: Complaint) -> dict[str, Any]:
        """The case as this reader may see it, with the buttons of the extensions around it."""
        now = timezone.now()
        case = complaint_file.of_complaint_for(complaint, user=base.reader(request), now=now)
        for row in (complaint, *case.extensions, *case.holds, *case.merged, *case.others):
            row.colour = COLOURS[row.state]
        for notice, _why in case.notices:
            notice.colour = COLOURS[notice.state]
        return {
            "title": complaint.number,
            "subtitle": "",
            "case": case,
            "near": how_near(complaint, now=now),
            "due_now": complaint_clocks.current_due(complaint),
            "brand": base.brand(complaint.account.product) if complaint.account else "",
            "extensions": [(row, base.buttons(request, row)) for row in case.extensions],
            "notices": [(row, why, base.buttons(request, row)) for row, why in case.notices],
        }

    def letter_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The written reply to read and print."""
        complaint = self.get_object(request, object_id)
        if not self.has_view_permission(request, complaint):
            raise PermissionDenied
        facts = complaint_letters.reply_facts(complaint, now=timezone.now()) if complaint else None
        if facts is None or complaint.about_staff_id == request.user.pk:
            raise Http404
        context: dict[str, Any] = {"facts": facts}
        if "pdf" in request.GET:
            try:
                content = papers.reply_pdf(facts, dated=complaint.reviewed_at or complaint.replied_at)
            except FontMissing as missing:
                context["problem"] = missing.message
            else:
                return handed_out(request, content, name=f"{complaint.number}.pdf", kind=PDF)
        return render(request, "evidence/complaint_reply.html", context)

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET: the text box with a canned reply in it. POST: the text as the complainant will read it."""
        complaint = self.get_object(request, object_id)
        if not self.has_view_permission(request, complaint) or not request.user.has_perm(HANDLE):  # type: ignore[union-attr]
            raise PermissionDenied
        if complaint is None:
            raise Http404
        if request.method == "POST":
            return self._preview(request, complaint)
        chosen = request.GET.get("canned", "")
        found = canned.offered(complaint).filter(pk=chosen).first() if chosen.isdigit() else None
        context = {"body": found.body if found else "", "attrs": reply_box(request.path)}
        return render(request, "admin/closures/complaint/reply_box.html", context)

    def _preview(self, request: HttpRequest, complaint: Complaint) -> HttpResponse:
        text, refusal = request.POST.get("text", "")[:10_000], ""
        until = complaint_clocks.by_rule(
            "COMPLAINT_REVIEW_REQUEST", started_on=china_date(moment=timezone.now())
        )
        try:
            text = canned.fill(text, complaint, now=timezone.now(), review_until=until.due_on.isoformat())
        except UnknownField as unknown:
            text, refusal = "", unknown.message
        context = {"text": text, "refusal": refusal}
        return render(request, "admin/closures/complaint/preview.html", context)
