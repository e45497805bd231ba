"""A campaign opened through the bulk door beside one request at a time; its dry run; how fast a pause stops.

`python -m tests.benchmarks.campaign [--members …]`, on PostgreSQL. Opening is what the job does, batch by
batch: the second look at each member, its ticket with history, its row in the population. The pause is
pressed while the job opens, and counts until the last ticket that was still made.
"""

from __future__ import annotations

import argparse
import threading
import time
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.benchmarks import harness

if TYPE_CHECKING:
    from closures.models import Campaign

MEMBERS = 200_000
ONE_BY_ONE = 500  # requests in the per-object loop
RATIO, DRY, PAUSE = 10, 0.3, 60  # targets of the specification
HEADINGS = (
    "members",
    "freeze, s",
    "opened, rows/s",
    "one by one, rows/s",
    "ratio",
    "dry run, s",
    "of opening",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.campaign", description=__doc__)
    parser.add_argument("--members", default=str(MEMBERS))
    # Run by the harness's own command line, nothing of it is ours.
    options, _ = parser.parse_known_args()
    with harness.scratch("postgresql") as url:
        harness.in_child("tests.benchmarks.campaign", url, "--inside", options.members)


def inside(members: int) -> None:
    """In a child, on an empty database: measure and print."""
    harness.setup()
    from django.conf import settings  # noqa: PLC0415

    from closures import jobs  # noqa: PLC0415

    settings.CONDITION_SECONDS = 600.0
    jobs.wake = lambda job: True  # no broker: a wake-up per request would only flatter the ratio
    bench = Bench(members)
    campaign = bench.approved()
    dry = bench.seconds(bench.dry_run, campaign)
    freeze = bench.seconds(bench.act, "freeze", campaign)
    bench.act("start_pilot", campaign)
    bench.act("start_waves", campaign)
    single = ONE_BY_ONE / bench.seconds(bench.one_by_one)
    opening = bench.seconds(bench.open_all, campaign, members - 2 * bench.batch)
    opened = bench.opened(campaign)
    rate = opened / opening
    whole = opening * members / opened
    row = (
        f"{members:,}", f"{freeze:.1f}", f"{rate:,.0f}", f"{single:,.0f}", f"**{rate / single:.1f} ×**",
        f"{dry:.1f}", f"**{dry / whole:.2f}**",
    )  # fmt: skip
    print(harness.table(HEADINGS, [row]))
    print(f"\ntargets: at least {RATIO} ×, at most {DRY} of the opening\n")
    late, after = bench.pause(campaign)
    print(
        f"pause: in force {late:.2f} s after it was pressed, {after} tickets after it (target {PAUSE} s, 0)\n"
    )


class Bench:
    """Accounts of one product, two leads, one campaign."""

    def __init__(self, members: int) -> None:
        from django.conf import settings  # noqa: PLC0415
        from django.db import connection  # noqa: PLC0415
        from django.utils import timezone  # noqa: PLC0415

        from accounts.models import CreditProduct  # noqa: PLC0415
        from accounts.roles import Role  # noqa: PLC0415
        from tests import factories  # noqa: PLC0415

        self.now, self.batch, self.members = timezone.now(), settings.BATCH_SIZE, members
        self.lead, self.second = factories.staff(Role.LEAD), factories.staff(Role.LEAD)
        self.product = CreditProduct.objects.get(code="BAITIAO")
        self.alone = self._fill(ONE_BY_ONE, product="HUABEI")
        self._fill(members, product="BAITIAO")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    def _fill(self, number: int, *, product: str) -> list[int]:
        from accounts.actors import SHIPPED  # noqa: PLC0415
        from accounts.bulk import create_many  # noqa: PLC0415
        from accounts.models import CreditAccount, CreditProduct, Customer  # noqa: PLC0415

        said: dict[str, Any] = {"actor": SHIPPED, "reason": "bench", "now": self.now}
        of = CreditProduct.objects.get(code=product)
        customers = create_many((Customer(customer_no=f"{product}{n:09d}") for n in range(number)), **said)
        accounts = (
            CreditAccount(
                account_no=f"{product[:2]}{n:09d}", customer_id=customer.pk, product=of,
                ledger_as_of=self.now - timedelta(hours=1), credit_limit=Decimal("5000.00"),
                arrears_months="0|0|0|0|0|0",
            )
            for n, customer in enumerate(customers)
        )  # fmt: skip
        return [row.pk for row in create_many(accounts, **said)]

    # Acts

    def seconds(self, act: Any, *arguments: Any) -> float:
        before = time.perf_counter()
        act(*arguments)
        return time.perf_counter() - before

    def act(self, name: str, campaign: Campaign, **given: Any) -> Any:
        from closures.services import campaigns  # noqa: PLC0415

        return getattr(campaigns, name)(campaign_id=campaign.pk, actor=self.lead, now=self.now, **given)

    def approved(self) -> Campaign:
        from django.utils.timezone import localdate  # noqa: PLC0415

        from closures.services import campaigns  # noqa: PLC0415

        campaign = campaigns.draft(
            title="bench", legal_basis="bench", product=self.product, population='product = "BAITIAO"',
            effective_on=localdate(self.now), wave_percents=[100], daily_cap=10 * self.members,
            actor=self.lead, now=self.now,
        )  # fmt: skip
        dry = self.dry_run(campaign)
        return campaigns.approve(
            campaign_id=campaign.pk, seen_plan=dry.plan_hash, seen_population=dry.population_hash,
            ground="bench", actor=self.second, now=self.now,
        )  # fmt: skip

    def dry_run(self, campaign: Campaign) -> Any:
        return self.act("dry_run", campaign)

    def one_by_one(self) -> None:
        """As many requests by the single path, each a transaction of its own."""
        from closures.models import ClosureTicket  # noqa: PLC0415
        from closures.models.tickets import Reason  # noqa: PLC0415
        from closures.services import intake  # noqa: PLC0415

        for account in self.alone:
            intake.request_closure(
                account_id=account, reason=Reason.POLICY, channel=ClosureTicket.Channel.CAMPAIGN,
                ground="bench", actor=self.lead, now=self.now,
            )  # fmt: skip

    def open_all(self, campaign: Campaign, enough: int) -> None:
        """The job's batches, until this many are open; some are left for the pause to stop."""
        from closures.services.campaigns import running  # noqa: PLC0415

        opened = 0
        while opened < enough and (more := running.open_batch(campaign.pk, now=self.now)):
            opened += more

    def opened(self, campaign: Campaign) -> int:
        return int(campaign.members.filter(entry="OPENED").count())

    def pause(self, campaign: Campaign) -> tuple[float, int]:
        """Seconds until a pause pressed in the middle of a batch is in force, and tickets made after it."""
        from django.db import connection  # noqa: PLC0415

        worker = threading.Thread(target=self._worker, args=(campaign,))
        worker.start()
        time.sleep(0.05)
        pressed = time.perf_counter()
        self.act("pause", campaign, ground="bench")
        late, before = time.perf_counter() - pressed, self.opened(campaign)
        worker.join()
        connection.close()
        return late, self.opened(campaign) - before

    def _worker(self, campaign: Campaign) -> None:
        from django.db import connection  # noqa: PLC0415

        try:
            self.open_all(campaign, 10 * self.members)
        finally:
            connection.close()


if __name__ == "__main__":
    import sys

    if sys.argv[1:2] == ["--inside"]:
        inside(int(sys.argv[2]))
    else:
        main()
