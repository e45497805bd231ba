"""What was refused, to whom and why. Append-only, no personal data; written by `accounts.decisions`."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class RefusedAction(models.Model):
    at = models.DateTimeField(_("at"), auto_now_add=True, db_index=True)
    actor = models.CharField(_("by"), max_length=80)
    action = models.CharField(_("action"), max_length=80)
    subject = models.JSONField(_("on"), default=dict)
    code = models.CharField(_("code"), max_length=60)
    message = models.CharField(_("reason"), max_length=500)

    class Meta:
        verbose_name = _("refused action")
        verbose_name_plural = _("refused actions")

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}: {self.code}"
