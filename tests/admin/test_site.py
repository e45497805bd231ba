"""The door of the console: who comes in, with what, in which language, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.admin.site import SIGNED_IN_AT, ConsoleSite
from accounts.models import User
from accounts.roles import Role
from tests import factories
from tests.admin.conftest import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"


def sign_in(client: Client, user: User, *, password: str = PASSWORD, **fields: str) -> Any:
    return client.post(LOGIN, {"username": user.staff_no, "password": password, **fields})


def code_of(device: TOTPDevice) -> str:
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    return f"{totp.token():06d}"


def test_the_console_is_our_site() -> None:
    assert isinstance(admin.site, ConsoleSite)


@pytest.mark.parametrize("role", list(Role))
def test_every_role_signs_in_and_finds_its_home(client: Client, role: Role) -> None:
    user = factories.a_user(role)
    answer = sign_in(client, user)
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:index"))
    assert client.get("/admin/").status_code == 200
    assert client.session[SIGNED_IN_AT] > 0


@pytest.mark.parametrize("state", ["INVITED", "SUSPENDED", "LEFT"])
def test_only_active_staff_sign_in(client: Client, state: str) -> None:
    user = factories.a_user(Role.AGENT, state=state)
    assert sign_in(client, user).status_code == 200
    assert client.get("/admin/").status_code == 302


def test_an_open_session_ends_when_its_person_is_suspended(client: Client) -> None:
    user = factories.a_user(Role.AGENT)
    sign_in(client, user)
    User.objects.filter(pk=user.pk).update(state=User.State.SUSPENDED)
    assert client.get("/admin/")["Location"].startswith(LOGIN)


def test_a_sign_in_leads_to_where_one_wanted_to_go_and_never_off_the_site(client: Client) -> None:
    user = factories.a_user(Role.AGENT)
    wanted = reverse("admin:accounts_customer_changelist")
    body = {"username": user.staff_no, "password": PASSWORD}
    assert client.post(f"{LOGIN}?next={wanted}", body)["Location"] == wanted
    assert client.post(f"{LOGIN}?next=https://elsewhere.test/", body)["Location"] == reverse("admin:index")


# --- Second factor ----------------------------------------------------------------------------------


@pytest.fixture
def with_otp(settings: Any) -> None:
    settings.STAFF_OTP_REQUIRED = True


def enrolled(user: User) -> TOTPDevice:
    return TOTPDevice.objects.create(user=user, name="app", confirmed=True)


def test_without_otp_no_code_is_asked_for(client: Client) -> None:
    assert b"otp_token" not in client.get(LOGIN).content


def test_the_sign_in_page_asks_for_the_code_where_it_is_required(client: Client, with_otp: None) -> None:
    assert b'name="otp_token"' in client.get(LOGIN).content


def test_a_password_alone_does_not_open_the_console(client: Client, with_otp: None) -> None:
    user = factories.a_user(Role.LEAD)
    assert sign_in(client, user).status_code == 200
    enrolled(user)
    for token in ("", "000000", "abc"):
        assert sign_in(client, user, otp_token=token).status_code == 200
    assert client.get("/admin/").status_code == 302


def test_a_password_is_never_written_back_into_the_page(client: Client, with_otp: None) -> None:
    user = factories.a_user(Role.LEAD)
    enrolled(user)
    assert PASSWORD not in sign_in(client, user, otp_token="000000").content.decode()


def test_a_session_without_the_second_factor_is_outside(client: Client, with_otp: None) -> None:
    client.force_login(factories.a_user(Role.LEAD))
    assert client.get("/admin/")["Location"].startswith(LOGIN)


def test_password_and_code_open_it_and_a_code_works_once(client: Client, with_otp: None) -> None:
    user = factories.a_user(Role.LEAD)
    code = code_of(enrolled(user))
    assert sign_in(client, user, otp_token=code).status_code == 302
    assert client.get("/admin/").status_code == 200
    assert sign_in(Client(), user, otp_token=code).status_code == 200


def test_somebody_elses_device_does_not_open_it(client: Client, with_otp: None) -> None:
    user, other = factories.a_user(Role.LEAD), factories.a_user(Role.LEAD)
    enrolled(user)
    assert sign_in(client, user, otp_token=code_of(enrolled(other))).status_code == 200


def test_an_unconfirmed_device_does_not_count(client: Client, with_otp: None) -> None:
    user = factories.a_user(Role.LEAD)
    device = TOTPDevice.objects.create(user=user, name="app", confirmed=False)
    assert sign_in(client, user, otp_token=code_of(device)).status_code == 200


def test_enrolment_prints_the_secret_once_and_counts_after_confirmation(capsys: Any) -> None:
    user = factories.a_user(Role.AGENT)
    call_command("enrol_otp", user.staff_no)
    printed = capsys.readouterr().out
    device = TOTPDevice.objects.get(user=user)
    assert device.config_url in printed and "█" in printed
    assert not device.confirmed
    with pytest.raises(CommandError):
        call_command("enrol_otp", user.staff_no, confirm="000000")
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    call_command("enrol_otp", user.staff_no, confirm=code_of(device))
    device.refresh_from_db()
    assert device.confirmed


def test_a_confirmed_device_is_replaced_only_on_demand(capsys: Any) -> None:
    user = factories.a_user(Role.AGENT)
    old = enrolled(user)
    with pytest.raises(CommandError):
        call_command("enrol_otp", user.staff_no)
    call_command("enrol_otp", user.staff_no, replace=True)
    assert TOTPDevice.objects.filter(pk=old.pk, confirmed=True).exists()  # works until the new one does
    new = TOTPDevice.objects.get(user=user, confirmed=False)
    call_command("enrol_otp", user.staff_no, confirm=code_of(new))
    assert list(TOTPDevice.objects.filter(user=user).values_list("pk", "confirmed")) == [(new.pk, True)]


@pytest.mark.parametrize("who", ["nobody", "left"])
def test_nobody_to_enrol_is_said_so(who: str) -> None:
    staff_no = "X1" if who == "nobody" else factories.a_user(state="LEFT").staff_no
    with pytest.raises(CommandError):
        call_command("enrol_otp", staff_no)
    assert not TOTPDevice.objects.exists()


# --- Again, lockout, password -----------------------------------------------------------------------


def test_somebody_signed_in_is_asked_again_only_when_told(client: Client) -> None:
    user = factories.a_user(Role.LEAD)
    sign_in(client, user)
    assert client.get(LOGIN).status_code == 302
    page = client.get(f"{LOGIN}?again=1&next=/admin/")
    assert page.status_code == 200
    assert user.staff_no in page.content.decode()


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_too_many_failures_lock_the_door_and_say_so(client: Client, settings: Any, language: str) -> None:
    user = factories.a_user(Role.AGENT)
    client.cookies["django_language"] = language
    for _attempt in range(settings.AXES_FAILURE_LIMIT):
        answer = sign_in(client, user, password="wrong")
    assert answer.status_code == 429
    assert f'lang="{language}"' in answer.content.decode()
    assert "15" in answer.content.decode()
    assert int(answer["Retry-After"]) == 900
    assert sign_in(client, user).status_code == 429  # a right password does not help sooner
    assert sign_in(Client(REMOTE_ADDR="10.1.2.3"), user).status_code == 302


def test_changing_ones_password_is_on_record_without_the_password(client: Client) -> None:
    user = factories.a_user(Role.AGENT)
    sign_in(client, user)
    new = "a much longer horse"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    answer = client.post(reverse("admin:password_change"), form)
    assert answer.status_code == 302
    assert client.get(answer["Location"]).status_code == 200  # still signed in
    user.refresh_from_db()
    assert user.check_password(new)
    newest = user.history.first()
    assert (newest.history_actor, newest.history_change_reason) == (
        f"staff:{user.staff_no}",
        "own password changed",
    )


def test_a_weak_password_is_refused(client: Client) -> None:
    user = factories.a_user(Role.AGENT)
    sign_in(client, user)
    form = {"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"}
    assert client.post(reverse("admin:password_change"), form).status_code == 200
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


# --- Language, caches, other apps' pages ------------------------------------------------------------


def test_the_console_speaks_chinese_whatever_the_browser_prefers(client: Client) -> None:
    page = client.get(LOGIN, headers={"accept-language": "en-US,en;q=0.9"})
    assert 'lang="zh-hans"' in page.content.decode()


def test_the_switch_changes_the_language_and_it_stays(client: Client) -> None:
    user = factories.a_user(Role.AGENT)
    client.post(reverse("set_language"), {"language": "en", "next": LOGIN})
    assert 'lang="en"' in client.get(LOGIN).content.decode()
    sign_in(client, user)
    assert 'lang="en"' in client.get("/admin/").content.decode()
    assert client.cookies["django_language"]["max-age"] > 30 * 24 * 3600
    client.post(reverse("set_language"), {"language": "zh-hans", "next": "/admin/"})
    assert 'lang="zh-hans"' in client.get("/admin/").content.decode()


def test_an_unknown_language_is_chinese(client: Client) -> None:
    client.cookies["django_language"] = "xx-yy"
    assert 'lang="zh-hans"' in client.get(LOGIN).content.decode()


def test_pages_stay_out_of_caches(at_desk: Any, world: dict[str, Any]) -> None:
    client = at_desk(Role.AGENT)
    customer = reverse("admin:accounts_customer_change", args=[world["account"].customer_id])
    for url in ("/admin/", customer, reverse("admin:intake"), LOGIN):
        assert "no-store" in client.get(url).get("Cache-Control", ""), url


def test_groups_are_not_edited_on_the_console() -> None:
    from django.contrib.auth.models import Group  # noqa: PLC0415

    assert not admin.site.is_registered(Group)
    assert not admin.site.is_registered(Permission)


def test_a_second_factors_secret_is_on_no_page(at_desk: Any) -> None:
    device = enrolled(factories.a_user(Role.AGENT))
    client = at_desk(Role.SECURITY)
    for url in (
        reverse("admin:otp_totp_totpdevice_changelist"),
        reverse("admin:otp_totp_totpdevice_change", args=[device.pk]),
    ):
        page = client.get(url)
        assert page.status_code == 200
        assert device.key not in page.content.decode()
        assert device.config_url not in page.content.decode()
