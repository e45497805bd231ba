"""Compliance decides on products: under which policy each is closed, and whether it is on the market."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.errors import Refusal
from accounts.models import CreditProduct
from accounts.models.products import EDIT
from accounts.services.rights import require
from accounts.tracking import move, save_as

PERIODS = ("cooling_off", "notice_lead", "settle_window")


class TooShort(Refusal):
    """A period of the policy is shorter than this installation accepts."""

    code = "too_short"
    template = _("“{period}” is shorter than {minimum}. The policy was not changed.")


class NotAPercentage(Refusal):
    """The share to be sampled is no whole number from 0 to 100."""

    code = "not_a_percentage"
    template = _("{given} is no percentage from 0 to 100. The policy was not changed.")


@decision
def edit_policy(
    *,
    product_id: int,
    cooling_off: timedelta,
    notice_lead: timedelta,
    settle_window: timedelta,
    straight_through: bool,
    sampling_percent: int,
    actor: Actor,
    reason: str,
    now: datetime,
) -> CreditProduct:
    """The product has this closing policy under the next version number, for tickets opened from now on.

    Open tickets keep the policy pinned on them. Safe to repeat: equal values change nothing.

    Raises:
        NotPermitted: the actor may not edit products.
        TooShort: a period is below `settings.POLICY_MINIMUM`, or below nothing.
        NotAPercentage: `sampling_percent` is outside 0 to 100.
    Source: SPEC §3, last point: the demo's policies say seconds, production refuses less than a day.
    """
    require(actor=actor, right=EDIT, move=_("Edit the closing policy"))
    policy: dict[str, Any] = {
        "cooling_off": cooling_off,
        "notice_lead": notice_lead,
        "settle_window": settle_window,
        "straight_through": straight_through,
        "sampling_percent": sampling_percent,
    }
    for name in PERIODS:
        if policy[name] < settings.POLICY_MINIMUM:
            field: Any = CreditProduct._meta.get_field(name)
            raise TooShort(period=field.verbose_name, minimum=settings.POLICY_MINIMUM)
    if not 0 <= sampling_percent <= 100:
        raise NotAPercentage(given=sampling_percent)
    product = locked(product_id)
    if all(getattr(product, name) == value for name, value in policy.items()):
        return product
    for name, value in policy.items():
        setattr(product, name, value)
    product.version += 1
    return save_as(product, actor=actor, reason=reason, now=now)


@decision
def offer(*, product_id: int, actor: Actor, reason: str, now: datetime) -> CreditProduct:
    """The draft is on the market. Raises `NotPermitted` and `NotPossible` as `move`."""
    return move(locked(product_id), "offer", actor=actor, reason=reason, now=now)


@decision
def suspend(*, product_id: int, actor: Actor, reason: str, now: datetime) -> CreditProduct:
    """The product is off the market for now; its accounts and closings go on. Raises as `move`."""
    return move(locked(product_id), "suspend", actor=actor, reason=reason, now=now)


@decision
def resume(*, product_id: int, actor: Actor, reason: str, now: datetime) -> CreditProduct:
    """The suspended product is on the market again. Raises as `move`."""
    return move(locked(product_id), "resume", actor=actor, reason=reason, now=now)


@decision
def withdraw(*, product_id: int, actor: Actor, reason: str, now: datetime) -> CreditProduct:
    """The product has left the market for good; its accounts and closings go on. Raises as `move`."""
    return move(locked(product_id), "withdraw", actor=actor, reason=reason, now=now)


def locked(product_id: int) -> CreditProduct:
    return CreditProduct.objects.select_for_update(of=("self",)).get(pk=product_id)
