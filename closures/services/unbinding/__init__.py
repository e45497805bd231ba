"""Ending agreements at partners, proved by the partner's own status (SPEC §4).

`start` makes the tasks, `run` works one step on each that is due, `finish` lets tickets go on. What people do
about tasks the machine gave up is in `rescue`.
"""

from closures.services.unbinding.starting import finish, start, tell_delays
from closures.services.unbinding.stepping import run, work
from closures.services.unbinding.verdicts import hear_ended, was_ended

__all__ = ["finish", "hear_ended", "run", "start", "tell_delays", "was_ended", "work"]
