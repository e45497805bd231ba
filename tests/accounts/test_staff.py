"""Staff come and go, and nobody holds roles that let him watch over his own work."""

from __future__ import annotations

from datetime import datetime
from itertools import combinations
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.actors import Actor
from accounts.models import RefusedAction, User
from accounts.roles import BUSINESS_ROLES, Role
from accounts.services import staff as service
from accounts.tracking import NotPermitted, NotPossible
from tests.factories import a_user, staff

pytestmark = pytest.mark.django_db

STEPS = {
    "activate": (User.State.INVITED, User.State.ACTIVE),
    "suspend": (User.State.ACTIVE, User.State.SUSPENDED),
    "reinstate": (User.State.SUSPENDED, User.State.ACTIVE),
    "leave": (User.State.ACTIVE, User.State.LEFT),
}


def invite(actor: Actor, now: datetime, **more: Any) -> User:
    given = {"staff_no": "N001", "name": "新人", "reason": "hired", **more}
    return service.invite(actor=actor, now=now, **given)


def set_roles(actor: Actor, user: User, roles: set[str], now: datetime) -> User:
    return service.set_roles(user_id=user.pk, roles=roles, actor=actor, reason="moved", now=now)


def roles_of(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


def test_an_invited_person_has_no_role_and_cannot_sign_in(now: datetime) -> None:
    administrator = staff(Role.ADMINISTRATOR)
    user = invite(administrator, now)
    assert (user.state, user.is_active, user.has_usable_password()) == ("INVITED", False, False)
    assert not user.groups.exists()
    row = user.history.get()
    assert (row.history_actor, row.history_change_reason) == (str(administrator), "hired")


def test_a_staff_number_is_given_once(now: datetime) -> None:
    administrator = staff(Role.ADMINISTRATOR)
    invite(administrator, now)
    with pytest.raises(service.StaffNumberTaken):
        invite(administrator, now, name="another")
    assert User.objects.filter(staff_no="N001").count() == 1
    assert RefusedAction.objects.get().code == "staff_number_taken"


def test_a_weak_password_is_refused_and_never_recorded(now: datetime) -> None:
    with pytest.raises(service.WeakPassword):
        invite(staff(Role.ADMINISTRATOR), now, password="short1")
    assert not User.objects.filter(staff_no="N001").exists()
    assert "short1" not in str(RefusedAction.objects.values().get())
    user = invite(staff(Role.ADMINISTRATOR), now, password="a long enough pass phrase")
    assert user.check_password("a long enough pass phrase")


@pytest.mark.parametrize("step", STEPS)
def test_a_step_moves_the_person_and_says_who_did_it(step: str, now: datetime) -> None:
    before, after = STEPS[step]
    user, administrator = a_user(state=before), staff(Role.ADMINISTRATOR)
    moved = getattr(service, step)(user_id=user.pk, actor=administrator, reason="because", now=now)
    assert moved.state == after and moved.is_active == (after == User.State.ACTIVE)
    newest = user.history.latest("history_id")
    assert (newest.state, newest.history_actor, newest.history_change_reason) == (
        after,
        str(administrator),
        "because",
    )


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_made_once(step: str, now: datetime) -> None:
    user, administrator = a_user(state=STEPS[step][0]), staff(Role.ADMINISTRATOR)
    getattr(service, step)(user_id=user.pk, actor=administrator, reason="because", now=now)
    rows = user.history.count()
    with pytest.raises(NotPossible):
        getattr(service, step)(user_id=user.pk, actor=administrator, reason="because", now=now)
    assert user.history.count() == rows


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.ADMINISTRATOR])
def test_only_an_administrator_moves_staff(role: Role, now: datetime) -> None:
    user, actor = a_user(), staff(role)
    with pytest.raises(NotPermitted):
        service.suspend(user_id=user.pk, actor=actor, reason="because", now=now)
    with pytest.raises(NotPermitted):
        invite(actor, now)
    user.refresh_from_db()
    assert user.state == User.State.ACTIVE and user.history.count() == 1
    assert RefusedAction.objects.filter(code="not_permitted", actor=str(actor)).count() == 2


