"""What the credit bureau is told about closed accounts: files with their own states, and their lines."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.models import User
from accounts.tracking import Tracked, sets, tracked
from closures.models.people import by_staff
from closures.models.tickets import ClosureTicket

REPORT = "closures.report_to_bureau"


class BureauReport(Tracked):
    """征信报送文件: the closings of a period. A person hands it in and enters the bureau's receipt.

    There is no line to the bureau: its interface is not public (FACTS §7), so handing in is by hand.
    """

    class State(models.TextChoices):
        PREPARED = "PREPARED", _("prepared")
        SUBMITTED = "SUBMITTED", _("handed in")
        ACCEPTED = "ACCEPTED", _("accepted")
        REJECTED = "REJECTED", _("rejected")
        CORRECTED = "CORRECTED", _("replaced by a correction")

    number = models.CharField(_("number"), max_length=20, unique=True)
    version = models.PositiveSmallIntegerField(_("version"), default=1)
    replaces = models.OneToOneField(
        "self",
        verbose_name=_("replaces"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="replaced_by",
    )
    from_on = models.DateField(_("closed from"))
    to_on = models.DateField(_("closed until"))
    lines = models.PositiveIntegerField(_("lines"), default=0)
    content_hash = models.CharField(_("content hash"), max_length=64)
    state = FSMField(_("state"), default=State.PREPARED, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    receipt_no = models.CharField(_("the bureau's receipt"), max_length=80, blank=True)
    submitted_at = models.DateTimeField(_("handed in at"), null=True, blank=True)
    submitted_by = by_staff(_("handed in by"))

    history = tracked()

    class Meta:
        verbose_name = _("bureau report")
        verbose_name_plural = _("bureau reports")
        permissions = [("report_to_bureau", _("Can hand in files to the credit bureau"))]
        constraints = [
            models.CheckConstraint(
                name="bureau_state_is_legal",
                condition=Q(state__in=["PREPARED", "SUBMITTED", "ACCEPTED", "REJECTED", "CORRECTED"]),
            ),
            models.CheckConstraint(
                name="bureau_handed_in_has_its_receipt",
                condition=Q(state="PREPARED")
                | Q(submitted_at__isnull=False, submitted_by__isnull=False) & ~Q(receipt_no=""),
            ),
        ]
        indexes = [models.Index(name="bureau_state", fields=["state", "state_since"])]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(
        state,
        source=State.PREPARED,
        target=State.SUBMITTED,
        permission=REPORT,
        custom=sets(label=_("Enter the receipt")),
    )
    def submit(self, *, receipt_no: str, submitted_by: User, submitted_at: datetime) -> None:
        self.receipt_no, self.submitted_by, self.submitted_at = receipt_no, submitted_by, submitted_at

    @transition(
        state,
        source=State.SUBMITTED,
        target=State.ACCEPTED,
        permission=REPORT,
        custom=sets(label=_("The bureau accepted it")),
    )
    def accept(self) -> None: ...

    @transition(
        state,
        source=State.SUBMITTED,
        target=State.REJECTED,
        permission=REPORT,
        custom=sets(label=_("The bureau rejected it")),
    )
    def reject(self) -> None: ...

    @transition(
        state,
        source=[State.ACCEPTED, State.REJECTED],
        target=State.CORRECTED,
        permission=REPORT,
        custom=sets(label=_("Prepare a correction")),
    )
    def correct(self) -> None:
        """A new version says what this one should have said."""


class BureauRecord(models.Model):
    """One closed account in one file, as it was reported. Append-only but for `current`."""

    report = models.ForeignKey(
        BureauReport, verbose_name=_("bureau report"), on_delete=models.PROTECT, related_name="records"
    )
    ticket = models.ForeignKey(
        ClosureTicket, verbose_name=_("ticket"), on_delete=models.PROTECT, related_name="bureau_records"
    )
    values = models.JSONField(_("values"), default=dict)
    current = models.BooleanField(_("in the newest version"), default=True)

    class Meta:
        verbose_name = _("bureau record")
        verbose_name_plural = _("bureau records")
        constraints = [
            models.UniqueConstraint(name="bureau_record_once_per_report", fields=["report", "ticket"]),
            models.UniqueConstraint(
                name="bureau_record_current_once", fields=["ticket"], condition=Q(current=True)
            ),
        ]

    def __str__(self) -> str:
        text = translate("ticket %(ticket)s in report %(report)s")
        return text % {"ticket": self.ticket_id, "report": self.report_id}
