"""The machine's pulse: callbacks that came in, sweeps that ran, invariants that hold. No customer data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.actors import Actor
from accounts.admin.base import Badge, Dialog, UntrackedAdmin, badge, held_by
from accounts.admin.searching import ExactSearch
from closures import jobs
from closures.admin.forms import ConfirmForm
from closures.jobs import Job
from closures.models import InvariantCheck, PartnerCallback, Sweep
from closures.selectors import reasons

HEALTH = {"runs": "success", "failing": "danger", "never": ""}
VERDICT = {"holds": "success", "broken": "danger"}
KINDS = {
    "agreement.ended": _("agreement ended"),
    "agreement.signed": _("agreement signed"),
    "sms.receipt": _("receipt of a text message"),
    "ledger.money_after_closing": _("money after a closing"),
}
JOBS: dict[str, Any] = {
    Job.TICK: _("tick: what is due is woken"),
    Job.ASSESS: _("assessment of requests"),
    Job.END_PERIODS: _("end of periods"),
    Job.SETTLE: _("settling of balances"),
    Job.START_UNBINDING: _("start of unbinding"),
    Job.RETRY_UNBINDING: _("calls to partners"),
    Job.FINISH_UNBINDING: _("end of unbinding"),
    Job.TELL_DELAYS: _("notices of delay"),
    Job.CLOSE: _("closing of accounts"),
    Job.COMMAND_LEDGER: _("commands to the core ledger"),
    Job.DELIVER_NOTICES: _("delivery of notices"),
    Job.SEND_CODES: _("sending of one-time codes"),
    Job.APPLY_CALLBACKS: _("application of callbacks"),
    Job.DERIVE_WEBHOOKS: _("events for the apps"),
    Job.SEND_WEBHOOKS: _("sending of webhooks"),
    Job.FORGET_API_CALLS: _("removal of old API calls"),
    Job.WAKE_CHANGED: _("examination of what has changed"),
    Job.ANSWER_OVERDUE: _("answers that are due"),
    Job.SCAN_RISK: _("scans of the risk rules"),
    Job.EXPIRE_RESTRICTIONS: _("expiry of restrictions"),
    Job.RECOUNT_ANSWERS: _("recount of the answer dates"),
    Job.FINISH_REVERSALS: _("opening of accounts after a reversal"),
    Job.TAKE_MOVEMENTS: _("taking over of money on closed accounts"),
    Job.PROVE_PAYOUTS: _("proof of payouts after closing"),
    Job.CHECK_INVARIANTS: _("check of the invariants"),
    Job.COLLECT_DESTRUCTION: _("collection of data whose time is over"),
    Job.ERASE_CUSTOMERS: _("erasure of customers"),
    Job.PREPARE_BUREAU_REPORT: _("preparation of bureau reports"),
    Job.RUN_CAMPAIGNS: _("batches of campaigns"),
    Job.GUARD_CAMPAIGNS: _("guard-rails of campaigns"),
}
INVARIANTS = {
    1: _("No closed ticket has a task that is not done"),
    2: _("No risk or policy closing without the notice's arrival or a waiver by two"),
    3: _("Nobody decides what he asked for; waivers and evidence name two people"),
    4: _("One open ticket per account"),
    5: _("Due dates equal their recomputation"),
    6: _("At the moment of closing nothing is owed either way"),
    7: _("No repayment agreement is unbound while money is owed"),
    8: _("At most one effect at the partner per task"),
    9: _("Complaints are decided in time"),
    10: _("Data is kept ten years after the last relationship"),
    11: _("Every tracked row equals its newest history row"),
    12: _("No personal data where none belongs"),
}


@admin.register(PartnerCallback)
class PartnerCallbackAdmin(ExactSearch, UntrackedAdmin):
    list_display = (
        "received_at",
        "partner",
        "kind_shown",
        "event_id",
        "outcome_shown",
        "detail_shown",
        "repeats",
    )
    list_filter = ("outcome",)
    search_fields = ("event_id",)
    search_help_text = _("The whole event number.")
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "partner",
        "event_id",
        "kind_shown",
        "received_at",
        "outcome_shown",
        "detail_shown",
        "repeats",
        "attempts",
        "due_at",
    )

    outcome_shown = badge("outcome", description=_("outcome"))

    @display(description=_("kind"))
    def kind_shown(self, callback: PartnerCallback) -> str:
        return kind(callback.kind)

    @display(description=_("detail"))
    def detail_shown(self, callback: PartnerCallback) -> str:
        return reasons.heard(callback.detail) or "—"


def kind(code: str) -> str:
    """What a callback is about, in the reader's language."""
    return str(KINDS.get(code, code))


def job(name: str) -> str:
    """A kind of work in the reader's language; one of a former release keeps its code."""
    return str(JOBS.get(name, name))


def run_now(*, sweep_id: int, actor: Actor, now: datetime) -> bool:
    """A wake-up for this kind of work is on its way; False if one already was."""
    return jobs.wake(Job(Sweep.objects.get(pk=sweep_id).job))


def woken(sweep: Sweep, result: bool) -> str:
    text = translate("Sweep %(job)s was woken; its last run shows here.")
    if not result:
        text = translate("Sweep %(job)s was not woken: a wake-up is on its way, or the broker is down.")
    return text % {"job": job(sweep.job)}


@admin.register(Sweep)
class SweepAdmin(UntrackedAdmin):
    list_display = ("job_shown", "health", "started_at", "finished_at", "moved", "failures", "failure")
    ordering = ("job",)
    sortable_by = ()
    fields = (
        "job_shown",
        "job",
        "health",
        "woken_at",
        "started_at",
        "finished_at",
        "moved",
        "failures",
        "failure",
    )
    dialogs = (
        Dialog(
            name="run",
            label=_("Run now"),
            icon="play_arrow",
            variant=ActionVariant.PRIMARY,
            permission=held_by("closures.run_sweep"),
            possible=lambda sweep: sweep.job in set(Job),
            call=run_now,
            target="sweep_id",
            form=ConfirmForm,
            description=_("A worker looks for this kind of work at once. Running twice does no harm."),
            deciding=False,
            done=woken,
        ),
    )

    @display(description=_("work"), ordering="job")
    def job_shown(self, sweep: Sweep) -> str:
        return job(sweep.job)

    @display(description=_("health"), label=HEALTH)
    def health(self, sweep: Sweep) -> Badge:
        if sweep.failures:
            return Badge("failing", _("failing"), colours=HEALTH)
        if sweep.finished_at:
            return Badge("runs", _("runs"), colours=HEALTH)
        return Badge("never", _("has not run"), colours=HEALTH)


@admin.register(InvariantCheck)
class InvariantCheckAdmin(UntrackedAdmin):
    list_display = ("number", "sentence", "verdict", "examined", "violations", "checked_at")
    list_filter = ("number",)
    ordering = ("-checked_at", "number")
    sortable_by = ("checked_at",)
    fields = ("number", "sentence", "verdict", "checked_at", "examined", "violations", "examples")

    @display(description=_("what must hold"))
    def sentence(self, check: InvariantCheck) -> str:
        return str(INVARIANTS.get(check.number, check.number))

    @display(description=_("verdict"), label=VERDICT)
    def verdict(self, check: InvariantCheck) -> Badge:
        if check.violations:
            return Badge("broken", _("broken"), colours=VERDICT)
        return Badge("holds", pgettext_lazy("verdict", "holds"), colours=VERDICT)
