"""Money that turns up after an account was closed: the account stays closed, the money is kept here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.models import CreditAccount
from accounts.models.lines import Money
from accounts.tracking import EVERYBODY, NOW, QUEUE_FIELDS, Tracked, sets, tracked
from closures.models.ledger import LedgerCommand
from closures.models.people import by_staff
from closures.models.queue import QueueQuerySet, QueueRow
from closures.models.tickets import ClosureTicket


class PostClosureItem(Tracked, QueueRow):
    """关闭后款项: one amount, owed to the customer or by him, from the day it was found to its end."""

    class Kind(models.TextChoices):
        REFUND = "REFUND", _("refund")
        CLAWBACK = "CLAWBACK", _("clawback of a refund")
        CORRECTION = "CORRECTION", _("late correction")

    class Direction(models.TextChoices):
        TO_CUSTOMER = "TO_CUSTOMER", _("owed to the customer")
        BY_CUSTOMER = "BY_CUSTOMER", _("owed by the customer")

    class Source(models.TextChoices):
        IMPORT = "IMPORT", _("the ledger's extract")
        LEDGER = "LEDGER", _("the ledger's message")

    class State(models.TextChoices):
        SUSPENSE = "SUSPENSE", _("in suspense")
        PAYING = "PAYING", _("being paid out")
        PAID_OUT = "PAID_OUT", _("paid out")
        RECEIVABLE = "RECEIVABLE", _("receivable")
        SETTLED = "SETTLED", _("settled")
        WRITTEN_OFF = "WRITTEN_OFF", _("written off")
        OFFSET = "OFFSET", _("offset")

    OPEN = (State.SUSPENSE, State.PAYING, State.RECEIVABLE)
    CLAIMED_WITH = ("account",)

    number = models.CharField(_("number"), max_length=20, unique=True)
    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="later_money"
    )
    ticket = models.ForeignKey(
        ClosureTicket,
        verbose_name=_("ticket"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="later_money",
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    direction = models.CharField(_("direction"), max_length=12, choices=Direction.choices)
    amount = Money(_("amount"))
    source = models.CharField(_("source"), max_length=8, choices=Source.choices)
    external_ref = models.CharField(_("reference"), max_length=80)
    takes_back = models.CharField(_("takes back"), max_length=80, blank=True)
    occurred_at = models.DateTimeField(_("occurred at"))
    found_at = models.DateTimeField(_("found at"))
    repeats = models.PositiveIntegerField(_("times repeated"), default=0)
    # What of an amount that only an extract showed the ledger's messages have named since: ref → amount.
    named = models.JSONField(_("named by the ledger"), default=dict, blank=True)
    state = FSMField(_("state"), default=State.SUSPENSE, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    owner = by_staff(_("owner"))
    paid_by = by_staff(_("payout ordered by"))
    command = models.OneToOneField(
        LedgerCommand,
        verbose_name=_("command"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="later_money",
    )
    proof = models.CharField(_("proof of payment"), max_length=80, blank=True)
    write_off_asked_by = by_staff(_("write-off asked by"))
    written_off_by = by_staff(_("written off by"))
    offset_with = models.ForeignKey(
        "self",
        verbose_name=_("offset with"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = QueueQuerySet.as_manager()
    history = tracked(excluded=(*QUEUE_FIELDS, "repeats"))

    class Meta:
        verbose_name = _("money after closing")
        verbose_name_plural = _("money after closing")
        permissions = [
            ("settle_later_money", _("Can pay out and book money after closing")),
            ("write_off_later_money", _("Can write off money after closing")),
        ]
        constraints = [
            models.CheckConstraint(
                name="later_money_state_is_legal",
                condition=Q(
                    state__in=[
                        "SUSPENSE",
                        "PAYING",
                        "PAID_OUT",
                        "RECEIVABLE",
                        "SETTLED",
                        "WRITTEN_OFF",
                        "OFFSET",
                    ]
                ),
            ),
            models.UniqueConstraint(name="later_money_once", fields=["source", "external_ref"]),
            models.CheckConstraint(name="later_money_is_some", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="later_money_only_his_is_paid_out",
                condition=~Q(state__in=["PAYING", "PAID_OUT"])
                | Q(direction="TO_CUSTOMER", paid_by__isnull=False, command__isnull=False),
            ),
            models.CheckConstraint(
                name="later_money_only_debt_is_booked",
                condition=~Q(state__in=["RECEIVABLE", "SETTLED", "WRITTEN_OFF"]) | Q(direction="BY_CUSTOMER"),
            ),
            models.CheckConstraint(
                name="later_money_settled_has_its_proof", condition=~Q(state="SETTLED") | ~Q(proof="")
            ),
            # A CHECK passes NULL: every branch says what must not be null.
            models.CheckConstraint(
                name="later_money_write_off_names_two",
                condition=(Q(written_off_by__isnull=True) & ~Q(state="WRITTEN_OFF"))
                | (
                    Q(written_off_by__isnull=False, write_off_asked_by__isnull=False)
                    & ~Q(write_off_asked_by=F("written_off_by"))
                ),
            ),
            models.CheckConstraint(
                name="later_money_offset_has_its_other",
                condition=~Q(state="OFFSET") | Q(offset_with__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="later_money_due", fields=["due_at"], condition=Q(state="PAYING")),
            models.Index(
                name="later_money_open",
                fields=["found_at"],
                condition=Q(state__in=["SUSPENSE", "PAYING", "RECEIVABLE"]),
            ),
        ]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(
        state,
        source=State.SUSPENSE,
        target=State.PAYING,
        permission="closures.settle_later_money",
        custom=sets(label=_("Pay out to the customer")),
    )
    def pay_out(self, *, paid_by: Any, command: LedgerCommand) -> None:
        self.paid_by, self.command = paid_by, command

    @transition(state, source=State.PAYING, target=State.PAID_OUT, custom=sets(ended_at=NOW, due_at=None))
    def prove_paid(self) -> None:
        """The ledger was asked for the posting and shows it."""

    @transition(
        state,
        source=State.SUSPENSE,
        target=State.RECEIVABLE,
        permission="closures.settle_later_money",
        custom=sets(label=_("Book as receivable")),
    )
    def book(self) -> None:
        """The customer owes it; he is asked for it outside the closed account."""

    @transition(
        state,
        source=State.RECEIVABLE,
        target=State.SETTLED,
        permission="closures.settle_later_money",
        custom=sets(label=_("Record the payment"), ended_at=NOW),
    )
    def settle(self, *, proof: str) -> None:
        self.proof = proof

    @transition(
        state,
        source=State.RECEIVABLE,
        target=State.WRITTEN_OFF,
        permission="closures.write_off_later_money",
        custom=sets(label=_("Write off"), ended_at=NOW),
    )
    def write_off(self, *, written_off_by: Any) -> None:
        self.written_off_by = written_off_by

    @transition(state, source=State.SUSPENSE, target=State.OFFSET, custom=sets(also=EVERYBODY))
    def offset(self, *, offset_with: PostClosureItem, offset_at: datetime) -> None:
        """A refund and the clawback that takes it back, both still in suspense, cancel each other.

        `offset_at` is the later of the two in the ledger: from then on its balance shows neither.
        """
        self.offset_with, self.ended_at = offset_with, offset_at
