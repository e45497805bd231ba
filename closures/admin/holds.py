"""Holds and blockers. Silent kinds do not exist for whoever lacks the right: in no list and no history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin.base import Dialog, badge, plain, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin import base
from closures.admin.base import TrackedAdmin
from closures.models import Blocker, Hold
from closures.selectors import casefile, texts
from closures.services import holds


def lifted(hold: Hold, result: Hold) -> str:
    text = translate("The hold (%(kind)s) on ticket %(number)s is lifted. Next – %(next)s")
    return text % {
        "kind": hold.get_kind_display(),
        "number": hold.ticket.number,
        "next": base.comes_next(base.fresh(hold.ticket_id)),
    }


LIFT = Dialog(
    name="lift",
    label=_("Lift the hold"),
    icon="back_hand",
    transition="lift",
    call=holds.lift,
    target="hold_id",
    description=_("Other holds on the ticket stay. The ticket is looked at again at once."),
    done=lifted,
)


@admin.register(Hold)
class HoldAdmin(ExactSearch, TrackedAdmin):
    list_display = ("kind", "ticket_shown", "state_shown", "owner_shown", "age", "opened_at", "lifted_at")
    list_filter = ("state", "kind")
    search_fields = ("ticket__number",)
    ordering = ("-pk",)
    sortable_by = ("opened_at",)
    fields = ("kind", "ticket", "state_shown", "owner_shown", "ground", "opened_at", "age", "lifted_at")
    dialogs = (LIFT,)

    state_shown = state_badge()
    owner_shown = plain("owner", description=_("owner"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("ticket", "owner")
        return casefile.visible_holds(rows, silent=base.sees_silent(request))

    def get_list_filter(self, request: HttpRequest) -> tuple[Any, ...]:
        return ("state", "kind" if base.sees_silent(request) else LoudKind)

    @display(description=_("ticket"))
    def ticket_shown(self, hold: Hold) -> str:
        return hold.ticket.number

    @display(description=_("age"))
    def age(self, hold: Hold) -> str:
        return timesince(hold.opened_at, hold.lifted_at or timezone.now(), depth=1)


class LoudKind(admin.SimpleListFilter):
    """Kinds of holds without the silent ones: even the name of a choice says that there is such a thing."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [choice for choice in Hold.Kind.choices if choice[0] not in Hold.SILENT]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Blocker)
class BlockerAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "code",
        "ticket_shown",
        "severity_shown",
        "amount",
        "cure_shown",
        "appeared_at",
        "cured_at",
    )
    list_filter = ("severity", "code", ("cured_at", admin.EmptyFieldListFilter))
    search_fields = ("ticket__number",)
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "code",
        "ticket",
        "severity_shown",
        "amount",
        "count",
        "agreement",
        "cure_shown",
        "appeared_at",
        "cured_at",
    )

    severity_shown = badge("severity", description=_("severity"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("ticket", "agreement")
        return casefile.visible_blockers(rows, silent=base.sees_silent(request))

    @display(description=_("ticket"))
    def ticket_shown(self, blocker: Blocker) -> str:
        return blocker.ticket.number

    @display(description=_("cure"))
    def cure_shown(self, blocker: Blocker) -> str:
        return texts.cure(blocker.cure)
