"""Every model of the app, importable as `closures.models.X`."""

from closures.models.api import ApiCall, ApiClient, AppRequest, Webhook
from closures.models.blockers import Blocker
from closures.models.callbacks import PartnerCallback
from closures.models.campaign_members import CampaignEntry, CampaignMember, DryRun
from closures.models.campaigns import Campaign, CampaignDepartment, CampaignMilestone
from closures.models.complaint_rows import CannedReply, ComplaintExtension, ComplaintPause, ComplaintText
from closures.models.complaints import Complaint
from closures.models.evidence import EvidencePack
from closures.models.holds import Hold
from closures.models.identity_codes import IdentityCode, IdentityCodeText
from closures.models.ledger import LedgerCommand
from closures.models.money import PostClosureItem
from closures.models.notices import Notice, NoticeBody, NoticeTemplate
from closures.models.reporting import BureauRecord, BureauReport
from closures.models.retention import DeletionRequest, DestructionItem, DestructionList
from closures.models.reversals import Reversal
from closures.models.risk import RiskRule, RiskScan, RiskSwitch
from closures.models.risk_alerts import RiskAlert, RiskAppeal
from closures.models.risk_evidence import BackTest, LabelledOutcome
from closures.models.sweeps import InvariantCheck, Sweep
from closures.models.tickets import ClosureTicket
from closures.models.unbinding import UnbindAttempt, UnbindTask

__all__ = [
    "ApiCall",
    "ApiClient",
    "AppRequest",
    "BackTest",
    "Blocker",
    "BureauRecord",
    "BureauReport",
    "Campaign",
    "CampaignDepartment",
    "CampaignEntry",
    "CampaignMember",
    "CampaignMilestone",
    "CannedReply",
    "ClosureTicket",
    "Complaint",
    "ComplaintExtension",
    "ComplaintPause",
    "ComplaintText",
    "DeletionRequest",
    "DestructionItem",
    "DestructionList",
    "DryRun",
    "EvidencePack",
    "Hold",
    "IdentityCode",
    "IdentityCodeText",
    "InvariantCheck",
    "LabelledOutcome",
    "LedgerCommand",
    "Notice",
    "NoticeBody",
    "NoticeTemplate",
    "PartnerCallback",
    "PostClosureItem",
    "Reversal",
    "RiskAlert",
    "RiskAppeal",
    "RiskRule",
    "RiskScan",
    "RiskSwitch",
    "Sweep",
    "UnbindAttempt",
    "UnbindTask",
    "Webhook",
]
