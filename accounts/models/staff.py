"""Staff and their sign-in. Roles are groups (accounts.roles); `is_active` follows the state."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin, update_last_login
from django.contrib.auth.signals import user_logged_in
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.actors import SHIPPED, Actor, ActorKind
from accounts.tracking import Tracked, save_as, sets, tracked


class UserManager(BaseUserManager["User"]):
    def create_user(
        self, staff_no: str, password: str | None = None, *, actor: Actor = SHIPPED, **fields: Any
    ) -> User:
        """A member of staff, INVITED until `activate`; signs in with `staff_no`."""
        user = self.model(staff_no=staff_no, **fields)
        user.set_password(password)
        return save_as(user, actor=actor, reason="invited")

    def create_superuser(self, staff_no: str, password: str | None = None, **fields: Any) -> User:
        """For `manage.py createsuperuser` on a developer's machine; production runs without one."""
        fields["is_superuser"] = True
        user = self.model(staff_no=staff_no, state=User.State.ACTIVE, **fields)
        user.set_password(password)
        return save_as(user, actor=SHIPPED, reason="createsuperuser")


class User(Tracked, AbstractBaseUser, PermissionsMixin):
    """员工: one person, one staff number, one account."""

    class State(models.TextChoices):
        INVITED = "INVITED", _("invited")
        ACTIVE = "ACTIVE", _("active")
        SUSPENDED = "SUSPENDED", _("suspended")
        LEFT = "LEFT", _("left")

    staff_no = models.CharField(_("staff number"), max_length=20, unique=True)
    name = models.CharField(_("name"), max_length=60)
    state = FSMField(_("state"), default=State.INVITED, choices=State.choices, protected=True)

    USERNAME_FIELD = "staff_no"
    REQUIRED_FIELDS = ["name"]
    EMAIL_FIELD = "staff_no"

    objects = UserManager()
    history = tracked(excluded=("password", "last_login"))

    class Meta:
        verbose_name = _("member of staff")
        verbose_name_plural = _("staff")
        permissions = [
            ("manage_staff", _("Can invite, suspend and remove staff")),
            ("manage_roles", _("Can give and take roles")),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.staff_no})"

    # Transitions

    @transition(
        state,
        source=State.INVITED,
        target=State.ACTIVE,
        permission="accounts.manage_staff",
        custom=sets(label=_("Activate"), also=[ActorKind.SHIPPED]),
    )
    def activate(self) -> None:
        """The person has signed in with a second factor once, or an administrator vouches."""

    @transition(
        state,
        source=State.ACTIVE,
        target=State.SUSPENDED,
        permission="accounts.manage_staff",
        custom=sets(label=_("Suspend")),
    )
    def suspend(self) -> None: ...

    @transition(
        state,
        source=State.SUSPENDED,
        target=State.ACTIVE,
        permission="accounts.manage_staff",
        custom=sets(label=_("Reinstate")),
    )
    def reinstate(self) -> None: ...

    @transition(
        state,
        source=[State.INVITED, State.ACTIVE, State.SUSPENDED],
        target=State.LEFT,
        permission="accounts.manage_staff",
        custom=sets(label=_("Mark as left")),
    )
    def leave(self) -> None: ...

    # Properties

    @property
    def is_active(self) -> bool:  # type: ignore[override]  # derived, never set
        return self.state == self.State.ACTIVE

    @property
    def is_staff(self) -> bool:
        return self.is_active

    def get_full_name(self) -> str:
        return self.name


# Django's own receiver would save the whole user, and so write history, at every sign-in.
user_logged_in.disconnect(update_last_login, dispatch_uid="update_last_login")


def note_sign_in(sender: type, user: User, **kwargs: Any) -> None:
    from django.utils import timezone  # noqa: PLC0415 - the clock belongs to this edge alone

    User.objects.filter(pk=user.pk).update(last_login=timezone.now())


user_logged_in.connect(note_sign_in, dispatch_uid="accounts.note_sign_in")
