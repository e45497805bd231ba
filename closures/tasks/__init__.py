"""Celery tasks: the clock, the queue and one service call each. What to do is in the rows, never here."""

from closures.tasks import keeping, steps, sweeps

__all__ = ["keeping", "steps", "sweeps"]
