"""Kill switches: one per rule, one for all. Whoever sees a rule go wrong stops it at once, and says why.

A scan looks at both before each of its batches (`scan`), so a stop takes effect within one batch.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.models import User
from accounts.services.rights import require
from accounts.tracking import save_as
from closures.errors import ClosureError, said
from closures.models import RiskRule, RiskScan, RiskSwitch
from closures.models.risk import RELEASE, STOP
from closures.services.risk.rights import locked_rule


class AlreadyStopped(ClosureError):
    code = "already_stopped"
    template = _("{what} is stopped already.")


class NotStopped(ClosureError):
    code = "not_stopped"
    template = _("{what} is not stopped.")


class NothingToStop(ClosureError):
    code = "nothing_to_stop"
    template = _("{rule} is not at work; there is nothing to stop.")


def all_stopped() -> bool:
    return RiskSwitch.objects.filter(stopped=True).exists()


@decision
def stop(*, rule_id: int, ground: str, actor: Actor, now: datetime) -> RiskRule:
    """The rule is not scanned until somebody releases it; a scan under way ends with its batch.

    Raises: NotPermitted, GroundMissing, AlreadyStopped, NothingToStop.
    """
    require(actor=actor, right=STOP, move=_("Stop the rule"))
    rule, ground = locked_rule(rule_id), said(ground)
    if rule.is_stopped:
        raise AlreadyStopped(what=rule)
    if rule.state not in RiskRule.SCANNED:
        raise NothingToStop(rule=rule)
    return halt(rule, RiskRule.StopCode.BY_HAND, actor=actor, reason=ground, now=now)


def halt(rule: RiskRule, code: RiskRule.StopCode, *, actor: Actor, reason: str, now: datetime) -> RiskRule:
    """The locked rule is stopped for this reason, by a person or by itself."""
    rule.stopped_at, rule.stopped_by, rule.stop_code = now, actor.user, code
    return cast(RiskRule, save_as(rule, actor=actor, reason=reason, now=now))


@decision
def release(*, rule_id: int, ground: str, actor: Actor, now: datetime) -> RiskRule:
    """The rule is scanned again. After a drift the number found counts as usual: a person looked at it.

    Raises: NotPermitted, GroundMissing, NotStopped.
    """
    require(actor=actor, right=RELEASE, move=_("Release the rule"))
    rule, ground = locked_rule(rule_id), said(ground)
    if not rule.is_stopped:
        raise NotStopped(what=rule)
    if rule.stop_code == RiskRule.StopCode.DRIFT:
        drifted = RiskScan.objects.filter(rule=rule, outcome=RiskScan.Outcome.DRIFT)
        newest = drifted.order_by("-started_at", "-pk").values_list("matched", flat=True).first()
        rule.usual_matches, rule.released_at = newest, now
    rule.stopped_at, rule.stopped_by, rule.stop_code = None, None, ""
    return cast(RiskRule, save_as(rule, actor=actor, reason=ground, now=now))


@decision
def stop_all(*, ground: str, actor: Actor, now: datetime) -> RiskSwitch:
    """No rule is scanned until somebody releases them; scans under way end with their batch.

    Raises: NotPermitted, GroundMissing, AlreadyStopped.
    """
    second = require(actor=actor, right=STOP, move=_("Stop all rules"))
    switch = RiskSwitch.objects.select_for_update().get()
    if switch.stopped:
        raise AlreadyStopped(what=_("Every rule"))
    return _throw(switch, True, by=second, ground=said(ground), actor=actor, now=now)


@decision
def release_all(*, ground: str, actor: Actor, now: datetime) -> RiskSwitch:
    """Rules work again, but for those that are stopped one by one.

    Raises: NotPermitted, GroundMissing, NotStopped.
    """
    second = require(actor=actor, right=RELEASE, move=_("Release all rules"))
    switch = RiskSwitch.objects.select_for_update().get()
    if not switch.stopped:
        raise NotStopped(what=_("The switch of all rules"))
    return _throw(switch, False, by=second, ground=said(ground), actor=actor, now=now)


def _throw(
    switch: RiskSwitch, stopped: bool, *, by: User, ground: str, actor: Actor, now: datetime
) -> RiskSwitch:
    switch.stopped, switch.changed_by, switch.changed_at, switch.ground = stopped, by, now, ground
    return cast(RiskSwitch, save_as(switch, actor=actor, reason=ground, now=now))
