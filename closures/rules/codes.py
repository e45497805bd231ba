"""The words that all rules share: reasons, severities, blockers, cures, agreement and hold kinds.

Codes only. What they mean to a reader (labels, colours, translations) belongs to the layers above.
COUPON_LOSS of the specification is not here: no extract that we receive says what coupons are lost.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a product is closed. Source: SPEC §1 M1."""

    CUSTOMER_REQUEST = "CUSTOMER_REQUEST"
    RISK_CONTROL = "RISK_CONTROL"
    POLICY = "POLICY"


class Severity(StrEnum):
    """What a blocker does to the ticket. Source: SPEC §3."""

    BLOCK = "BLOCK"  # nothing goes on until it is cured
    SETTLE = "SETTLE"  # the ticket goes on and waits in SETTLING
    UNBIND = "UNBIND"  # we end it, in UNBINDING
    WARN = "WARN"  # the customer is told


class AgreementKind(StrEnum):
    """Kinds of partner agreements. Source: SPEC §2."""

    AUTO_REPAY = "AUTO_REPAY"
    WITHHOLDING = "WITHHOLDING"
    PASSWORD_FREE = "PASSWORD_FREE"
    PAY_AFTER_USE = "PAY_AFTER_USE"
    DEPOSIT_FREE = "DEPOSIT_FREE"
    FAMILY_CARD = "FAMILY_CARD"
    WEALTH_LINK = "WEALTH_LINK"


class AgreementEffect(StrEnum):
    """What closing does with an agreement; a row of the product. Source: SPEC §1 M6."""

    BLOCK = "BLOCK"
    UNBIND = "UNBIND"
    WARN = "WARN"


class BlockerCode(StrEnum):
    """Everything that can stand between a request and its closing. Source: SPEC §3."""

    OUTSTANDING_PRINCIPAL = "OUTSTANDING_PRINCIPAL"
    OUTSTANDING_INTEREST_FEES = "OUTSTANDING_INTEREST_FEES"
    UNBILLED = "UNBILLED"
    INSTALMENTS_REMAINING = "INSTALMENTS_REMAINING"
    PENDING_ORDER = "PENDING_ORDER"
    REFUND_IN_FLIGHT = "REFUND_IN_FLIGHT"
    DISPUTED = "DISPUTED"
    CREDIT_BALANCE = "CREDIT_BALANCE"
    AGREEMENT_AUTO_REPAY = "AGREEMENT_AUTO_REPAY"
    AGREEMENT_WITHHOLDING = "AGREEMENT_WITHHOLDING"
    AGREEMENT_PASSWORD_FREE = "AGREEMENT_PASSWORD_FREE"
    AGREEMENT_PAY_AFTER_USE = "AGREEMENT_PAY_AFTER_USE"
    AGREEMENT_DEPOSIT_FREE = "AGREEMENT_DEPOSIT_FREE"
    AGREEMENT_FAMILY_CARD = "AGREEMENT_FAMILY_CARD"
    AGREEMENT_WEALTH_LINK = "AGREEMENT_WEALTH_LINK"
    OTHER_LENDER_LINE = "OTHER_LENDER_LINE"
    OPEN_HOLD = "OPEN_HOLD"
    IDENTITY_MISMATCH = "IDENTITY_MISMATCH"
    STALE_LEDGER = "STALE_LEDGER"


AGREEMENT_CODES = {kind: BlockerCode[f"AGREEMENT_{kind.name}"] for kind in AgreementKind}


class CureCode(StrEnum):
    """Who does what so that a blocker goes away; the text is the caller's. Source: our choice."""

    REPAY_PRINCIPAL = "REPAY_PRINCIPAL"
    REPAY_INTEREST_FEES = "REPAY_INTEREST_FEES"
    REPAY_UNBILLED = "REPAY_UNBILLED"
    REPAY_INSTALMENTS = "REPAY_INSTALMENTS"
    FINISH_OR_CANCEL_ORDERS = "FINISH_OR_CANCEL_ORDERS"
    AWAIT_REFUND = "AWAIT_REFUND"
    RESOLVE_DISPUTE = "RESOLVE_DISPUTE"
    WE_PAY_OUT = "WE_PAY_OUT"
    WE_UNBIND = "WE_UNBIND"
    WE_UNBIND_ONCE_SETTLED = "WE_UNBIND_ONCE_SETTLED"  # it repays the debt, so it lives as long as that
    CUSTOMER_ENDS_AGREEMENT = "CUSTOMER_ENDS_AGREEMENT"
    KNOW_WHAT_STAYS = "KNOW_WHAT_STAYS"  # nothing to do but to have been told
    AWAIT_HOLD_LIFTED = "AWAIT_HOLD_LIFTED"
    PROVE_IDENTITY = "PROVE_IDENTITY"
    AWAIT_FRESH_LEDGER = "AWAIT_FRESH_LEDGER"


class HoldKind(StrEnum):
    """Why irreversible steps are stopped. Source: SPEC §3."""

    JUDICIAL = "JUDICIAL"
    AML = "AML"
    FRAUD = "FRAUD"
    DECEASED = "DECEASED"
    MINOR = "MINOR"
    BUREAU_DISPUTE = "BUREAU_DISPUTE"
    COMPLAINT = "COMPLAINT"
    LEGAL = "LEGAL"
    MANUAL = "MANUAL"


# Never in a customer's text, never shown to staff without the right, never the cause of an automatic
# refusal: telling a person that he is looked at for money laundering is itself forbidden. Source: SPEC §3.
SILENT_HOLDS = frozenset({HoldKind.AML})
