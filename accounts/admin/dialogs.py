"""Buttons: a right, a form, one service call. Unfold's dialogs, with the checks that a decision needs.

A dialog opens on GET and changes nothing; it acts on POST with a CSRF token only. What may happen is the
service's word: its `Refusal` comes back as red text in the dialog. Nothing here knows a rule of the business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.actors import Actor
from accounts.admin.site import SIGNED_IN_AT
from accounts.decisions import record
from accounts.errors import Refusal
from accounts.models import User
from accounts.tracking import NotPermitted, Rule, permitted, transition_of

TEMPLATE = "admin/dialog.html"


class SignInAgain(Refusal):
    """A decision needs a sign-in younger than `STEP_UP_MAX_AGE`."""

    code = "sign_in_again"
    template = _(
        "This decision needs a sign-in within the last {minutes} minutes. Sign in again, then repeat it. "
        "Nothing was changed."
    )


class Gone(Refusal):
    """The button was shown on a page that is out of date by now."""

    code = "not_possible_now"
    template = _("This is not possible any more: {row} is {state} now. Reload the page to see what is next.")


# --- Forms ------------------------------------------------------------------------------------------


class DialogForm(forms.Form):
    """A dialog's fields. Their names are the service's keyword arguments; `obj` is the row it acts on."""

    def __init__(self, *args: Any, obj: Any = None, user: Any = None, **kwargs: Any) -> None:
        self.obj, self.user = obj, user
        super().__init__(*args, **kwargs)


class ReasonForm(DialogForm):
    """Every human decision says why; the text goes into history."""

    ground = forms.CharField(
        label=_("Reason"),
        max_length=300,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": ""}),
        help_text=_("Kept in the history. Write no name, ID number or phone number."),
    )


# --- Step-up ----------------------------------------------------------------------------------------


def sign_in_is_fresh(request: HttpRequest, *, now: datetime) -> bool:
    """Whether this session's sign-in is young enough for a decision. Source: PITFALLS, Security (step-up)."""
    if not settings.STEP_UP_REQUIRED:
        return True
    stamp = request.session.get(SIGNED_IN_AT)
    return stamp is not None and now.timestamp() - stamp <= settings.STEP_UP_MAX_AGE.total_seconds()


def sign_in_page(*, back: str) -> str:
    """Where to sign in again after signing out, and then come back."""
    return f"{reverse('admin:login')}?{urlencode({'next': back})}"


# --- The dialog -------------------------------------------------------------------------------------


def held_by(right: str) -> Callable[[Any, Any], bool]:
    """A permission method for dialogs that are not transitions: the user holds `right`."""
    return lambda obj, user: user.has_perm(right)


def in_states(*states: str) -> Callable[[Any], bool]:
    return lambda obj: obj.state in states


