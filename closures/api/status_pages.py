"""What every page of the customer's side has in common: its link, its language, its headers, its refusals.

A page is only reached through a link that is ours. What is wrong with a link or a form is said on a page in
the customer's language; nothing here tells a guess apart from a torn link.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from axes.helpers import get_client_ip_address
from csp.decorators import csp_replace
from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from django.views import defaults
from django.views.csrf import csrf_failure as plain_csrf_failure

from closures.models import ClosureTicket, IdentityCode
from closures.selectors import identity_codes, status_links
from closures.selectors.status_links import LinkExpired, LinkUnknown

PREFIX = "/s/"
COOKIE_SALT = "closures.status_cookie"
HOUR = 3600  # seconds
PURPOSES = {
    "request": IdentityCode.Purpose.PROVE_REQUEST,
    "details": IdentityCode.Purpose.STATUS_DETAILS,
    "withdraw": IdentityCode.Purpose.WITHDRAW,
    "complain": IdentityCode.Purpose.COMPLAIN,
}
# No script at all, and nothing from elsewhere: stricter than the console's.
POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'none'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'self'"],
}
NOT_FOUND = (
    _("This page does not exist"),
    _("The link is incomplete or no longer in use. Open it again from the newest message you have from us."),
)
EXPIRED = (
    _("This link has expired"),
    _("For your safety a link is good for a time only. Your case is kept; a newer message has a new link."),
)
TOO_MANY = (
    _("Too many attempts"),
    _("Too many links that do not exist were opened from your network. Please try again in an hour."),
)
BAD_FORM = (
    _("This form could not be read"),
    _("Nothing was changed. Please go back, reload the page and try once more."),
)
NOT_ALLOWED = (
    _("This cannot be opened that way"),
    _("Nothing was changed. Open the link from our message again."),
)


def page(*methods: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """A page below a link: `view(request, ticket, token, …)`, by these methods only."""

    def wrap(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, token: str, **kwargs: Any) -> HttpResponse:
            choose_language(request)
            if request.method not in (*methods, "HEAD"):
                response = problem(request, NOT_ALLOWED, 405)
                response["Allow"] = ", ".join(methods)
                return response
            try:
                ticket = status_links.ticket_of(token, now=timezone.now())
            except LinkExpired:
                return problem(request, EXPIRED, 410)
            except LinkUnknown:
                return guessed(request)
            try:
                return private(view(request, ticket, token, **kwargs))
            except Http404:
                return problem(request, NOT_FOUND, 404)

        strict: Any = csp_replace(POLICY)
        return strict(guarded)  # type: ignore[no-any-return]

    return wrap


def answer(request: HttpRequest, template: str, code: int = 200, /, **context: Any) -> HttpResponse:
    return render(request, template, {"language": translation.get_language(), **context}, status=code)


def opened(request: HttpRequest, ticket: ClosureTicket) -> IdentityCode | None:
    """The verified code that this browser brings, if it is still good for this ticket."""
    try:
        code_id = signing.loads(request.COOKIES.get(settings.STATUS_COOKIE_NAME, ""), salt=COOKIE_SALT)
    except signing.BadSignature:
        return None
    return identity_codes.opened_by(int(code_id), ticket=ticket, now=timezone.now())


def purpose_of(what: str) -> IdentityCode.Purpose:
    try:
        return PURPOSES[what]
    except KeyError as error:
        raise Http404 from error


# Note [Chinese until the switch says otherwise]
# As in the console (accounts.admin.site): a phone's language is not asked, the switch alone decides.
def choose_language(request: HttpRequest) -> None:
    wanted = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    language = wanted if wanted in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
    translation.activate(language)
    request.LANGUAGE_CODE = language


def private(response: HttpResponse) -> HttpResponse:
    """Kept in no cache, found by no search engine, framed by nobody, named to no other site."""
    add_never_cache_headers(response)
    response["X-Robots-Tag"] = "noindex, nofollow"
    # Not "no-referrer": browsers would then send `Origin: null` with our own forms, and CSRF refuses that.
    response["Referrer-Policy"] = "same-origin"
    # Django logs the address of every 4xx; an address here opens a page, so it stays out of the log.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


# --- What can be wrong ------------------------------------------------------------------------------


def guessed(request: HttpRequest) -> HttpResponse:
    """404; and after many of them from one address 429, which good links are spared."""
    address = salted_hmac("closures.status_guess", str(get_client_ip_address(request))).hexdigest()
    key = f"status-guesses-{address}"
    cache.add(key, 0, timeout=HOUR)
    try:
        guesses = cache.incr(key)
    except ValueError:  # it lapsed between the two
        guesses = 1
    if guesses <= settings.STATUS_GUESSES_PER_HOUR:
        return problem(request, NOT_FOUND, 404)
    response = problem(request, TOO_MANY, 429)
    response["Retry-After"] = str(HOUR)
    return response


def problem(request: HttpRequest, said: tuple[Any, Any], status: int) -> HttpResponse:
    headline, sentence = said
    return private(answer(request, "status/problem.html", status, headline=headline, sentence=sentence))


def lost(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Any other address below ours: with a slash that a text message swallowed put back, or not found."""
    if not request.path.endswith("/") and request.method in ("GET", "HEAD"):
        back = HttpResponseRedirect(request.get_full_path(force_append_slash=True))
        return private(back)
    choose_language(request)
    return problem(request, NOT_FOUND, 404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 on the customer's page in his language; elsewhere Django's own."""
    if not request.path.startswith(PREFIX):
        return plain_csrf_failure(request, reason=reason)
    choose_language(request)
    return problem(request, BAD_FORM, 403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 on the customer's page in his language; elsewhere Django's own."""
    if not request.path.startswith(PREFIX):
        return defaults.bad_request(request, exception)
    choose_language(request)
    return problem(request, BAD_FORM, 400)
