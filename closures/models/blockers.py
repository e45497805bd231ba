"""What stands in the way of a ticket, how grave it is, and what makes it go away."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from accounts.models import PartnerAgreement
from accounts.tracking import Tracked, tracked
from closures.models.tickets import ClosureTicket


class Blocker(Tracked):
    """阻断项: one reason why a ticket cannot go on as it is, with its amount, since when and until when."""

    class Severity(models.TextChoices):
        BLOCK = "BLOCK", _("blocks")
        SETTLE = "SETTLE", _("is settled first")
        UNBIND = "UNBIND", _("is unbound by us")
        WARN = "WARN", _("warning")

    class Code(models.TextChoices):
        OUTSTANDING_PRINCIPAL = "OUTSTANDING_PRINCIPAL", _("outstanding principal")
        OUTSTANDING_INTEREST_FEES = "OUTSTANDING_INTEREST_FEES", _("outstanding interest and fees")
        UNBILLED = "UNBILLED", _("unbilled spending")
        INSTALMENTS_REMAINING = "INSTALMENTS_REMAINING", _("instalments remaining")
        PENDING_ORDER = "PENDING_ORDER", _("pending order")
        REFUND_IN_FLIGHT = "REFUND_IN_FLIGHT", _("refund in flight")
        DISPUTED = "DISPUTED", _("disputed amount")
        CREDIT_BALANCE = "CREDIT_BALANCE", _("credit balance")
        AGREEMENT_AUTO_REPAY = "AGREEMENT_AUTO_REPAY", _("automatic-repayment agreement")
        AGREEMENT_WITHHOLDING = "AGREEMENT_WITHHOLDING", _("withholding agreement")
        AGREEMENT_PASSWORD_FREE = "AGREEMENT_PASSWORD_FREE", _("password-free agreement")
        AGREEMENT_PAY_AFTER_USE = "AGREEMENT_PAY_AFTER_USE", _("pay-after-use agreement")
        AGREEMENT_DEPOSIT_FREE = "AGREEMENT_DEPOSIT_FREE", _("deposit-free agreement")
        AGREEMENT_FAMILY_CARD = "AGREEMENT_FAMILY_CARD", _("family card")
        AGREEMENT_WEALTH_LINK = "AGREEMENT_WEALTH_LINK", _("wealth link")
        OTHER_LENDER_LINE = "OTHER_LENDER_LINE", _("line with another lender")
        OPEN_HOLD = "OPEN_HOLD", _("open hold")
        IDENTITY_MISMATCH = "IDENTITY_MISMATCH", _("identity mismatch")
        STALE_LEDGER = "STALE_LEDGER", _("stale ledger data")

    ticket = models.ForeignKey(
        ClosureTicket, verbose_name=_("ticket"), on_delete=models.PROTECT, related_name="blockers"
    )
    code = models.CharField(_("blocker"), max_length=30, choices=Code.choices)
    severity = models.CharField(_("severity"), max_length=8, choices=Severity.choices)
    amount = models.DecimalField(_("amount"), max_digits=16, decimal_places=2, null=True, blank=True)
    count = models.PositiveIntegerField(_("count"), null=True, blank=True)
    agreement = models.ForeignKey(
        PartnerAgreement,
        verbose_name=_("agreement"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    hold = models.ForeignKey(
        "closures.Hold",
        verbose_name=_("hold"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    cure = models.CharField(_("cure"), max_length=30, blank=True)
    appeared_at = models.DateTimeField(_("appeared at"))
    cured_at = models.DateTimeField(_("cured at"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("blocker")
        verbose_name_plural = _("blockers")
        indexes = [models.Index(name="blocker_open", fields=["ticket"], condition=Q(cured_at__isnull=True))]

    def __str__(self) -> str:
        text = translate("%(what)s on ticket %(ticket)s")
        return text % {"what": self.get_code_display(), "ticket": self.ticket_id}