def test_a_job_moves_no_staff(now: datetime) -> None:
    user = a_user()
    with pytest.raises(NotPermitted):
        service.leave(user_id=user.pk, actor=Actor.job("cleaner"), reason="because", now=now)
    with pytest.raises(NotPermitted):
        invite(Actor.job("cleaner"), now)


def test_leaving_releases_what_the_person_owned(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[tuple[str, str]] = []

    def release(*, user: User, actor: Actor, now: datetime) -> None:
        released.append((user.staff_no, str(actor)))

    monkeypatch.setattr(service, "on_leave", [release])
    user, administrator = a_user(Role.AGENT), staff(Role.ADMINISTRATOR)
    service.leave(user_id=user.pk, actor=administrator, reason="resigned", now=now)
    assert released == [(user.staff_no, str(administrator))]


def test_who_cannot_be_released_does_not_leave(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**kwargs: Any) -> None:
        raise RuntimeError("the tickets are locked")

    monkeypatch.setattr(service, "on_leave", [fail])
    user = a_user(Role.AGENT)
    with pytest.raises(RuntimeError):
        service.leave(user_id=user.pk, actor=staff(Role.ADMINISTRATOR), reason="resigned", now=now)
    user.refresh_from_db()
    assert user.state == User.State.ACTIVE


# --- Roles --------------------------------------------------------------------------------------------


def test_history_says_which_roles_were_given_and_taken(now: datetime) -> None:
    user, officer = a_user(Role.AGENT), staff(Role.SECURITY)
    set_roles(officer, user, {Role.REVIEWER}, now)
    assert roles_of(user) == {Role.REVIEWER}
    newest = user.history.latest("history_id")
    assert newest.history_change_reason == "roles: +reviewer -agent; moved"
    assert newest.history_actor == str(officer)


def test_giving_the_same_roles_again_writes_nothing(now: datetime) -> None:
    user, officer = a_user(), staff(Role.SECURITY)
    set_roles(officer, user, {"agent", "reviewer"}, now)
    rows = user.history.count()
    set_roles(officer, user, {"reviewer", "agent"}, now)
    assert user.history.count() == rows


def test_a_group_that_is_no_role_stays(now: datetime) -> None:
    user = a_user(Role.AGENT)
    user.groups.add(Group.objects.create(name="canteen"))
    set_roles(staff(Role.SECURITY), user, set(), now)
    assert roles_of(user) == {"canteen"}


@pytest.mark.parametrize("pair", list(combinations(Role, 2)), ids="+".join)
def test_who_watches_does_no_business(pair: tuple[Role, Role], now: datetime) -> None:
    user, officer = a_user(), staff(Role.SECURITY)
    if set(pair) <= BUSINESS_ROLES:
        set_roles(officer, user, set(pair), now)
        assert roles_of(user) == set(pair)
        return
    with pytest.raises(service.ConflictingRoles):
        set_roles(officer, user, set(pair), now)
    assert not user.groups.exists() and user.history.count() == 1


def test_nobody_changes_his_own_roles(now: datetime) -> None:
    officer = staff(Role.SECURITY)
    with pytest.raises(service.OwnRoles):
        set_roles(officer, officer.user, {Role.SECURITY, Role.AGENT}, now)
    assert roles_of(officer.user) == {Role.SECURITY}
    assert RefusedAction.objects.get().code == "own_roles"


def test_a_superuser_cannot_give_himself_a_role_either(now: datetime) -> None:
    chief = a_user(is_superuser=True)
    with pytest.raises(service.OwnRoles):
        set_roles(Actor.staff(chief), chief, {Role.REVIEWER}, now)


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.SECURITY])
def test_only_a_security_officer_gives_roles(role: Role, now: datetime) -> None:
    user = a_user()
    with pytest.raises(NotPermitted):
        set_roles(staff(role), user, {Role.REVIEWER}, now)
    assert not user.groups.exists()


def test_who_has_left_gets_no_role(now: datetime) -> None:
    user = a_user(state=User.State.LEFT)
    with pytest.raises(service.HasLeft):
        set_roles(staff(Role.SECURITY), user, {Role.AGENT}, now)
    assert not user.groups.exists()


def test_a_role_that_does_not_exist_is_refused(now: datetime) -> None:
    user = a_user()
    with pytest.raises(service.UnknownRole):
        set_roles(staff(Role.SECURITY), user, {"agent", "god"}, now)
    assert not user.groups.exists()
