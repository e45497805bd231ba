"""The institution's apps on the console: who may call, what they called, what they were told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.admin.base import Dialog, DialogForm, UntrackedAdmin, badge, held_by, plain, state_badge
from accounts.admin.columns import yes
from accounts.admin.forms import WhyForm, reason_field
from accounts.admin.pages import FormPage
from accounts.admin.searching import ExactSearch
from closures.admin.base import TrackedAdmin
from closures.models import ApiCall, ApiClient, AppRequest, Webhook
from closures.models.api import COUNTERS, MANAGE, SECRETS, Scope
from closures.selectors import reasons
from closures.services import api_clients, webhooks

SECRET_ONCE = "admin/closures/apiclient/secret.html"
OPERATIONS = {
    "products": _("read products"),
    "eligibility": _("ask what stands in the way"),
    "request_closure": _("request a closing"),
    "withdraw_closure": _("withdraw a request"),
    "closure": _("look at a closing"),
    "closures": _("list closings"),
    "complain": _("complain"),
    "complaint": _("look at a complaint"),
}


def scopes_in_words(scopes: Any) -> str:
    return ", ".join(str(Scope(scope).label) for scope in scopes if scope in Scope.values) or "—"


# --- Forms --------------------------------------------------------------------------------------------


class ClientFields(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=60, widget=UnfoldAdminTextInputWidget)
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=Scope.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("What the app may do; give no more than it needs."),
    )
    requests_per_minute = forms.IntegerField(
        label=_("Requests per minute"),
        min_value=1,
        max_value=api_clients.HIGHEST_RATE,
        initial=600,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    webhook_url = forms.CharField(
        label=_("Webhook address"),
        max_length=300,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Events of its closings are sent here; https, at an allowed host. Empty: none are sent."),
    )
    reason = reason_field()


class ClientForm(ClientFields, DialogForm):
    """The same fields, filled in."""


def as_it_is(client: ApiClient) -> Mapping[str, Any]:
    names = ("name", "scopes", "requests_per_minute", "webhook_url")
    return {name: getattr(client, name) for name in names}


FormPage(
    route="closures/apiclient/new/",
    name="api_client_new",
    title=_("New API client"),
    submit=_("Make the client"),
    right=MANAGE,
    form=ClientFields,
    call=api_clients.create,
    explanation=_("For one app of the institution. Its key and secret are shown once on the next page."),
    result_template=SECRET_ONCE,
).register()


# --- Clients ------------------------------------------------------------------------------------------


@admin.register(ApiClient)
class ApiClientAdmin(ExactSearch, TrackedAdmin):
    list_display = ("key_id", "name", "state_shown", "scopes_shown", "requests_per_minute", "secret_age")
    list_filter = ("state",)
    search_fields = ("key_id",)
    search_help_text = _("The whole key id.")
    ordering = ("name", "pk")
    sortable_by = ()
    fields = (
        "key_id",
        "name",
        "state_shown",
        "state_since",
        "scopes_shown",
        "requests_per_minute",
        "webhook_url",
        "rotated_at",
        "previous_until",
    )
    list_before_template = "admin/closures/apiclient/above.html"
    history_hidden = ("state_since", *SECRETS, *COUNTERS)

    state_shown = state_badge()

    dialogs = (
        Dialog(
            name="edit",
            label=_("Change"),
            icon="edit",
            permission=held_by(MANAGE),
            call=api_clients.edit,
            target="client_id",
            form=ClientForm,
            initial=as_it_is,
            done=lambda client, result: (
                translate("%(client)s is changed; it counts from its next call on.") % {"client": client}
            ),
        ),
        Dialog(
            name="rotate",
            label=_("New secret"),
            icon="key",
            variant=ActionVariant.PRIMARY,
            permission=held_by(MANAGE),
            call=api_clients.rotate,
            target="client_id",
            form=WhyForm,
            description=_("The present secret lives on for seven days. Rotate twice to end one that leaked."),
            result_template=SECRET_ONCE,
        ),
        Dialog(
            name="disable",
            label=_("Disable the client"),
            icon="block",
            variant=ActionVariant.DANGER,
            transition="disable",
            call=api_clients.disable,
            target="client_id",
            form=WhyForm,
            description=_("Its next call is refused and nothing is sent to it. Its closings go on."),
            done=lambda client, result: translate("%(client)s cannot call any more.") % {"client": client},
        ),
        Dialog(
            name="enable",
            label=_("Enable the client"),
            icon="play_arrow",
            transition="enable",
            call=api_clients.enable,
            target="client_id",
            form=WhyForm,
            done=lambda client, result: translate("%(client)s may call again.") % {"client": client},
        ),
    )

    @display(description=_("scopes"))
    def scopes_shown(self, client: ApiClient) -> str:
        return scopes_in_words(client.scopes)

    @display(description=_("age of the secret"), ordering="rotated_at")
    def secret_age(self, client: ApiClient) -> str:
        return timesince(client.rotated_at, timezone.now(), depth=1)


@admin.register(ApiCall)
class ApiCallAdmin(ExactSearch, UntrackedAdmin):
    list_display = (
        "received_at",
        "client_shown",
        "operation_shown",
        "state_shown",
        "status",
        "code",
        "again",
    )
    list_select_related = ("client",)
    list_filter = ("state", "status")
    search_fields = ("nonce", "idempotency_key")
    search_help_text = _("The whole nonce or idempotency key.")
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "client_shown",
        "operation_shown",
        "received_at",
        "state_shown",
        "status",
        "code",
        "again",
        "nonce",
        "idempotency_key",
        "lock_until",
        "expires_at",
    )

    client_shown = plain("client", description=_("client"))
    state_shown = badge("state", description=_("state"))
    again = yes("replayed", description=_("answered again"))

    @display(description=_("operation"))
    def operation_shown(self, call: ApiCall) -> str:
        return str(OPERATIONS.get(call.operation, call.operation or "—"))


@admin.register(AppRequest)
class AppRequestAdmin(UntrackedAdmin):
    list_display = ("ticket_shown", "client_shown", "assertion", "asserted_at", "received_at")
    list_select_related = ("ticket", "client")
    list_filter = ("assertion",)
    ordering = ("-pk",)
    sortable_by = ()
    fields = list_display

    ticket_shown = plain("ticket", description=_("ticket"))

    @display(description=_("client"))
    def client_shown(self, request: AppRequest) -> str:
        return request.client.name


# --- Webhooks -----------------------------------------------------------------------------------------


def revived(webhook: Webhook, result: Webhook) -> str:
    text = translate("Event %(event)s is sent again under the same number; the answer shows here.")
    return text % {"event": webhook.event_id}


@admin.register(Webhook)
class WebhookAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "event_id",
        "kind",
        "client_shown",
        "state_shown",
        "age",
        "reason_shown",
        "attempts",
        "due_at",
    )
    list_select_related = ("client",)
    list_filter = ("state", "kind")
    search_fields = ("event_id", "ticket__number")
    search_help_text = _("The whole event or ticket number.")
    ordering = ("-pk",)
    sortable_by = ("due_at",)
    fields = (
        "event_id",
        "kind",
        "client_shown",
        "ticket_shown",
        "occurred_at",
        "state_shown",
        "state_since",
        "reason_shown",
        "attempts",
        "due_at",
        "body_digest",
    )
    dialogs = (
        Dialog(
            name="revive",
            label=_("Send again"),
            icon="refresh",
            transition="revive",
            call=webhooks.revive,
            target="webhook_id",
            description=_("Sent again under the same event number, with a full number of attempts."),
            deciding=False,
            done=revived,
        ),
    )
    history_hidden = ("state_since",)

    state_shown = state_badge()
    ticket_shown = plain("ticket", description=_("ticket"))

    @display(description=_("client"))
    def client_shown(self, webhook: Webhook) -> str:
        return webhook.client.name

    @display(description=_("since"), ordering="state_since")
    def age(self, webhook: Webhook) -> str:
        return timesince(webhook.state_since, timezone.now(), depth=1)

    @display(description=_("reason"))
    def reason_shown(self, webhook: Webhook) -> str:
        return reasons.code(webhook.reason_code) or "—"
