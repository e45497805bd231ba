"""The agent's intake, one flow: find the customer, choose the account, read the effects, take the request.

A person is searched for by POST only. What goes from step to step is a signed number in the address: no
personal data in an address or in the session, and a link works for nobody else and for an hour.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts.actors import Actor
from accounts.admin import overviews
from accounts.admin.forms import spoken
from accounts.admin.site import console
from accounts.errors import Refusal
from accounts.models import CreditAccount, Customer, User
from accounts.selectors import identities
from accounts.services.identities import search
from closures.admin.base import brand, comes_next
from closures.models import Blocker, ClosureTicket, IdentityCode
from closures.models.tickets import Reason
from closures.rules.deadlines import CalendarMissing
from closures.selectors import facts, texts
from closures.services import identity_codes, intake

Level = ClosureTicket.IdentityLevel
REQUEST, SEARCH = "closures.request_closure", "closures.search_customer"
SALT = "closures.admin.intake"
GOOD_FOR = 3600  # seconds; long enough for a telephone call
MOST = 20  # customers shown for one number

STEPS = (_("Find the customer"), _("Choose the account"), _("Check and confirm"))


class FindForm(forms.Form):
    id_number = forms.CharField(
        label=_("ID number"),
        required=False,
        max_length=40,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "autofocus": ""}),
    )
    phone = forms.CharField(
        label=_("Phone"),
        required=False,
        max_length=40,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "inputmode": "tel"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not (cleaned.get("id_number") or cleaned.get("phone")):
            raise forms.ValidationError(_("Type the whole ID number, the whole phone number, or both."))
        return cleaned


NEEDED = _("Needed before going on.")
BY_AGENT, BY_CODE = "AGENT", "CODE"


def tick(label: Any, *, required: bool = True) -> forms.BooleanField:
    return forms.BooleanField(
        label=label, widget=UnfoldBooleanWidget, required=required, error_messages={"required": NEEDED}
    )


class ConfirmForm(forms.Form):
    """Who the customer is: the agent has checked it, or a code to the phone on file will show it."""

    proof = forms.ChoiceField(
        label=_("How the identity is proved"),
        choices=((BY_AGENT, _("I have checked it myself")), (BY_CODE, _("Send a code to the phone on file"))),
        widget=UnfoldAdminSelectWidget,
        required=False,
    )
    id_document = tick(
        _("I have checked the customer's ID document against the number on file."), required=False
    )
    phone = tick(_("I have spoken to the customer on the phone number on file."), required=False)
    accepted = tick(_("I have read the effects above to the customer, and he accepts them."))
    disclosure = forms.CharField(widget=forms.HiddenInput, max_length=80)
    key = forms.RegexField(r"^intake-[0-9a-f]{32}$", widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.by_code:
            for name in ("id_document", "phone"):
                if not cleaned.get(name):
                    self.add_error(name, NEEDED)
        return cleaned

    @property
    def by_code(self) -> bool:
        return self.cleaned_data.get("proof") == BY_CODE


def new_key() -> str:
    return f"intake-{uuid.uuid4().hex}"


# --- Signed steps -----------------------------------------------------------------------------------


def token(kind: str, pk: int, user: Any) -> str:
    return signing.dumps({"kind": kind, "pk": pk, "user": user.pk}, salt=SALT)


def opened(kind: str, signed: str, user: Any) -> int | None:
    """The number in a signed step of this person and kind, or None: too old, altered, or somebody else's."""
    try:
        step = signing.loads(signed, salt=SALT, max_age=GOOD_FOR)
    except signing.BadSignature:
        return None
    if not isinstance(step, dict) or step.get("kind") != kind or step.get("user") != user.pk:
        return None
    return int(step["pk"])


def account_url(account: CreditAccount, user: Any) -> str:
    return reverse("admin:intake_account", args=[token("account", account.pk, user)])


def customer_url(customer: Customer, user: Any) -> str:
    return reverse("admin:intake_customer", args=[token("customer", customer.pk, user)])


