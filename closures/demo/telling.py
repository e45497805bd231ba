"""Plays the stories against running workers and prints what happened: timelines, then a table."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Callable
from datetime import timedelta

import httpx
from django.conf import settings
from django.db import connection
from django.utils import timezone, translation
from django.utils.translation import gettext as translate

from accounts.models import User
from closures.demo import people, run, waiting
from closures.demo.programme import STORIES
from closures.demo.simulator_control import SimulatorControl
from closures.demo.told import Story, Told
from closures.demo.world import World
from closures.models import Sweep
from closures.selectors import status_links, timeline

Write = Callable[[str], object]


def tell_all(*, write: Write, patience: float = 90.0) -> bool:
    """Every story is played to its end; returns whether each went as expected."""
    translation.activate(settings.LANGUAGE_CODE)
    simulator = SimulatorControl(settings.SIMULATOR_URL)
    wait_for(lambda: alive(simulator), "the simulator answers")
    if not simulator.tally():
        folder = run.extracts_folder()
        simulator.load(accounts=folder / "accounts.csv", agreements=folder / "agreements.csv")
    wait_for(worker_alive, "a worker has run a sweep")
    web = f"http://127.0.0.1:{os.environ.get('WEB_PORT', '8000')}"
    world = World(simulator, patience=patience, web=web)
    rows = [tell(story, world, number, write) for number, story in enumerate(STORIES, start=1)]
    waiting.leave(world)
    write("")
    write(line("story", "checks", "expected", "actual", "result"))
    for story, told, seconds in rows:
        show_result(story, told, seconds, write)
    good = sum(told is not None and told.as_expected for _story, told, _seconds in rows)
    duplicates = simulator.duplicates()
    write(
        f"\n{good} of {len(rows)} stories as expected; duplicates by the partners' ledger: {len(duplicates)}"
    )
    return good == len(rows) and not duplicates


def tell(story: Story, world: World, number: int, write: Write) -> tuple[Story, Told | None, float]:
    write(f"\n[{number}/{len(STORIES)}] {story.title}")
    started = time.monotonic()
    try:
        told = story.play(world)
    except Exception as error:  # a story that breaks is a red row, and the next one is still told
        world.simulator.clear_faults()
        write(f"    broke: {type(error).__name__}: {error}")
        return story, None, time.monotonic() - started
    show_timeline(told, write)
    seen_at = status_links.url(told.ticket, now=timezone.now())
    write(f"    {translate('The customer sees it at')} {seen_at}")
    return story, told, time.monotonic() - started


# The terminal shows where things got to; the ticket page in the console shows every step between.
PASSING = frozenset({"SENDING", "PENDING", "attempt", "account", "restriction"})


def show_timeline(told: Told, write: Write) -> None:
    auditor = User.objects.get(staff_no="auditor")
    for event in reversed(timeline.of_ticket(told.ticket, user=auditor)):
        if event.state in PASSING or event.noun in PASSING:
            continue
        moment = timezone.localtime(event.at).strftime("%H:%M:%S")
        became = f"{event.before_label} → {event.state_label}" if event.before else event.state_label
        subject = f"{event.label} {event.what}".strip()
        write(f"    {moment}  {pad(subject, 40)} {pad(became, 20)} {pad(event.who, 22)} {event.why}")


def show_result(story: Story, told: Told | None, seconds: float, write: Write) -> None:
    title = str(story.title)
    if told is None:
        write(line(title, "–", "–", "broke", "✗"))
        return
    met = sum(expected == actual for _what, expected, actual in told.checks)
    state = next(actual for _what, _expected, actual in told.checks)
    wanted = next(expected for _what, expected, _actual in told.checks)
    result = f"{'✓' if told.as_expected else '✗'} {seconds:.0f} s"
    write(line(title, f"{met}/{len(told.checks)}", str(wanted), str(state), result))
    for what, expected, actual in told.checks:
        if expected != actual:
            write(f"      {what}: expected {expected!r}, got {actual!r}")


def line(*cells: str) -> str:
    widths = (46, 8, 14, 14, 8)
    return "  ".join(pad(cell, width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def pad(text: str, width: int) -> str:
    """Pad to a width on screen, where a Chinese character takes two columns."""
    taken = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    return text + " " * max(0, width - taken)


def where_to_sign_in(*, write: Write, port: str) -> None:
    write(f"\nThe console is at http://127.0.0.1:{port}/admin/   (Ctrl-C stops everything)")
    write("Sign in as one of these, password " + people.PASSWORD + ":")
    for staff_no, name, roles in people.STAFF:
        write(f"    {pad(staff_no, 12)} {pad(name, 14)} {', '.join(roles)}")


def alive(simulator: SimulatorControl) -> bool:
    try:
        return httpx.get(f"{simulator.base_url}/health", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def worker_alive() -> bool:
    connection.close()
    return Sweep.objects.filter(finished_at__gt=timezone.now() - timedelta(seconds=30)).exists()


def wait_for(condition: Callable[[], bool], what: str, *, patience: float = 60.0) -> None:
    """Raises SystemExit with what was missing after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {patience:.0f} s in vain until {what}.")
        time.sleep(0.3)
