"""A legal number is a dated row with its source, and two people change it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from pytest_django import Settings

from accounts.actors import Actor
from accounts.errors import Refusal
from accounts.models import RefusedAction, Regulation
from accounts.roles import Role
from accounts.selectors import regulations as selector
from accounts.services import regulations as service
from accounts.tracking import NotPermitted, NotPossible, save_as
from tests.factories import staff
from tests.races import at_once, race

pytestmark = pytest.mark.django_db

NEXT_YEAR = date(2027, 1, 1)


def propose(actor: Actor, now: datetime, **more: Any) -> Regulation:
    given = {
        "code": "ANSWER_DUE",
        "value": "10",
        "source": "a new notice",
        "certainty": "C",
        "valid_from": NEXT_YEAR,
        "reason": "the law changed",
        **more,
    }
    return service.propose(actor=actor, now=now, **given)


def approve(actor: Actor, row: Regulation, now: datetime) -> Regulation:
    return service.approve(regulation_id=row.pk, actor=actor, reason="read it", now=now)


def reject(actor: Actor, row: Regulation, now: datetime) -> Regulation:
    return service.reject(regulation_id=row.pk, actor=actor, reason="not yet", now=now)


# --- Which row counts ---------------------------------------------------------------------------------


def test_a_value_counts_from_its_day_on(now: datetime) -> None:
    approve(staff(Role.LEAD), propose(staff(Role.LEAD), now), now)
    assert selector.number("ANSWER_DUE", on=NEXT_YEAR - timedelta(days=1)) == 15
    assert selector.number("ANSWER_DUE", on=NEXT_YEAR) == 10
    assert selector.in_force("ANSWER_DUE", on=date(2040, 1, 1)).value == "10"


def test_a_proposal_counts_for_nothing(now: datetime) -> None:
    row = propose(staff(Role.LEAD), now)
    assert selector.number("ANSWER_DUE", on=NEXT_YEAR) == 15
    reject(staff(Role.LEAD), row, now)
    assert selector.number("ANSWER_DUE", on=NEXT_YEAR) == 15


def test_a_clock_without_a_rule_is_not_guessed() -> None:
    with pytest.raises(selector.NoRegulation):
        selector.in_force("ANSWER_DUE", on=date(2019, 11, 27))
    with pytest.raises(selector.NoRegulation):
        selector.number("NO_SUCH_CLOCK", on=NEXT_YEAR)


def test_quiet_hours_are_read_as_two_ends() -> None:
    assert selector.local_hours("QUIET_HOURS", on=NEXT_YEAR) == (time(22), time(8))
    Regulation.objects.filter(code="QUIET_HOURS").update(value="")
    assert selector.local_hours("QUIET_HOURS", on=NEXT_YEAR) == (None, None)


# --- Two people ---------------------------------------------------------------------------------------


def test_a_proposal_waits_with_its_author_title_and_unit(now: datetime) -> None:
    lead = staff(Role.LEAD)
    row = propose(lead, now)
    shipped = Regulation.objects.get(code="ANSWER_DUE", shipped=True)
    assert (row.state, row.proposed_by, row.approved_by, row.shipped) == ("PROPOSED", lead.user, None, False)
    assert (row.title, row.unit) == (shipped.title, "working_days")
    assert row.history.get().history_actor == str(lead)


def test_another_person_approves_and_both_are_named(now: datetime) -> None:
    author, other = staff(Role.LEAD), staff(Role.LEAD)
    row = approve(other, propose(author, now), now)
    assert (row.state, row.proposed_by, row.approved_by) == ("IN_FORCE", author.user, other.user)
    newest = row.history.latest("history_id")
    assert (newest.history_actor, newest.history_change_reason) == (str(other), "read it")


@pytest.mark.parametrize("decide", [approve, reject])
def test_the_author_does_not_decide(decide: Any, now: datetime) -> None:
    author = staff(Role.LEAD, is_superuser=True)
    row = propose(author, now)
    with pytest.raises(service.SamePerson):
        decide(author, row, now)
    row.refresh_from_db()
    assert (row.state, row.approved_by, row.history.count()) == ("PROPOSED", None, 1)
    assert RefusedAction.objects.get().subject == {"regulation_id": row.pk}


@pytest.mark.parametrize("state", ["IN_FORCE", "REJECTED"])
def test_the_database_refuses_one_name_twice(state: str) -> None:
    user = staff(Role.LEAD).user
    row = Regulation(
        code="PIA_YEARS",
        value="1",
        unit="years",
        certainty="C",
        valid_from=NEXT_YEAR,
        state=state,
        proposed_by=user,
        approved_by=user,
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        save_as(row, actor=Actor.job("a shell"), reason="test")


@pytest.mark.parametrize("decide", [approve, reject])
def test_a_decision_is_made_once(decide: Any, now: datetime) -> None:
    row = decide(staff(Role.LEAD), propose(staff(Role.LEAD), now), now)
    rows = row.history.count()
    for again in (approve, reject):
        with pytest.raises(Refusal):
            again(staff(Role.LEAD), row, now)
    assert row.history.count() == rows


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.LEAD])
def test_only_a_compliance_lead_proposes_and_decides(role: Role, now: datetime) -> None:
    row = propose(staff(Role.LEAD), now)
    for act in (lambda: propose(staff(role), now), lambda: approve(staff(role), row, now)):
        with pytest.raises(NotPermitted):
            act()
    assert Regulation.objects.filter(shipped=False).count() == 1
    row.refresh_from_db()
    assert row.state == "PROPOSED"


def test_a_job_proposes_and_approves_nothing(now: datetime) -> None:
    row = propose(staff(Role.LEAD), now)
    with pytest.raises(NotPermitted):
        propose(Actor.job("crawler"), now)
    with pytest.raises(NotPermitted):
        approve(Actor.job("crawler"), row, now)


def test_a_day_has_one_value(now: datetime) -> None:
    one, two = propose(staff(Role.LEAD), now), propose(staff(Role.LEAD), now, value="12")
    approve(staff(Role.LEAD), one, now)
    with pytest.raises(service.AlreadyInForce):
        approve(staff(Role.LEAD), two, now)
    with pytest.raises(service.AlreadyInForce):
        propose(staff(Role.LEAD), now, value="11")
    assert selector.number("ANSWER_DUE", on=NEXT_YEAR) == 10
    assert reject(staff(Role.LEAD), two, now).state == "REJECTED"
    with pytest.raises(NotPossible):
        approve(staff(Role.LEAD), two, now)


# --- Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("ANSWER_DUE", "0"),
        ("ANSWER_DUE", "-1"),
        ("ANSWER_DUE", "15.5"),
        ("ANSWER_DUE", "015"),
        ("ANSWER_DUE", "１５"),
        ("ANSWER_DUE", " 15"),
        ("ANSWER_DUE", "99999"),
        ("ANSWER_DUE", ""),
        ("RETENTION_YEARS", "ten"),
        ("SLEEPING_SHARE", "101"),
        ("SLEEPING_SHARE", "20%"),
        ("QUIET_HOURS", "22:00"),
        ("QUIET_HOURS", "22-08"),
        ("QUIET_HOURS", "24:00-08:00"),
        ("QUIET_HOURS", "22:00-22:00"),
        ("QUIET_HOURS", "22:00-08:00 "),
    ],
)
def test_a_value_that_is_none_in_its_unit_is_refused(code: str, value: str, now: datetime) -> None:
    with pytest.raises(service.NotAValue):
        propose(staff(Role.LEAD), now, code=code, value=value)
    assert not Regulation.objects.filter(shipped=False).exists()


@pytest.mark.parametrize(
    ("code", "value"),
    [("SLEEPING_SHARE", "0"), ("SLEEPING_SHARE", "100"), ("QUIET_HOURS", "21:30-09:00"), ("PIA_YEARS", "1")],
)
def test_a_value_in_its_unit_is_accepted(code: str, value: str, now: datetime) -> None:
    assert propose(staff(Role.LEAD), now, code=code, value=value).value == value


def test_a_code_that_nothing_counts_with_is_refused(now: datetime) -> None:
    with pytest.raises(selector.NoRegulation):
        propose(staff(Role.LEAD), now, code="ANSWER_DEW")


def test_a_certainty_that_does_not_exist_is_refused(now: datetime) -> None:
    with pytest.raises(service.NotAValue):
        propose(staff(Role.LEAD), now, certainty="sure")


def test_quiet_hours_may_be_empty_in_a_demonstration_only(now: datetime, settings: Settings) -> None:
    settings.POLICY_MINIMUM = timedelta(0)
    row = propose(staff(Role.LEAD), now, code="QUIET_HOURS", value="")
    settings.POLICY_MINIMUM = timedelta(days=1)
    with pytest.raises(service.NoQuietHours):
        propose(staff(Role.LEAD), now, code="QUIET_HOURS", value="")
    with pytest.raises(service.NoQuietHours):
        approve(staff(Role.LEAD), row, now)
    assert selector.local_hours("QUIET_HOURS", on=NEXT_YEAR) == (time(22), time(8))


@race
def test_two_approvals_for_one_day_at_the_same_moment_leave_one(now: datetime) -> None:
    first, second = (propose(staff(Role.LEAD), now, value=value) for value in ("10", "11"))
    one, other = staff(Role.LEAD), staff(Role.LEAD)
    ends = at_once(lambda: approve(one, first, now), lambda: approve(other, second, now))
    assert [getattr(end, "code", "") for end in ends].count("already_in_force") == 1
    assert Regulation.objects.filter(code="ANSWER_DUE", valid_from=NEXT_YEAR, state="IN_FORCE").count() == 1
