"""The groups of accounts.roles in the database, with exactly the permissions of that table."""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.models import Group, Permission

from accounts.roles import RIGHTS, VIEWS, Role


def permissions_of(role: Role) -> frozenset[str]:
    """Every permission of a role as `app.codename`."""
    views = {f"{app}.view_{model}" for app, model in (name.split(".") for name in VIEWS[role])}
    return frozenset(views) | frozenset(RIGHTS[role])


def named_permissions() -> frozenset[str]:
    """Every permission that the table names for any role."""
    return frozenset().union(*map(permissions_of, Role))


def last_app() -> str:
    """The installed app that comes last among those whose permissions the table names.

    Django makes permissions app by app after migrate; only after this app's turn are all of them there.
    """
    named = {name.split(".")[0] for name in named_permissions()}
    return [c.label for c in apps.get_app_configs() if c.label in named and c.models_module][-1]


def apply_roles() -> None:
    """Each role's group exists and holds the table's permissions, no more and no fewer.

    A permission that the database does not have yet (its app is not migrated so far) is left for the
    migrate that makes it. Other groups are not touched. Safe to repeat: writes only what differs.
    """
    known = {
        f"{app}.{codename}": pk
        for app, codename, pk in Permission.objects.values_list("content_type__app_label", "codename", "pk")
    }
    there = Group.objects.filter(name__in=list(Role))
    groups = dict(there.values_list("name", "pk"))
    if len(groups) < len(Role):
        Group.objects.bulk_create(Group(name=role.value) for role in Role if role not in groups)
        groups = dict(there.values_list("name", "pk"))
    given = Group.permissions.through
    held: dict[int, dict[int, int]] = {pk: {} for pk in groups.values()}
    for pk, group, permission in given.objects.filter(group__in=held).values_list(
        "pk", "group_id", "permission_id"
    ):
        held[group][permission] = pk
    wanted = {
        groups[role.value]: {known[name] for name in permissions_of(role) if name in known} for role in Role
    }
    extra = [
        pk for group, has in held.items() for permission, pk in has.items() if permission not in wanted[group]
    ]
    if extra:
        given.objects.filter(pk__in=extra).delete()
    given.objects.bulk_create(
        given(group_id=group, permission_id=permission)
        for group, permissions in wanted.items()
        for permission in permissions - held[group].keys()
    )
