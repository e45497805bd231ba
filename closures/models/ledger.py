"""Commands to the core ledger: each with its own key, asked about before it is ever repeated."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.models import CreditAccount
from accounts.models.lines import Money
from accounts.tracking import QUEUE_FIELDS, Tracked, sets, tracked
from closures.models.queue import QueueQuerySet, QueueRow
from closures.models.tickets import ClosureTicket


class LedgerCommand(Tracked, QueueRow):
    """核心指令: freeze, unfreeze, pay out, close, open, return. DONE is a claim; the steps read it back."""

    class Verb(models.TextChoices):
        FREEZE = "FREEZE", _("freeze")
        UNFREEZE = "UNFREEZE", _("unfreeze")
        PAY_OUT = "PAY_OUT", _("pay out the credit balance")
        CLOSE = "CLOSE", _("close")
        OPEN = "OPEN", _("open in place of a closed account")
        RETURN = "RETURN", _("return money that came after closing")

    class State(models.TextChoices):
        PENDING = "PENDING", _("pending")
        SENDING = "SENDING", _("sending")
        UNKNOWN = "UNKNOWN", _("unknown")
        DONE = "DONE", _("done")
        DEAD = "DEAD", _("dead")

    OPEN = (State.PENDING, State.SENDING, State.UNKNOWN)
    CLAIMED_WITH = ("account__reopened_from",)

    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="commands"
    )
    ticket = models.ForeignKey(
        ClosureTicket,
        verbose_name=_("ticket"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="commands",
    )
    verb = models.CharField(_("command"), max_length=10, choices=Verb.choices)
    # What RETURN says beside its verb: how much, and the number of our item that it pays.
    amount = Money(_("amount"), null=True, blank=True, default=None)
    reference = models.CharField(_("reference"), max_length=24, blank=True)
    key = models.CharField(_("key"), max_length=80, unique=True)
    state = FSMField(_("state"), default=State.PENDING, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    reason_code = models.CharField(_("reason"), max_length=60, blank=True)

    objects = QueueQuerySet.as_manager()
    history = tracked(excluded=QUEUE_FIELDS)

    class Meta:
        verbose_name = _("ledger command")
        verbose_name_plural = _("ledger commands")
        constraints = [
            models.CheckConstraint(
                name="command_state_is_legal",
                condition=Q(state__in=["PENDING", "SENDING", "UNKNOWN", "DONE", "DEAD"]),
            ),
        ]
        indexes = [
            models.Index(
                name="command_due",
                fields=["due_at"],
                condition=Q(state__in=["PENDING", "SENDING", "UNKNOWN"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_verb_display()} {self.key}"

    # Transitions (the machine's alone)

    @transition(state, source=State.PENDING, target=State.SENDING, custom=sets())
    def send(self) -> None: ...

    @transition(state, source=[State.SENDING, State.UNKNOWN], target=State.DONE, custom=sets())
    def finish(self) -> None: ...

    @transition(state, source=State.SENDING, target=State.UNKNOWN, custom=sets())
    def lose_sight(self) -> None:
        """Sent, and no clear answer: ask before anything else."""

    @transition(state, source=[State.SENDING, State.UNKNOWN], target=State.PENDING, custom=sets())
    def put_back(self) -> None:
        """Nothing was done, by the ledger's own word or because nothing was sent; same key again."""

    @transition(state, source=[State.PENDING, State.SENDING, State.UNKNOWN], target=State.DEAD)
    def give_up(self, *, reason_code: str) -> None:
        self.reason_code = reason_code

    @transition(
        state,
        source=State.DEAD,
        target=State.PENDING,
        permission="closures.revive_task",
        custom=sets(label=_("Try again")),
    )
    def revive(self) -> None:
        self.reason_code = ""
