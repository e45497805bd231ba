"""The one admin site: sign-in with a second factor where settings ask for it, its language, its extra pages.

What lives here: who may enter, how one enters, the pages that other apps hang in. What does not: navigation
and colours (config.settings.console), the nouns (one file each).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin import sites
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

from accounts.admin.signing_in import OwnPasswordForm, SignInForm

SIGNED_IN_AT = "signed_in_at"  # in the session: when this person last proved who he is, as a timestamp


class ConsoleSite(UnfoldAdminSite):
    login_form = SignInForm
    site_url = None
    index_title = _("The work that waits")
    enable_nav_sidebar = True

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.pages: list[tuple[str, Callable[..., HttpResponse], str]] = []

    def register_page(self, route: str, view: Callable[..., HttpResponse], *, name: str) -> None:
        """`view` answers below the site's root, for people who may enter; the view checks any further right.

        Called while apps load their admin modules, before the first address is resolved.
        """
        self.pages.append((route, view, name))

    def extra_urls(self) -> list[URLPattern]:
        return [path(route, self.admin_view(view), name=name) for route, view, name in self.pages]

    def has_permission(self, request: HttpRequest) -> bool:
        """Active staff; with a verified second factor where it is required. Source: DESIGN §5."""
        if not super().has_permission(request):
            return False
        user: Any = request.user  # django-otp adds is_verified to whoever it is
        return not settings.STAFF_OTP_REQUIRED or user.is_verified()

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        # Django's wrapper also says never_cache, which is `no-store`: what a page shows stays out of caches.
        guarded = super().admin_view(view, cacheable)

        def spoken(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            choose_language(request)
            return guarded(request, *args, **kwargs)

        return functools.update_wrapper(spoken, guarded)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The sign-in page. With `again` it asks somebody who is signed in once more (dialogs: step-up)."""
        choose_language(request)
        again = "again" in request.GET and self.has_permission(request)
        if request.method == "GET" and not again:
            return super().login(request, extra_context)
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "again": again,
            "app_path": request.get_full_path(),
            **(extra_context or {}),
        }
        request.current_app = self.name
        initial = {"username": request.user.get_username()} if again else {}
        return LoginView.as_view(
            extra_context=context,
            authentication_form=self.login_form,
            template_name="admin/login.html",
            next_page=reverse("admin:index", current_app=self.name),
            initial=initial,
        )(request)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        request.current_app = self.name
        return PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=f"{request.path}done/",
            template_name="registration/password_change_form.html",
            extra_context={**self.each_context(request), **(extra_context or {})},
        )(request)


# Note [Unfold's app puts its own site]
# `unfold` in INSTALLED_APPS replaces admin.site by a plain UnfoldAdminSite when it starts, whatever
# `default_site` says. We do the same a little later, before the first of our pages registers.
def install() -> None:
    """Pages register on a ConsoleSite from now on. Safe to repeat; other apps' own pages stay behind."""
    if not isinstance(admin.site, ConsoleSite):
        admin.site = sites.site = ConsoleSite()


def console() -> ConsoleSite:
    """The site that pages register on."""
    site: Any = admin.site
    return site  # type: ignore[no-any-return]


# Note [Chinese until the switch says otherwise]
# Django would follow the browser's preference, which on a counter's computer is whatever it was installed
# with. The console speaks Chinese, and the switch (a cookie) is the only thing that changes it.
def choose_language(request: HttpRequest) -> None:
    """The page is in the language of the switch, else in the default one; the browser is not asked."""
    wanted = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    language = wanted if wanted in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
    translation.activate(language)
    request.LANGUAGE_CODE = language


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """The page of somebody who failed too often (django-axes asks for it), in the language of the switch."""
    choose_language(request)
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    page = render(
        request,
        "admin/locked_out.html",
        {**admin.site.each_context(request), "minutes": minutes, "title": _("Sign-in locked")},
        status=429,
    )
    page["Retry-After"] = str(minutes * 60)
    page["Cache-Control"] = "no-store"
    return page


@receiver(user_logged_in, dispatch_uid="accounts.signed_in_at")
def note_moment(sender: type, request: HttpRequest | None, **kwargs: Any) -> None:
    """Decisions ask how long ago this was (STEP_UP_MAX_AGE)."""
    if request is not None and hasattr(request, "session"):
        request.session[SIGNED_IN_AT] = timezone.now().timestamp()
