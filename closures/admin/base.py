"""What the pages of the closing process share: who may know what, and how a row's buttons are shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext as translate

from accounts.admin.base import COLOURS, Dialog, ReadOnlyAdmin
from accounts.models import User
from accounts.selectors import actors
from closures.models import ClosureTicket
from closures.selectors import reasons, texts
from closures.selectors.next_steps import next_step
from closures.selectors.timeline import SEE_SILENT, WORKERS


class InWords:
    """History that knows the jobs and the reasons of the closing process."""

    def history_reason(self, reason: str) -> str:
        return reasons.why(reason)

    def history_actor(self, actor: str) -> str:
        return actors.in_words(actor, jobs=WORKERS)

    def _in_words(self, change: Any) -> Any:
        shown = super()._in_words(change)  # type: ignore[misc]
        if change.field == "reason_code":
            return replace(shown, old=reasons.code(shown.old), new=reasons.code(shown.new))
        if change.field == "cure":
            return replace(shown, old=texts.cure(change.old), new=texts.cure(change.new))
        return shown


class TrackedAdmin(InWords, ReadOnlyAdmin):
    """The page of a tracked noun of this app; its history speaks the reader's language."""


def reader(request: HttpRequest) -> User:
    """Whoever looks; the site lets in nobody who is not staff."""
    return cast(User, request.user)


def sees_silent(request: HttpRequest) -> bool:
    return reader(request).has_perm(SEE_SILENT)


def brand(product: Any) -> str:
    """The product's brand in the reader's language."""
    return str(product.brand if (get_language() or "").startswith("zh") else product.brand_en)


def colour(state: str) -> str:
    """Unfold's name of a state's colour."""
    return COLOURS[state]


def buttons(request: HttpRequest, row: Any) -> list[dict[str, Any]]:
    """The dialogs of a row that is shown on another row's page."""
    noun: Any = admin.site.get_model_admin(type(row))
    return [button(dialog, row) for dialog in noun.offered_dialogs(request, row)]


def button(dialog: Dialog, row: Any) -> dict[str, Any]:
    return {
        "label": dialog.label,
        "url": dialog.url(row),
        "icon": dialog.icon,
        "variant": dialog.variant.value,
    }


def comes_next(ticket: ClosureTicket) -> str:
    """The sentence a message ends with; the ticket is as the service left it."""
    step = next_step(ticket)
    return translate("%(whose)s: %(sentence)s") % {"whose": step.whose, "sentence": step.sentence}


def fresh(ticket_id: int) -> ClosureTicket:
    return ClosureTicket.objects.select_related("account").get(pk=ticket_id)
