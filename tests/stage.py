"""A stage for one case: the real simulator, staff of every role, and a clock that moves when it is told to.

Time on the stage has nothing to do with the wall clock: what takes hours takes no time, and nothing ever
becomes late by itself. The simulator's own clock is always ahead, so a fresh read is dated by the stage.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import make_aware

from accounts.actors import SHIPPED, Actor
from accounts.errors import Refusal
from accounts.models import CreditAccount, CreditProduct, LenderRelationship, PartnerAgreement, RefusedAction
from accounts.roles import Role
from accounts.tracking import QUEUE_FIELDS, save_as
from closures.demo.simulator_control import SimulatorControl
from closures.models import ClosureTicket, UnbindTask
from closures.models.tickets import Reason
from closures.services import assessment, cooling_off, intake, notices, review, unbinding
from tests import factories
from tests.worlds import work

MONDAY = make_aware(datetime(2026, 1, 12, 10, 0))  # a working day, at a working hour
PERIOD = timedelta(hours=1)  # cooling-off and notice lead of every product on the stage
WINDOW = timedelta(minutes=10)  # the partner's settle window
STEP = timedelta(minutes=20)
CAST = {
    "agent": (Role.AGENT,),
    "agent2": (Role.AGENT,),
    "reviewer": (Role.REVIEWER,),
    "reviewer2": (Role.REVIEWER,),
    "lead": (Role.LEAD,),
    "lead2": (Role.LEAD,),
    "risk": (Role.RISK,),
    "operator": (Role.OPERATOR,),
    "operator2": (Role.OPERATOR,),
    "auditor": (Role.AUDITOR,),
    "admin": (Role.ADMINISTRATOR,),
}
ASKS = {Reason.CUSTOMER_REQUEST: "agent", Reason.RISK_CONTROL: "risk", Reason.POLICY: "lead2"}
CHANNELS = {Reason.CUSTOMER_REQUEST: "AGENT", Reason.RISK_CONTROL: "RISK", Reason.POLICY: "CAMPAIGN"}
MONEY = ("credit_limit", *CreditAccount.OWED_MONEY, "credit_balance")

counter = itertools.count(1)


class Clock:
    """Shows what it was set to until it is moved."""

    def __init__(self, now: datetime = MONDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def skip(self, step: timedelta = STEP) -> datetime:
        self.now += step
        return self.now


class Stage:
    def __init__(self, simulator: SimulatorControl, clock: Clock) -> None:
        self.simulator, self.clock = simulator, clock
        self._cast: dict[str, Actor] = {}
        for product in CreditProduct.objects.all():
            product.cooling_off = product.notice_lead = PERIOD
            product.settle_window = WINDOW
            save_as(product, actor=SHIPPED, reason="the stage's hours")

    @property
    def now(self) -> datetime:
        return self.clock.now

    # Who and what

    def staff(self, name: str) -> Actor:
        """One member of staff per name: a name of CAST, or "boss", a superuser."""
        if name not in self._cast:
            fields = {"is_superuser": True} if name == "boss" else {}
            self._cast[name] = factories.staff(
                *CAST.get(name, ()), staff_no=f"{name}-{next(counter)}", **fields
            )
        return self._cast[name]

    def account(
        self,
        *agreements: tuple[str, str, bool],
        product: str = "HUABEI",
        customer: Any = None,
        **balances: Any,
    ) -> CreditAccount:
        """An account with the ledger and with us, and its (partner, kind, repayment depends) agreements."""
        number = f"STAGE{next(counter):07d}"
        values = {k: Decimal(v) if k in MONEY else v for k, v in balances.items()}
        account = factories.an_account(
            product,
            account_no=number,
            customer=customer or factories.a_person(),
            ledger_as_of=self.now - timedelta(hours=1),
            **values,
        )
        LenderRelationship.objects.filter(customer=account.customer).exists() or save_as(
            LenderRelationship(
                customer=account.customer,
                lender=account.product.lender,
                started_on=datetime(2024, 1, 2).date(),
            ),
            actor=SHIPPED,
            reason="test",
        )
        self.simulator.put_accounts([{"account_no": number, "arrears_months": "0|0|0|0|0|0", **balances}])
        for partner, kind, depends in agreements:
            self.sign(account, partner, kind, depends)
        return account

    def _begin_with_lender(self, account: CreditAccount) -> None:
        lender = account.product.lender
        if not account.customer.relationships.filter(lender=lender).exists():
            row = LenderRelationship(customer=account.customer, lender=lender, started_on=date(2024, 1, 2))
            save_as(row, actor=SHIPPED, reason="test")

    def sign(
        self,
        account: CreditAccount,
        partner: str = "ALIPAY",
        kind: str = "PASSWORD_FREE",
        depends: bool = False,
    ) -> PartnerAgreement:
        """One more agreement, at the partner and with us."""
        agreement = factories.an_agreement(
            account,
            kind,
            partner,
            agreement_no=f"{partner}{next(counter):07d}",
            repayment_depends=depends,
        )
        row = {"partner": partner, "agreement_no": agreement.agreement_no, "account_no": account.account_no}
        self.simulator.put_agreements([row])
        return agreement

    # What people do

    def request(
        self,
        account: CreditAccount,
        *,
        reason: str = Reason.CUSTOMER_REQUEST,
        by: str | Actor = "",
        **given: Any,
    ) -> ClosureTicket:
        return self.received(account, reason=reason, by=by, **given).ticket

    def received(
        self,
        account: CreditAccount,
        *,
        reason: str = Reason.CUSTOMER_REQUEST,
        by: str | Actor = "",
        **given: Any,
    ) -> intake.Received:
        own = reason == Reason.CUSTOMER_REQUEST
        actor = by if isinstance(by, Actor) else self.staff(by or ASKS[Reason(reason)])
        given = {
            "channel": CHANNELS[Reason(reason)],
            "ground": "" if own else "依据已核对",
            "identity_level": "AGENT" if own else "NOT_NEEDED",
            "accepted_disclosure": intake.disclosure_version(account.product) if own else "",
            "demand": intake.Demand(**(demanded(self.now) if account.days_past_due and not own else {})),
            **given,
        }
        return intake.request_closure(
            account_id=account.pk, reason=reason, actor=actor, now=self.now, **given
        )

    def approve(
        self,
        ticket: ClosureTicket,
        *,
        by: str | Actor = "",
        seen: str | None = None,
        ground: str = "材料齐全",
    ) -> ClosureTicket:
        ticket = self.fresh(ticket)
        own = ticket.reason == Reason.CUSTOMER_REQUEST
        actor = by if isinstance(by, Actor) else self.staff(by or ("reviewer" if own else "lead"))
        return review.approve(
            ticket_id=ticket.pk,
            seen_hash=ticket.examined_hash if seen is None else seen,
            ground=ground,
            actor=actor,
            now=self.now,
        )

    # What the machine does

    def assess(self) -> int:
        return assessment.run(clock=self.clock)

    def work(self) -> None:
        work(self.clock)

    def until(self, ticket: ClosureTicket, *states: str, rounds: int = 30) -> ClosureTicket:
        """The machine works, a step of time after the other, until the ticket is in one of the states."""
        for _ in range(rounds):
            self.work()
            ticket = self.fresh(ticket)
            if ticket.state in states:
                return ticket
            self.clock.skip()
        raise AssertionError(
            f"{ticket.number} is {ticket.state} after {rounds} rounds, not {'/'.join(states)}"
        )

    def task_until(self, task: UnbindTask, *states: str, rounds: int = 30) -> UnbindTask:
        for _ in range(rounds):
            self.work()
            task = UnbindTask.objects.get(pk=task.pk)
            if task.state in states:
                return task
            self.clock.skip()
        raise AssertionError(f"{task} is {task.state} after {rounds} rounds, not {'/'.join(states)}")

    def fresh(self, ticket: ClosureTicket) -> ClosureTicket:
        return ClosureTicket.objects.select_related("account__product").get(pk=ticket.pk)

    # A ticket in a state, brought there by the services themselves

    def ticket(
        self,
        state: str,
        *agreements: tuple[str, str, bool],
        reason: str = Reason.CUSTOMER_REQUEST,
        **balances: Any,
    ) -> ClosureTicket:
        if state == "BLOCKED":
            balances = {"principal": "100.00", **balances}
        if state == "SETTLING":
            balances = {"credit_balance": "36.20", **balances}
        ticket = self.request(self.account(*agreements, **balances), reason=reason)
        if state == "SUBMITTED":
            return self.fresh(ticket)
        self.assess()
        if state in ("BLOCKED", "IN_REVIEW"):
            return self.fresh(ticket)
        self.approve(ticket)
        if state == "NOTICE_PERIOD":
            return self.fresh(ticket)
        self.end_period(ticket)
        if state == "SETTLING":
            return self.fresh(ticket)
        unbinding.start(now=self.now)
        if state == "UNBINDING":
            return self.fresh(ticket)
        if state == "CLOSING":
            unbinding.run(clock=self.clock)
            self.clock.skip()
            unbinding.run(clock=self.clock)
            unbinding.finish(now=self.now)
            return self.fresh(ticket)
        return self.until(ticket, state)

    def end_period(self, ticket: ClosureTicket) -> ClosureTicket:
        """The waiting is over: the notice has arrived where it must, and the sweep has been by."""
        for _ in range(3):
            if self.fresh(ticket).period_ends_at is None:
                notices.deliver(clock=self.clock)
                self.clock.skip()
        self.clock.skip(PERIOD)
        cooling_off.end_periods(now=self.now)
        return self.fresh(ticket)

    # The judge

    def effects(self, kind: str, subject: str) -> int:
        """How often something really happened out there."""
        return len(self.simulator.effects(kind=kind, subject=subject))

    def calls(self, method: str, contains: str) -> int:
        return len(self.simulator.calls(method=method, contains=contains))


def demanded(now: datetime) -> dict[str, date]:
    """Payment was demanded a month ago, and its period ended yesterday."""
    today = now.date()
    return {"demanded_on": today - timedelta(days=30), "demand_until": today - timedelta(days=1)}


def written(row: Any) -> tuple[str, str]:
    """Who the newest history row of this row names, and why."""
    newest = row.history.latest("history_id")
    return newest.history_actor, newest.history_change_reason


def seen(row: Any) -> tuple[dict[str, Any], int]:
    """A row as the database has it now, queue columns aside, and how many history rows it has."""
    found = type(row)._base_manager.filter(pk=row.pk).values().get()
    stored = {name: value for name, value in found.items() if name not in QUEUE_FIELDS}
    return stored, (row.history.count() if hasattr(row, "history") else 0)


@contextmanager
def refused(refusal: type[Refusal], *rows: Any) -> Iterator[pytest.ExceptionInfo[Refusal]]:
    """The act raises exactly this, leaves one RefusedAction and no trace in `rows`."""
    before = [seen(row) for row in rows]
    count = RefusedAction.objects.count()
    with pytest.raises(refusal) as caught:
        yield caught
    assert type(caught.value) is refusal
    assert caught.value.message and "{" not in caught.value.message
    assert RefusedAction.objects.count() == count + 1
    assert RefusedAction.objects.latest("pk").code == refusal.code
    assert [seen(row) for row in rows] == before


def wait_until(happened: Callable[[], bool], *, patience: float = 10) -> None:
    """What the simulator does by itself, on the wall clock, has happened."""
    deadline = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stage(db: None, simulated: SimulatorControl, clock: Clock) -> Stage:
    return Stage(simulated, clock)


@pytest.fixture
def raise_stage(simulated: SimulatorControl, clock: Clock) -> Callable[[], Stage]:
    """For tests that bring their own kind of database (`transaction=True`)."""
    return lambda: Stage(simulated, clock)
