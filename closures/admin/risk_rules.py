"""Risk rules: versions with their back-tests and scans, the editor, and the switches."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin.base import COLOURS, Badge, UntrackedAdmin, badge, plain, state_badge
from accounts.admin.columns import yes
from accounts.admin.forms import spoken
from accounts.admin.pages import FormPage
from accounts.admin.searching import ExactSearch
from accounts.admin.site import console
from accounts.errors import Refusal
from closures.admin import base
from closures.admin.base import TrackedAdmin
from closures.admin.risk_dialogs import RULE_DIALOGS, SWITCH_DIALOGS
from closures.admin.risk_forms import NewRuleForm
from closures.models import BackTest, RiskRule, RiskScan, RiskSwitch
from closures.models.risk import ACTIVATE, EDIT
from closures.selectors import risk_figures, risk_words, rule_language
from closures.services.risk import rules

SECONDS = 5.0  # a look at what a condition finds is stopped after so long
SCANS_SHOWN = 8
SWITCHED = {"STOPPED": "danger", "WORKS": "success", "IDLE": ""}


class Switch(admin.SimpleListFilter):
    title = _("switch")
    parameter_name = "switch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("stopped", _("stopped")), ("open", _("not stopped"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("stopped", "open"):
            return queryset
        return queryset.filter(stopped_at__isnull=self.value() == "open")


@admin.register(RiskRule)
class RiskRuleAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "name_shown", "title_shown", "action", "severity_shown", "state_shown", "switch_shown",
        "author_shown", "owner_shown", "state_since",
    )  # fmt: skip
    list_filter = ("state", Switch, "action", "severity")
    search_fields = ("code",)
    search_help_text = _("The whole code of a rule.")
    ordering = ("code", "-version")
    sortable_by = ("state_since",)
    fields = (
        "code", "version", "title", "title_en", "state_shown", "state_since", "condition", "action",
        "severity", "cap_per_run", "cap_per_day", "window_shown", "length_shown", "sentence",
        "sentence_en", "owner_shown", "author_shown", "edited_at", "activated_from", "activated_at",
        "backtest", "switch_shown", "stopped_at", "stopped_from", "usual_matches", "released_at",
    )  # fmt: skip
    history_hidden = ("state_since",)
    dialogs = RULE_DIALOGS
    list_before_template = "admin/closures/riskrule/above.html"
    change_form_outer_before_template = "admin/closures/riskrule/page.html"

    class Media:
        css = {"all": ("console/case.css",)}  # buttons beside rows

    state_shown = state_badge()
    severity_shown = badge("severity", description=_("severity"))
    owner_shown = plain("owner", description=_("owner"))
    author_shown = plain("edited_by", description=_("edited by"))
    activated_from = plain("activated_by", description=_("activated by"))
    stopped_from = plain("stopped_by", description=_("stopped by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        related = ("owner", "edited_by", "activated_by", "stopped_by", "backtest")
        return super().get_queryset(request).select_related(*related)

    @display(description=_("risk rule"), ordering="code")
    def name_shown(self, rule: RiskRule) -> str:
        return str(rule)

    @display(description=_("title"))
    def title_shown(self, rule: RiskRule) -> str:
        return risk_words.rule_title(rule)

    @display(description=_("no second alert within"))
    def window_shown(self, rule: RiskRule) -> str:
        return spoken(rule.dedupe_window)

    @display(description=_("freeze ends after"))
    def length_shown(self, rule: RiskRule) -> str:
        return spoken(rule.freeze_length) if rule.freeze_length else "—"

    @display(description=_("switch"), label=SWITCHED)
    def switch_shown(self, rule: RiskRule) -> Badge:
        if rule.is_stopped:
            return Badge("STOPPED", rule.get_stop_code_display(), colours=SWITCHED)
        if rule.state in RiskRule.SCANNED:
            return Badge("WORKS", _("at work"), colours=SWITCHED)
        return Badge("IDLE", "—", colours=SWITCHED)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {**switch_context(request), **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        rule = self.get_object(request, object_id)
        shown = rule and self.has_view_permission(request, rule)
        page = {**switch_context(request), **rule_page(rule, request)} if shown else {}
        return super().change_view(request, object_id, form_url, {**page, **(extra_context or {})})


def switch_context(request: HttpRequest) -> dict[str, Any]:
    """The switch of all rules with the button that this reader may press."""
    switch = RiskSwitch.objects.select_related("changed_by").first()
    if switch is None or not request.user.has_perm("closures.view_riskswitch"):
        return {}
    return {"all_rules": switch, "all_rules_buttons": base.buttons(request, switch)}


def rule_page(rule: RiskRule, request: HttpRequest) -> dict[str, Any]:
    """What a version does, what it found, how right it was, and the versions around it."""
    tests = request.user.has_perm("closures.view_backtest")
    test = BackTest.objects.filter(rule=rule).select_related("made_by").order_by("-made_at", "-pk").first()
    versions: list[Any] = list(
        RiskRule.objects.filter(code=rule.code)
        .select_related("edited_by", "activated_by")
        .order_by("-version")
    )
    scans: list[Any] = list(RiskScan.objects.filter(rule=rule).order_by("-started_at", "-pk")[:SCANS_SHOWN])
    for version in versions:
        version.colour = COLOURS[version.state]
    for scan in scans:
        scan.colour = COLOURS[scan.outcome]
    return {
        "title": f"{rule} · {risk_words.rule_title(rule)}",
        "subtitle": "",
        "sentence": risk_words.sentence(rule),
        "usual": risk_figures.usual(rule),
        "backtest": risk_words.shown(test) if test and tests else None,
        "may_see_tests": tests,
        "versions": versions,
        "scans": scans,
    }


@admin.register(RiskSwitch)
class RiskSwitchAdmin(TrackedAdmin):
    list_display = ("stopped_shown", "changed_from", "changed_at", "ground")
    fields = ("stopped_shown", "changed_from", "changed_at", "ground")
    sortable_by = ()
    dialogs = SWITCH_DIALOGS

    changed_from = plain("changed_by", description=_("changed by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("changed_by")

    @display(description=_("all risk rules"), label=SWITCHED)
    def stopped_shown(self, switch: RiskSwitch) -> Badge:
        if switch.stopped:
            return Badge("STOPPED", _("stopped"), colours=SWITCHED)
        return Badge("WORKS", _("at work"), colours=SWITCHED)


@admin.register(RiskScan)
class RiskScanAdmin(ExactSearch, UntrackedAdmin):
    list_display = (
        "started_at", "rule_shown", "shadow_shown", "outcome_shown", "matched", "usual", "fresh", "cap",
        "alerted", "folded", "frozen", "finished_at",
    )  # fmt: skip
    list_filter = ("outcome", "shadow")
    search_fields = ("rule__code",)
    search_help_text = _("The whole code of a rule.")
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "rule", "shadow_shown", "outcome_shown", "started_at", "finished_at", "matched", "usual", "fresh",
        "cap", "alerted", "folded", "frozen", "reached",
    )  # fmt: skip

    outcome_shown = badge("outcome", description=_("outcome"))
    shadow_shown = yes("shadow", description=_("in shadow"))
    rule_shown = plain("rule", description=_("risk rule"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("rule")


@admin.register(BackTest)
class BackTestAdmin(ExactSearch, UntrackedAdmin):
    list_display = ("made_at", "rule_shown", "made_from", "labels", "matches", "precision", "recall")
    search_fields = ("rule__code",)
    search_help_text = _("The whole code of a rule.")
    ordering = ("-pk",)
    sortable_by = ()
    fields = ("rule", "made_at", "made_from", "labels")
    change_form_outer_before_template = "admin/closures/riskrule/backtest.html"

    rule_shown = plain("rule", description=_("risk rule"))
    made_from = plain("made_by", description=_("made by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("rule", "made_by")

    @display(description=_("matches"))
    def matches(self, test: BackTest) -> str:
        return f"{test.result['matches']:,}"

    @display(description=_("precision"))
    def precision(self, test: BackTest) -> str:
        return risk_words.percent(test.result["precision"])

    @display(description=_("recall"))
    def recall(self, test: BackTest) -> str:
        return risk_words.percent(test.result["recall"])

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        test = self.get_object(request, object_id)
        page = {"backtest": risk_words.shown(test)} if test else {}
        return super().change_view(request, object_id, form_url, {**page, **(extra_context or {})})


# --- Pages that belong to no row ----------------------------------------------------------------------


def try_condition(request: HttpRequest) -> HttpResponse:
    """What a condition finds now: a number and a few account numbers. By POST; never who they are."""
    user = base.reader(request)
    if not (user.has_perm(EDIT) or user.has_perm(ACTIVATE)):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    context: dict[str, Any] = {}
    text = request.POST.get("condition", "")
    if text.strip():
        try:
            condition = rule_language.read(text)
            context["found"] = risk_figures.count(
                condition, now=timezone.now(), sample=risk_figures.SAMPLE, seconds=SECONDS
            )
        except Refusal as refusal:
            context["refusal"] = refusal.message
    response = render(request, "admin/closures/riskrule/found.html", context)
    response["Cache-Control"] = "no-store"
    return response


def written(rule: RiskRule) -> tuple[str, str]:
    said = gettext("Rule %(rule)s is in draft. Next: back-test it and put it in shadow.") % {"rule": rule}
    return said, reverse("admin:closures_riskrule_change", args=[rule.pk])


console().register_page("risk/try/", try_condition, name="risk_try")
FormPage(
    route="risk/rules/new/",
    name="risk_rule_new",
    title=_("New risk rule"),
    submit=_("Keep as a draft"),
    right=EDIT,
    form=NewRuleForm,
    call=rules.draft,
    done=written,
    explanation=_(
        "Nothing happens yet: a draft is back-tested, watched in shadow, and activated by another."
    ),
).register()