@dataclass(frozen=True, kw_only=True)
class Dialog:
    """One button of a row's page.

    `call` is the service: `call(**{target: pk}, **form fields, actor=…, now=…)`. With `transition` the button
    is there when `accounts.tracking.permitted` and the row's state allow it; `permission(obj, user)` and
    `possible(obj)` say so for the rest, and narrow it further where both are given. `done(obj, result)` is
    the message: what happened, to which number, what comes next. `deciding`: needs a fresh sign-in.
    `result_template` shows the result in the dialog and stores it nowhere.
    """

    name: str
    label: Any
    call: Callable[..., Any]
    target: str
    done: Callable[[Any, Any], Any] | None = None
    form: type[DialogForm] = ReasonForm
    transition: str = ""
    permission: Callable[[Any, Any], bool] | None = None
    possible: Callable[[Any], bool] | None = None
    description: Any = ""
    submit: Any = ""
    icon: str = ""
    variant: ActionVariant = ActionVariant.DEFAULT
    deciding: bool = True
    before_template: str = ""
    result_template: str = ""
    initial: Callable[[Any], Mapping[str, Any]] | None = None
    hidden_from: Callable[[Any, Any], bool] | None = None  # no button, though the service would say why
    in_header: bool = True  # False: the page's own template places the button
    context: Callable[[HttpRequest, Any], Mapping[str, Any]] = field(default=lambda request, obj: {})

    def permits(self, obj: Any, user: Any) -> bool:
        """Whether the user has the right, whatever the row's state."""
        if self.transition and not permitted(obj, self.transition, Actor.staff(user)):
            return False
        return self.permission is None or self.permission(obj, user)

    def available(self, obj: Any, *, now: datetime) -> bool:
        """Whether the row is where this leads somewhere."""
        if self.possible is not None and not self.possible(obj):
            return False
        if not self.transition:
            return True
        found = transition_of(obj, self.transition)
        rules = [c for c in (found.conditions or ()) if isinstance(c, Rule)] if found else []
        return found is not None and all(rule.holds(obj, now) for rule in rules)

    def offered(self, obj: Any, user: Any) -> bool:
        """Whether the page shows the button."""
        hidden = self.hidden_from is not None and self.hidden_from(obj, user)
        return not hidden and self.permits(obj, user) and self.available(obj, now=timezone.now())

    def url(self, obj: Any) -> str:
        opts = obj._meta
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_{self.name}", args=[quote(obj.pk)])

    def bound_to(self, admin: Any) -> Callable[..., HttpResponse]:
        """The view as Unfold's actions want it: a function with attributes."""

        def view(request: HttpRequest, object_id: str, **kwargs: Any) -> HttpResponse:
            return self.respond(admin, request, object_id)

        view.attrs = {}  # type: ignore[attr-defined]
        view.url_path = self.name  # type: ignore[attr-defined]
        view.short_description = self.label  # type: ignore[attr-defined]
        view.icon = self.icon or None  # type: ignore[attr-defined]
        view.variant = self.variant  # type: ignore[attr-defined]
        view.dialog = {"title": self.label}  # type: ignore[attr-defined]
        return view

    # The request

    def respond(self, admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        """Open on GET, act on POST. 403 without the right (recorded on POST), 404 for a hidden row."""
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        obj = admin.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not admin.has_view_permission(request, obj) or not self.permits(obj, request.user):
            self._record(NotPermitted(move=self.label), request, obj)
            raise PermissionDenied
        now, actor = timezone.now(), Actor.staff(cast(User, request.user))
        form = self.form(
            request.POST if request.method == "POST" else None,
            initial=dict(self.initial(obj)) if self.initial else None,
            obj=obj,
            user=request.user,
        )
        refusal: Refusal | None = None
        if self.deciding and not sign_in_is_fresh(request, now=now):
            refusal = SignInAgain(minutes=int(settings.STEP_UP_MAX_AGE.total_seconds() // 60))
            self._record(refusal, request, obj)
        elif request.method != "POST":
            if not self.available(obj, now=now):
                refusal = Gone(row=obj, state=state_label(obj))
        elif form.is_valid():
            try:
                result = self.call(**{self.target: obj.pk}, **form.cleaned_data, actor=actor, now=now)
            except Refusal as no:
                refusal = no
            else:
                return self._done(admin, request, obj, result, form)
        return self._page(admin, request, obj, form, refusal=refusal)

    def _done(self, admin: Any, request: HttpRequest, obj: Any, result: Any, form: Any) -> HttpResponse:
        if self.result_template:
            return self._page(admin, request, obj, form, result=result)
        if self.done is not None:
            messages.success(request, str(self.done(obj, result)))
        back = came_from(request, otherwise=change_url(obj))
        if "HX-Request" in request.headers:
            return HttpResponse(headers={"HX-Redirect": back})
        return HttpResponseRedirect(back)

    def _page(
        self,
        admin: Any,
        request: HttpRequest,
        obj: Any,
        form: DialogForm,
        *,
        refusal: Refusal | None = None,
        result: Any = None,
    ) -> HttpResponse:
        again = isinstance(refusal, SignInAgain)
        context = {
            "dialog": self,
            "description": self.description(obj) if callable(self.description) else self.description,
            "form": form,
            "object": obj,
            "refusal": refusal,
            "result": result,
            "locked": again or isinstance(refusal, Gone),
            "sign_in_again": again,
            "sign_in_page": sign_in_page(back=came_from(request, otherwise=change_url(obj))),
            **self.context(request, obj),
        }
        response = render(request, TEMPLATE, context)
        response["Cache-Control"] = "no-store"
        return response

    def _record(self, refusal: Refusal, request: HttpRequest, obj: Any) -> None:
        if request.method == "POST":
            record(
                refusal,
                action=f"console.{obj._meta.model_name}.{self.name}",
                facts={self.target: obj.pk, "actor": Actor.staff(cast(User, request.user))},
            )


@dataclass(frozen=True, kw_only=True)
class Menu:
    """Several dialogs under one button; one menu a page."""

    title: Any
    dialogs: tuple[Dialog, ...]
    icon: str = "more_horiz"


def state_label(obj: Any) -> str:
    """The row's state in the reader's language, or nothing for rows without one."""
    display = getattr(obj, "get_state_display", None)
    return str(display()) if display else ""


def change_url(obj: Any) -> str:
    opts = obj._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[quote(obj.pk)])


def came_from(request: HttpRequest, *, otherwise: str) -> str:
    """The console page whose button was pressed, as a path of this site; `otherwise` for anything else."""
    url = request.headers.get("HX-Current-URL", "")
    if not url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}):
        return otherwise
    parts = urlsplit(url)
    if not parts.path.startswith(reverse("admin:index")):
        return otherwise
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
