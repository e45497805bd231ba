"""Notices and their templates: on which rung, in which state, with what proof. The text stays sealed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin.base import Dialog, UntrackedAdmin, held_by, plain, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin import base
from closures.admin.base import TrackedAdmin
from closures.admin.forms import ConfirmForm, ProofForm
from closures.models import Notice, NoticeTemplate
from closures.models.notices import NoticeChannel
from closures.selectors import reasons
from closures.services import notices


def proved(notice: Notice, result: Notice) -> str:
    said = {"number": notice.about, "proof": result.proof}
    if notice.ticket_id is None:
        return translate("The letter about %(number)s has arrived (%(proof)s).") % said
    text = translate("The letter of ticket %(number)s has arrived (%(proof)s). Next – %(next)s")
    return text % {**said, "next": base.comes_next(base.fresh(notice.ticket_id))}


PROVE_ARRIVAL = Dialog(
    name="prove_arrival",
    label=_("Enter the proof of arrival"),
    icon="markunread_mailbox",
    transition="prove_arrival",
    possible=lambda notice: notice.channel == NoticeChannel.LETTER,
    call=notices.prove_arrival,
    target="notice_id",
    form=ProofForm,
    done=proved,
)


PRINT = Dialog(
    name="print_letter",
    label=_("Print the letter"),
    icon="print",
    permission=held_by("closures.enter_letter_proof"),
    possible=lambda notice: notice.channel == NoticeChannel.LETTER and notice.state == Notice.State.SENT,
    call=notices.print_letter,
    target="notice_id",
    form=ConfirmForm,
    description=_("The text opens here to be printed and posted. It is recorded that you have seen it."),
    submit=_("Show"),
    deciding=False,
    result_template="admin/closures/notice/letter.html",
)


@admin.register(Notice)
class NoticeAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "about",
        "kind",
        "channel",
        "state_shown",
        "state_since",
        "delivered_at",
        "proof",
        "reason_shown",
    )
    list_filter = ("state", "kind", "channel", "courtesy")
    search_fields = ("about", "key")
    search_help_text = _("The whole number of what it is about, or the key.")
    ordering = ("-pk",)
    sortable_by = ("state_since",)
    fields = (
        "about",
        "ticket",
        "kind",
        "channel",
        "round",
        "courtesy",
        "asks_money",
        "language",
        "template_shown",
        "content_hash",
        "key",
        "state_shown",
        "state_since",
        "sent_at",
        "delivered_at",
        "provider_id",
        "proof",
        "reason_shown",
    )
    dialogs = (PRINT, PROVE_ARRIVAL)

    history_hidden = ("state_since",)  # the row's own moment says the same

    state_shown = state_badge()
    template_shown = plain("template", description=_("template"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("ticket", "template")

    @display(description=_("reason"))
    def reason_shown(self, notice: Notice) -> str:
        return reasons.code(notice.reason_code) or "—"


@admin.register(NoticeTemplate)
class NoticeTemplateAdmin(UntrackedAdmin):
    list_display = ("kind", "channel", "language", "version", "recorded_at")
    list_filter = ("kind", "channel")
    ordering = ("kind", "channel", "language", "-version")
    sortable_by = ()
    fields = ("kind", "channel", "language", "version", "subject", "body", "digest_shown", "recorded_at")

    @display(description=_("content hash"))
    def digest_shown(self, template: NoticeTemplate) -> str:
        return template.digest
