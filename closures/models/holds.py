"""Reasons to wait. An open hold stops every irreversible step of its ticket."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.tracking import EVERYBODY, Tracked, sets, tracked
from closures.models.people import by_staff
from closures.models.tickets import ClosureTicket


class Hold(Tracked):
    """暂挂: placed and lifted by people, each with a reason and an owner."""

    class Kind(models.TextChoices):
        JUDICIAL = "JUDICIAL", _("judicial")
        AML = "AML", _("anti-money-laundering")
        FRAUD = "FRAUD", _("fraud")
        DECEASED = "DECEASED", _("deceased")
        MINOR = "MINOR", _("minor")
        BUREAU_DISPUTE = "BUREAU_DISPUTE", _("credit-bureau dispute")
        COMPLAINT = "COMPLAINT", _("complaint")
        LEGAL = "LEGAL", _("legal")
        MANUAL = "MANUAL", _("manual")

    # Telling the customer, or anyone without the right, that these exist is itself an offence.
    SILENT = (Kind.AML,)

    class State(models.TextChoices):
        OPEN = "OPEN", _("open")
        LIFTED = "LIFTED", _("lifted")

    ticket = models.ForeignKey(
        ClosureTicket, verbose_name=_("ticket"), on_delete=models.PROTECT, related_name="holds"
    )
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    state = FSMField(_("state"), default=State.OPEN, choices=State.choices, protected=True)
    owner = by_staff(_("owner"))
    ground = models.CharField(_("ground"), max_length=300)
    opened_at = models.DateTimeField(_("opened at"))
    lifted_at = models.DateTimeField(_("lifted at"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        permissions = [
            ("place_hold", _("Can place a hold")),
            ("lift_hold", _("Can lift a hold")),
            ("see_silent_holds", _("Can see silent holds")),
        ]
        constraints = [
            models.CheckConstraint(name="hold_state_is_legal", condition=Q(state__in=["OPEN", "LIFTED"])),
            models.CheckConstraint(
                name="hold_lifted_has_its_moment", condition=Q(state="OPEN") | Q(lifted_at__isnull=False)
            ),
        ]
        indexes = [models.Index(name="hold_open", fields=["ticket"], condition=Q(state="OPEN"))]

    def __str__(self) -> str:
        # Without its kind: this is what a refusal says, and who reads refusals may not know of silent holds.
        return translate("hold %(number)s on ticket %(ticket)s") % {
            "number": self.pk,
            "ticket": self.ticket_id,
        }

    # Transitions

    @transition(
        state,
        source=State.OPEN,
        target=State.LIFTED,
        permission="closures.lift_hold",
        custom=sets(label=_("Lift the hold")),
    )
    def lift(self, *, lifted_at: datetime) -> None:
        self.lifted_at = lifted_at

    @transition(state, source=State.OPEN, target=State.LIFTED, custom=sets(also=EVERYBODY))
    def end(self, *, lifted_at: datetime) -> None:
        """What it was placed for is over: a consequence of a move whose right was checked."""
        self.lifted_at = lifted_at

    # Properties

    @property
    def silent(self) -> bool:
        return self.kind in self.SILENT
