"""Who sees an identity unmasked, how customers are found by their numbers, and how keys are rotated."""

from __future__ import annotations

import base64
import os
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import pii
from accounts.actors import Actor
from accounts.errors import Refusal
from accounts.models import Customer, CustomerIdentity, IdentityReveal, RefusedAction
from accounts.roles import Role
from accounts.selectors.identities import NOBODY, find_customers, identities_of, identity_of, same_id_number
from accounts.services import identities, keys
from accounts.tracking import NotPermitted
from tests.factories import a_customer, a_person, staff
from tests.races import at_once, race

pytestmark = pytest.mark.django_db

ID_NUMBER = "99000019891117004X"
PERSON = {"name": "田震", "id_number": ID_NUMBER, "phone": "19900000004", "email": "c4@example.com",
          "birth_date": "1989-11-17"}  # fmt: skip


def known_as(customer: Customer, *, now: datetime, version: int = 1, **person: str) -> CustomerIdentity:
    """The customer's current identity, of the named fields; the others are blank."""
    given = {**dict.fromkeys(CustomerIdentity.SEALED, ""), **person}
    CustomerIdentity.objects.filter(customer=customer, superseded_at=None).update(superseded_at=now)
    sealed = pii.seal_all(given, subject=customer.customer_no)
    return CustomerIdentity.objects.create(
        customer=customer,
        version=version,
        **{f"{name}_sealed": text for name, text in zip(given, sealed, strict=True)},
        id_number_index=pii.blind_index("id_number", given["id_number"]),
        phone_index=pii.blind_index("phone", given["phone"]),
        digest=pii.row_digest(given.values()),
        recorded_at=now,
    )


@pytest.fixture
def customer(now: datetime) -> Customer:
    customer = a_customer()
    known_as(customer, now=now, **PERSON)
    return customer


@pytest.fixture
def reviewer() -> Actor:
    return staff(Role.REVIEWER)


# --- Reveal -------------------------------------------------------------------------------------------


def test_a_reviewer_with_a_reason_sees_the_identity(customer, reviewer, now) -> None:
    shown = identities.reveal(customer_id=customer.pk, actor=reviewer, reason=" court order 7 ", now=now)
    assert {name: getattr(shown, name) for name in PERSON} == PERSON


def test_every_look_is_recorded_with_who_when_and_why(customer, reviewer, now) -> None:
    for _ in range(2):
        identities.reveal(customer_id=customer.pk, actor=reviewer, reason="court order 7", now=now)
    rows = list(IdentityReveal.objects.values_list("at", "user", "customer", "reason"))
    assert rows == [(now, reviewer.user.pk, customer.pk, "court order 7")] * 2


def test_an_identity_never_prints_itself(customer, reviewer, now) -> None:
    shown = identities.reveal(customer_id=customer.pk, actor=reviewer, reason="why", now=now)
    for value in PERSON.values():
        assert value not in f"{shown} {shown!r}"


@pytest.mark.parametrize("role", [Role.AGENT, Role.RISK, Role.OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR])
def test_a_role_without_the_right_is_refused_and_nothing_is_recorded_as_seen(role, customer, now) -> None:
    with pytest.raises(NotPermitted):
        identities.reveal(customer_id=customer.pk, actor=staff(role), reason="curious", now=now)
    assert not IdentityReveal.objects.exists()
    assert RefusedAction.objects.get().code == "not_permitted"


def test_a_job_sees_no_identity(customer, now) -> None:
    with pytest.raises(NotPermitted):
        identities.reveal(customer_id=customer.pk, actor=Actor.job("import"), reason="why", now=now)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_without_a_reason_of_sensible_length_nothing_is_shown(reason, customer, reviewer, now) -> None:
    with pytest.raises(identities.ReasonMissing):
        identities.reveal(customer_id=customer.pk, actor=reviewer, reason=reason, now=now)
    assert not IdentityReveal.objects.exists()


