"""Messages are only wake-ups: whatever a broker does to them costs seconds, and nothing is lost or doubled.

The broker is the one TEST_BROKER_URL names, else files in the test's folder.
"""

from __future__ import annotations

import time

import pytest

from closures.demo.simulator_control import SimulatorControl
from closures.demo.stories import STORIES, clean_closing
from closures.demo.world import World
from closures.jobs import Job
from closures.models import ClosureTicket, Sweep
from closures.tasks import sweeps
from config.celery import app
from tests.workers import Broker, Workers, alive, publishing_to

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]

JOURNEYS = [story for story in STORIES if story.name in ("clean-huabei", "partner-down")]
NOBODY_LISTENS = ("redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//")


@pytest.mark.parametrize("story", JOURNEYS, ids=lambda story: story.name)
def test_real_workers_tell_the_story_to_its_end(story, real_world: World, workers: Workers) -> None:
    workers.start(concurrency=2)

    told = story.play(real_world)

    assert told.checks
    assert [check for check in told.checks if check[1] != check[2]] == []


def test_a_lost_message_costs_a_tick_and_no_more(real_world: World, workers: Workers, broker: Broker) -> None:
    ticket = real_world.agent_requests(real_world.account("HUABEI"))

    assert broker.purge() >= 1
    workers.start()

    assert real_world.until(ticket, "IN_REVIEW").state == ClosureTicket.State.IN_REVIEW


def test_messages_that_nobody_sent_harm_nothing(
    real_world: World, workers: Workers, simulated: SimulatorControl
) -> None:
    for job in 3 * list(Job):
        if job not in (Job.CHECK_INVARIANTS, Job.ANSWER_OVERDUE):
            app.send_task(job.value)
    workers.start(concurrency=2)

    told = clean_closing("HUABEI")(real_world)

    assert told.as_expected, told.checks
    assert simulated.duplicates() == []


def test_two_beats_are_as_good_as_one(
    real_world: World, workers: Workers, simulated: SimulatorControl
) -> None:
    workers.start()
    workers.start()

    told = clean_closing("BAITIAO")(real_world)

    assert told.as_expected, told.checks
    assert simulated.duplicates() == []


@pytest.mark.usefixtures("own_database", "broker")
def test_a_second_tick_at_the_same_moment_wakes_nothing() -> None:
    assert sweeps.tick.run() is None
    woken = dict(Sweep.objects.values_list("job", "woken_at"))

    sweeps.tick.run()

    assert all(woken[job] for job in woken if job != Job.TICK)
    assert dict(Sweep.objects.exclude(job=Job.TICK).values_list("job", "woken_at")) == {
        job: at for job, at in woken.items() if job != Job.TICK
    }


@pytest.mark.parametrize("url", NOBODY_LISTENS, ids=["redis", "rabbitmq"])
def test_a_broker_that_is_down_refuses_no_request(
    url: str, real_world: World, workers: Workers, broker: Broker
) -> None:
    account = real_world.account("JIEBEI")
    with publishing_to(app, broker, url=url):
        before = time.monotonic()
        ticket = real_world.agent_requests(account)
        took = time.monotonic() - before

    assert took < 15  # it does not wait for the broker; a busy machine may be slow all the same
    assert ticket.state == ClosureTicket.State.SUBMITTED
    assert not Sweep.objects.filter(woken_at__isnull=False).exists()  # nothing pretends to be on its way
    workers.start()  # the broker is back
    assert real_world.until(ticket, "IN_REVIEW").state == ClosureTicket.State.IN_REVIEW


def test_a_worker_that_is_stopped_or_killed_leaves_no_process(workers: Workers, real_world: World) -> None:
    stopped, killed = workers.start(), workers.start(concurrency=2)
    real_world.wait(Sweep.objects.filter(finished_at__isnull=False).exists, "a worker works")
    assert alive(stopped.pid) and alive(killed.pid)

    workers.stop()

    assert alive(stopped.pid) == alive(killed.pid) == []
