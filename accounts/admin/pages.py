"""Pages with one form and one service call that belong to no row: inviting somebody, loading a year.

The sister of `Dialog` for what does not exist yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from accounts.actors import Actor
from accounts.admin.dialogs import SignInAgain, sign_in_is_fresh
from accounts.admin.site import console
from accounts.decisions import record
from accounts.errors import Refusal
from accounts.tracking import NotPermitted


@dataclass(frozen=True, kw_only=True)
class FormPage:
    """`call(**form fields, actor=…, now=…)` on POST; its Refusal is red text above the form.

    `done(result)` gives the message and where to go next. `result_template` shows the result on the page
    instead, and stores it nowhere.
    """

    route: str
    name: str
    title: Any
    submit: Any
    right: str
    form: type[forms.Form]
    call: Callable[..., Any]
    done: Callable[[Any], tuple[str, str]] | None = None
    explanation: Any = ""
    result_template: str = ""

    def register(self) -> None:
        console().register_page(self.route, self.respond, name=self.name)

    def respond(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        user: Any = request.user
        actor, now = Actor.staff(user), timezone.now()
        if not user.has_perm(self.right):
            if request.method == "POST":
                record(NotPermitted(move=self.title), action=f"console.{self.name}", facts={"actor": actor})
            raise PermissionDenied
        form = self.form(request.POST or None, request.FILES or None)
        if request.method == "POST" and not sign_in_is_fresh(request, now=now):
            minutes = int(settings.STEP_UP_MAX_AGE.total_seconds() // 60)
            messages.error(request, SignInAgain(minutes=minutes).message)
            again = urlencode({"again": 1, "next": request.path})
            return redirect(f"{reverse('admin:login')}?{again}")
        result = None
        if request.method == "POST" and form.is_valid():
            try:
                result = self.call(**form.cleaned_data, actor=actor, now=now)
            except Refusal as refusal:
                form.add_error(None, refusal.message)
            else:
                if self.done is not None:
                    message, address = self.done(result)
                    messages.success(request, message)
                    return redirect(address)
        context = {**admin.site.each_context(request), "title": self.title, "page": self, "form": form}
        response = render(request, "admin/form_page.html", {**context, "result": result})
        response["Cache-Control"] = "no-store"
        return response
