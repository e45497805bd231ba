"""Telling the customer: queue a notice, climb the ladder of channels, keep the proof of arrival (SPEC §5)."""

from closures.services.notices.arrival import (
    Letter,
    NotALetter,
    ProofMissing,
    hear_receipt,
    print_letter,
    prove_arrival,
)
from closures.services.notices.delivering import deliver
from closures.services.notices.saying import (
    ASKS_MONEY,
    LANGUAGE,
    NEEDS_ARRIVAL,
    announce_closing,
    cancel_pending,
    queue,
    tell,
)

__all__ = [
    "ASKS_MONEY",
    "LANGUAGE",
    "Letter",
    "NEEDS_ARRIVAL",
    "NotALetter",
    "ProofMissing",
    "announce_closing",
    "cancel_pending",
    "deliver",
    "hear_receipt",
    "print_letter",
    "prove_arrival",
    "queue",
    "tell",
]
