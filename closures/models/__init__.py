"""Every model of the app, importable as `closures.models.X`."""

from closures.models.api import ApiCall, ApiClient, AppRequest, Webhook
from closures.models.blockers import Blocker
from closures.models.callbacks import PartnerCallback
from closures.models.holds import Hold
from closures.models.ledger import LedgerCommand
from closures.models.notices import Notice, NoticeBody, NoticeTemplate
from closures.models.sweeps import InvariantCheck, Sweep
from closures.models.tickets import ClosureTicket
from closures.models.unbinding import UnbindAttempt, UnbindTask

__all__ = [
    "ApiCall",
    "ApiClient",
    "AppRequest",
    "Blocker",
    "ClosureTicket",
    "Hold",
    "InvariantCheck",
    "LedgerCommand",
    "Notice",
    "NoticeBody",
    "NoticeTemplate",
    "PartnerCallback",
    "Sweep",
    "UnbindAttempt",
    "UnbindTask",
    "Webhook",
]
