"""The lenders behind the four products. A brand is not a lender: one page may show lines of several."""

from __future__ import annotations

from accounts.models import Certainty, Lender
from accounts.shipped import sources as src
from accounts.shipped.sources import of


def lenders() -> list[Lender]:
    """One unsaved row per lender. Source: FACTS §1, with how sure each legal name is."""
    return [
        Lender(
            code="ANT_CONSUMER_FINANCE",
            legal_name="重庆蚂蚁消费金融有限公司",
            kind=Lender.Kind.CONSUMER_FINANCE,
            certainty=Certainty.CONFIRMED,
            source=of(src.CJYUN, src.HK01),
        ),
        Lender(
            code="MYBANK",
            legal_name="浙江网商银行股份有限公司",
            kind=Lender.Kind.BANK,
            certainty=Certainty.WEAK,
            source=src.WZASK,
        ),
        Lender(
            code="JD_SHENGJI",
            legal_name="重庆京东盛际小额贷款有限公司",
            kind=Lender.Kind.MICRO_LOAN,
            certainty=Certainty.GENERAL,
            source=of("present name unconfirmed; earlier name", src.H5UC),
        ),
    ]
