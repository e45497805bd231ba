"""One-time codes: for what, in which state, how many tries. No digits and no phone number show anywhere."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.actors import Actor
from accounts.admin.base import Dialog, DialogForm, held_by, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin import base
from closures.admin.base import TrackedAdmin
from closures.admin.forms import ConfirmForm
from closures.models import ClosureTicket, IdentityCode
from closures.selectors import identity_codes as codes
from closures.selectors import reasons
from closures.services import identity_codes, status_links

PROVE = IdentityCode.Purpose.PROVE_REQUEST


class CodeForm(DialogForm):
    code = forms.CharField(
        label=_("Code"),
        max_length=20,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "off", "inputmode": "numeric", "autofocus": ""}
        ),
        help_text=_("The six digits that the customer reads to you. Each wrong try is counted and recorded."),
    )


# --- The dialogs of a ticket that waits for its customer's proof --------------------------------------


def send(*, ticket_id: int, actor: Actor, now: Any) -> IdentityCode:
    return identity_codes.issue(ticket_id=ticket_id, purpose=PROVE, actor=actor, now=now)


def enter(*, ticket_id: int, code: str, actor: Actor, now: Any) -> IdentityCode:
    return identity_codes.verify(ticket_id=ticket_id, purpose=PROVE, code=code, actor=actor, now=now)


def sent(ticket: ClosureTicket, result: IdentityCode) -> str:
    text = translate(
        "A code for ticket %(number)s is on its way to the phone on file. Enter it when it is read."
    )
    return text % {"number": ticket.number}


def proved(ticket: ClosureTicket, result: IdentityCode) -> str:
    text = translate("The customer has proved ticket %(number)s by a code. Next – %(next)s")
    return text % {"number": ticket.number, "next": base.comes_next(base.fresh(ticket.pk))}


SEND_CODE = Dialog(
    name="send_code",
    label=_("Send a code"),
    icon="sms",
    permission=held_by(identity_codes.MAY_ISSUE),
    possible=codes.needs_proof,
    call=send,
    target="ticket_id",
    form=ConfirmForm,
    description=_("Six digits go to the phone number on file; an earlier code is void."),
    deciding=False,
    done=sent,
)
ENTER_CODE = Dialog(
    name="enter_code",
    label=_("Enter the code"),
    icon="pin",
    permission=held_by(identity_codes.MAY_ISSUE),
    possible=codes.needs_proof,
    call=enter,
    target="ticket_id",
    form=CodeForm,
    deciding=False,
    done=proved,
)
STATUS_LINK = Dialog(
    name="status_link",
    label=_("Show the status link"),
    icon="link",
    permission=held_by(status_links.PERMISSION),
    call=status_links.show,
    target="ticket_id",
    form=ConfirmForm,
    description=_("The address of the customer's own page. Give it to nobody but him."),
    submit=_("Show"),
    deciding=False,
    result_template="admin/closures/closureticket/status_link.html",
)
RENEW_LINK = Dialog(
    name="renew_link",
    label=_("Renew the status link"),
    icon="link_off",
    permission=held_by(status_links.PERMISSION),
    call=status_links.renew,
    target="ticket_id",
    form=ConfirmForm,
    description=_(
        "Every link in messages that are already out leads nowhere from now on. For one gone astray."
    ),
    deciding=False,
    result_template="admin/closures/closureticket/status_link.html",
)


# --- The noun -----------------------------------------------------------------------------------------


@admin.register(IdentityCode)
class IdentityCodeAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "ticket_shown",
        "purpose",
        "state_shown",
        "tries_shown",
        "asked_shown",
        "issued_at",
        "expires_at",
        "reason_shown",
    )
    list_filter = ("state", "purpose")
    search_fields = ("ticket__number",)
    search_help_text = _("The whole number of a ticket.")
    ordering = ("-pk",)
    sortable_by = ("issued_at",)
    fields = (
        "ticket",
        "purpose",
        "state_shown",
        "state_since",
        "asked_shown",
        "identity_version",
        "issued_at",
        "expires_at",
        "tries_shown",
        "ended_at",
        "reason_shown",
    )
    history_hidden = ("state_since", "key")

    state_shown = state_badge()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("ticket", "asked_by").defer("code_hash")

    @display(description=_("ticket"))
    def ticket_shown(self, code: IdentityCode) -> str:
        return code.ticket.number

    @display(description=_("asked for by"))
    def asked_shown(self, code: IdentityCode) -> str:
        return str(code.asked_by) if code.asked_by else translate("customer")

    @display(description=_("tries"))
    def tries_shown(self, code: IdentityCode) -> str:
        return translate("%(tries)s of %(allowed)s") % {"tries": code.tries, "allowed": code.tries_allowed}

    @display(description=_("reason"))
    def reason_shown(self, code: IdentityCode) -> str:
        return reasons.code(code.reason_code) or "—"