def test_the_limit_counts_the_last_hour_of_one_person(customer, reviewer, now, settings) -> None:
    settings.REVEAL_LIMIT_PER_HOUR = 2
    ask = {"customer_id": customer.pk, "reason": "why"}
    for minutes in (0, 30):
        identities.reveal(**ask, actor=reviewer, now=now + timedelta(minutes=minutes))
    with pytest.raises(identities.TooManyReveals):
        identities.reveal(**ask, actor=reviewer, now=now + timedelta(minutes=59))
    identities.reveal(**ask, actor=staff(Role.REVIEWER), now=now + timedelta(minutes=59))
    identities.reveal(**ask, actor=reviewer, now=now + timedelta(minutes=60))
    assert IdentityReveal.objects.count() == 4


@race
def test_looks_at_the_same_moment_count_each_other(now, settings) -> None:
    settings.REVEAL_LIMIT_PER_HOUR = 3
    customer, reviewer = a_customer(), staff(Role.REVIEWER)
    known_as(customer, now=now, **PERSON)

    def look() -> identities.Identity:
        return identities.reveal(customer_id=customer.pk, actor=reviewer, reason="why", now=now)

    ends = at_once(*[look] * 6)
    assert sorted(type(end).__name__ for end in ends) == ["Identity"] * 3 + ["TooManyReveals"] * 3
    assert IdentityReveal.objects.count() == 3


def test_a_customer_without_identity_is_refused_by_name_of_the_fact(reviewer, now) -> None:
    with pytest.raises(identities.NoIdentity):
        identities.reveal(customer_id=a_customer().pk, actor=reviewer, reason="why", now=now)


def test_a_seal_moved_from_another_customer_is_refused_and_recorded(customer, reviewer, now) -> None:
    other = a_customer()
    theirs = CustomerIdentity.objects.get(customer=customer)
    known_as(other, now=now, **PERSON)
    CustomerIdentity.objects.filter(customer=other).update(name_sealed=theirs.name_sealed)
    with pytest.raises(pii.Unreadable):
        identities.reveal(customer_id=other.pk, actor=reviewer, reason="why", now=now)
    assert not IdentityReveal.objects.exists()
    refused = RefusedAction.objects.get()
    assert refused.code == "unreadable"
    assert not any(value in str(vars(refused)) for value in PERSON.values())


# --- Masked -------------------------------------------------------------------------------------------


def test_a_screen_shows_the_current_identity_masked(customer, now, django_assert_num_queries) -> None:
    known_as(customer, now=now, version=2, **{**PERSON, "name": "田雷"})
    with django_assert_num_queries(1):
        shown = identity_of(customer)
    assert (shown.version, shown.name, shown.id_number) == (2, "田*", "990***********004X")
    assert (shown.phone, shown.email, shown.birth_date) == ("199****0004", "c***@example.com", "****-**-**")


def test_a_list_asks_once_for_all_its_customers(customer, django_assert_num_queries) -> None:
    nobody = a_customer()
    with django_assert_num_queries(1):
        shown = identities_of([customer, nobody])
    assert shown[customer.pk].name == "田*"
    assert shown[nobody.pk] is NOBODY


def test_one_unreadable_seal_does_not_hide_the_rest(customer) -> None:
    CustomerIdentity.objects.update(phone_sealed="lost.AAAA")
    shown = identity_of(customer)
    assert (shown.name, shown.phone) == ("田*", "⚠")


# --- Exact search ---------------------------------------------------------------------------------------


def test_a_customer_is_found_by_either_number_in_any_spelling(customer) -> None:
    for asked in ({"id_number": ID_NUMBER.lower()}, {"phone": "+86 199-0000-0004"},
                  {"id_number": ID_NUMBER, "phone": "19900000004"}):  # fmt: skip
        assert list(find_customers(**asked)) == [customer]


def test_a_part_of_a_number_finds_nobody(customer) -> None:
    assert not find_customers(id_number=ID_NUMBER[:-1])
    assert not find_customers(phone="1990000")
    assert not find_customers()
    assert not find_customers(id_number=ID_NUMBER, phone="19900000005")


