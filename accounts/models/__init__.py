"""Every model of the app, importable as `accounts.models.X`."""

from accounts.models.agreements import AgreementEffect, AgreementKind, PartnerAgreement
from accounts.models.customers import Customer, CustomerIdentity, IdentityReveal, Lender, LenderRelationship
from accounts.models.lines import ClosedAccountMovement, CreditAccount, LineRestriction, RestrictionCause
from accounts.models.products import CreditProduct
from accounts.models.refusals import RefusedAction
from accounts.models.regulations import Certainty, Regulation, WorkCalendarDay
from accounts.models.staff import User

__all__ = [
    "AgreementEffect",
    "AgreementKind",
    "Certainty",
    "ClosedAccountMovement",
    "CreditAccount",
    "CreditProduct",
    "Customer",
    "CustomerIdentity",
    "IdentityReveal",
    "Lender",
    "LenderRelationship",
    "LineRestriction",
    "PartnerAgreement",
    "RefusedAction",
    "Regulation",
    "RestrictionCause",
    "User",
    "WorkCalendarDay",
]
