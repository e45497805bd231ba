"""Unbinding tasks and their attempts: what the machine does with partners, and what people do when it stops.

Operators work here without customer data: agreement, partner and key, no customer, and a link to the ticket
only for whoever may read tickets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin.base import Dialog, UntrackedAdmin, held_by, in_states, plain, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin.base import TrackedAdmin
from closures.admin.forms import EvidenceForm, SeenEvidenceForm
from closures.models import UnbindAttempt, UnbindTask
from closures.selectors import health, reasons
from closures.services import rescue

State = UnbindTask.State


def says(text: Any) -> Callable[[UnbindTask, Any], str]:
    """A message with the task's agreement in it."""
    return lambda task, result: str(text) % {"agreement": str(task.agreement)}


def same_person(field: str) -> Callable[[UnbindTask, Any], bool]:
    return lambda task, user: getattr(task, field) == user.pk


DIALOGS = (
    Dialog(
        name="revive",
        label=_("Try again"),
        icon="refresh",
        variant=ActionVariant.PRIMARY,
        transition="revive",
        call=rescue.revive,
        target="task_id",
        description=_("Sent again with the same key and a full number of attempts."),
        deciding=False,
        done=says(_("%(agreement)s is tried again at once; watch its attempts here.")),
    ),
    Dialog(
        name="take_over",
        label=_("Take over by hand"),
        icon="back_hand",
        transition="take_over",
        call=rescue.take_over,
        target="task_id",
        description=_("You end the agreement with the partner by other means and give evidence of it."),
        deciding=False,
        done=says(_("%(agreement)s is done by hand now. Next: evidence, and a second person confirms it.")),
    ),
    Dialog(
        name="give_evidence",
        label=_("Give evidence"),
        icon="attach_file",
        permission=held_by("closures.give_evidence"),
        possible=in_states(State.MANUAL),
        call=rescue.give_evidence,
        target="task_id",
        form=EvidenceForm,
        deciding=False,
        done=says(_("The evidence for %(agreement)s is recorded. Next: a second person confirms it.")),
    ),
    Dialog(
        name="confirm_evidence",
        label=_("Confirm the evidence"),
        icon="verified",
        variant=ActionVariant.PRIMARY,
        transition="confirm",
        possible=lambda task: task.evidence_by_id is not None,
        hidden_from=same_person("evidence_by_id"),
        call=rescue.confirm_evidence,
        target="task_id",
        form=SeenEvidenceForm,
        initial=lambda task: {"seen_evidence": task.evidence},
        description=lambda task: translate("Evidence given: %(evidence)s") % {"evidence": task.evidence},
        done=says(_("%(agreement)s counts as ended. The closing goes on when all its tasks are done.")),
    ),
    Dialog(
        name="abandon",
        label=_("Not possible by hand"),
        icon="block",
        transition="abandon",
        call=rescue.abandon,
        target="task_id",
        deciding=False,
        done=says(_("%(agreement)s is given up again. Next: try again, or two people waive it.")),
    ),
    Dialog(
        name="ask_waiver",
        label=_("Ask for a waiver"),
        icon="help",
        permission=held_by("closures.waive"),
        possible=lambda task: task.state in (State.DEAD, State.MANUAL) and task.waiver_asked_by_id is None,
        call=rescue.ask_waiver,
        target="task_id",
        description=_("The closing would go on although this agreement stays with the partner."),
        done=says(_("A waiver for %(agreement)s is asked for. Next: a second person decides on it.")),
    ),
    Dialog(
        name="grant_waiver",
        label=_("Grant the waiver"),
        icon="gavel",
        variant=ActionVariant.DANGER,
        transition="waive",
        possible=lambda task: task.waiver_asked_by_id is not None,
        hidden_from=same_person("waiver_asked_by_id"),
        call=rescue.grant_waiver,
        target="task_id",
        description=_("You are the second person. The agreement stays, the closing goes on without it."),
        done=says(_("%(agreement)s is waived and stays. The closing goes on when all its tasks are done.")),
    ),
)


@admin.register(UnbindTask)
class UnbindTaskAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "key",
        "partner",
        "agreement_no",
        "state_shown",
        "age",
        "reason_shown",
        "attempts",
        "due_at",
    )
    list_filter = ("state",)
    search_fields = ("key", "agreement__agreement_no", "ticket__number")
    search_help_text = _("The whole key, agreement number or ticket number.")
    ordering = ("-pk",)
    sortable_by = ("due_at",)
    fields = (
        "key",
        "partner",
        "agreement_no",
        "kind",
        "state_shown",
        "state_since",
        "waits_for",
        "reason_shown",
        "attempts",
        "due_at",
        "seen_bound",
        "call_may_have_arrived",
        "settles_at",
        "evidence",
        "evidence_from",
        "confirmed_from",
        "waiver_asked_from",
        "waived_from",
    )
    change_form_outer_after_template = "admin/closures/unbindtask/attempts.html"
    dialogs = DIALOGS

    history_hidden = ("state_since",)  # the row's own moment says the same

    state_shown = state_badge()
    evidence_from = plain("evidence_by", description=_("evidence by"))
    confirmed_from = plain("confirmed_by", description=_("confirmed by"))
    waiver_asked_from = plain("waiver_asked_by", description=_("waiver asked by"))
    waived_from = plain("waived_by", description=_("waived by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        people = ("evidence_by", "confirmed_by", "waiver_asked_by", "waived_by")
        return super().get_queryset(request).select_related("agreement", "ticket", *people)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        task = self.get_object(request, object_id)
        tries = list(task.tries.order_by("-pk")[:50]) if task else []
        context = {
            "attempts": [(one, reasons.heard(one.heard)) for one in tries],
            "ticket": task.ticket if task and request.user.has_perm("closures.view_closureticket") else None,
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    @display(description=_("what comes next"))
    def waits_for(self, task: UnbindTask) -> str:
        waiting = health.of_task(task)
        return f"{waiting.whose}: {waiting.sentence}"

    @display(description=_("partner"))
    def partner(self, task: UnbindTask) -> str:
        return task.agreement.partner

    @display(description=_("agreement number"))
    def agreement_no(self, task: UnbindTask) -> str:
        return task.agreement.agreement_no

    @display(description=_("kind"))
    def kind(self, task: UnbindTask) -> str:
        return str(task.agreement.get_kind_display())

    @display(description=_("since"), ordering="state_since")
    def age(self, task: UnbindTask) -> str:
        return timesince(task.state_since, timezone.now(), depth=1)

    @display(description=_("reason"))
    def reason_shown(self, task: UnbindTask) -> str:
        return reasons.code(task.reason_code) or "—"


@admin.register(UnbindAttempt)
class UnbindAttemptAdmin(ExactSearch, UntrackedAdmin):
    list_display = ("started_at", "task_key", "verb", "heard_shown", "detail", "applied", "finished_at")
    list_filter = ("verb", "applied")
    search_fields = ("task__key",)
    search_help_text = _("The whole key of the task.")
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "task_key",
        "verb",
        "fence",
        "started_at",
        "finished_at",
        "heard_shown",
        "detail",
        "applied",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("task")

    @display(description=_("task"))
    def task_key(self, attempt: UnbindAttempt) -> str:
        return attempt.task.key

    @display(description=_("heard"))
    def heard_shown(self, attempt: UnbindAttempt) -> str:
        return reasons.heard(attempt.heard) or "—"
