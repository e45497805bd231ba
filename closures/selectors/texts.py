"""Sentences made from codes, for customers and for staff, in the reader's language."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from closures.models import Blocker
from closures.models.tickets import Reason
from closures.rules.codes import CureCode

REASONS_FOR_CUSTOMER = {
    Reason.CUSTOMER_REQUEST: _("at your request"),
    Reason.RISK_CONTROL: _("for risk control"),
    Reason.POLICY: _("because our product policy has changed"),
}

CURES = {
    CureCode.REPAY_PRINCIPAL: _("repay the principal"),
    CureCode.REPAY_INTEREST_FEES: _("pay the interest and fees"),
    CureCode.REPAY_UNBILLED: _("pay the unbilled spending; it can be repaid before its bill"),
    CureCode.REPAY_INSTALMENTS: _("repay the remaining instalments early"),
    CureCode.FINISH_OR_CANCEL_ORDERS: _("confirm receipt of the open orders, or cancel them"),
    CureCode.AWAIT_REFUND: _("wait until the refund has arrived"),
    CureCode.RESOLVE_DISPUTE: _("wait until the disputed amount is settled"),
    CureCode.WE_PAY_OUT: _("nothing to do: we pay the credit balance out"),
    CureCode.WE_UNBIND: _("nothing to do: we end this agreement with the partner"),
    CureCode.WE_UNBIND_ONCE_SETTLED: _("nothing to do: we end this agreement once everything is repaid"),
    CureCode.CUSTOMER_ENDS_AGREEMENT: _("end this agreement in the partner's app"),
    CureCode.KNOW_WHAT_STAYS: _("nothing to do: it stays as it is"),
    CureCode.AWAIT_HOLD_LIFTED: _("wait: the case is held while a matter is examined"),
    CureCode.PROVE_IDENTITY: _("have your identity checked again"),
    CureCode.AWAIT_FRESH_LEDGER: _("nothing to do: we are waiting for current figures"),
}


def cure(code: str) -> str:
    return str(CURES[CureCode(code)]) if code else ""


def blocker_line(blocker: Blocker) -> str:
    """“Outstanding principal 1,200.00 yuan: repay the principal”, in the active language."""
    label = blocker.get_code_display()
    if blocker.amount is not None:
        label = translate("%(label)s %(amount)s yuan") % {"label": label, "amount": f"{blocker.amount:,.2f}"}
    elif blocker.count is not None:
        label = translate("%(label)s (%(count)s)") % {"label": label, "count": blocker.count}
    return translate("%(label)s: %(cure)s") % {"label": label, "cure": cure(blocker.cure)}


def plain(effect: dict[str, Any], language: str) -> str:
    return str(effect.get(language) or effect.get("zh-hans", ""))
