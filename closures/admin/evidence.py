"""Evidence packs: made from a ticket's page, listed with their hash, downloaded as they were made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldBooleanWidget

from accounts.actors import Actor
from accounts.admin.base import Dialog, DialogForm, UntrackedAdmin, held_by
from accounts.admin.columns import yes
from accounts.admin.searching import ExactSearch
from closures.admin import base
from closures.admin.downloads import ZIP, handed_out
from closures.models import ClosureTicket, EvidencePack
from closures.selectors import pdf
from closures.selectors.timeline import SEE_SILENT
from closures.services import evidence

MAKE = "closures.make_evidence_pack"


class PackForm(DialogForm):
    for_outside = forms.BooleanField(
        label=_("To be handed out: without silent holds"),
        required=False,
        initial=True,
        widget=UnfoldBooleanWidget,
        help_text=_(
            "Nobody outside may learn of a silent hold. Without the tick the pack stays in the house."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.user.has_perm(SEE_SILENT):
            del self.fields["for_outside"]


def make(*, ticket_id: int, actor: Actor, now: datetime, for_outside: bool = True) -> EvidencePack:
    """A pack in the reader's language."""
    language = "en" if get_language() == "en" else "zh-hans"
    return evidence.make_pack(
        ticket_id=ticket_id, language=language, for_outside=for_outside, actor=actor, now=now
    )


def made(ticket: ClosureTicket, pack: EvidencePack) -> str:
    said = translate("Evidence pack %(number)s of ticket %(ticket)s is made, hash %(hash)s…") % {
        "number": pack.number,
        "ticket": ticket.number,
        "hash": pack.digest[:12],
    }
    try:
        pdf.font_file()
    except pdf.FontMissing as missing:
        return f"{said} {missing.message} {translate('Its pages are HTML instead.')}"
    return said


MAKE_PACK = Dialog(
    name="pack",
    label=_("Make an evidence pack"),
    icon="folder_zip",
    permission=held_by(MAKE),
    call=make,
    target="ticket_id",
    form=PackForm,
    description=_(
        "A ZIP with the facts, the certificate, the case to read, a manifest and a script that checks it. "
        "It holds no personal data."
    ),
    submit=_("Make it"),
    done=made,
)


def packs_of(ticket: ClosureTicket, request: HttpRequest) -> list[EvidencePack]:
    """The ticket's packs as this reader may know them, newest first."""
    if not request.user.has_perm("closures.view_evidencepack"):
        return []
    rows: list[Any] = list(
        visible(ticket.packs.defer("content").select_related("made_by"), request).order_by("-pk")
    )
    for pack in rows:
        pack.url = reverse("admin:closures_evidencepack_download", args=[pack.pk])
    return rows


def visible(rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """A pack that names a silent hold does not exist for who may not know of it."""
    return rows if base.sees_silent(request) else rows.filter(with_silent_holds=False)


@admin.register(EvidencePack)
class EvidencePackAdmin(ExactSearch, UntrackedAdmin):
    list_display = ("number", "ticket_shown", "made_at", "made_from", "size_shown", "silent_shown", "digest")
    list_filter = ("with_silent_holds",)
    search_fields = ("number", "ticket__number", "digest")
    search_help_text = _("The whole number of the pack or the ticket, or the whole hash.")
    ordering = ("-pk",)
    sortable_by = ("made_at",)
    fields = (
        "number", "ticket", "made_at", "made_from", "language_shown", "size_shown", "silent_shown", "digest",
    )  # fmt: skip
    change_form_outer_before_template = "admin/closures/evidencepack/download.html"

    silent_shown = yes("with_silent_holds", description=_("with silent holds"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).defer("content").select_related("ticket", "made_by")
        return visible(rows, request)

    def get_urls(self) -> list[URLPattern]:
        download = path(
            "<path:object_id>/download/",
            self.admin_site.admin_view(self.download_view),
            name="closures_evidencepack_download",
        )
        return [download, *super().get_urls()]

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The bytes as they were made."""
        pack = self.get_object(request, object_id)
        if pack is None:
            raise Http404
        if not self.has_view_permission(request, pack):
            raise PermissionDenied
        return handed_out(request, bytes(pack.content), name=f"{pack.number}.zip", kind=ZIP)

    @display(description=_("ticket"))
    def ticket_shown(self, pack: EvidencePack) -> str:
        return pack.ticket.number

    @display(description=_("made by"))
    def made_from(self, pack: EvidencePack) -> str:
        return str(pack.made_by)

    @display(description=_("language"))
    def language_shown(self, pack: EvidencePack) -> str:
        return str(dict(settings.LANGUAGES).get(pack.language, pack.language))

    @display(description=_("size"))
    def size_shown(self, pack: EvidencePack) -> str:
        return filesizeformat(pack.size)
