"""The customer refuses an alert or its freeze; somebody without a part in it decides anew."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.models import User
from accounts.services.rights import require
from accounts.tracking import move, save_as
from closures.errors import ClosureError, said
from closures.models import ClosureTicket, RiskAlert, RiskAppeal
from closures.models.numbers import new_number
from closures.models.risk_alerts import APPEAL, DECIDE_APPEAL
from closures.models.tickets import Reason
from closures.services.risk import alerts
from closures.services.risk.rights import locked_alert


class TicketOpen(ClosureError):
    code = "ticket_open"
    template = _(
        "Alert {number} has become ticket {ticket}. Register a complaint that disputes the closing: that "
        "holds it."
    )


class TookPart(ClosureError):
    code = "took_part"
    template = _("You had a part in alert {number}; somebody else has to decide the appeal.")


@decision
def enter(*, alert_id: int, ground: str, actor: Actor, now: datetime) -> RiskAppeal:
    """The customer's objection is on record; until it is decided nobody closes or dismisses.

    Also against a freeze that outlives its alert. Raises: NotPermitted, GroundMissing, TicketOpen,
    AlertEnded, AppealWaits.
    Source: 个人信息保护法 24 (the right to an explanation and to refuse a purely automated decision).
    """
    clerk = require(actor=actor, right=APPEAL, move=_("Enter an appeal"))
    alert, ground = locked_alert(alert_id), said(ground)
    risk = ClosureTicket.objects.filter(account=alert.account_id, reason=Reason.RISK_CONTROL)
    ticket = risk.filter(state__in=ClosureTicket.OPEN).first()
    if ticket is not None:
        raise TicketOpen(number=alert.number, ticket=ticket.number)
    if not alert.is_unended and not alert.is_frozen(now):
        raise alerts.AlertEnded(number=alert.number, state=alert.get_state_display())
    alerts.check_no_appeal(alert)
    appeal = RiskAppeal(
        number=new_number(now, prefix="AP"),
        alert=alert,
        ground=ground,
        raised_at=now,
        entered_by=clerk,
        state_since=now,
    )
    return cast(RiskAppeal, save_as(appeal, actor=actor, reason="the customer appeals", now=now))


@decision
def grant(*, appeal_id: int, ground: str, actor: Actor, now: datetime) -> RiskAppeal:
    """The customer is right: the freeze is lifted and the alert dismissed.

    Raises: NotPermitted, GroundMissing, TookPart, NotPossible.
    """
    appeal, decider, ground = _to_decide(appeal_id, ground, actor)
    move(appeal, "grant", actor=actor, reason=ground, now=now, decided_by=decider, answer=ground)
    alert = cast(RiskAlert, appeal.alert)
    alerts.lift(alert, actor=actor, reason=ground, now=now)
    if alert.is_unended:
        move(alert, "uphold_appeal", actor=actor, reason=ground, now=now, dismiss_text=ground)
    else:
        save_as(alert, actor=actor, reason=ground, now=now)
    return appeal


@decision
def deny(*, appeal_id: int, ground: str, actor: Actor, now: datetime) -> RiskAppeal:
    """The alert stands; the answer says why. Raises NotPermitted, GroundMissing, TookPart, NotPossible."""
    appeal, decider, ground = _to_decide(appeal_id, ground, actor)
    move(appeal, "deny", actor=actor, reason=ground, now=now, decided_by=decider, answer=ground)
    return appeal


def _to_decide(appeal_id: int, ground: str, actor: Actor) -> tuple[RiskAppeal, User, str]:
    decider = require(actor=actor, right=DECIDE_APPEAL, move=_("Decide the appeal"))
    ground = said(ground)
    alert = locked_alert(RiskAppeal.objects.values_list("alert_id", flat=True).get(pk=appeal_id))
    rows: models.QuerySet[RiskAppeal] = RiskAppeal.objects.select_for_update(of=("self",))
    appeal = rows.get(pk=appeal_id)
    appeal.alert = alert
    if decider.pk in alert.parties() | {appeal.entered_by_id}:
        raise TookPart(number=alert.number)
    return appeal, decider, ground
