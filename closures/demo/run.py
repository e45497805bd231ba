"""`make demo`: everything set up, every process started, the stories told, the console left running."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from honcho.environ import parse_procfile
from honcho.manager import Manager

from accounts.models import Customer
from closures.demo import people
from closures.demo.world import quicken

CROWD = 200
# Engineering limits of a demo that should be watched, not waited for.
PACE = {
    "TICK_SECONDS": "1",
    "RETRY_BASE_SECONDS": "1",
    "RETRY_CAP_SECONDS": "3",
    "LATE_EFFECT_SECONDS": "2",
    "FIRST_LOOK_SECONDS": "0.2",
    "REASSESS_SECONDS": "2",
    "SETTLE_POLL_SECONDS": "2",
    "PYTHONUNBUFFERED": "1",
    # honcho signals the whole group; a warm shutdown would wait for children that are gone.
    "REMAP_SIGTERM": "SIGQUIT",
    "COLUMNS": "110",
}


def prepare() -> None:
    """The database is migrated and holds products, staff and 200 invented customers. Safe to repeat."""
    call_command("migrate", verbosity=0)
    now = timezone.now()
    people.hire(now=now)
    quicken(now=now)
    if not Customer.objects.filter(customer_no__startswith="DC").exists():
        accounts, agreements = people.write_extracts(people.crowd(size=CROWD, now=now), extracts_folder())
        call_command("import_accounts", accounts)
        call_command("import_agreements", agreements)


def extracts_folder() -> Path:
    return Path(settings.VAR_DIR) / "demo"


def start(*, once: bool) -> int:
    """Run every process of the Procfile and the stories; returns the stories' exit code.

    With `once` everything stops after the stories; else the console stays until Ctrl-C.
    """
    web, simulator = free_port("WEB_PORT", 8000), free_port("SIMULATOR_PORT", 8931)
    environment = {
        **os.environ,
        **PACE,
        "WEB_PORT": str(web),
        "SIMULATOR_PORT": str(simulator),
        "SIMULATOR_URL": f"http://127.0.0.1:{simulator}",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    manager = Manager()
    procfile = parse_procfile((Path(settings.BASE_DIR) / "Procfile").read_text())
    for name, command in procfile.processes.items():
        manager.add_process(name, command, env=environment, cwd=str(settings.BASE_DIR))
    stay = "" if once else " --stay"
    manager.add_process(
        "stories", f"exec python manage.py demo_stories{stay}", env=environment, cwd=str(settings.BASE_DIR)
    )
    manager.loop()
    return int(manager.returncode or 0)


def free_port(name: str, usual: int) -> int:
    """The port the environment asks for, or the first free one from the usual one on.

    Raises SystemExit with a clear message if the one asked for is taken.
    """
    asked = os.environ.get(name)
    if asked:
        if not is_free(int(asked)):
            raise SystemExit(f"{name}={asked} is taken; choose another, or leave {name} unset.")
        return int(asked)
    for port in range(usual, usual + 100):
        if is_free(port):
            return port
    raise SystemExit(f"No free port from {usual} to {usual + 99}; set {name}.")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
