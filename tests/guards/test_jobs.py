"""Every kind of work has a task to do it and a sweep that finds what a lost message left behind."""

import pytest
from celery import current_app
from django.conf import settings

from closures.jobs import Job

TIMED = set(Job) - {Job.TICK}


@pytest.mark.parametrize("job", list(Job))
def test_every_job_has_a_task(job: Job) -> None:
    assert job.value in current_app.tasks


@pytest.mark.parametrize("job", sorted(TIMED))
def test_every_job_has_a_sweep(job: Job) -> None:
    assert settings.SWEEP_SECONDS[job.value] > 0


def test_no_sweep_is_left_without_its_job() -> None:
    assert set(settings.SWEEP_SECONDS) == {job.value for job in TIMED}


def test_beat_sends_nothing_but_the_tick() -> None:
    assert [entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()] == [Job.TICK.value]


def test_a_call_gives_up_before_its_task_and_a_task_before_its_lease() -> None:
    limits = [
        settings.PARTNER_CONNECT_TIMEOUT,
        settings.PARTNER_READ_TIMEOUT,
        settings.TASK_SOFT_TIME_LIMIT,
        settings.TASK_TIME_LIMIT,
        settings.LEASE_SECONDS,
        settings.BROKER_VISIBILITY_TIMEOUT,
    ]
    assert limits == sorted(set(limits))
