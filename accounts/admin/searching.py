"""Finding rows from a list page: whole numbers through an index, never a part of a text (PERFORMANCE)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _


class ExactSearch:
    """A search box that takes one whole number. `search_fields` are tried in turn; each has an index."""

    search_fields: Sequence[str] = ()
    search_help_text = _("The whole number. Find a person by ID number or phone under “New request”.")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if "\x00" in term:  # PostgreSQL refuses the character; nothing is called that
            return queryset.none(), False
        for name in self.search_fields:
            found = queryset.filter(**{name: term})
            if found.exists():
                return found, False
        return queryset.none(), False


class RowsBeforeShown:
    """Adds to all rows of a list page at once what would cost a query for each."""

    def prepare(self, rows: list[Any]) -> None:
        raise NotImplementedError

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)  # type: ignore[misc]
        page.result_list = list(page.result_list)
        self.prepare(page.result_list)
        return page


def quiet_unregister(*models: Any) -> None:
    """Takes other apps' pages off the console, whether or not they were on it."""
    for model in models:
        if admin.site.is_registered(model):
            admin.site.unregister(model)
