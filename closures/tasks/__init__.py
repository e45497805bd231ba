"""Celery tasks: the clock, the queue and one service call each. What to do is in the rows, never here."""

from closures.tasks import steps, sweeps

__all__ = ["steps", "sweeps"]
