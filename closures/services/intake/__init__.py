"""The one door by which a closing is asked for, and the customer's way back out of it (SPEC §3).

`asking` is for one account, `asking_many` for a set; `answers` keeps the day of the answer. What must come
before risk control asks is in `closures.services.demands`.
"""

from closures.selectors.answer_dates import CalendarIncomplete, answer_date
from closures.services.demands import NO_DEMAND, Demand, DemandMissing, DemandRunning, DemandUnclear
from closures.services.intake.answers import recount_answers
from closures.services.intake.asking import (
    RIGHTS,
    AlreadyClosed,
    AlreadyRequested,
    Asserted,
    AssertionStale,
    EffectsNotAccepted,
    GroundMissing,
    KeyReused,
    NotTheirAccount,
    Received,
    digest,
    disclosure_version,
    policy_of,
    request_closure,
    withdraw,
)
from closures.services.intake.asking_many import ReceivedMany, request_closures

__all__ = [
    "NO_DEMAND",
    "RIGHTS",
    "AlreadyClosed",
    "AlreadyRequested",
    "Asserted",
    "AssertionStale",
    "CalendarIncomplete",
    "Demand",
    "DemandMissing",
    "DemandRunning",
    "DemandUnclear",
    "EffectsNotAccepted",
    "GroundMissing",
    "KeyReused",
    "NotTheirAccount",
    "Received",
    "ReceivedMany",
    "answer_date",
    "digest",
    "disclosure_version",
    "policy_of",
    "recount_answers",
    "request_closure",
    "request_closures",
    "withdraw",
]
