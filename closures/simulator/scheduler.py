"""Things that happen later: late effects and callbacks. In memory: a restart forgets them."""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import time
import traceback
from collections.abc import Callable

WORKERS = 4


class Scheduler:
    """Runs callables at a monotonic time on a few threads. Thread safe."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._changed = threading.Condition()
        self._order = itertools.count()
        self._stopped = False

    def start(self) -> None:
        for number in range(WORKERS):
            threading.Thread(target=self._work, name=f"later-{number}", daemon=True).start()

    def after(self, delay: float, act: Callable[[], None]) -> None:
        """`act` runs once, `delay` seconds from now, unless `clear` or `stop` comes first."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._order), act))
            self._changed.notify()

    def clear(self) -> None:
        with self._changed:
            self._due.clear()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._due.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while (act := self._next()) is not None:
            try:
                act()
            except Exception:  # the edge of a thread: one broken job must not silence the others
                traceback.print_exc(file=sys.stderr)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                if not self._due:
                    self._changed.wait()
                    continue
                wait = self._due[0][0] - time.monotonic()
                if wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
        return None
