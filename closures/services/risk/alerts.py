"""What people do with an alert: take it on, freeze and thaw, propose, decide, dismiss.

A decision to close is a named person's and goes through the one door, `intake.request_closure`; the review
by the compliance lead follows as for every closing that the lender wants.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.models import RestrictionCause
from accounts.services import lines
from accounts.services.rights import require
from accounts.tracking import move, save_as
from closures.errors import ClosureError, said
from closures.models import ClosureTicket, LedgerCommand, RiskAlert, RiskAppeal
from closures.models.risk_alerts import DECIDE, HANDLE
from closures.models.tickets import Reason
from closures.services import commands, intake
from closures.services.demands import AppealWaits
from closures.services.risk.rights import locked_alert

FREEZE = "accounts.restrict_line"
LONGEST_FREEZE = timedelta(days=90)  # our choice: longer than any review takes, and it has an end
State, Dismissal = RiskAlert.State, RiskAlert.Dismissal


class AlertEnded(ClosureError):
    code = "alert_ended"
    template = _("Alert {number} has ended ({state}); nothing can be done about it any more.")


class NotProposed(ClosureError):
    code = "not_proposed"
    template = _("No closing is proposed on alert {number} yet.")


class BadFreezeLength(ClosureError):
    code = "bad_freeze_length"
    template = _("A freeze lasts longer than nothing and at most {days} days.")


class NotFrozenByThis(ClosureError):
    code = "not_frozen_by_this"
    template = _("Alert {number} freezes nothing at the moment.")


class DismissalUnknown(ClosureError):
    code = "dismissal_unknown"
    template = _("Choose why the alert is dismissed.")


@decision
def triage(*, alert_id: int, ground: str, actor: Actor, now: datetime) -> RiskAlert:
    """Somebody has looked at it and it goes on. Raises NotPermitted, GroundMissing, NotPossible."""
    looker = require(actor=actor, right=HANDLE, move=_("Take it on"))
    alert = locked_alert(alert_id)
    move(alert, "triage", actor=actor, reason=said(ground), now=now, triaged_by=looker)
    return alert


@decision
def freeze(*, alert_id: int, length: timedelta, ground: str, actor: Actor, now: datetime) -> RiskAlert:
    """The line is repay-only for so long from now, under the alert's number. Again: the newest length counts.

    Raises: NotPermitted, GroundMissing, AlertEnded, BadFreezeLength, LineClosed.
    """
    freezer = require(actor=actor, right=FREEZE, move=_("Freeze the line"))
    alert, ground = _unended(alert_id), said(ground)
    if not timedelta(0) < length <= LONGEST_FREEZE:
        raise BadFreezeLength(days=LONGEST_FREEZE.days)
    alert.frozen_until, alert.frozen_by = now + length, freezer
    change = lines.restrict(
        account_id=alert.account_id,
        cause=RestrictionCause.RISK,
        reference=alert.number,
        actor=actor,
        reason=ground,
        now=now,
        until=alert.frozen_until,
    )
    if change.froze:
        _tell_ledger(alert, LedgerCommand.Verb.FREEZE, actor=actor, now=now)
    return save_as(alert, actor=actor, reason=ground, now=now)  # type: ignore[no-any-return]


@decision
def thaw(*, alert_id: int, ground: str, actor: Actor, now: datetime) -> RiskAlert:
    """The alert limits the line no more; whatever else does stays. Raises NotPermitted, NotFrozenByThis."""
    require(actor=actor, right=FREEZE, move=_("Lift the freeze"))
    alert, ground = locked_alert(alert_id), said(ground)
    if not alert.is_frozen(now):
        raise NotFrozenByThis(number=alert.number)
    lift(alert, actor=actor, reason=ground, now=now)
    return save_as(alert, actor=actor, reason=ground, now=now)  # type: ignore[no-any-return]


@decision
def propose(*, alert_id: int, ground: str, actor: Actor, now: datetime) -> RiskAlert:
    """A closing is proposed; somebody else decides. Raises NotPermitted, GroundMissing, NotPossible."""
    proposer = require(actor=actor, right=HANDLE, move=_("Propose a closing"))
    alert = locked_alert(alert_id)
    move(alert, "propose", actor=actor, reason=said(ground), now=now, proposed_by=proposer)
    return alert


@decision
def decide(
    *,
    alert_id: int,
    ground: str,
    actor: Actor,
    now: datetime,
    demanded_on: date | None = None,
    demand_until: date | None = None,
) -> RiskAlert:
    """A ticket asks for the closing, in the name of this person; the review by the compliance lead follows.

    Raises: NotPermitted, GroundMissing, SameProposer, AppealWaits, NotPossible, and what
    `intake.request_closure` raises.
    Source: 个人信息保护法 24 (no decision by a machine alone); 民法典 563 (the demand and its period).
    """
    decider = require(actor=actor, right=DECIDE, move=_("Ask for the closing"))
    alert, ground = locked_alert(alert_id), said(ground)
    if alert.state != State.PROPOSED:
        if alert.is_unended:
            raise NotProposed(number=alert.number)
        raise AlertEnded(number=alert.number, state=alert.get_state_display())
    ticket = intake.request_closure(
        account_id=alert.account_id,
        reason=Reason.RISK_CONTROL,
        channel=ClosureTicket.Channel.RISK,
        ground=ground,
        actor=actor,
        now=now,
        demand=intake.Demand(demanded_on=demanded_on, demand_until=demand_until),
    ).ticket
    move(alert, "ask_closing", actor=actor, reason=ground, now=now, decided_by=decider, ticket=ticket)
    return alert


@decision
def dismiss(*, alert_id: int, dismiss_code: str, ground: str, actor: Actor, now: datetime) -> RiskAlert:
    """The alert has ended without a closing, and what it had frozen is free.

    Raises: NotPermitted, GroundMissing, DismissalUnknown, AppealWaits, NotPossible.
    """
    require(actor=actor, right=HANDLE, move=_("Dismiss"))
    alert, ground = locked_alert(alert_id), said(ground)
    if dismiss_code not in Dismissal.values or dismiss_code == Dismissal.APPEAL_GRANTED:
        raise DismissalUnknown
    check_no_appeal(alert)
    lift(alert, actor=actor, reason=ground, now=now)
    move(
        alert,
        "dismiss",
        actor=actor,
        reason=ground,
        now=now,
        dismiss_code=dismiss_code,
        dismiss_text=ground,
    )
    return alert


def lift(alert: RiskAlert, *, actor: Actor, reason: str, now: datetime) -> None:
    """Nothing is limited under the alert's number any more; the caller saves the alert and holds its lock."""
    alert.frozen_until = min(alert.frozen_until, now) if alert.frozen_until else None
    change = lines.lift(
        account_id=alert.account_id,
        cause=RestrictionCause.RISK,
        reference=alert.number,
        actor=actor,
        reason=reason,
        now=now,
    )
    if change.thawed:
        _tell_ledger(alert, LedgerCommand.Verb.UNFREEZE, actor=actor, now=now)


def _tell_ledger(alert: RiskAlert, verb: LedgerCommand.Verb, *, actor: Actor, now: datetime) -> None:
    commands.queue(account=alert.account, ticket=None, verb=verb, actor=actor, now=now)


def check_no_appeal(alert: RiskAlert) -> None:
    """Raises AppealWaits."""
    waiting = alert.appeals.filter(state=RiskAppeal.State.OPEN).first()
    if waiting is not None:
        raise AppealWaits(appeal=waiting.number)


def _unended(alert_id: int) -> RiskAlert:
    alert = locked_alert(alert_id)
    if not alert.is_unended:
        raise AlertEnded(number=alert.number, state=alert.get_state_display())
    return alert
