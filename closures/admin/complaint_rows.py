"""What hangs on complaints, by its own pages: extensions, waits for complainants, canned replies."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.admin.base import Dialog, held_by, plain, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin.base import TrackedAdmin
from closures.admin.complaint_entries import EXTENSION_DIALOGS
from closures.admin.complaint_forms import CannedForm
from closures.admin.forms import ConfirmForm
from closures.models import CannedReply, ComplaintExtension, ComplaintPause
from closures.models.complaint_rows import EDIT
from closures.services.complaints import canned as writing


@admin.register(ComplaintExtension)
class ComplaintExtensionAdmin(ExactSearch, TrackedAdmin):
    list_display = ("complaint_shown", "level", "state_shown", "from_due_on", "to_due_on", "asked_from")
    list_filter = ("state", "level")
    search_fields = ("complaint__number",)
    search_help_text = _("The whole number of the complaint.")
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "complaint_shown", "level", "state_shown", "from_due_on", "from_rule", "from_calendar", "to_due_on",
        "to_rule", "to_calendar", "asked_from", "asked_at", "approved_from", "told_at",
    )  # fmt: skip
    dialogs = EXTENSION_DIALOGS

    state_shown = state_badge()
    complaint_shown = plain("complaint", description=_("complaint"))
    asked_from = plain("asked_by", description=_("asked by"))
    approved_from = plain("approved_by", description=_("decided by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        related = ("complaint", "asked_by", "approved_by", "from_rule", "to_rule")
        return super().get_queryset(request).select_related(*related)


@admin.register(ComplaintPause)
class ComplaintPauseAdmin(ExactSearch, TrackedAdmin):
    list_display = ("complaint_shown", "started_on", "ended_on")
    list_filter = (("ended_on", admin.EmptyFieldListFilter),)
    search_fields = ("complaint__number",)
    search_help_text = _("The whole number of the complaint.")
    ordering = ("-pk",)
    sortable_by = ()
    fields = list_display

    complaint_shown = plain("complaint", description=_("complaint"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("complaint")


def told(text: Any) -> Any:
    return lambda reply, result: str(text) % {"title": result.title, "version": result.version}


CANNED_DIALOGS = (
    Dialog(
        name="edit",
        label=_("Edit"),
        icon="edit",
        permission=held_by(EDIT),
        call=writing.edit,
        target="reply_id",
        form=CannedForm,
        initial=lambda reply: {
            "title": reply.title, "topic": reply.topic, "outcome": reply.outcome, "body": reply.body,
        },
        deciding=False,
        done=told(_("“%(title)s” reads so from now on, as version %(version)s.")),
    ),
    Dialog(
        name="retire",
        label=_("Take out of use"),
        icon="archive",
        transition="retire",
        call=writing.retire,
        target="reply_id",
        form=ConfirmForm,
        deciding=False,
        done=told(_("“%(title)s” is offered no more.")),
    ),
    Dialog(
        name="revive",
        label=_("Use again"),
        icon="unarchive",
        transition="revive",
        call=writing.revive,
        target="reply_id",
        form=ConfirmForm,
        deciding=False,
        done=told(_("“%(title)s” is offered again.")),
    ),
)  # fmt: skip


@admin.register(CannedReply)
class CannedReplyAdmin(TrackedAdmin):
    list_display = ("title", "topic", "outcome", "version", "state_shown")
    list_filter = ("state", "topic", "outcome")
    ordering = ("title",)
    sortable_by = ()
    fields = ("title", "topic", "outcome", "version", "state_shown", "body")
    dialogs = CANNED_DIALOGS

    state_shown = state_badge()
