"""Keeping and destroying personal data: what customers ask for, and what goes when its time is over."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.models import Customer, Regulation, User
from accounts.tracking import EVERYBODY, QUEUE_FIELDS, Tracked, sets, tracked
from closures.models.people import by_staff
from closures.models.queue import QueueQuerySet, QueueRow
from closures.models.unbinding import two_people


class DeletionRequest(Tracked):
    """删除请求: a customer wants his data deleted; the answer says what is kept, why, and until when."""

    class State(models.TextChoices):
        RECEIVED = "RECEIVED", _("received")
        ANSWERED = "ANSWERED", _("answered")
        ERASED = "ERASED", _("erased")

    class Channel(models.TextChoices):
        API = "API", _("customer, by app")
        STATUS_PAGE = "STATUS_PAGE", _("customer, status page")
        AGENT = "AGENT", _("agent for the customer")

    number = models.CharField(_("number"), max_length=20, unique=True)
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.PROTECT, related_name="deletion_requests"
    )
    channel = models.CharField(_("channel"), max_length=12, choices=Channel.choices)
    state = FSMField(_("state"), default=State.RECEIVED, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    requested_at = models.DateTimeField(_("requested at"))
    requested_by = by_staff(_("requested by"))
    answer_due_on = models.DateField(_("answer due"))
    answer_rule = models.ForeignKey(
        Regulation, verbose_name=_("answer rule"), on_delete=models.PROTECT, related_name="+"
    )
    answer_calendar = models.CharField(_("calendar version"), max_length=80)
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    answered_by = by_staff(_("answered by"))
    kept = models.JSONField(_("what is kept, and why"), default=list, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("deletion request")
        verbose_name_plural = _("deletion requests")
        permissions = [
            ("request_deletion", _("Can take a customer's request for deletion")),
            ("answer_deletion", _("Can answer a request for deletion")),
        ]
        constraints = [
            models.CheckConstraint(
                name="deletion_state_is_legal", condition=Q(state__in=["RECEIVED", "ANSWERED", "ERASED"])
            ),
            models.UniqueConstraint(
                name="deletion_one_waiting_per_customer", fields=["customer"], condition=Q(state="RECEIVED")
            ),
            models.CheckConstraint(
                name="deletion_answer_names_who_and_when",
                condition=Q(state="RECEIVED") | Q(answered_at__isnull=False, answered_by__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="deletion_waiting", fields=["answer_due_on"], condition=Q(state="RECEIVED"))
        ]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(
        state,
        source=State.RECEIVED,
        target=State.ANSWERED,
        permission="closures.answer_deletion",
        custom=sets(label=_("Answer")),
    )
    def answer(self, *, answered_by: User, answered_at: datetime, kept: list[dict[str, Any]]) -> None:
        self.answered_by, self.answered_at, self.kept = answered_by, answered_at, kept

    @transition(state, source=State.ANSWERED, target=State.ERASED, custom=sets())
    def erase(self) -> None:
        """What was asked for has come: the customer's data is gone."""


