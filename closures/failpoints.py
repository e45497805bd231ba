"""Places where a test may kill the process, to prove that nothing is lost or doubled there.

A failpoint does nothing unless FAILPOINT names it, and production refuses to start armed (config.checks).
FAILPOINT_FILE marks that it has fired, so that a restarted worker gets past it.
"""

import os
import signal
from pathlib import Path

from django.conf import settings


def reach(name: str, *, of: str = "") -> None:
    """Die here by SIGKILL if this place is armed, as `name` or as `name:of`, and has not fired yet."""
    if not settings.FAILPOINT or settings.FAILPOINT not in (name, f"{name}:{of}"):
        return
    try:
        Path(settings.FAILPOINT_FILE).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
