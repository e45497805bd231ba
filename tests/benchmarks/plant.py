"""The whole product at work for a measurement: simulator, two worker processes with beat, people who decide.

Used in a child process on a scratch database (`harness.in_child`), after `harness.setup`.
"""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accounts.actors import Actor
    from closures.demo.simulator_control import SimulatorControl
    from tests.simulator_process import SimulatorProcess
    from tests.workers import Workers

BROKER = os.environ.get("BENCH_BROKER", "filesystem://localhost/")
# Waiting is what a closing does most; here only work is measured.
PACE = {
    "TICK_SECONDS": "1",
    "FIRST_LOOK_SECONDS": "0",
    "SETTLE_POLL_SECONDS": "30",
    "REASSESS_SECONDS": "86400",
    "RETRY_BASE_SECONDS": "1",
    "LATE_EFFECT_SECONDS": "5",
    "REMAP_SIGTERM": "SIGQUIT",
    "DEBUG": "False",
}
PAUSE = 0.2  # seconds between two looks at how far the work is


class Stuck(RuntimeError):
    """The work did not come to its end in time."""


@dataclass
class Plant:
    """What is running, and the staff who act."""

    simulator: SimulatorProcess
    control: SimulatorControl
    workers: Workers
    agent: Actor
    reviewer: Actor
    refused: dict[int, str] = field(default_factory=dict)

    def request(self, account_ids: list[int], *, progress: Callable[[], object] = lambda: None) -> None:
        """The agent takes a request for each account."""
        from django.utils import timezone  # noqa: PLC0415

        from accounts.models import CreditAccount  # noqa: PLC0415
        from closures.models import ClosureTicket  # noqa: PLC0415
        from closures.models.tickets import Reason  # noqa: PLC0415
        from closures.services import intake  # noqa: PLC0415

        for account in CreditAccount.objects.filter(pk__in=account_ids).select_related("product"):
            intake.request_closure(
                account_id=account.pk,
                reason=Reason.CUSTOMER_REQUEST,
                channel=ClosureTicket.Channel.AGENT,
                actor=self.agent,
                now=timezone.now(),
                identity_level=ClosureTicket.IdentityLevel.AGENT,
                accepted_disclosure=intake.disclosure_version(account.product),
            )
            progress()

    def approve_what_waits(self, *, limit: int = 200) -> int:
        """The reviewer decides what is in review now; returns how many were approved."""
        from django.utils import timezone  # noqa: PLC0415

        from accounts.errors import Refusal  # noqa: PLC0415
        from closures.models import ClosureTicket  # noqa: PLC0415
        from closures.services import review  # noqa: PLC0415

        waiting = ClosureTicket.objects.filter(state=ClosureTicket.State.IN_REVIEW).order_by("pk")
        approved = 0
        for ticket_id, seen in waiting.values_list("pk", "examined_hash")[:limit]:
            try:
                review.approve(
                    ticket_id=ticket_id,
                    seen_hash=seen,
                    ground="已核对，同意关闭",
                    actor=self.reviewer,
                    now=timezone.now(),
                )
                approved += 1
            except Refusal as refusal:  # the facts moved meanwhile: it is examined again and decided then
                self.refused[ticket_id] = refusal.code
        return approved

    def until(
        self, done: Callable[[], bool], *, patience: float, look: Callable[[], object] = lambda: None
    ) -> float:
        """Approve whatever waits until `done`; returns the seconds it took. Raises Stuck."""
        started = time.perf_counter()
        while not done():
            if time.perf_counter() - started > patience:
                raise Stuck(f"after {patience:.0f} s: {states()}; {self.workers.said()[-3000:]}")
            self.workers.check()
            look()
            if not self.approve_what_waits():
                time.sleep(PAUSE)
        return time.perf_counter() - started


def states() -> dict[str, int]:
    """How many tickets are in each state."""
    from django.db.models import Count  # noqa: PLC0415

    from closures.models import ClosureTicket  # noqa: PLC0415

    counted = ClosureTicket.objects.values_list("state").annotate(n=Count("pk"))
    return dict(counted.order_by("state"))


@contextmanager
def plant(url: str, *, latency: float = 0.0, arguments: tuple[str, ...] = ()) -> Iterator[Plant]:
    """A simulator is running and workers are ready to start; everything is gone afterwards."""
    from django.utils import timezone  # noqa: PLC0415

    from accounts.actors import Actor  # noqa: PLC0415
    from accounts.models import User  # noqa: PLC0415
    from closures.demo import people  # noqa: PLC0415
    from closures.demo.simulator_control import SimulatorControl  # noqa: PLC0415
    from closures.demo.world import quicken  # noqa: PLC0415
    from config.celery import app  # noqa: PLC0415
    from tests import simulator_process  # noqa: PLC0415
    from tests.workers import Broker, Workers, publishing_to  # noqa: PLC0415

    people.hire(now=timezone.now())
    quicken(now=timezone.now())
    with tempfile.TemporaryDirectory(prefix="plant-") as name:
        folder = Path(name)
        running = simulator_process.start(
            "--latency",
            str(latency),
            *arguments,
            ledger=folder / "simulator.sqlite3",
            errors=folder / "simulator",
        )
        broker = Broker(url=BROKER, queue=f"bench-{uuid.uuid4().hex[:8]}", folder=folder / "var")
        broker.folder.mkdir()
        place = {
            **os.environ,
            **PACE,
            **broker.environment,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "SIMULATOR_URL": running.url,
            "SIMULATOR_SECRET": simulator_process.SECRET,
        }
        workers = Workers(environment=place, folder=folder)
        try:
            with publishing_to(app, broker), SimulatorControl(running.url) as control:
                agent, reviewer = (
                    Actor.staff(User.objects.get(staff_no=staff_no)) for staff_no in ("agent", "reviewer")
                )
                yield Plant(
                    simulator=running, control=control, workers=workers, agent=agent, reviewer=reviewer
                )
        finally:
            workers.stop()
            workers.close()
            simulator_process.stop(running)
            broker.remove()


def customers(control: SimulatorControl, *, number: int, tag: str) -> list[int]:
    """So many clean accounts with two agreements each, at the ledger and with us; returns their ids."""
    from django.core.management import call_command  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from accounts.models import CreditAccount  # noqa: PLC0415
    from closures.demo import people  # noqa: PLC0415

    signed = (("ALIPAY", "AUTO_REPAY", 1), ("WECHAT", "WITHHOLDING", 0))
    crowd = [
        people.person(
            serial=serial,
            tag=tag,
            product=people.PRODUCTS[serial % 4],
            now=timezone.now() - timedelta(minutes=1),
            agreements=signed,
        )
        for serial in range(1, number + 1)
    ]
    with tempfile.TemporaryDirectory() as name:
        accounts, agreements = people.write_extracts(crowd, Path(name))
        control.load(accounts=accounts, agreements=agreements)
        quiet: dict[str, Any] = {"no_progress": True, "stdout": open(os.devnull, "w")}  # noqa: SIM115
        with quiet["stdout"]:
            call_command("import_accounts", accounts, **quiet)
            call_command("import_agreements", agreements, **quiet)
    found = CreditAccount.objects.filter(account_no__startswith=f"{tag}A").order_by("pk")
    return list(found.values_list("pk", flat=True))


def closed(account_ids: list[int]) -> Callable[[], bool]:
    """Whether every one of these accounts has a closed ticket."""
    from closures.models import ClosureTicket  # noqa: PLC0415

    tickets = ClosureTicket.objects.filter(account__in=account_ids, state=ClosureTicket.State.CLOSED)
    return lambda: tickets.count() == len(account_ids)
