"""What every page of the console has in common: it reads, it never writes, and it asks the database little.

Changes happen by dialogs (accounts.admin.dialogs), each of them one service call. No rule and no HTML here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.functional import cached_property
from django.utils.timezone import localtime
from django.utils.translation import gettext as translate
from simple_history.admin import SimpleHistoryAdmin
from simple_history.models import DeletedObject
from unfold.admin import ModelAdmin
from unfold.dataclasses import UnfoldAction

from accounts.admin.badges import COLOURS, Badge, badge, plain, state_badge
from accounts.admin.dialogs import Dialog, DialogForm, Menu, ReasonForm, held_by, in_states
from accounts.admin.forms import spoken
from accounts.selectors import actors

__all__ = [
    "COLOURS",
    "Badge",
    "CappedPaginator",
    "Dialog",
    "DialogForm",
    "Menu",
    "ReadOnlyAdmin",
    "ReasonForm",
    "UntrackedAdmin",
    "badge",
    "held_by",
    "in_states",
    "plain",
    "state_badge",
]

# How the filters of Django and Unfold ask: by choice, by being empty, by a range of days or of moments.
ASKED = (
    *("", "__exact", "__in", "__isnull", "__isempty", "__gte", "__lt", "__lte", "__id__exact"),
    *("_from", "_to", "_from_0", "_from_1", "_to_0", "_to_1"),
)
TOO_LARGE = re.compile(r"\d{19}")  # no column holds it, and SQLite raises over it


def in_words(value: Any, labels: dict[Any, Any]) -> str:
    """A value of a history row: choices by label, moments in local time, periods and yes or no in words."""
    if value in (None, "") or (isinstance(value, DeletedObject) and value.pk is None):
        return "—"
    if isinstance(value, datetime):
        return localtime(value).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, timedelta):
        return spoken(value)
    if isinstance(value, bool):
        return translate("yes") if value else translate("no")
    try:
        return str(labels.get(value, value))
    except TypeError:  # JSON is no key
        return str(value)


class CappedPaginator(Paginator):
    """Counts no further than `CAP`: a list page of millions costs what one of ten thousand does."""

    CAP = 10_000
    template_name = "admin/capped_pagination.html"

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, models.QuerySet):
            return len(rows)
        return min(self.CAP, self._counted(rows))

    def _counted(self, rows: models.QuerySet[Any]) -> int:
        found = rows.order_by().values("pk")[: self.CAP + 1].count()
        self.capped = found > self.CAP
        return found

    @property
    def shown_count(self) -> str:
        """The number of rows as the page says it: 1,234, or 10,000+ when nobody counted on."""
        count = self.count
        return f"{count:,}+" if getattr(self, "capped", False) else f"{count:,}"


class _Reading(ModelAdmin):
    """No add, no change, no delete; the change page is a page to read."""

    actions = None
    list_per_page = 25
    list_max_show_all = 25
    show_full_result_count = False
    paginator = CappedPaginator
    list_fullwidth = True
    list_filter_sheet = True
    show_facets = None  # counts per filter would scan the table
    view_on_site = False
    preserve_filters = True
    dialogs: Sequence[Dialog | Menu] = ()

    class Media:
        css = {"all": ("console/lists.css",)}

    def __init__(self, model: type[models.Model], admin_site: Any) -> None:
        super().__init__(model, admin_site)
        layout: list[Any] = []
        for entry in self.dialogs:
            members = entry.dialogs if isinstance(entry, Menu) else (entry,)
            for dialog in members:
                setattr(self, dialog.name, dialog.bound_to(self))
            names = [dialog.name for dialog in members]
            layout += (
                [{"title": entry.title, "icon": entry.icon, "items": names}]
                if isinstance(entry, Menu)
                else names
            )
        self.actions_detail = layout

    # Permissions

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        # Said aloud, because history's page of an old version asks the form and not the permissions.
        return tuple(self.fields or self.readonly_fields)

    # One look at the row per request: header, buttons and page ask for it in turn

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        seen = request.__dict__.setdefault("_console_rows", {})
        key = (self.model, str(object_id), from_field)
        if key not in seen:
            seen[key] = super().get_object(request, object_id, from_field)
        return seen[key]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        page.full_result_count = page.result_count  # else Unfold offers to "show all" beside every title
        return page

    # What may be asked in a URL

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what `list_filter` offers. Stock Django lets any column of the row be probed by URL."""
        names = set()
        for entry in self.get_list_filter(request) if request else self.list_filter:
            name = entry[0] if isinstance(entry, tuple | list) else entry
            names.add(name if isinstance(name, str) else name.parameter_name)
        offered = any(lookup == name + suffix for name in names for suffix in ASKED)
        return offered and not TOO_LARGE.search(str(value))

    # Dialogs

    def all_dialogs(self) -> list[Dialog]:
        return [
            dialog
            for entry in self.dialogs
            for dialog in (entry.dialogs if isinstance(entry, Menu) else (entry,))
        ]

    def offered_dialogs(self, request: HttpRequest, obj: Any) -> list[Dialog]:
        """The buttons of this row for this user, for pages that show the row beside others."""
        if not self.has_view_permission(request, obj):
            return []
        return [dialog for dialog in self.all_dialogs() if dialog.offered(obj, request.user)]

    def get_actions_detail(self, request: HttpRequest, object_id: int | str) -> list[UnfoldAction]:
        obj = self.get_object(request, str(object_id))
        if obj is None:
            return []
        return [
            self.get_unfold_action(dialog.name)
            for dialog in self.offered_dialogs(request, obj)
            if dialog.in_header
        ]


