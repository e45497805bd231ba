"""Payment was demanded before risk control closes an overdue account (民法典 563)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.utils.translation import gettext_lazy as _

from accounts.models import CreditAccount
from closures.errors import ClosureError
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
