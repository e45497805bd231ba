"""Staff on the console: who they are, what they may do, how they come, pause, return and go."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.admin.base import Dialog, Menu, ReadOnlyAdmin, held_by, state_badge
from accounts.admin.columns import yes
from accounts.admin.dialogs import DialogForm
from accounts.admin.forms import WhyForm, reason_field
from accounts.admin.pages import FormPage
from accounts.admin.searching import ExactSearch
from accounts.models import User
from accounts.roles import LABELS, Role
from accounts.services import staff


class RoleFilter(admin.SimpleListFilter):
    title = _("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(role.value, LABELS[role]) for role in Role]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(groups__name=self.value()) if self.value() in set(Role) else queryset


class RolesForm(DialogForm):
    roles = forms.MultipleChoiceField(
        label=_("Roles"),
        required=False,
        choices=lambda: [(role.value, LABELS[role]) for role in Role],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("Administrator, security officer and auditor stand alone: nobody watches his own work."),
    )
    reason = reason_field()


class InvitationForm(forms.Form):
    staff_no = forms.RegexField(
        r"^[A-Za-z0-9_-]{1,20}$",
        label=_("Staff number"),
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Letters, digits, - and _. He signs in with it; a number is never given twice."),
    )
    name = forms.CharField(label=_("Name"), max_length=60, widget=UnfoldAdminTextInputWidget)
    password = forms.CharField(
        label=_("First password"),
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("Tell it in person; he changes it after signing in. At least 12 characters."),
    )
    reason = reason_field()


FormPage(
    route="accounts/user/invite/",
    name="staff_invite",
    title=_("Invite a member of staff"),
    submit=_("Invite"),
    right="accounts.manage_staff",
    form=InvitationForm,
    call=staff.invite,
    explanation=_(
        "The person can sign in once you activate the account, has been enrolled for one-time codes, and a "
        "security officer has given a role."
    ),
    done=lambda user: (
        gettext("%(user)s is invited. Next: activate the account; a security officer gives the role.")
        % {"user": user},
        reverse("admin:accounts_user_change", args=[user.pk]),
    ),
).register()


@admin.register(User)
class UserAdmin(ExactSearch, ReadOnlyAdmin):
    list_display = ("staff_no", "name", "state_shown", "roles_shown", "second_factor", "last_login")
    list_filter = ("state", RoleFilter)
    search_fields = ("staff_no",)
    search_help_text = _("The whole staff number.")
    ordering = ("staff_no",)
    fields = ("staff_no", "name", "state", "roles_shown", "second_factor", "last_login")
    list_before_template = "admin/accounts/staff_above.html"
    history_hidden = ("is_superuser",)

    state_shown = state_badge()

    dialogs = (
        Dialog(
            name="activate",
            label=_("Activate"),
            icon="how_to_reg",
            variant=ActionVariant.PRIMARY,
            transition="activate",
            call=staff.activate,
            target="user_id",
            form=WhyForm,
            done=lambda user, result: (
                gettext("%(user)s may sign in now, with what the roles allow.") % {"user": user}
            ),
        ),
        Dialog(
            name="set_roles",
            label=_("Set roles"),
            icon="badge",
            permission=held_by("accounts.manage_roles"),
            possible=lambda user: user.state != User.State.LEFT,
            call=staff.set_roles,
            target="user_id",
            form=RolesForm,
            initial=lambda user: {"roles": [role.value for role in staff.roles_of(user)]},
            hidden_from=lambda obj, user: obj.pk == user.pk,
            done=lambda user, result: (
                gettext("The roles of %(user)s are set; they count from the next page on.") % {"user": user}
            ),
        ),
        Dialog(
            name="reinstate",
            label=_("Reinstate"),
            icon="play_arrow",
            transition="reinstate",
            call=staff.reinstate,
            target="user_id",
            form=WhyForm,
            done=lambda user, result: gettext("%(user)s may sign in again.") % {"user": user},
        ),
        Menu(
            title=_("More"),
            dialogs=(
                Dialog(
                    name="suspend",
                    label=_("Suspend"),
                    icon="pause",
                    variant=ActionVariant.WARNING,
                    transition="suspend",
                    call=staff.suspend,
                    target="user_id",
                    form=WhyForm,
                    description=_(
                        "Open sessions end at their next page. Reinstating brings everything back."
                    ),
                    hidden_from=lambda obj, user: obj.pk == user.pk,
                    done=lambda user, result: gettext("%(user)s cannot sign in for now.") % {"user": user},
                ),
                Dialog(
                    name="leave",
                    label=_("Mark as left"),
                    icon="logout",
                    variant=ActionVariant.DANGER,
                    transition="leave",
                    call=staff.leave,
                    target="user_id",
                    form=WhyForm,
                    description=_("For good: the number is never used again, and work he owned is released."),
                    hidden_from=lambda obj, user: obj.pk == user.pk,
                    done=lambda user, result: gettext("%(user)s has left.") % {"user": user},
                ),
            ),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        confirmed = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        roles = Prefetch("groups", Group.objects.filter(name__in=list(Role)).order_by("name"))
        return super().get_queryset(request).prefetch_related(roles).annotate(has_factor=Exists(confirmed))

    @display(description=_("roles"))
    def roles_shown(self, user: User) -> str:
        names = [str(LABELS[Role(group.name)]) for group in user.groups.all()]
        return ", ".join([gettext("superuser"), *names] if user.is_superuser else names)

    second_factor = yes("has_factor", description=_("second factor"))