class DestructionList(Tracked):
    """销毁清单: customers whose every retention day is past. Two people, a wait, then the erasure."""

    class State(models.TextChoices):
        DRAFT = "DRAFT", _("draft")
        PROPOSED = "PROPOSED", _("proposed")
        APPROVED = "APPROVED", _("approved, waiting")
        DONE = "DONE", _("done")
        CANCELLED = "CANCELLED", _("called off")

    OPEN = (State.DRAFT, State.PROPOSED, State.APPROVED)

    number = models.CharField(_("number"), max_length=20, unique=True)
    state = FSMField(_("state"), default=State.DRAFT, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    as_of_on = models.DateField(_("retention over on"))
    population = models.PositiveIntegerField(_("customers"), default=0)
    digest = models.CharField(_("hash of the customers"), max_length=64, blank=True)
    proposed_by = by_staff(_("proposed by"))
    approved_by = by_staff(_("approved by"))
    wait_rule = models.ForeignKey(
        Regulation,
        verbose_name=_("waiting rule"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    wait_ends_on = models.DateField(_("last day of the wait"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("destruction list")
        verbose_name_plural = _("destruction lists")
        permissions = [
            ("propose_destruction", _("Can propose and call off a destruction")),
            ("approve_destruction", _("Can approve a destruction that another proposed")),
        ]
        constraints = [
            models.CheckConstraint(
                name="destruction_state_is_legal",
                condition=Q(state__in=["DRAFT", "PROPOSED", "APPROVED", "DONE", "CANCELLED"]),
            ),
            # A CHECK passes NULL, so every branch says what must not be null.
            models.CheckConstraint(
                name="destruction_names_two_people", condition=two_people("proposed_by", "approved_by")
            ),
            models.CheckConstraint(
                name="destruction_approved_by_two_after_a_wait",
                condition=~Q(state__in=["APPROVED", "DONE"])
                | Q(
                    proposed_by__isnull=False,
                    approved_by__isnull=False,
                    wait_rule__isnull=False,
                    wait_ends_on__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="destruction_proposal_names_its_person",
                condition=~Q(state="PROPOSED") | Q(proposed_by__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                name="destruction_open",
                fields=["state", "state_since"],
                condition=Q(state__in=["DRAFT", "PROPOSED", "APPROVED"]),
            )
        ]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(
        state,
        source=State.DRAFT,
        target=State.PROPOSED,
        permission="closures.propose_destruction",
        custom=sets(label=_("Propose the destruction")),
    )
    def propose(self, *, proposed_by: User, digest: str) -> None:
        self.proposed_by, self.digest = proposed_by, digest

    @transition(
        state,
        source=State.PROPOSED,
        target=State.APPROVED,
        permission="closures.approve_destruction",
        custom=sets(label=_("Approve the destruction")),
    )
    def approve(self, *, approved_by: User, wait_rule: Regulation, wait_ends_on: date) -> None:
        self.approved_by, self.wait_rule, self.wait_ends_on = approved_by, wait_rule, wait_ends_on

    @transition(state, source=State.APPROVED, target=State.DONE, custom=sets())
    def finish(self) -> None:
        """No customer of the list waits any more."""

    @transition(
        state,
        source=list(OPEN),
        target=State.CANCELLED,
        permission="closures.propose_destruction",
        custom=sets(label=_("Call the destruction off")),
    )
    def cancel(self) -> None: ...


class DestructionItem(Tracked, QueueRow):
    """One customer of a list: erased, with the proof, or left alone, with the reason."""

    class State(models.TextChoices):
        WAITING = "WAITING", _("waiting")
        ERASED = "ERASED", _("erased")
        SKIPPED = "SKIPPED", _("left alone")

    CLAIMED_WITH = ("listing",)

    listing = models.ForeignKey(
        DestructionList, verbose_name=_("destruction list"), on_delete=models.PROTECT, related_name="items"
    )
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.PROTECT, related_name="destructions"
    )
    retain_until = models.DateField(_("retain until"))
    state = FSMField(_("state"), default=State.WAITING, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    reason_code = models.CharField(_("reason"), max_length=60, blank=True)
    proof = models.JSONField(_("what was erased"), default=dict, blank=True)

    objects = QueueQuerySet.as_manager()
    history = tracked(excluded=QUEUE_FIELDS)

    class Meta:
        verbose_name = _("customer to be erased")
        verbose_name_plural = _("customers to be erased")
        constraints = [
            models.CheckConstraint(
                name="item_state_is_legal", condition=Q(state__in=["WAITING", "ERASED", "SKIPPED"])
            ),
            models.UniqueConstraint(
                name="item_one_waiting_per_customer", fields=["customer"], condition=Q(state="WAITING")
            ),
            models.UniqueConstraint(name="item_once_per_list", fields=["listing", "customer"]),
            models.CheckConstraint(
                name="item_left_alone_says_why", condition=~Q(state="SKIPPED") | ~Q(reason_code="")
            ),
        ]
        indexes = [models.Index(name="item_due", fields=["due_at"], condition=Q(state="WAITING"))]

    def __str__(self) -> str:
        text = translate("customer %(customer)s on list %(list)s")
        return text % {"customer": self.customer_id, "list": self.listing_id}

    # Transitions

    @transition(state, source=State.WAITING, target=State.ERASED, custom=sets())
    def erase(self, *, proof: dict[str, Any]) -> None:
        self.proof = proof

    @transition(state, source=State.WAITING, target=State.SKIPPED, custom=sets())
    def skip(self, *, reason_code: str) -> None:
        """Looked at again at the last moment, and something wants the data kept."""
        self.reason_code = reason_code

    @transition(
        state,
        source=State.WAITING,
        target=State.SKIPPED,
        permission="closures.propose_destruction",
        custom=sets(label=_("Take off the list"), reason_code="TAKEN_OFF", due_at=None),
    )
    def take_off(self) -> None: ...

    @transition(
        state,
        source=State.WAITING,
        target=State.SKIPPED,
        custom=sets(also=EVERYBODY, reason_code="LIST_CALLED_OFF", due_at=None),
    )
    def call_off(self) -> None:
        """Its list was called off by somebody who may."""
