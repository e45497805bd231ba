"""What must come before risk control closes: an overdue payment was demanded, an appeal was answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.utils.translation import gettext_lazy as _

from accounts.models import CreditAccount
from closures.errors import ClosureError
from closures.models import ClosureTicket, RiskAlert, RiskAppeal
from closures.models.tickets import Reason
from closures.rules.deadlines import china_date


class DemandMissing(ClosureError):
    code = "demand_missing"
    template = _(
        "Account {account} is past due. Enter the day on which payment was demanded, and the last day of the "
        "period that was given."
    )


class DemandUnclear(ClosureError):
    code = "demand_unclear"
    template = _(
        "The demand cannot be right: it was made by today, and its period ends on that day or later."
    )


class DemandRunning(ClosureError):
    code = "demand_running"
    template = _("The customer may still pay until {day}. Closing can be asked for on the day after.")


class AppealWaits(ClosureError):
    code = "appeal_waits"
    template = _("The customer's appeal {appeal} waits for its decision. Decide it first.")


class SameProposer(ClosureError):
    code = "same_proposer"
    template = _("You proposed this closing; somebody else has to decide.")


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Payment was demanded on one day, to be made by another at the latest."""

    demanded_on: date | None = None
    demand_until: date | None = None

    def check(self, account: CreditAccount, reason: Reason, *, now: datetime) -> None:
        """Raises DemandMissing, DemandUnclear, DemandRunning.

        Source: 民法典 563(3): the creditor must have demanded payment and a reasonable period must be over.
        """
        needed = reason == Reason.RISK_CONTROL and account.days_past_due > 0
        today = china_date(moment=now)
        if self.demanded_on is None and self.demand_until is None:
            if needed:
                raise DemandMissing(account=account.account_no)
            return
        if self.demanded_on is None or self.demand_until is None:
            raise DemandMissing(account=account.account_no)
        if self.demanded_on > today or self.demand_until < self.demanded_on:
            raise DemandUnclear
        if self.demand_until >= today:
            raise DemandRunning(day=self.demand_until)

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(day for day in (self.demanded_on, self.demand_until) if day)


NO_DEMAND = Demand()


def check_recorded(ticket: ClosureTicket, *, now: datetime) -> None:
    """What an approval asks of the demand: the account may have fallen behind since the request.

    Raises DemandMissing, DemandUnclear, DemandRunning.
    """
    recorded = Demand(demanded_on=ticket.demanded_on, demand_until=ticket.demand_until)
    recorded.check(ticket.account, Reason(ticket.reason), now=now)


def check_answered(account: CreditAccount, *, person_id: int | None) -> None:
    """No appeal against an alert of the account waits, and whoever asks is not who proposed it.

    The caller holds the account's lock. Raises AppealWaits, SameProposer. Source: 个人信息保护法 24; SPEC §7.
    """
    waiting = RiskAppeal.objects.filter(alert__account=account, state=RiskAppeal.State.OPEN).first()
    if waiting is not None:
        raise AppealWaits(appeal=waiting.number)
    proposed = RiskAlert.objects.filter(account=account, state=RiskAlert.State.PROPOSED)
    if person_id is not None and proposed.filter(proposed_by=person_id).exists():
        raise SameProposer