def about(account: CreditAccount, tickets: list[ClosureTicket], request: HttpRequest) -> dict[str, Any]:
    """What an account's card says about closing it; `tickets` are the account's own, newest first."""
    running = next((ticket for ticket in tickets if ticket.is_open), None)
    ended = next((ticket for ticket in tickets if ticket.state in ClosureTicket.WAS_CLOSED), None)
    closed = account.line_state == CreditAccount.LineState.CLOSED
    may = request.user.has_perm(REQUEST) and not running and not closed
    return {
        "template": "intake/about_account.html",
        "running": running,
        "next": comes_next(running) if running else "",
        "closed_by": ended if closed else None,
        "request_url": account_url(account, request.user) if may else "",
    }


# --- Pages ------------------------------------------------------------------------------------------


def page(*rights: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """A page for people with all these rights, by GET or POST."""

    def wrap(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if not request.user.has_perms(rights):
                raise PermissionDenied
            if request.method not in ("GET", "HEAD", "POST"):
                return HttpResponseNotAllowed(["GET", "POST"])
            return view(request, **kwargs)

        return guarded

    return wrap


def shown(request: HttpRequest, template: str, step: int, **context: Any) -> HttpResponse:
    return render(
        request,
        template,
        {
            **admin.site.each_context(request),
            "title": gettext("New request"),
            "steps": [(label, number) for number, label in enumerate(STEPS, 1)],
            "step": step,
            **context,
        },
    )


def start_again(request: HttpRequest) -> HttpResponse:
    messages.warning(request, gettext("This step has expired or is not yours. Find the customer again."))
    return redirect("admin:intake")


@page(REQUEST, SEARCH)
def find(request: HttpRequest) -> HttpResponse:
    """Step 1: exact ID number or phone, by POST, so that neither is ever in an address."""
    form = FindForm(request.POST if request.method == "POST" else None)
    found: list[dict[str, Any]] = []
    if request.method == "POST" and form.is_valid():
        customers = searched(request, form)
        if len(customers) == 1:
            return redirect(customer_url(customers[0], request.user))
        masked = identities.identities_of(customers)
        found = [
            {"customer": row, "identity": masked[row.pk], "url": customer_url(row, request.user)}
            for row in customers[:MOST]
        ]
    return shown(request, "intake/find.html", 1, form=form, found=found)


def searched(request: HttpRequest, form: FindForm) -> list[Customer]:
    """Who carries exactly these numbers; nobody, with the reason on the form."""
    actor = Actor.staff(cast(User, request.user))
    try:
        return search(**form.cleaned_data, most=MOST + 1, actor=actor, now=timezone.now())
    except Refusal as refusal:
        form.add_error(None, refusal.message)
        return []


@page(REQUEST)
def choose(request: HttpRequest, signed: str) -> HttpResponse:
    """Step 2: what the customer holds; closed and requested accounts explain themselves."""
    pk = opened("customer", signed, request.user)
    if pk is None:
        return start_again(request)
    customer = get_object_or_404(Customer, pk=pk)
    accounts = list(customer.accounts.select_related("product__lender").order_by("pk"))
    cards = overviews.cards(accounts)
    tickets = list(ClosureTicket.objects.filter(account__in=accounts).order_by("-pk"))
    for card in cards:
        own = [ticket for ticket in tickets if ticket.account_id == card.account.pk]
        card.extra = about(card.account, own, request)
    return shown(
        request,
        "intake/choose.html",
        2,
        customer=customer,
        identity=identities.identity_of(customer),
        same_id_number=list(identities.same_id_number(customer)[:MOST]),
        cards=cards,
    )


@page(REQUEST)
def confirm(request: HttpRequest, signed: str) -> HttpResponse:
    """Step 3: every blocker, what is given up, the checks; then one request, however often it is sent."""
    pk = opened("account", signed, request.user)
    if pk is None:
        return start_again(request)
    account = get_object_or_404(CreditAccount.objects.select_related("product__lender", "customer"), pk=pk)
    version = intake.disclosure_version(account.product)
    if request.method == "POST":
        form = ConfirmForm(request.POST)
        if form.is_valid():
            ticket = take(request, account, form)
            if ticket is not None:
                return redirect("admin:closures_closureticket_change", ticket.pk)
            # Refused, so nothing hangs on the old key; the text may have changed since it was read.
            form.data = {**form.data.dict(), "key": new_key(), "disclosure": version}  # type: ignore[attr-defined]
    else:
        form = ConfirmForm(initial={"key": new_key(), "disclosure": version})
    return shown(request, "intake/confirm.html", 3, form=form, **preview(account, request))


def take(request: HttpRequest, account: CreditAccount, form: ConfirmForm) -> ClosureTicket | None:
    """The ticket, new or the one this very form made before; None with the reason on the form."""
    user: Any = request.user
    try:
        received = intake.request_closure(
            account_id=account.pk,
            reason=Reason.CUSTOMER_REQUEST,
            channel=ClosureTicket.Channel.AGENT,
            actor=Actor.staff(user),
            now=timezone.now(),
            identity_level=Level.NONE if form.by_code else Level.AGENT,
            accepted_disclosure=form.cleaned_data["disclosure"],
            idempotency_key=form.cleaned_data["key"],
        )
    except Refusal as refusal:
        form.add_error(None, refusal.message)
        return None
    except CalendarMissing:
        form.add_error(
            None,
            _("The work calendar does not reach the answer date. An administrator has to load it first."),
        )
        return None
    ticket = received.ticket
    if form.by_code and not received.replayed:
        send_code(request, ticket)
    said = gettext("Ticket %(number)s is open for account %(account)s. Next: %(next)s") % {
        "number": ticket.number,
        "account": account.account_no,
        "next": comes_next(ticket),
    }
    messages.info(request, said) if received.replayed else messages.success(request, said)
    return ticket


def send_code(request: HttpRequest, ticket: ClosureTicket) -> None:
    """The code is on its way; if it cannot be, the ticket stands all the same and the agent is told why."""
    user: Any = request.user
    try:
        identity_codes.issue(
            ticket_id=ticket.pk,
            purpose=IdentityCode.Purpose.PROVE_REQUEST,
            actor=Actor.staff(user),
            now=timezone.now(),
        )
    except Refusal as refusal:
        messages.warning(request, refusal.message)


def preview(account: CreditAccount, request: HttpRequest) -> dict[str, Any]:
    """What the agent reads to the customer before anything is asked for. Changes nothing."""
    now, product, language = timezone.now(), account.product, get_language() or "zh-hans"
    seen = facts.examine(
        account=account,
        reason=Reason.CUSTOMER_REQUEST,
        policy=intake.policy_of(product),
        since=now,
        now=now,
    )
    lines = [finding_line(finding) for finding in seen.findings]
    card = overviews.cards([account])[0]
    tickets = list(ClosureTicket.objects.filter(account=account).order_by("-pk"))
    card.extra = {**about(account, tickets, request), "here": True}
    return {
        "card": card,
        "customer": account.customer,
        "identity": identities.identity_of(account.customer),
        "can_be_requested": not card.closed and card.extra["running"] is None,
        "blocking": [line for line in lines if line["severity"] == Blocker.Severity.BLOCK],
        "others": [line for line in lines if line["severity"] != Blocker.Severity.BLOCK],
        "brand": brand(product),
        "effects": [texts.plain(effect, language) for effect in product.effects],
        "softer": texts.plain(product.softer_alternative, language),
        "agreement_version": product.agreement_version,
        "disclosure_version": intake.disclosure_version(product),
        "cooling_off": spoken(product.cooling_off),
        "answer_by": answer_by(now),
        "other_customers": list(identities.same_id_number(account.customer)[:MOST]),
        "back_url": customer_url(account.customer, request.user),
    }


def answer_by(now: Any) -> Any:
    """The day by which the customer would have an answer, or None where the calendar does not say."""
    try:
        return intake.answer_date(now)["answer_due_on"]
    except (CalendarMissing, Refusal):
        return None


def finding_line(finding: Any) -> dict[str, Any]:
    """A finding as the ticket's page words it: what, how much, and who does what so that it goes away."""
    label = str(Blocker.Code(str(finding.code)).label)
    return {
        "label": label,
        "amount": finding.amount,
        "count": finding.count,
        "cure": texts.cure(str(finding.cure)),
        "severity": str(finding.severity),
        "severity_label": str(Blocker.Severity(str(finding.severity)).label),
    }


console().register_page("intake/", find, name="intake")
console().register_page("intake/customer/<str:signed>/", choose, name="intake_customer")
console().register_page("intake/account/<str:signed>/", confirm, name="intake_account")
