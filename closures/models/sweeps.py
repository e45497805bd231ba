"""The machine's own pulse: which sweep ran when, and what the invariants said last night."""

from django.db import models
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _


class Sweep(models.Model):
    """One row per kind of job: its wake-up on the way, its last run, its last failure."""

    job = models.CharField(_("job"), max_length=60, unique=True)
    woken_at = models.DateTimeField(_("wake-up sent at"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    moved = models.PositiveIntegerField(_("rows moved"), default=0)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    failure = models.CharField(_("last failure"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("sweep")
        verbose_name_plural = _("sweeps")
        permissions = [("run_sweep", _("Can start a sweep by hand"))]

    def __str__(self) -> str:
        return self.job


class InvariantCheck(models.Model):
    """One run of one invariant of SPEC §8: how many rows were looked at and which broke it."""

    number = models.PositiveSmallIntegerField(_("invariant"))
    checked_at = models.DateTimeField(_("checked at"), db_index=True)
    examined = models.PositiveIntegerField(_("rows examined"), default=0)
    violations = models.PositiveIntegerField(_("violations"), default=0)
    examples = models.JSONField(_("examples"), default=list)

    class Meta:
        verbose_name = _("invariant check")
        verbose_name_plural = _("invariant checks")

    def __str__(self) -> str:
        text = translate("invariant %(number)s: %(violations)s of %(examined)s")
        return text % {"number": self.number, "violations": self.violations, "examined": self.examined}
