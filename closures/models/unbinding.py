"""Ending one agreement at one partner: the task, and every attempt to get it done or known."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts import pii
from accounts.models import PartnerAgreement, User
from accounts.tracking import EVERYBODY, QUEUE_FIELDS, Tracked, sets, tracked
from closures.models.people import by_staff
from closures.models.queue import QueueQuerySet, QueueRow
from closures.models.tickets import ClosureTicket


def two_people(first: str, second: str) -> Q:
    """Neither is named, or only the first, or two different people are. A CHECK passes NULL, so say so."""
    return Q(**{f"{second}__isnull": True}) | Q(
        **{f"{first}__isnull": False, f"{second}__isnull": False}
    ) & ~Q(**{first: F(second)})


class UnbindTask(Tracked, QueueRow):
    """解绑任务. UNBOUND needs the partner's status; a success answer is only a claim (SPEC §4)."""

    class State(models.TextChoices):
        PENDING = "PENDING", _("pending")
        SENDING = "SENDING", _("sending")
        CONFIRMING = "CONFIRMING", _("confirming")
        UNKNOWN = "UNKNOWN", _("unknown")
        UNBOUND = "UNBOUND", _("unbound")
        ABSENT = "ABSENT", _("absent")
        DEAD = "DEAD", _("dead")
        MANUAL = "MANUAL", _("by hand")
        WAIVED = "WAIVED", _("waived")
        CANCELLED = "CANCELLED", _("cancelled")

    DONE = (State.UNBOUND, State.ABSENT, State.WAIVED)
    MACHINE = (State.PENDING, State.SENDING, State.CONFIRMING, State.UNKNOWN)
    CLAIMED_WITH = ("agreement__account",)
    MUST_BE_ASKED = (State.SENDING, State.CONFIRMING, State.UNKNOWN)

    ticket = models.ForeignKey(
        ClosureTicket, verbose_name=_("ticket"), on_delete=models.PROTECT, related_name="tasks"
    )
    agreement = models.ForeignKey(
        PartnerAgreement, verbose_name=_("agreement"), on_delete=models.PROTECT, related_name="tasks"
    )
    generation = models.PositiveSmallIntegerField(_("generation"), default=1)
    key = models.CharField(_("key"), max_length=80, unique=True)
    state = FSMField(_("state"), default=State.PENDING, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    seen_bound = models.BooleanField(_("seen bound at the partner"), default=False)
    call_may_have_arrived = models.BooleanField(_("a call of ours may have arrived"), default=False)
    settles_at = models.DateTimeField(_("settle window ends"), null=True, blank=True)
    reason_code = models.CharField(_("reason"), max_length=60, blank=True)
    evidence = models.CharField(_("evidence"), max_length=500, blank=True)
    evidence_by = by_staff(_("evidence by"))
    confirmed_by = by_staff(_("confirmed by"))
    waiver_asked_by = by_staff(_("waiver asked by"))
    waived_by = by_staff(_("waived by"))

    objects = QueueQuerySet.as_manager()
    history = tracked(excluded=QUEUE_FIELDS)

    class Meta:
        verbose_name = _("unbinding task")
        verbose_name_plural = _("unbinding tasks")
        permissions = [
            ("revive_task", _("Can revive a dead task")),
            ("give_evidence", _("Can give evidence for a task")),
            ("confirm_evidence", _("Can confirm another's evidence")),
            ("waive", _("Can ask for or grant a waiver")),
        ]
        constraints = [
            models.CheckConstraint(
                name="task_state_is_legal",
                condition=Q(
                    state__in=[
                        "PENDING",
                        "SENDING",
                        "CONFIRMING",
                        "UNKNOWN",
                        "UNBOUND",
                        "ABSENT",
                        "DEAD",
                        "MANUAL",
                        "WAIVED",
                        "CANCELLED",
                    ]
                ),
            ),
            models.UniqueConstraint(
                name="task_one_per_generation", fields=["agreement", "ticket", "generation"]
            ),
            models.CheckConstraint(
                name="task_evidence_names_two_people", condition=two_people("evidence_by", "confirmed_by")
            ),
            models.CheckConstraint(
                name="task_waiver_names_two_people", condition=two_people("waiver_asked_by", "waived_by")
            ),
            models.CheckConstraint(
                name="task_waived_by_two", condition=~Q(state="WAIVED") | Q(waived_by__isnull=False)
            ),
        ]
        indexes = [
            models.Index(
                name="task_due",
                fields=["due_at"],
                condition=Q(state__in=["PENDING", "SENDING", "CONFIRMING", "UNKNOWN"]),
            ),
            models.Index(
                name="task_stuck", fields=["state_since"], condition=Q(state__in=["DEAD", "MANUAL"])
            ),
        ]

    def __str__(self) -> str:
        return translate("task %(key)s") % {"key": self.key}

    # Transitions

    @transition(state, source=State.PENDING, target=State.SENDING, custom=sets())
    def send(self) -> None:
        """Claimed: lease and fence are committed before the call."""

    @transition(state, source=State.PENDING, target=State.MANUAL, custom=sets())
    def hand_over(self) -> None:
        """The partner has no API; a person does it and shows evidence."""

    @transition(state, source=State.SENDING, target=State.CONFIRMING, custom=sets())
    def await_confirmation(self) -> None:
        """The partner accepted; only its status will prove it."""

    @transition(state, source=[State.SENDING, State.CONFIRMING], target=State.UNKNOWN, custom=sets())
    def lose_sight(self) -> None:
        """No clear answer, a 404, "already ended", or the lease lapsed."""

    @transition(
        state, source=[State.SENDING, State.CONFIRMING, State.UNKNOWN], target=State.PENDING, custom=sets()
    )
    def put_back(self) -> None:
        """Nothing was sent, or still bound after the settle window: the same key again, later."""

    @transition(
        state, source=[State.PENDING, State.CONFIRMING, State.UNKNOWN], target=State.UNBOUND, custom=sets()
    )
    def prove(self) -> None:
        """The partner's status says ended, or the agreement is gone by two keys with the canary found."""

    @transition(state, source=State.UNKNOWN, target=State.ABSENT, custom=sets())
    def find_absent(self) -> None:
        """Never seen bound, and not found by two keys, both with the canary found."""

    @transition(state, source=[State.SENDING, State.CONFIRMING, State.UNKNOWN], target=State.DEAD)
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

    @transition(
        state,
        source=State.DEAD,
        target=State.MANUAL,
        permission="closures.revive_task",
        custom=sets(label=_("Take over by hand")),
    )
    def take_over(self) -> None: ...

    @transition(
        state,
        source=[State.DEAD, State.MANUAL],
        target=State.WAIVED,
        permission="closures.waive",
        custom=sets(label=_("Grant the waiver")),
    )
    def waive(self, *, waived_by: User) -> None:
        self.waived_by = waived_by

    @transition(
        state,
        source=State.MANUAL,
        target=State.UNBOUND,
        permission="closures.confirm_evidence",
        custom=sets(label=_("Confirm the evidence")),
    )
    def confirm(self, *, confirmed_by: User) -> None:
        self.confirmed_by = confirmed_by

    @transition(
        state,
        source=State.MANUAL,
        target=State.DEAD,
        permission="closures.revive_task",
        custom=sets(label=_("Not possible by hand")),
    )
    def abandon(self, *, reason_code: str) -> None:
        self.reason_code = reason_code

    @transition(
        state,
        source=[State.PENDING, State.MANUAL, State.DEAD],
        target=State.CANCELLED,
        custom=sets(also=EVERYBODY),
    )
    def cancel(self) -> None:
        """Its ticket was cancelled. Tasks that may have reached the partner are asked to their end."""


class UnbindAttempt(models.Model):
    """尝试: one call to a partner about one task, append-only. The partner's raw words are sealed."""

    class Verb(models.TextChoices):
        UNSIGN = "UNSIGN", _("end the agreement")
        ENQUIRE = "ENQUIRE", _("ask for its status")

    task = models.ForeignKey(
        UnbindTask, verbose_name=_("task"), on_delete=models.PROTECT, related_name="tries"
    )
    verb = models.CharField(_("call"), max_length=10, choices=Verb.choices)
    fence = models.PositiveIntegerField(_("fence"))
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    heard = models.CharField(_("heard"), max_length=30, blank=True)
    detail = models.CharField(_("detail"), max_length=200, blank=True)
    applied = models.BooleanField(_("applied"), default=False)
    answer_sealed = models.TextField(blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [
            models.UniqueConstraint(name="attempt_once_per_fence", fields=["task", "fence", "verb"])
        ]

    def __str__(self) -> str:
        text = translate("%(call)s for task %(task)s")
        return text % {"call": self.get_verb_display(), "task": self.task_id}


pii.register_sealed(UnbindAttempt, "answer", "task__key", customer_path="task__ticket__account__customer")
