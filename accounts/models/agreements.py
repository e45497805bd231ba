"""What a customer has signed with partners on the strength of a line, and what closing does to it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.models.lines import CreditAccount
from accounts.tracking import EVERYBODY, Tracked, sets, tracked


class AgreementKind(models.TextChoices):
    AUTO_REPAY = "AUTO_REPAY", _("automatic repayment")
    WITHHOLDING = "WITHHOLDING", _("withholding")
    PASSWORD_FREE = "PASSWORD_FREE", _("password-free payment")
    PAY_AFTER_USE = "PAY_AFTER_USE", _("pay after use")
    DEPOSIT_FREE = "DEPOSIT_FREE", _("deposit-free use")
    FAMILY_CARD = "FAMILY_CARD", _("family card")
    WEALTH_LINK = "WEALTH_LINK", _("wealth link")


class AgreementEffect(models.TextChoices):
    BLOCK = "BLOCK", _("blocks closing")
    UNBIND = "UNBIND", _("is unbound by us")
    WARN = "WARN", _("stays, the customer is told")


def shipped_effect(kind: str) -> str:
    """What the platforms leave to the customer as a chore, we do for him. Source: SPEC §2."""
    return AgreementEffect.WARN if kind == AgreementKind.WEALTH_LINK else AgreementEffect.UNBIND


class PartnerAgreement(Tracked):
    """第三方协议: known to the partner by `agreement_no`."""

    class State(models.TextChoices):
        BOUND = "BOUND", _("bound")
        UNBINDING = "UNBINDING", _("unbinding")
        UNBOUND = "UNBOUND", _("unbound")
        LAPSED = "LAPSED", _("lapsed")

    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="agreements"
    )
    partner = models.CharField(_("partner"), max_length=20)
    kind = models.CharField(_("kind"), max_length=20, choices=AgreementKind.choices)
    agreement_no = models.CharField(_("agreement number"), max_length=64)
    signed_on = models.DateField(_("signed on"), null=True, blank=True)
    repayment_depends = models.BooleanField(_("repayment depends on it"), default=False)
    effect = models.CharField(_("effect of closing"), max_length=10, choices=AgreementEffect.choices)
    state = FSMField(_("state"), default=State.BOUND, choices=State.choices, protected=True)

    history = tracked()

    class Meta:
        verbose_name = _("partner agreement")
        verbose_name_plural = _("partner agreements")
        constraints = [
            models.UniqueConstraint(
                name="agreement_bound_once",
                fields=["partner", "agreement_no"],
                condition=Q(state__in=["BOUND", "UNBINDING"]),
            ),
        ]
        # The import, callbacks and reconciliation ask by number, whatever the state.
        indexes = [models.Index(name="agreement_by_number", fields=["agreement_no", "partner"])]

    def __str__(self) -> str:
        return f"{self.partner} {self.agreement_no}"

    # Transitions

    @transition(state, source=State.BOUND, target=State.UNBINDING, custom=sets(also=EVERYBODY))
    def start_unbinding(self) -> None: ...

    @transition(
        state, source=[State.BOUND, State.UNBINDING], target=State.UNBOUND, custom=sets(also=EVERYBODY)
    )
    def unbind(self) -> None:
        """Proved by the partner's status; from BOUND when the customer did it himself."""

    @transition(
        state, source=[State.BOUND, State.UNBINDING], target=State.LAPSED, custom=sets(also=EVERYBODY)
    )
    def lapse(self) -> None:
        """Not there at the partner, by two keys, and we did not end it."""

    @transition(state, source=State.UNBINDING, target=State.BOUND, custom=sets(also=EVERYBODY))
    def keep(self) -> None:
        """The task was waived or cancelled: the agreement stays."""
