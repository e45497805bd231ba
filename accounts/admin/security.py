"""Second factors and failed sign-ins, for those who run and guard the system. No secret is ever shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.decorators import display

from accounts.admin.base import UntrackedAdmin, plain
from accounts.admin.columns import yes
from accounts.admin.searching import quiet_unregister

RIGHTS = ("accounts.manage_staff", "accounts.manage_roles")

# Roles are set by a dialog, never by editing a group; the rest comes back below, read-only.
quiet_unregister(Group, TOTPDevice, AccessAttempt, AccessFailureLog, AccessLog)

# These names are not marked for translation where they are written.
TOTPDevice._meta.verbose_name = _("second factor")
TOTPDevice._meta.verbose_name_plural = _("second factors")
for label in ("axes", "otp_totp"):
    apps.get_app_config(label).verbose_name = _("Sign-in protection")


class GuardedAdmin(UntrackedAdmin):
    """Pages of installed apps: their own view permissions belong to no role, these two rights do."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(request.user.has_perm(right) for right in RIGHTS)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


@admin.register(TOTPDevice)
class SecondFactorAdmin(GuardedAdmin):
    list_display = ("user_shown", "confirmed_shown", "enrolled_at", "used_at", "failures")
    list_select_related = ("user",)
    ordering = ("-pk",)
    fields = list_display  # the key is not among them: who reads it can sign in as the person

    user_shown = plain("user", description=_("member of staff"))
    confirmed_shown = yes("confirmed", description=_("in use"))

    @display(description=_("enrolled at"), ordering="created_at")
    def enrolled_at(self, device: TOTPDevice) -> datetime | None:
        return device.created_at

    @display(description=_("last used at"), ordering="last_used_at")
    def used_at(self, device: TOTPDevice) -> datetime | None:
        return device.last_used_at

    @display(description=_("failures in a row"))
    def failures(self, device: TOTPDevice) -> int:
        return device.throttling_failure_count


@admin.register(AccessAttempt)
class LockoutAdmin(GuardedAdmin):
    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    ordering = ("-pk",)
    fields = (*list_display, "user_agent", "path_info")


@admin.register(AccessFailureLog)
class FailedSignInAdmin(GuardedAdmin):
    list_display = ("attempt_time", "username", "ip_address", "locked_out")
    list_filter = ("locked_out",)
    ordering = ("-pk",)
    fields = (*list_display, "user_agent", "path_info")
