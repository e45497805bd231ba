"""What a rule is judged by: accounts whose outcome is known, and back-tests against them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from accounts.models import CreditAccount
from closures.models.risk import RiskRule, moment


class LabelledOutcome(models.Model):
    """An account of which it is known whether it defaulted, in one named set. Written by the import."""

    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="outcomes"
    )
    labels = models.CharField(_("set of outcomes"), max_length=60)
    defaulted = models.BooleanField(_("defaulted"))
    as_of_on = models.DateField(_("known on"))

    class Meta:
        verbose_name = _("labelled outcome")
        verbose_name_plural = _("labelled outcomes")
        constraints = [
            models.UniqueConstraint(name="outcome_once_per_set", fields=["labels", "account"]),
        ]

    def __str__(self) -> str:
        return translate("account %(account)s in %(labels)s") % {
            "account": self.account_id,
            "labels": self.labels,
        }


class BackTest(models.Model):
    """回测: what one version would have found, and how right it would have been. Append-only.

    `result` is made by `services.risk.backtest`: counts and shares, per product and against other rules.
    """

    rule = models.ForeignKey(
        RiskRule, verbose_name=_("risk rule"), on_delete=models.PROTECT, related_name="backtests"
    )
    made_at = models.DateTimeField(_("made at"))
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("made by"), on_delete=models.PROTECT, related_name="+"
    )
    labels = models.CharField(_("set of outcomes"), max_length=60, blank=True)
    result = models.JSONField(_("result"), default=dict)

    class Meta:
        verbose_name = _("back-test")
        verbose_name_plural = _("back-tests")
        indexes = [models.Index(name="backtest_newest", fields=["rule", "-made_at"])]

    def __str__(self) -> str:
        return translate("back-test of rule %(rule)s, %(moment)s") % {
            "rule": self.rule_id,
            "moment": moment(self.made_at),
        }
