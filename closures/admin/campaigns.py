"""Campaigns: the list, the page of one with its progress and its guard-rails, its members, its report."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin.base import COLOURS, Badge, UntrackedAdmin, plain, state_badge
from accounts.admin.pages import FormPage
from accounts.admin.searching import ExactSearch
from closures.admin import base
from closures.admin.base import TrackedAdmin
from closures.admin.campaign_cards import GUARDS, NOT_FROZEN, VOIDED, pause_reason
from closures.admin.campaign_dialogs import ALL, newest, reasons_of
from closures.admin.campaign_forms import PlanForm, PopulationFileForm, plan_of
from closures.admin.downloads import CSV, handed_out
from closures.models import Campaign, CampaignMember, ClosureTicket
from closures.models.campaign_members import MemberState
from closures.models.campaigns import DRAFT
from closures.selectors import campaign_lists, campaign_progress
from closures.services import campaigns
from closures.services.campaigns.terms import shows_the_plan

HTML = "text/html; charset=utf-8"
# A part of the progress bar: its colour on the page.
TONES = {
    "closed": "good",
    "settling": "settling",
    "under_way": "moving",
    "unknown": "unknown",
    "failed": "bad",
    "waiting": "waiting",
    "excluded": "out",
}
PART_LABELS = {
    "closed": MemberState.CLOSED,
    "settling": MemberState.SETTLING,
    "under_way": MemberState.UNDER_WAY,
    "unknown": MemberState.UNKNOWN,
    "failed": MemberState.FAILED,
    "waiting": MemberState.PENDING,
    "excluded": MemberState.EXCLUDED,
}


def parts_of(counts: Any, population: int) -> list[dict[str, Any]]:
    """The parts of the progress bar, in the order of the page; their counts add up to the population."""
    return [
        {
            "label": PART_LABELS[name].label,
            "count": counts[name],
            "share": f"{counts[name] * 100 / population:.2f}" if population else "0",
            "tone": tone,
            "state": str(PART_LABELS[name]),
        }
        for name, tone in TONES.items()
    ]


@admin.register(Campaign)
class CampaignAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "number", "title", "product_shown", "state_shown", "state_since", "effective_on", "author_shown",
        "approver_shown",
    )  # fmt: skip
    list_filter = ("state", "product")
    search_fields = ("number",)
    search_help_text = _("The whole number of a campaign.")
    ordering = ("-pk",)
    sortable_by = ("state_since", "effective_on")
    fields = ("number", "title", "state_shown")
    # The reason of each change says in words what these columns say in codes and hashes.
    history_hidden = (
        "state_since", "report", "report_hash", "file_report", "pause_values", "pause_code", "paused_from",
        "plan_hash", "population_hash", "voided",
    )  # fmt: skip
    dialogs = ALL
    change_form_template = "admin/closures/campaign/change_form.html"
    change_list_template = "admin/closures/campaign/change_list.html"

    state_shown = state_badge()
    author_shown = plain("author", description=_("last edited by"))
    approver_shown = plain("approver", description=_("approved by"))

    @display(description=_("product"))
    def product_shown(self, campaign: Campaign) -> str:
        return base.brand(campaign.product)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        related = ("product", "author", "approver", "freeze_asked_by")
        return super().get_queryset(request).select_related(*related)

    def get_urls(self) -> list[URLPattern]:
        def of_one(view: Any, name: str) -> URLPattern:
            wrapped = self.admin_site.admin_view(view)
            return path(f"<path:object_id>/{name}/", wrapped, name=f"closures_campaign_{name}")

        mine = [
            of_one(self.plan_view, "plan"),
            of_one(self.file_view, "file"),
            of_one(self.download_view, "download"),
        ]
        return [*mine, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        more = {"may_draft": request.user.has_perm(DRAFT)}  # type: ignore[union-attr]
        return super().changelist_view(request, {**more, **(extra_context or {})})

    # The page of one

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        campaign = self.get_object(request, object_id)
        shown = campaign and self.has_view_permission(request, campaign)
        page = self.page(request, campaign) if shown else {}
        return super().change_view(request, object_id, form_url, {**page, **(extra_context or {})})

    def page(self, request: HttpRequest, campaign: Any) -> dict[str, Any]:
        """The plan, what a dry run showed, how far it is, and what would stop it."""
        run = newest(campaign)
        fresh = run is not None and shows_the_plan(run, campaign)
        campaign.colour = COLOURS[campaign.state]
        begun = campaign.state in (*Campaign.BEGUN, *Campaign.ENDED) and campaign.started_at
        page = {
            "title": campaign.number,
            "subtitle": "",
            "campaign": campaign,
            "brand": base.brand(campaign.product),
            "next_step": campaign_lists.next_step(campaign, dry_run=run, fresh=fresh),
            "editable": campaign.state in Campaign.EDITABLE and request.user.has_perm(DRAFT),  # type: ignore[union-attr]
            "voided": self.why_void(campaign),
            "paused": pause_reason(campaign.pause_code) if campaign.state == "PAUSED" else "",
            "tripped": [(GUARDS[name], value) for name, value in campaign.pause_values.items()],
            "departments": campaign.departments.filter(removed_at__isnull=True).select_related("owner"),
            "milestones": self.milestones(campaign),
            "dry_run": run,
            "stale": not fresh,
            "reasons": reasons_of(run),
            "load": self.load(run),
        }
        if campaign.frozen_at:
            page |= self.progress(campaign, request)
        if begun:
            page["guard_rails"] = [
                (GUARDS[r.guard], r, r.trips(minimum_sample=campaign.minimum_sample))
                for r in campaign_progress.guard_rails(campaign)
            ]
        return page

    def progress(self, campaign: Campaign, request: HttpRequest) -> dict[str, Any]:
        found = campaign_progress.progress(campaign)
        counts = {name: getattr(found, name) for name in TONES}
        return {
            "progress": found,
            "parts": parts_of(counts, found.population),
            "waves": campaign_progress.by_wave(campaign),
            "left_alone": [
                (campaign_progress.reason_label(code), n)
                for code, n in campaign_progress.exclusions(campaign)
            ],
            "lost": [
                (ClosureTicket.State(state).label, n) for state, n in campaign_progress.failures(campaign)
            ],
            "members_url": f"{reverse('admin:closures_campaignmember_changelist')}"
            f"?campaign__number={campaign.number}"
            if request.user.has_perm("closures.view_campaignmember")  # type: ignore[union-attr]
            else "",
        }

    def why_void(self, campaign: Campaign) -> dict[str, Any]:
        """Why an approval was void, with what was and what is."""
        if not campaign.voided:
            return {}
        words = {"total": gettext("population"), "included": gettext("to be closed")}
        was, now_is = campaign.voided.get("was", {}), campaign.voided.get("is", {})
        lines = [
            (words.get(code) or campaign_progress.reason_label(code), was.get(code, 0), now_is.get(code, 0))
            for code in dict.fromkeys([*was, *now_is])
            if was.get(code, 0) != now_is.get(code, 0)
        ]
        return {"sentence": VOIDED.get(campaign.voided.get("why", ""), NOT_FROZEN), "lines": lines}

    def milestones(self, campaign: Campaign) -> list[Any]:
        rows: list[Any] = list(
            campaign.milestones.filter(removed_at__isnull=True)
            .select_related("department")
            .order_by("due_on", "pk")
        )
        for row in rows:
            row.late = row.done_at is None and row.due_on < timezone.localdate()
        return rows

    def load(self, run: Any) -> list[dict[str, Any]]:
        """Openings a day as bars, the first thirty days."""
        days = run.forecast.get("load", [])[:30] if run else []
        most = max((number for _day, number in days), default=0) or 1
        return [
            {"day": day[5:], "number": number, "height": round(number * 100 / most)} for day, number in days
        ]

    # Other pages of one

    def plan_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The whole plan in one form; saving it makes you its author and voids an approval."""
        campaign = self._shown(request, object_id)
        return self._form_page(
            request,
            campaign,
            title=gettext("Edit the plan of %(number)s") % {"number": campaign.number},
            form=partial(PlanForm, initial=plan_of(campaign)),
            call=campaigns.edit,
            done=gettext("The plan of %(number)s is saved. Next: run it dry.") % {"number": campaign.number},
        )

    def file_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The population by file; what became of its lines shows on the campaign's page."""
        campaign = self._shown(request, object_id)
        return self._form_page(
            request,
            campaign,
            title=gettext("Population of %(number)s by file") % {"number": campaign.number},
            form=PopulationFileForm,
            call=campaigns.load,
            done=gettext("The file of %(number)s is read. Next: run it dry.") % {"number": campaign.number},
        )

    def _form_page(
        self, request: HttpRequest, campaign: Campaign, *, title: str, form: Any, call: Any, done: str
    ) -> HttpResponse:
        return FormPage(
            route="",
            name="campaign",
            title=title,
            submit=gettext("Save"),
            right=DRAFT,
            form=form,
            call=partial(call, campaign_id=campaign.pk),
            explanation=gettext("You become the plan's author; an approval that it had is void."),
            done=lambda result: (done, reverse("admin:closures_campaign_change", args=[campaign.pk])),
        ).respond(request)

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The final report as it was kept: CSV, or a page to print with `?html`."""
        campaign = self._shown(request, object_id)
        if not campaign.report:
            raise Http404
        try:
            report = campaigns.checked(campaign)
        except campaigns.ReportChanged as changed:
            messages.error(request, changed.message)
            return redirect("admin:closures_campaign_change", campaign.pk)
        if "html" not in request.GET:
            return handed_out(request, campaigns.as_csv(campaign), name=f"{campaign.number}.csv", kind=CSV)
        context = {
            "report": report,
            "digest": campaign.report_hash,
            "parts": parts_of(report["parts"], report["population"]),
            "guards": [(GUARDS[name], value) for name, value in report["guard_rails"].items()],
            "excluded": [(campaign_progress.reason_label(c), n) for c, n in report["excluded"].items()],
            "failed": [(ClosureTicket.State(s).label, n) for s, n in report["failed"].items()],
        }
        page = render_to_string("evidence/campaign_report.html", context, request=request)
        return handed_out(request, page.encode(), name=f"{campaign.number}.html", kind=HTML)

    def _shown(self, request: HttpRequest, object_id: str) -> Campaign:
        campaign = self.get_object(request, object_id)
        if not self.has_view_permission(request, campaign):
            raise PermissionDenied
        if campaign is None:
            raise Http404
        return campaign


class StandingFilter(admin.SimpleListFilter):
    """Members by where they stand, as the progress bar counts them."""

    title = _("where it stands")
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(MemberState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(standing=self.value()) if self.value() in MemberState.values else queryset


class CampaignFilter(admin.SimpleListFilter):
    """The members of one campaign: the newest to choose from, any other by its number in the address."""

    title = _("campaign")
    parameter_name = "campaign__number"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        rows = Campaign.objects.filter(frozen_at__isnull=False).order_by("-pk")[:20]
        return [(row.number, f"{row.number} {row.title}") for row in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value()
        if wanted and "\x00" in wanted:  # PostgreSQL raises over it
            return queryset.none()
        return queryset.filter(campaign__number=wanted) if wanted else queryset


@admin.register(CampaignMember)
class CampaignMemberAdmin(ExactSearch, UntrackedAdmin):
    list_display = (
        "account_shown", "campaign_shown", "wave_shown", "standing_shown", "reason_shown", "ticket_shown",
        "opened_at",
    )  # fmt: skip
    list_filter = (CampaignFilter, StandingFilter, "reason_code")
    search_fields = ("account__account_no", "ticket__number")
    search_help_text = _("The whole number of an account or a ticket.")
    ordering = ("-campaign", "wave", "pk")
    sortable_by = ()
    fields = (
        "campaign", "account", "wave_shown", "standing_shown", "reason_shown", "ticket", "opened_at",
        "facts_hash",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        related = ("campaign", "account", "ticket")
        return super().get_queryset(request).select_related(*related).standing()

    @display(description=_("account"))
    def account_shown(self, member: CampaignMember) -> str:
        return member.account.account_no

    @display(description=_("campaign"))
    def campaign_shown(self, member: CampaignMember) -> str:
        return member.campaign.number

    @display(description=_("wave"))
    def wave_shown(self, member: CampaignMember) -> str:
        if member.entry == CampaignMember.Entry.EXCLUDED:
            return "—"
        return str(member.wave) if member.wave else gettext("pilot")

    @display(description=_("where it stands"), label=COLOURS)
    def standing_shown(self, member: Any) -> Badge:
        return Badge(member.standing, MemberState(member.standing).label)

    @display(description=_("reason"))
    def reason_shown(self, member: CampaignMember) -> str:
        if member.reason_code:
            return str(member.get_reason_code_display())
        failed = getattr(member, "standing", "") == MemberState.FAILED and member.ticket
        return str(failed.get_state_display()) if failed else "—"

    @display(description=_("ticket"))
    def ticket_shown(self, member: CampaignMember) -> str:
        ticket = member.ticket
        return f"{ticket.number} · {ticket.get_state_display()}" if ticket else "—"


def drafted(campaign: Campaign) -> tuple[str, str]:
    said = gettext("Campaign %(number)s is drafted. Next: departments and milestones, then a dry run.")
    return said % {"number": campaign.number}, reverse("admin:closures_campaign_change", args=[campaign.pk])


FormPage(
    route="campaigns/new/",
    name="campaign_new",
    title=_("New campaign"),
    submit=_("Draft the campaign"),
    right=DRAFT,
    form=PlanForm,
    call=campaigns.draft,
    done=drafted,
    explanation=_("Nothing happens yet: a draft is run dry, approved by another lead, and only then begins."),
).register()
