"""The promises of SPEC §8, checked over all rows: which hold now, and which rows break the others."""

from closures.services.invariants.running import INVARIANTS, Invariant, NoSuchInvariant, check_next, run

__all__ = ["INVARIANTS", "Invariant", "NoSuchInvariant", "check_next", "run"]
