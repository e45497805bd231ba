"""The tickets: a list that says what waits for whom, and the page on which a closing is decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin.base import COLOURS, Badge, plain, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin import base
from closures.admin.base import TrackedAdmin
from closures.admin.downloads import PDF, handed_out
from closures.admin.evidence import packs_of
from closures.admin.ticket_dialogs import DIALOGS, REVEAL, asked_by
from closures.models import ClosureTicket, Complaint
from closures.rules.deadlines import china_date
from closures.selectors import after_closing, answer_dates, casefile, certificate, papers
from closures.selectors.next_steps import next_step
from closures.selectors.pdf import FontMissing
from closures.services import evidence

DUE = {"soon": "danger", "later": ""}
PEOPLE = (
    "requested_by",
    "last_edited_by",
    "decided_by",
    "notice_waiver_asked_by",
    "notice_waived_by",
    "cancel_asked_by",
    "cancelled_by",
    "answer_rule",
)


def due_soon(ticket: ClosureTicket) -> bool:
    return bool(ticket.answer_due_on and ticket.answer_due_on <= answer_dates.soon_until(now=timezone.now()))


def paint(case: casefile.CaseFile) -> None:
    """Every row of the page carries its colour for the template."""
    coloured: list[tuple[Any, str]] = [
        (case.ticket, case.ticket.state),
        (case.ticket.account, case.ticket.account.line_state),
        *[(hold, hold.state) for hold in case.holds],
        *[(line.row, line.row.state) for line in case.tasks],
        *[(line.row, line.row.severity) for line in case.blockers],
        *[(row, row.state) for row, _why in case.commands],
        *[(row, row.state) for row, _why in case.notices],
    ]
    for row, state in coloured:
        row.colour = COLOURS[state]


def complaints_of(request: HttpRequest, ticket: ClosureTicket) -> list[Complaint]:
    """What was complained about this closing, for whoever may read it."""
    if not request.user.has_perm("closures.view_complaint"):
        return []
    found: list[Any] = list(ticket.complaints.order_by("-pk")[:20])
    for complaint in found:
        complaint.colour = COLOURS[complaint.state]
    return found


def aside(request: HttpRequest, row: Any, comes_next: str) -> tuple[Any, str, list[dict[str, Any]]]:
    """A row of what came after the closing: coloured, with what comes next and its buttons."""
    row.colour = COLOURS[row.state]
    return row, comes_next, base.buttons(request, row)


class AnswerDue(admin.SimpleListFilter):
    """Open tickets by how near their answer date is."""

    title = _("answer due")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("past", _("past")),
            ("soon", _("within two working days")),
            ("week", _("within seven days")),
            ("later", _("later")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        today = china_date(moment=now)
        week = today + timedelta(days=7)
        waiting = queryset.filter(state__in=ClosureTicket.BEFORE_DECISION, answer_due_on__isnull=False)
        match self.value():
            case "past":
                return waiting.filter(answer_due_on__lt=today)
            case "soon":
                return waiting.filter(answer_due_on__lte=answer_dates.soon_until(now=now))
            case "week":
                return waiting.filter(answer_due_on__lte=week)
            case "later":
                return waiting.filter(answer_due_on__gt=week)
        return queryset


@admin.register(ClosureTicket)
class ClosureTicketAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "number",
        "product_shown",
        "customer_shown",
        "reason",
        "state_shown",
        "since_shown",
        "due_shown",
        "next_shown",
    )
    list_filter = ("state", "reason", "account__product", AnswerDue, "channel")
    search_fields = ("number", "account__account_no", "account__customer__customer_no", "certificate_no")
    ordering = ("-pk",)
    sortable_by = ("number", "since_shown")
    # What the old versions show. Left out: what was examined and approved, for it names silent holds.
    fields = (
        "number",
        "account",
        "reason",
        "channel",
        "ground",
        "state_shown",
        "state_since",
        "requested_at",
        "requested_from",
        "edited_from",
        "identity_level",
        "disclosure_version",
        "answer_due_on",
        "rule_shown",
        "answer_calendar",
        "decided_from",
        "decided_at",
        "straight_through",
        "period_ends_at",
        "notice_arrived_at",
        "unbinding_started_at",
        "ended_at",
        "certificate_no",
    )
    history_hidden = (
        "examined",
        "examined_hash",
        "examined_agreement_id",
        "approved",
        "approved_hash",
        "changes",
        "policy",
        "certificate",
        "certificate_hash",
        "request_digest",
        "idempotency_key",
        "state_since",
    )
    change_form_template = "admin/closures/closureticket/change_form.html"
    dialogs = DIALOGS

    state_shown = state_badge()
    requested_from = plain("requested_by", description=_("requested by"))
    edited_from = plain("last_edited_by", description=_("last edited by"))
    decided_from = plain("decided_by", description=_("decided by"))
    rule_shown = plain("answer_rule", description=_("answer rule"))

    def get_urls(self) -> list[URLPattern]:
        pages = {"certificate": self.certificate_view, "certificate_pdf": self.certificate_pdf_view}
        own = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"closures_closureticket_{name}",
            )
            for name, view in pages.items()
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.select_related("account__product__lender", "account__customer", *PEOPLE)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        page.result_list = list(page.result_list)
        soon = answer_dates.soon_until(now=timezone.now())
        around = casefile.around_many(page.result_list, user=base.reader(request))
        for ticket in page.result_list:
            ticket.due_soon = bool(ticket.answer_due_on and ticket.answer_due_on <= soon)
            ticket.next_step = next_step(ticket, around=around[ticket.pk])
        return page

    # The list

    @display(description=_("product"))
    def product_shown(self, ticket: ClosureTicket) -> str:
        return base.brand(ticket.account.product)

    @display(description=_("customer"))
    def customer_shown(self, ticket: ClosureTicket) -> str:
        return ticket.account.customer.customer_no

    @display(description=_("since"), ordering="state_since")
    def since_shown(self, ticket: ClosureTicket) -> str:
        return localtime(ticket.state_since).strftime("%Y-%m-%d %H:%M")

    @display(description=_("answer due"), label=DUE)
    def due_shown(self, ticket: Any) -> Badge | None:
        if ticket.answer_due_on is None or ticket.state not in ClosureTicket.BEFORE_DECISION:
            return None
        near = "soon" if ticket.due_soon else "later"
        return Badge(near, ticket.answer_due_on.isoformat(), colours=DUE)

    @display(description=_("what comes next"))
    def next_shown(self, ticket: Any) -> str:
        return f"{ticket.next_step.whose}: {ticket.next_step.sentence}"

    # The page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        ticket = self.get_object(request, object_id)
        page = self.page(request, ticket) if ticket and self.has_view_permission(request, ticket) else {}
        return super().change_view(request, object_id, form_url, {**page, **(extra_context or {})})

    def page(self, request: HttpRequest, ticket: ClosureTicket) -> dict[str, Any]:
        """The case as this reader may see it, with the buttons of every row around it."""
        case = casefile.of_ticket_for(ticket, user=base.reader(request))
        paint(case)
        after = after_closing.of_ticket(ticket)
        return {
            "reversals": [aside(request, row, after_closing.reversal_next(row)) for row in after.reversals],
            "later_money": [aside(request, row, after_closing.money_next(row)) for row in after.money],
            "title": ticket.number,
            "subtitle": "",
            "case": case,
            "account": ticket.account,
            "brand": base.brand(ticket.account.product),
            "due_soon": due_soon(ticket),
            "before_decision": ClosureTicket.BEFORE_DECISION,
            "asked_by_reader": asked_by(ticket, request.user),
            "holds": [(hold, base.buttons(request, hold)) for hold in case.holds],
            "tasks": [(line, base.buttons(request, line.row)) for line in case.tasks],
            "commands": [(row, why, base.buttons(request, row)) for row, why in case.commands],
            "complaints": complaints_of(request, ticket),
            "notices": [(row, why, base.buttons(request, row)) for row, why in case.notices],
            "packs": packs_of(ticket, request),
            "reveal": next(
                (base.button(d, ticket) for d in (REVEAL,) if d.offered(ticket, request.user)), None
            ),
        }

    def certificate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The certificate to read and print; its hash is computed again from the certified facts."""
        ticket = self.certified(request, object_id)
        return render(
            request,
            "evidence/certificate.html",
            {
                "ticket": ticket,
                "facts": certificate.shown(ticket.certificate),
                "addendum": after_closing.addendum(ticket),
                "intact": intact(ticket),
                "pdf_url": reverse("admin:closures_closureticket_certificate_pdf", args=[ticket.pk]),
            },
        )

    def certificate_pdf_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The same as a file; where no font prints Chinese the page says so and is to be printed itself."""
        ticket = self.certified(request, object_id)
        try:
            content = papers.certificate_pdf(ticket, intact=intact(ticket))
        except FontMissing as missing:
            facts = certificate.shown(ticket.certificate)
            context = {"ticket": ticket, "facts": facts, "intact": intact(ticket), "problem": missing.message}
            return render(request, "evidence/certificate.html", context)
        return handed_out(request, content, name=f"{ticket.certificate_no}.pdf", kind=PDF)

    def certified(self, request: HttpRequest, object_id: str) -> ClosureTicket:
        ticket = self.get_object(request, object_id)
        if ticket is None or not ticket.certificate_no:
            raise Http404
        if not self.has_view_permission(request, ticket):
            raise PermissionDenied
        return ticket


def intact(ticket: ClosureTicket) -> bool:
    """Whether the certified facts still give their hash."""
    return evidence.fingerprint(ticket.certificate) == ticket.certificate_hash
