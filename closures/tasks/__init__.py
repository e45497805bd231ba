"""Celery tasks: the clock, the queue and one service call each. What to do is in the rows, never here."""

from closures.tasks import campaigning, keeping, steps, sweeps

__all__ = ["campaigning", "keeping", "steps", "sweeps"]