def test_a_superseded_number_finds_nobody(customer, now) -> None:
    known_as(customer, now=now, version=2, **{**PERSON, "phone": "19911111111"})
    assert not find_customers(phone="19900000004")
    assert list(find_customers(phone="19911111111")) == [customer]


def test_customers_with_one_id_number_are_flagged_to_each_other(customer, now) -> None:
    twin, other = a_customer(), a_customer()
    known_as(twin, now=now, **{**PERSON, "phone": ""})
    known_as(other, now=now, **{**PERSON, "id_number": "990000200210210010"})
    assert list(same_id_number(customer)) == [twin]
    assert list(same_id_number(twin)) == [customer]
    assert not same_id_number(other)
    assert not same_id_number(a_customer())


# --- Rotation -------------------------------------------------------------------------------------------


@pytest.fixture
def rotated(customer, now, settings) -> str:
    """Five customers under the old key, and a new key that seals from now on; returns the old keys."""
    for _ in range(4):
        known_as(a_customer(), now=now, **{**PERSON, "email": ""})
    old = settings.FIELD_KEYS
    settings.FIELD_KEYS = f"new:{base64.b64encode(os.urandom(32)).decode()},{old}"
    return old


def key_ids() -> set[str]:
    rows = CustomerIdentity.objects.values_list(*(f"{name}_sealed" for name in CustomerIdentity.SEALED))
    return {sealed.partition(".")[0] for row in rows for sealed in row if sealed}


def test_after_rotation_the_old_key_can_be_taken_away(rotated, customer, settings) -> None:
    call_command("rotate_keys", batch=2)
    assert key_ids() == {"new"}
    settings.FIELD_KEYS = settings.FIELD_KEYS.partition(",")[0]
    assert identity_of(customer).name == "田*"
    assert list(find_customers(phone=PERSON["phone"]))[0] == customer  # indexes are another key's


def test_rotation_goes_on_where_it_was_stopped(rotated) -> None:
    (table,) = (t for t in pii.sealed_tables() if t.model is CustomerIdentity)

    def stop_after_the_first_batch(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keys.rotate(table=table, batch=2, progress=stop_after_the_first_batch)
    assert key_ids() == {"new", "local"}
    assert keys.rotate(table=table, batch=2).resealed == 3
    assert keys.rotate(table=table, batch=2).resealed == 0


def test_a_row_no_key_opens_is_named_and_left_and_the_rest_goes_on(rotated, customer, capsys) -> None:
    row = CustomerIdentity.objects.get(customer=customer)
    CustomerIdentity.objects.filter(pk=row.pk).update(name_sealed="lost.AAAA")
    with pytest.raises(CommandError):
        call_command("rotate_keys", batch=2)
    assert key_ids() == {"new", "local", "lost"}  # its other fields were not half done either
    assert str(row.pk) in capsys.readouterr().err


def test_every_refusal_here_has_its_own_code() -> None:
    refusals = [identities.ReasonMissing, identities.TooManyReveals, identities.NoIdentity, pii.Unreadable]
    assert len({r.code for r in [*refusals, Refusal]}) == 5


def test_who_guesses_numbers_is_stopped_and_no_number_is_kept(settings: Any, now: datetime) -> None:
    settings.SEARCH_MISSES_PER_HOUR = 3
    known = a_person(known={"phone": "19900000077"})
    clerk, other = staff(Role.AGENT), staff(Role.AGENT)
    for last in range(3):
        with pytest.raises(identities.NobodyFound):
            identities.search(phone=f"1990000008{last}", most=5, actor=clerk, now=now)
    with pytest.raises(identities.TooManyMisses):
        identities.search(phone="19900000077", most=5, actor=clerk, now=now)
    assert identities.search(phone="19900000077", most=5, actor=other, now=now) == [known]
    assert "1990000008" not in str(list(RefusedAction.objects.values()))