class ReadOnlyAdmin(SimpleHistoryAdmin, _Reading):
    """The page of a tracked noun. History is there to be read: posting to it is refused.

    Stock SimpleHistoryAdmin writes an old state back on POST, even with revert disabled (PITFALLS).
    `history_hidden` names columns that the history never shows.
    """

    object_history_list_template = "admin/object_history_list.html"
    object_history_form_template = "admin/object_history_form.html"
    history_list_per_page = 25
    history_hidden: Sequence[str] = ()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _Reading.has_view_permission(self, request, obj)

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self._check_visible(request, object_id)
        return super().history_view(request, object_id, extra_context)

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        self._check_visible(request, object_id)
        if not re.fullmatch(r"[0-9]{1,18}", version_id):
            raise Http404
        return super().history_form_view(request, object_id, version_id, extra_context)

    def set_history_delta_changes(
        self, request: HttpRequest, historical_records: Any, foreign_keys_are_objs: bool = True
    ) -> None:
        """Differences between neighbours, without the columns that are hidden and with labels for codes."""
        previous = None
        for current in historical_records:
            current.reason_shown = self.history_reason(current.history_change_reason or "")
            current.who_shown = self.history_actor(current.history_actor)
            if previous is not None:
                delta = previous.diff_against(
                    current, excluded_fields=self.history_hidden, foreign_keys_are_objs=foreign_keys_are_objs
                )
                delta = replace(delta, changes=[self._in_words(change) for change in delta.changes])
                helper = self.get_historical_record_context_helper(request, previous)
                previous.history_delta_changes = helper.context_for_delta_changes(delta)
            previous = current

    def _in_words(self, change: Any) -> Any:
        """A change of a column with choices, by labels instead of codes."""
        labels = dict(getattr(self.model._meta.get_field(change.field), "flatchoices", ()))
        return replace(change, old=in_words(change.old, labels), new=in_words(change.new, labels))

    def history_reason(self, reason: str) -> str:
        """The reason of a history row as the page says it."""
        return actors.why(reason)

    def history_actor(self, actor: str) -> str:
        """Who wrote a history row, as the page says it."""
        return actors.in_words(actor)

    def _check_visible(self, request: HttpRequest, object_id: str) -> None:
        """A row that the list hides has no history page either; stock code would show it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if self.get_object(request, object_id) is None:
            raise Http404


class UntrackedAdmin(_Reading):
    """The page of an append-only noun without history."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        raise Http404

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        context["show_history"] = False
        return super().render_change_form(request, context, *args, **kwargs)
