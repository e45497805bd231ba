"""What a story tells: its ticket and its checks, and the checks that every finished closing shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from closures.demo.world import World
from closures.models import ClosureTicket


@dataclass
class Told:
    """What a story did: its ticket, and (what, expected, actual) for every check."""

    ticket: ClosureTicket
    checks: list[tuple[str, object, object]] = field(default_factory=list)

    def check(self, what: str, expected: object, actual: object) -> None:
        self.checks.append((what, expected, actual))

    @property
    def as_expected(self) -> bool:
        return bool(self.checks) and all(expected == actual for _what, expected, actual in self.checks)


@dataclass(frozen=True)
class Story:
    name: str
    title: object
    play: Callable[[World], Told]


def closed_for_good(world: World, ticket: ClosureTicket) -> Told:
    """The checks every finished closing shares: ours, the ledger's, and each partner's."""
    ticket = world.until(ticket, "CLOSED")
    told = Told(ticket)
    told.check("state", "CLOSED", ticket.state)
    told.check("line", "CLOSED", ticket.account.line_state)
    told.check("ledger closings", 1, world.effects("CLOSE", ticket.account.account_no))
    for task in ticket.tasks.select_related("agreement"):
        unbound = world.effects("UNSIGN", task.agreement.agreement_no)
        told.check(f"{task.agreement.partner} unbound, times", 1, unbound)
    told.check("certificate", f"CERT-{ticket.number}", ticket.certificate_no)
    world.wait(lambda: not unfinished_notices(ticket), f"notices of {ticket.number}")
    told.check("duplicates anywhere", [], world.simulator.duplicates())
    return told


def unfinished_notices(ticket: ClosureTicket) -> bool:
    return ticket.notices.filter(state__in=["PENDING", "SENDING", "UNKNOWN"]).exists()
