"""Staff come, pause, return and go, and are given roles. Sign-in itself is Django's."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.errors import Refusal
from accounts.models import User
from accounts.roles import LABELS, Role
from accounts.services.rights import require
from accounts.tracking import move, save_as

# Work that a leaving person owns is released by the app that knows of it: it appends a function here when
# it starts. Each is called as release(user=…, actor=…, now=…) inside the transaction of `leave`.
on_leave: list[Callable[..., None]] = []

# Who runs the system, who guards it and who checks it: none of them does its business as well.
WATCHING_ROLES = frozenset({Role.ADMINISTRATOR, Role.SECURITY, Role.AUDITOR})


class StaffNumberTaken(Refusal):
    """Somebody has had this staff number; a number is never given twice."""

    code = "staff_number_taken"
    template = _("Staff number {staff_no} is taken. Nobody was invited.")


class WeakPassword(Refusal):
    """The password breaks the rules for passwords."""

    code = "weak_password"
    template = _("The password was refused: {why}")


class ConflictingRoles(Refusal):
    """The roles would let one person watch over his own work."""

    code = "conflicting_roles"
    template = _("One account cannot hold these roles together: {roles}. Nothing was changed.")


class OwnRoles(Refusal):
    """Nobody gives himself a role, nor takes one off."""

    code = "own_roles"
    template = _("You cannot change your own roles. Another security officer can.")


class UnknownRole(Refusal):
    """There is no such role."""

    code = "unknown_role"
    template = _("There is no role “{role}”.")


class HasLeft(Refusal):
    """The person has left; roles mean nothing any more."""

    code = "has_left"
    template = _("{user} has left. Roles can no longer be changed.")


@decision
def invite(
    *, staff_no: str, name: str, actor: Actor, reason: str, now: datetime, password: str | None = None
) -> User:
    """A member of staff exists, INVITED, with no role; without `password` he cannot sign in until one is set.

    Raises:
        NotPermitted: the actor may not manage staff.
        StaffNumberTaken: the number is in use, or was.
        WeakPassword: the password breaks the rules.
    """
    require(actor=actor, right="accounts.manage_staff", move=_("Invite"))
    if User.objects.filter(staff_no=staff_no).exists():
        raise StaffNumberTaken(staff_no=staff_no)
    user = User(staff_no=staff_no, name=name)
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as refused:
            raise WeakPassword(why=" ".join(refused.messages)) from None
    user.set_password(password)
    return save_as(user, actor=actor, reason=reason, now=now)


@decision
def activate(*, user_id: int, actor: Actor, reason: str, now: datetime) -> User:
    """The invited person may sign in.

    Raises:
        NotPermitted, NotPossible: as `move`; a repeat is not possible.
    """
    return move(locked(user_id), "activate", actor=actor, reason=reason, now=now)


@decision
def suspend(*, user_id: int, actor: Actor, reason: str, now: datetime) -> User:
    """The person cannot sign in for now; open sessions end at their next request.

    Raises:
        NotPermitted, NotPossible: as `move`; a repeat is not possible.
    """
    return move(locked(user_id), "suspend", actor=actor, reason=reason, now=now)


@decision
def reinstate(*, user_id: int, actor: Actor, reason: str, now: datetime) -> User:
    """The suspended person may sign in again, with the roles he had.

    Raises:
        NotPermitted, NotPossible: as `move`; a repeat is not possible.
    """
    return move(locked(user_id), "reinstate", actor=actor, reason=reason, now=now)


@decision
def leave(*, user_id: int, actor: Actor, reason: str, now: datetime) -> User:
    """The person has left for good, and everything he owned is released (`on_leave`).

    His roles stay on record: without being active they give no right.

    Raises:
        NotPermitted, NotPossible: as `move`; a repeat is not possible.
    """
    user = move(locked(user_id), "leave", actor=actor, reason=reason, now=now)
    for release in on_leave:
        release(user=user, actor=actor, now=now)
    return user


@decision
def set_roles(*, user_id: int, roles: Collection[str], actor: Actor, reason: str, now: datetime) -> User:
    """The person holds exactly `roles`; history says which were given and which taken. Safe to repeat.

    Groups that are no roles are not touched.

    Raises:
        NotPermitted: the actor is no security officer.
        OwnRoles: the actor is the person himself.
        HasLeft: the person has left.
        UnknownRole: a name is no role.
        ConflictingRoles: a role that watches stands beside any other.
    Source: SPEC §7 (no account holds both administrator and a business role); that security officer and
    auditor stand alone in the same way is our choice.
    """
    officer = require(actor=actor, right="accounts.manage_roles", move=_("Change roles"))
    if officer.pk == user_id:
        raise OwnRoles
    wanted = known_roles(roles)
    if wanted & WATCHING_ROLES and len(wanted) > 1:
        raise ConflictingRoles(roles=", ".join(str(LABELS[role]) for role in sorted(wanted)))
    user = locked(user_id)
    if user.state == User.State.LEFT:
        raise HasLeft(user=user)
    held = roles_of(user)
    if wanted == held:
        return user
    user.groups.add(*Group.objects.filter(name__in=wanted - held))
    user.groups.remove(*Group.objects.filter(name__in=held - wanted))
    changes = [f"+{role}" for role in sorted(wanted - held)] + [f"-{role}" for role in sorted(held - wanted)]
    return save_as(user, actor=actor, reason=f"roles: {' '.join(changes)}; {reason}", now=now)


def locked(user_id: int) -> User:
    return User.objects.select_for_update(of=("self",)).get(pk=user_id)


def known_roles(names: Collection[str]) -> set[Role]:
    unknown = sorted(set(names) - set(Role))
    if unknown:
        raise UnknownRole(role=unknown[0])
    return {Role(name) for name in names}


def roles_of(user: User) -> set[Role]:
    """The roles a person holds."""
    return {Role(name) for name in user.groups.filter(name__in=list(Role)).values_list("name", flat=True)}
