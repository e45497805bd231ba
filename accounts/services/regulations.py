"""Legal numbers change by two people: one proposes a value from a day on, another approves it."""

from __future__ import annotations

from datetime import date, datetime

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.errors import Refusal
from accounts.models import Certainty, Regulation
from accounts.models.regulations import EDIT
from accounts.selectors.regulations import UNITS, NoRegulation
from accounts.services.rights import require
from accounts.tracking import move, save_as


class NotAValue(Refusal):
    """The value is not what the regulation's unit asks for."""

    code = "not_a_value"
    template = _("“{value}” is no value in {unit}. Nothing was proposed.")


class NoQuietHours(Refusal):
    """A range of quiet hours may be empty in a demonstration only."""

    code = "no_quiet_hours"
    template = _("Quiet hours cannot be empty here. Nothing was changed.")


class SamePerson(Refusal):
    """Who proposed a value does not decide on it."""

    code = "same_person"
    template = _("You proposed this value; another person has to decide on it.")


class AlreadyInForce(Refusal):
    """Another value of the same regulation has been approved for the same first day."""

    code = "already_in_force"
    template = _("{regulation} already has an approved value from {valid_from}. Propose another day.")


@decision
def propose(
    *,
    code: str,
    value: str,
    source: str,
    certainty: str,
    valid_from: date,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Regulation:
    """A value of a known regulation waits for a second person; title and unit stay as they are.

    Raises:
        NotPermitted: the actor may not edit regulations.
        NoRegulation: nothing in the product counts with `code`.
        NotAValue: the value does not fit the unit, or the certainty is none of `Certainty`.
        NoQuietHours: an empty range where `settings.POLICY_MINIMUM` says that this is no demonstration.
        AlreadyInForce: the day has its value.
    """
    user = require(actor=actor, right=EDIT, move=_("Propose a regulation"))
    known = Regulation.objects.filter(code=code).order_by("-valid_from", "-pk").first()
    if known is None:
        raise NoRegulation(regulation=code, on=valid_from)
    check(value, unit=known.unit)
    if certainty not in Certainty.values:
        raise NotAValue(value=certainty, unit=Regulation._meta.get_field("certainty").verbose_name)
    check_day_is_free(code, valid_from)
    proposal = Regulation(
        code=code,
        title=known.title,
        value=value,
        unit=known.unit,
        source=source,
        certainty=certainty,
        valid_from=valid_from,
        proposed_by=user,
    )
    return save_as(proposal, actor=actor, reason=reason, now=now)


@decision
def approve(*, regulation_id: int, actor: Actor, reason: str, now: datetime) -> Regulation:
    """The proposed value counts from its day on; due dates already given keep the row they were counted by.

    Raises:
        SamePerson: the actor proposed it.
        AlreadyInForce: another value was approved for the same day meanwhile.
        NotPermitted, NotPossible: as `move`; a repeat is not possible.
    """
    proposal = locked(regulation_id, actor)
    if proposal.state == Regulation.State.PROPOSED:
        check_day_is_free(proposal.code, proposal.valid_from)
        check(proposal.value, unit=proposal.unit)
    return move(proposal, "approve", actor=actor, reason=reason, now=now, approved_by=actor.user)


@decision
def reject(*, regulation_id: int, actor: Actor, reason: str, now: datetime) -> Regulation:
    """The proposed value is turned down and stays on record.

    Raises:
        SamePerson: the actor proposed it.
        NotPermitted, NotPossible: as `move`; a repeat is not possible.
    """
    return move(
        locked(regulation_id, actor), "reject", actor=actor, reason=reason, now=now, approved_by=actor.user
    )


def locked(regulation_id: int, actor: Actor) -> Regulation:
    """The row, for a decision by someone other than its author; every row of its code is locked."""
    code = Regulation.objects.values_list("code", flat=True).get(pk=regulation_id)
    rows = Regulation.objects.select_for_update(of=("self",)).filter(code=code).order_by("pk")
    row = next(row for row in rows if row.pk == regulation_id)
    if actor.user is not None and row.proposed_by_id == actor.user.pk:
        raise SamePerson
    return row


def check(value: str, *, unit: str) -> None:
    """The value can be read in `unit`, and this installation accepts it."""
    try:
        UNITS[unit](value)
    except ValueError:
        raise NotAValue(value=value, unit=unit) from None
    if not value and settings.POLICY_MINIMUM:
        raise NoQuietHours


def check_day_is_free(code: str, valid_from: date) -> None:
    if Regulation.objects.filter(code=code, valid_from=valid_from, state=Regulation.State.IN_FORCE).exists():
        raise AlreadyInForce(regulation=code, valid_from=valid_from)
