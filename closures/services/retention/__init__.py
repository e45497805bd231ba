"""Keeping and destroying personal data: requests and their answers, destruction lists, the erasure."""

from closures.errors import GroundMissing
from closures.services.retention.erasing import StillThere, empty, run
from closures.services.retention.listing import (
    ListChanged,
    NobodyIsDue,
    SameApprover,
    approve,
    call_off,
    collect,
    propose,
    propose_new,
    take_off,
)
from closures.services.retention.requests import AlreadyErased, NotTheirData, answer, request_deletion

__all__ = [
    "AlreadyErased",
    "GroundMissing",
    "ListChanged",
    "NobodyIsDue",
    "NotTheirData",
    "SameApprover",
    "StillThere",
    "answer",
    "approve",
    "call_off",
    "collect",
    "empty",
    "propose",
    "propose_new",
    "request_deletion",
    "run",
    "take_off",
]
