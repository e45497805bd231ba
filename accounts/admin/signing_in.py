"""The forms at the door: signing in with a second factor, and changing one's own password."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import Any

from django import forms
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_otp.forms import OTPAuthenticationFormMixin
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm
from unfold.widgets import BASE_INPUT_CLASSES

from accounts.actors import Actor
from accounts.models import User
from accounts.tracking import save_as


def client_address(request: HttpRequest) -> str:
    """Where the request comes from: behind n proxies of ours, the n-th address from the right.

    What stands further left in X-Forwarded-For the caller wrote himself.
    """
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    proxies = settings.TRUSTED_PROXY_COUNT
    if proxies and len(forwarded) >= proxies:
        with suppress(ValueError):
            return str(ipaddress.ip_address(forwarded[-proxies]))
    return str(request.META.get("REMOTE_ADDR") or "0.0.0.0")


class SignInForm(OTPAuthenticationFormMixin, AuthenticationForm):
    """Staff number and password, and a one-time code where `STAFF_OTP_REQUIRED` says so."""

    otp_token = forms.CharField(
        label=_("One-time code"),
        required=False,
        max_length=8,
        help_text=_("The six digits your authenticator app shows now."),
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "inputmode": "numeric",
                "class": " ".join(BASE_INPUT_CLASSES),
            }
        ),
    )

    otp_error_messages = {
        **OTPAuthenticationFormMixin.otp_error_messages,
        "token_required": _("Enter the one-time code of your authenticator app."),
        "invalid_token": _("This one-time code is wrong or has been used. Wait for the next one."),
        "device_required": _("No second factor is set up for you. Ask an administrator to enrol you."),
    }

    def __init__(self, request: HttpRequest | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        if not settings.STAFF_OTP_REQUIRED:
            del self.fields["otp_token"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if settings.STAFF_OTP_REQUIRED:
            self.clean_otp(self.get_user())
        return cleaned

    def _chosen_device(self, user: User) -> TOTPDevice | None:
        # Enrolment keeps one confirmed device per person, so there is nothing to choose.
        return TOTPDevice.objects.devices_for_user(user, confirmed=True).first()

    def _update_form(self, user: User) -> None:
        """Nothing: the mixin would write the password back into the page."""


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """A new password for oneself, on record in history without the password."""

    def save(self, commit: bool = True) -> User:
        with transaction.atomic():
            # A fresh, locked row: the one of the request may be older than somebody's suspension.
            user = User.objects.select_for_update(of=("self",)).get(pk=self.user.pk)
            user.set_password(self.cleaned_data["new_password1"])
            save_as(user, actor=Actor.staff(user), reason="own password changed")
        self.user.password = user.password  # the session's hash is taken from it
        return user
