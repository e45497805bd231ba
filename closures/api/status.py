"""The customer's own page, reached by the signed link in each notice. No script, two languages.

The link alone shows where the case stands; whatever is personal needs a code sent to the phone on file. A
cookie then names that code and nothing else: what it opens, and for how long, is looked up at every request.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.errors import Refusal
from accounts.tracking import NotPossible
from closures.api.status_pages import COOKIE_SALT, answer, opened, page, purpose_of
from closures.models import ClosureTicket, IdentityCode
from closures.selectors import certificate, identity_codes, own_complaints, status
from closures.services import evidence, intake
from closures.services import identity_codes as codes

Purpose = IdentityCode.Purpose

COMPLAINT_NUMBER = re.compile(r"[A-Za-z0-9]{1,20}")
# Where each verified code leads to.
AFTER = {
    Purpose.PROVE_REQUEST: "status",
    Purpose.STATUS_DETAILS: "status",
    Purpose.WITHDRAW: "status_withdraw",
    Purpose.COMPLAIN: "status_complain",
}
WHAT_FOR = {
    Purpose.PROVE_REQUEST: _("Confirm that this request is yours"),
    Purpose.STATUS_DETAILS: _("See your personal details"),
    Purpose.WITHDRAW: _("Withdraw the request"),
    Purpose.COMPLAIN: _("Complain, or go on with a complaint"),
}


@page("GET")
def show(request: HttpRequest, ticket: ClosureTicket, token: str) -> HttpResponse:
    """Where the case stands; what is personal, complaints among it, once a code has been verified."""
    shown_code, now = opened(request, ticket), timezone.now()
    return answer(
        request,
        "status/page.html",
        token=token,
        status=status.of_ticket(ticket),
        details=shown_code is not None,
        complain_url=reverse("status_complain", args=[token]),
        complaints=own_complaints.about_ticket(ticket, now=now) if shown_code else (),
        needs_proof=identity_codes.needs_proof(ticket),
        platform=ticket.account.product.platform,
    )


@page("GET", "POST")
def code(request: HttpRequest, ticket: ClosureTicket, token: str, what: str) -> HttpResponse:
    """Have a code sent, then enter it. POST `send` sends one, POST `code` is a try."""
    purpose = purpose_of(what)
    problem, http_status, sent = "", 200, False
    if request.method == "POST":
        actor, now = Actor.customer(ticket.account.customer), timezone.now()
        try:
            if "send" not in request.POST:
                given = request.POST.get("code", "")
                verified = codes.verify(
                    ticket_id=ticket.pk, purpose=purpose, code=given, actor=actor, now=now
                )
                return _remembered(HttpResponseRedirect(_after(request, purpose, token)), verified)
            language = get_language() or settings.LANGUAGE_CODE
            codes.issue(ticket_id=ticket.pk, purpose=purpose, actor=actor, now=now, language=language)
            sent = True
        except Refusal as refusal:
            problem, http_status = refusal.message, 429 if isinstance(refusal, codes.TooManyCodes) else 422
    return answer(
        request,
        "status/code.html",
        http_status,
        token=token,
        what=what,
        what_for=WHAT_FOR[purpose],
        brand=status.brand(ticket),
        problem=problem,
        just_sent=sent,
        live=identity_codes.live(ticket, purpose, now=timezone.now()) is not None,
        good_for=int(settings.IDENTITY_CODE_GOOD_FOR.total_seconds() // 60),
        back=reverse("status", args=[token]),
    )


@page("GET", "POST")
def withdraw(request: HttpRequest, ticket: ClosureTicket, token: str) -> HttpResponse:
    """The request is withdrawn: after a code for just this, on a page that says what it means, by POST."""
    back = reverse("status", args=[token])
    code_needed = reverse("status_code", args=[token, "withdraw"])
    context = {
        "token": token,
        "status": status.of_ticket(ticket),
        "back": back,
        "too_late": not status.may_withdraw(ticket),
    }
    if context["too_late"]:
        return answer(request, "status/withdraw.html", 409, **context)
    shown_code = opened(request, ticket)
    if shown_code is None or shown_code.purpose != Purpose.WITHDRAW:
        return HttpResponseRedirect(code_needed)
    if request.method == "POST":
        try:
            intake.withdraw(
                ticket_id=ticket.pk, actor=Actor.customer(ticket.account.customer), now=timezone.now()
            )
        except NotPossible:  # unbinding began, or it ended, between the two looks
            return answer(request, "status/withdraw.html", 409, **{**context, "too_late": True})
        return HttpResponseRedirect(back)
    return answer(request, "status/withdraw.html", **context)


@page("GET")
def certified(request: HttpRequest, ticket: ClosureTicket, token: str) -> HttpResponse:
    """The certificate to read, print and keep. Its hash is computed again from the certified facts."""
    if not ticket.certificate_no:
        return HttpResponseRedirect(reverse("status", args=[token]))
    if opened(request, ticket) is None:
        return HttpResponseRedirect(reverse("status_code", args=[token, "details"]))
    intact = evidence.fingerprint(ticket.certificate) == ticket.certificate_hash
    return answer(
        request,
        "status/certificate.html",
        200 if intact else 409,
        token=token,
        back=reverse("status", args=[token]),
        intact=intact,
        facts=certificate.shown(ticket.certificate) if intact else {},
        agreements=list(certificate.agreements(ticket.certificate)) if intact else [],
        hash=ticket.certificate_hash,
    )


def _after(request: HttpRequest, purpose: IdentityCode.Purpose, token: str) -> str:
    """The page that wanted the code; of complaints the one that was being looked at."""
    number = request.GET.get("complaint", "")
    if purpose == Purpose.COMPLAIN and COMPLAINT_NUMBER.fullmatch(number):
        return reverse("status_complaint", args=[token, number])
    return reverse(AFTER[purpose], args=[token])


def _remembered(response: HttpResponse, verified: IdentityCode) -> HttpResponse:
    """The browser keeps the number of the code, signed; the database says what it is worth."""
    value: Any = signing.dumps(verified.pk, salt=COOKIE_SALT)
    response.set_cookie(
        settings.STATUS_COOKIE_NAME,
        value,
        max_age=int(settings.STATUS_DETAILS_OPEN_FOR.total_seconds()),
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",  # a tap in an SMS app is a way in from elsewhere
    )
    return response
