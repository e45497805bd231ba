"""A real worker dies by SIGKILL at each place of one closing where something could be lost or doubled.

Right after the child that met the failpoint, the rest of the worker is killed too, as in a power cut; then a
new one starts. The judge is the simulator's own ledger of effects.
"""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from closures.demo.simulator_control import SimulatorControl
from closures.demo.stories import closed_for_good
from closures.demo.world import World
from closures.jobs import Job
from closures.models import ClosureTicket
from closures.services import invariants
from tests.workers import Workers

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]

TESTS = Path(__file__).resolve().parents[1]
SOURCES = TESTS.parent / "closures"
UNPUBLISHED = (Job.RETRY_UNBINDING, Job.FINISH_UNBINDING, Job.CLOSE)
FAILPOINTS = (
    "unbind.before_enquiry",
    "unbind.after_enquiry",
    "unbind.after_claim",
    "unbind.after_call",
    "unbind.after_settle",
    "ledger.after_claim",
    "ledger.after_call",
    "notice.after_claim",
    "notice.after_call",
    *(f"jobs.before_publish:{job}" for job in UNPUBLISHED),
)
# Met by no closing of the demo's kind: crashed at in the tests of their services, under the same names.
BESIDE = {
    "webhook.after_claim": "test_webhooks.py",
    "webhook.after_call": "test_webhooks.py",
    "retention.after_emptying": "test_destruction.py",
    "risk.mid_batch": "test_risk_scan.py",
    "campaign.after_tickets": "test_campaign_runs.py",
}


def test_every_failpoint_in_the_source_is_crashed_at() -> None:
    written = {
        name
        for path in SOURCES.rglob("*.py")
        for name in re.findall(r'\breach\(\s*"([^"]+)"', path.read_text())
    }

    assert written == {failpoint.partition(":")[0] for failpoint in FAILPOINTS} | set(BESIDE)
    for failpoint, module in BESIDE.items():
        assert failpoint in (TESTS / "services" / module).read_text()


def where(failpoint: str) -> Any:
    """Those of the unbinding on every stack; the others, which know no broker, where there is a real one."""
    beside = not failpoint.startswith("unbind.") and not os.environ.get("TEST_BROKER_URL")
    reason = "crashed at with a real broker, on Redis and RabbitMQ"
    return pytest.param(failpoint, marks=pytest.mark.skipif(beside, reason=reason))


@pytest.mark.parametrize("failpoint", [where(name) for name in FAILPOINTS])
def test_a_worker_killed_there_closes_the_account_once(
    failpoint: str, real_world: World, workers: Workers, simulated: SimulatorControl, tmp_path: Path
) -> None:
    account = real_world.account("HUABEI", ("ALIPAY", "AUTO_REPAY", 1))
    agreement_no = account.agreements.get().agreement_no
    dead = tmp_path / "dead"
    workers.start(FAILPOINT=failpoint, FAILPOINT_FILE=str(dead))
    ticket = real_world.agent_requests(account)
    real_world.wait(lambda: dead.exists() or in_review(real_world, ticket), "a crash, or the review")
    crashed_early = crash(workers) if dead.exists() else False

    real_world.approve(ticket, by="reviewer")
    if not crashed_early:
        real_world.wait(dead.exists, f"a worker dies at {failpoint}")
        crash(workers)
    told = closed_for_good(real_world, ticket)

    assert [check for check in told.checks if check[1] != check[2]] == []
    assert [row["kind"] for row in simulated.effects(subject=agreement_no)] == ["UNSIGN"]
    assert real_world.effects("CLOSE", account.account_no) == 1
    assert simulated.duplicates() == []
    assert broken_promises() == []


def test_workers_killed_at_random_again_and_again_close_every_account_once(
    real_world: World, workers: Workers, simulated: SimulatorControl
) -> None:
    accounts = [
        real_world.account("JIEBEI", ("ALIPAY", "AUTO_REPAY", 1), ("WECHAT", "WITHHOLDING", 0))
        for _ in range(4)
    ]
    workers.start(concurrency=2)
    tickets = [real_world.agent_requests(account) for account in accounts]
    for ticket in tickets:
        real_world.approve(ticket, by="reviewer")

    dice = random.Random(7)
    for _ in range(3):
        pause = time.monotonic() + dice.uniform(2.5, 5)
        real_world.wait(lambda pause=pause: time.monotonic() > pause, "the next power cut")
        workers.kill()
        workers.start(concurrency=2)
    told = [closed_for_good(real_world, ticket) for ticket in tickets]

    assert [check for one in told for check in one.checks if check[1] != check[2]] == []
    assert simulated.tally()["LEDGER", "CLOSE"] == len(accounts)
    assert simulated.duplicates() == []
    assert broken_promises() == []


def crash(workers: Workers) -> bool:
    """What is left of the worker dies as well, and another is started in its place."""
    workers.kill()
    workers.start()
    return True


def in_review(world: World, ticket: ClosureTicket) -> bool:
    return world.fresh(ticket).state == ClosureTicket.State.IN_REVIEW


def broken_promises() -> list[str]:
    """The invariants that do not hold, with an example each."""
    results = invariants.run(now=timezone.now())
    return [f"{result.number}: {result.examples}" for result in results if result.violations]
