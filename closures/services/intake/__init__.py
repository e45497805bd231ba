"""The one door by which a closing is asked for, and the customer's way back out of it (SPEC §3).

`asking` is for one account, `asking_many` for a set; `demands` is what must come before risk control asks,
`answers` keeps the day of the answer.
"""

from closures.selectors.answer_dates import CalendarIncomplete, answer_date
from closures.services.intake.answers import recount_answers
from closures.services.intake.asking import (
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
from closures.services.intake.demands import (
    NO_DEMAND,
    Demand,
    DemandMissing,
    DemandRunning,
    DemandUnclear,
)

__all__ = [
    "NO_DEMAND",
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
