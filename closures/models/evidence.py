"""What a case leaves to be shown to others: evidence packs, each kept exactly as it was made."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from closures.models.tickets import ClosureTicket


class EvidencePack(models.Model):
    """证据包: one ZIP about one ticket, never changed once made. `digest` is the hash of its manifest.

    The bytes lie in the row and not in a file: row and bytes are saved, copied and lost together, no path has
    to be guarded, and a pack is small (some 200 kB for a case of 400 events).
    """

    number = models.CharField(_("number"), max_length=20, unique=True)
    ticket = models.ForeignKey(
        ClosureTicket, verbose_name=_("ticket"), on_delete=models.PROTECT, related_name="packs"
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("made by"), on_delete=models.PROTECT, related_name="+"
    )
    made_at = models.DateTimeField(_("made at"))
    language = models.CharField(_("language"), max_length=10)
    with_silent_holds = models.BooleanField(_("with silent holds"), default=False)
    digest = models.CharField(_("hash"), max_length=64)
    size = models.PositiveIntegerField(_("size in bytes"))
    content = models.BinaryField(_("content"))

    class Meta:
        verbose_name = _("evidence pack")
        verbose_name_plural = _("evidence packs")
        permissions = [("make_evidence_pack", _("Can make an evidence pack"))]

    def __str__(self) -> str:
        return self.number
