"""What a story did, for whoever tells or judges it."""

from __future__ import annotations

from dataclasses import dataclass, field

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
