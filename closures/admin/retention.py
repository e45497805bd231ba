"""Requests for deletion, destruction lists and what became of each customer on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.timezone import localdate
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin.base import Dialog, ReasonForm, plain, state_badge
from accounts.admin.pages import FormPage
from accounts.admin.searching import ExactSearch
from closures.admin import base
from closures.admin.base import TrackedAdmin
from closures.admin.forms import ConfirmForm
from closures.models import DeletionRequest, DestructionItem, DestructionList
from closures.selectors import reasons
from closures.selectors import retention as reads
from closures.services import retention

SHOWN = 50  # customers of a list on its page; the list page of customers has them all


def in_language() -> str:
    return "en" if get_language() == "en" else "zh-hans"


# --- Requests for deletion ----------------------------------------------------------------------------


def what_is_kept(request: HttpRequest, asked: DeletionRequest) -> Mapping[str, Any]:
    """What the answer will say, as things stand now."""
    kept = reads.kept(asked.customer, on=localdate())
    return {"lines": reads.lines(kept, language=in_language())}


def answered(asked: DeletionRequest, result: DeletionRequest) -> str:
    if result.kept:
        text = gettext("Request %(number)s is answered: the data is kept. The customer is told why.")
    else:
        text = gettext("Request %(number)s is answered: the data will go on a destruction list.")
    return text % {"number": asked.number}


ANSWER = Dialog(
    name="answer",
    label=_("Answer"),
    icon="reply",
    variant=ActionVariant.PRIMARY,
    transition="answer",
    call=retention.answer,
    target="request_id",
    form=ConfirmForm,
    submit=_("Answer and tell the customer"),
    before_template="admin/closures/deletionrequest/answer.html",
    context=what_is_kept,
    done=answered,
)


@admin.register(DeletionRequest)
class DeletionRequestAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "number", "customer_shown", "channel", "state_shown", "requested_at", "answer_due_on", "answered_at",
    )  # fmt: skip
    list_filter = ("state", "channel")
    search_fields = ("number", "customer__customer_no")
    ordering = ("-pk",)
    sortable_by = ("requested_at", "answer_due_on")
    fields = (
        "number", "customer", "channel", "state_shown", "state_since", "requested_at", "requested_from",
        "answer_due_on", "rule_shown", "answer_calendar", "answered_at", "answered_from", "kept_shown",
    )  # fmt: skip
    history_hidden = ("kept", "state_since")
    dialogs = (ANSWER,)

    state_shown = state_badge()
    requested_from = plain("requested_by", description=_("requested by"))
    answered_from = plain("answered_by", description=_("answered by"))
    rule_shown = plain("answer_rule", description=_("answer rule"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        related = ("customer", "requested_by", "answered_by", "answer_rule")
        return super().get_queryset(request).select_related(*related)

    @display(description=_("customer"))
    def customer_shown(self, asked: DeletionRequest) -> str:
        return asked.customer.customer_no

    @display(description=_("what is kept, and why"))
    def kept_shown(self, asked: DeletionRequest) -> str:
        if asked.state == DeletionRequest.State.RECEIVED:
            return "—"
        return "\n".join(reads.lines(asked.kept, language=in_language())) or gettext("Nothing.")


# --- Destruction lists --------------------------------------------------------------------------------


class SeenForm(ReasonForm):
    """The reason, and the fingerprint of the customers that were shown."""

    seen_digest = forms.CharField(widget=forms.HiddenInput, max_length=64)


def who_is_on_it(request: HttpRequest, row: DestructionList) -> Mapping[str, Any]:
    waiting = row.items.filter(state=DestructionItem.State.WAITING)
    found = waiting.select_related("customer").order_by("customer__customer_no")
    return {"items": list(found[:SHOWN]), "count": waiting.count(), "digest": row.digest}


def counted(row: DestructionList) -> str:
    text = ngettext("%(count)s customer", "%(count)s customers", row.population)
    return text % {"count": row.population}


PROPOSE = Dialog(
    name="propose",
    label=_("Propose the destruction"),
    icon="how_to_reg",
    variant=ActionVariant.PRIMARY,
    transition="propose",
    call=retention.propose,
    target="list_id",
    before_template="admin/closures/destructionlist/who.html",
    context=who_is_on_it,
    done=lambda row, result: (
        gettext("List %(number)s is proposed (%(count)s). Next: somebody else approves it.")
        % {"number": row.number, "count": counted(result)}
    ),
)
APPROVE = Dialog(
    name="approve",
    label=_("Approve the destruction"),
    icon="delete_forever",
    variant=ActionVariant.DANGER,
    transition="approve",
    hidden_from=lambda row, user: row.proposed_by_id == user.pk,
    call=retention.approve,
    target="list_id",
    form=SeenForm,
    initial=lambda row: {"seen_digest": row.digest},
    description=_(
        "After the wait names, numbers, texts and messages of these customers are destroyed for good."
    ),
    before_template="admin/closures/destructionlist/who.html",
    context=who_is_on_it,
    done=lambda row, result: (
        gettext("List %(number)s is approved (%(count)s). It can be called off until %(day)s.")
        % {"number": row.number, "count": counted(result), "day": result.wait_ends_on}
    ),
)
CALL_OFF = Dialog(
    name="call_off",
    label=_("Call the destruction off"),
    icon="cancel",
    transition="cancel",
    call=retention.call_off,
    target="list_id",
    description=_("Nobody on the list is erased any more. The next collection finds them again."),
    done=lambda row, result: gettext("List %(number)s is called off.") % {"number": row.number},
)


@admin.register(DestructionList)
class DestructionListAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "number", "state_shown", "population", "as_of_on", "proposed_from", "approved_from", "wait_ends_on",
        "state_since",
    )  # fmt: skip
    list_filter = ("state",)
    search_fields = ("number",)
    ordering = ("-pk",)
    sortable_by = ("state_since",)
    fields = (
        "number", "state_shown", "state_since", "as_of_on", "population", "digest", "proposed_from",
        "approved_from", "rule_shown", "wait_ends_on",
    )  # fmt: skip
    history_hidden = ("state_since",)
    dialogs = (APPROVE, PROPOSE, CALL_OFF)
    change_form_outer_after_template = "admin/closures/destructionlist/items.html"

    state_shown = state_badge()
    proposed_from = plain("proposed_by", description=_("proposed by"))
    approved_from = plain("approved_by", description=_("approved by"))
    rule_shown = plain("wait_rule", description=_("waiting rule"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("proposed_by", "approved_by", "wait_rule")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        shown = self.items(request, row) if row and self.has_view_permission(request, row) else {}
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def items(self, request: HttpRequest, row: DestructionList) -> dict[str, Any]:
        """The first customers of the list, each with what became of him and his buttons."""
        found: list[Any] = list(row.items.select_related("customer").order_by("pk")[:SHOWN])
        for item in found:
            item.colour = base.colour(item.state)
            item.why = reasons.code(item.reason_code)
            item.listing = row
        buttons = [(item, base.buttons(request, item)) for item in found]
        return {"items": buttons, "more": row.items.count() - len(found)}


TAKE_OFF = Dialog(
    name="take_off",
    label=_("Take off the list"),
    icon="person_remove",
    transition="take_off",
    call=retention.take_off,
    target="item_id",
    description=_(
        "This customer is left alone for now. Whoever approves must have seen the list without him."
    ),
    done=lambda item, result: (
        gettext("Customer %(customer)s is off list %(number)s.")
        % {"customer": item.customer.customer_no, "number": item.listing.number}
    ),
)


@admin.register(DestructionItem)
class DestructionItemAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "customer_shown", "listing_shown", "state_shown", "retain_until", "reason_shown", "state_since",
    )  # fmt: skip
    list_filter = ("state",)
    search_fields = ("customer__customer_no", "listing__number")
    ordering = ("-pk",)
    sortable_by = ("state_since",)
    fields = (
        "customer", "listing", "state_shown", "state_since", "retain_until", "reason_shown", "proof_shown",
        "digest_shown",
    )  # fmt: skip
    history_hidden = ("proof", "state_since")
    dialogs = (TAKE_OFF,)

    state_shown = state_badge()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("customer", "listing")

    @display(description=_("customer"))
    def customer_shown(self, item: DestructionItem) -> str:
        return item.customer.customer_no

    @display(description=_("destruction list"))
    def listing_shown(self, item: DestructionItem) -> str:
        return item.listing.number

    @display(description=_("reason"))
    def reason_shown(self, item: DestructionItem) -> str:
        return reasons.code(item.reason_code) or "—"

    @display(description=_("what was erased"))
    def proof_shown(self, item: DestructionItem) -> str:
        if not item.proof:
            return "—"
        tables = " · ".join(
            f"{table_name(label)} {n}" for label, n in sorted(item.proof["rows"].items()) if n
        )
        left = gettext("looked for again: %(left)s left") % {"left": item.proof["left"]}
        return f"{tables or gettext('nothing was there')} · {left}"

    @display(description=_("hash of what was erased"))
    def digest_shown(self, item: DestructionItem) -> str:
        return item.proof.get("digest") or "—"


def table_name(label: str) -> str:
    """A table of sealed rows in the reader's language."""
    return str(apps.get_model(label)._meta.verbose_name)


class CollectForm(forms.Form):
    """Nothing to fill in: who is due is decided by the facts."""


def proposed(row: DestructionList) -> tuple[str, str]:
    text = gettext("List %(number)s is proposed (%(count)s). Next: somebody else approves it.")
    address = reverse("admin:closures_destructionlist_change", args=[row.pk])
    return text % {"number": row.number, "count": counted(row)}, address


FormPage(
    route="destruction/propose/",
    name="destruction_propose",
    title=_("Propose a destruction"),
    submit=_("Collect and propose"),
    right="closures.propose_destruction",
    form=CollectForm,
    call=retention.propose_new,
    done=proposed,
    explanation=_(
        "Everybody whose every retention day is past and whom nothing else keeps is put on a list in your "
        "name. Somebody else approves it; after the waiting period the data is destroyed."
    ),
).register()
