"""Where a story plays: our database, the simulator, staff to act, and a way to let the machine work.

In the demo the workers do the work and a story waits for them; in a test nobody else is there, and waiting
means running every job here until the story's condition holds.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from django.core.management import call_command
from django.utils import timezone
from django.utils.timezone import localtime

from accounts.actors import Actor
from accounts.models import Certainty, CreditAccount, CreditProduct, User
from accounts.selectors import regulations
from accounts.services import products
from accounts.services.regulations import approve, propose
from closures.demo import people
from closures.demo.browser import Browser
from closures.demo.simulator_control import SimulatorControl
from closures.models import ClosureTicket
from closures.models.tickets import Reason
from closures.services import intake, review
from closures.services.intake import disclosure_version

Channel = ClosureTicket.Channel
Level = ClosureTicket.IdentityLevel
COOLING_OFF = timedelta(seconds=4)  # a withdrawal must find time before it ends, on a busy machine too


class StoryStuck(AssertionError):
    """What the story waits for did not come in time."""


class World:
    def __init__(
        self,
        simulator: SimulatorControl,
        *,
        work: Callable[[], None] | None = None,
        patience: float = 60.0,
        web: httpx.BaseTransport | str = "",
    ) -> None:
        """`work` runs every job once, here; None means that workers run elsewhere. `patience` in seconds.

        `web` is where customers and apps reach us: the address of a web process, or a transport to one
        right here.
        """
        self.simulator = simulator
        self._work = work
        self._patience = patience
        self.web = web
        self._tag = "S" + secrets.token_hex(3).upper()
        self._serial = 0

    # People and accounts

    def staff(self, staff_no: str) -> Actor:
        return Actor.staff(User.objects.get(staff_no=staff_no))

    def account(self, product: str, *agreements: tuple[str, str, int], **balances: Any) -> CreditAccount:
        """A new invented customer with one account, at the ledger and, by the real import, with us."""
        self._serial += 1
        one = people.person(
            serial=self._serial, tag=self._tag, product=product, now=timezone.now(),
            agreements=agreements, **balances,
        )  # fmt: skip
        self.simulator.put_accounts([ledger_row(one.account)])
        self.simulator.put_agreements(
            {name: row[name] for name in ("partner", "agreement_no", "account_no")} for row in one.agreements
        )
        with tempfile.TemporaryDirectory() as folder:
            accounts, agreements_file = people.write_extracts([one], Path(folder))
            for command, path in (("import_accounts", accounts), ("import_agreements", agreements_file)):
                call_command(command, path, no_progress=True, json=True, stdout=_Silence())
        return CreditAccount.objects.get(account_no=one.account_no)

    # What people do

    def browser(self) -> Browser:
        return Browser(self.simulator, transport=None if isinstance(self.web, str) else self.web)

    def agent_requests(self, account: CreditAccount, *, identity_level: Level = Level.AGENT) -> ClosureTicket:
        """An agent takes the customer's request, identity checked (or left to a code), effects accepted."""
        product = CreditProduct.objects.get(pk=account.product_id)
        return intake.request_closure(
            account_id=account.pk, reason=Reason.CUSTOMER_REQUEST, channel=Channel.AGENT,
            actor=self.staff("agent"), now=timezone.now(), identity_level=identity_level,
            accepted_disclosure=disclosure_version(product),
        ).ticket  # fmt: skip

    def lender_requests(
        self, account: CreditAccount, reason: Reason, *, by: str, ground: str
    ) -> ClosureTicket:
        channel = Channel.RISK if reason == Reason.RISK_CONTROL else Channel.CAMPAIGN
        overdue = reason == Reason.RISK_CONTROL and account.days_past_due > 0
        return intake.request_closure(
            account_id=account.pk, reason=reason, channel=channel, actor=self.staff(by), now=timezone.now(),
            ground=ground, demand=intake.Demand(**(demanded() if overdue else {})),
        ).ticket  # fmt: skip

    def approve(self, ticket: ClosureTicket, *, by: str, ground: str = "材料齐全，同意关闭") -> ClosureTicket:
        self.until(ticket, "IN_REVIEW")
        return review.approve(
            ticket_id=ticket.pk, seen_hash=self.fresh(ticket).examined_hash, ground=ground,
            actor=self.staff(by), now=timezone.now(),
        )  # fmt: skip

    # Waiting

    def fresh(self, ticket: ClosureTicket) -> ClosureTicket:
        return ClosureTicket.objects.select_related("account").get(pk=ticket.pk)

    def until(self, ticket: ClosureTicket, *states: str) -> ClosureTicket:
        """The ticket is in one of the states. Raises StoryStuck."""
        self.wait(lambda: self.fresh(ticket).state in states, f"{ticket.number} → {'/'.join(states)}")
        return self.fresh(ticket)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """The condition holds; meanwhile the machine works. Raises StoryStuck after `patience` seconds."""
        deadline = time.monotonic() + self._patience
        while not condition():
            if time.monotonic() > deadline:
                raise StoryStuck(f"waited {self._patience:.0f} s in vain: {what}")
            if self._work is not None:
                self._work()
            time.sleep(0.05 if self._work is not None else 0.2)

    # The judge

    def effects(self, kind: str, subject: str) -> int:
        """How often something really happened out there, by the simulator's own ledger."""
        return len(self.simulator.effects(kind=kind, subject=subject))


def demanded() -> dict[str, date]:
    """Payment was demanded a month ago, to be made by yesterday."""
    today = localtime(timezone.now()).date()
    return {"demanded_on": today - timedelta(days=30), "demand_until": today - timedelta(days=1)}


LEDGER_COLUMNS = people.ACCOUNT_COLUMNS[8:20]


def ledger_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("account_no", "customer_no", *LEDGER_COLUMNS)}


def quicken(*, now: datetime) -> None:
    """The demo's closing policies say seconds, and its quiet hours are empty (SPEC §3, §5).

    Done as the compliance lead would, the regulation by two people. Safe to repeat; needs `people.hire`.
    """
    lead, second = (Actor.staff(User.objects.get(staff_no=number)) for number in ("lead", "lead2"))
    for product in CreditProduct.objects.exclude(cooling_off=COOLING_OFF):
        products.edit_policy(
            product_id=product.pk, cooling_off=COOLING_OFF, notice_lead=COOLING_OFF,
            settle_window=timedelta(seconds=1), straight_through=product.straight_through,
            sampling_percent=product.sampling_percent, actor=lead, reason="演示：以秒计", now=now,
        )  # fmt: skip
    today = localtime(now).date()
    if regulations.in_force("QUIET_HOURS", on=today).value:
        proposal = propose(
            code="QUIET_HOURS", value="", source="演示", certainty=Certainty.OURS, valid_from=today,
            actor=lead, reason="演示须在任何时刻可用", now=now,
        )  # fmt: skip
        approve(regulation_id=proposal.pk, actor=second, reason="演示", now=now)


class _Silence:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None: ...
