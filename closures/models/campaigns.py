"""Policy campaigns: one plan, decided by two people, closes a product's accounts in waves (SPEC §6)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django_fsm import FSMField, transition

from accounts.actors import ActorKind
from accounts.models import CreditProduct, User
from accounts.tracking import EVERYBODY, NOW, Tracked, sets, tracked
from closures.models.people import by_staff

DRAFT = "closures.draft_campaign"
APPROVE = "closures.approve_campaign"
RUN = "closures.run_campaign"
PAUSE = "closures.pause_campaign"


def percent(label: Any, default: int) -> models.PositiveSmallIntegerField[Any, Any]:
    return models.PositiveSmallIntegerField(label, default=default, validators=[MaxValueValidator(100)])


class Campaign(Tracked):
    """专项: whose accounts are closed, on what ground, how fast, and when it has to stop by itself."""

    class State(models.TextChoices):
        DRAFT = "DRAFT", _("draft")
        APPROVED = "APPROVED", pgettext_lazy("campaign", "approved")
        FROZEN = "FROZEN", _("population frozen")
        PILOT = "PILOT", _("pilot under way")
        RUNNING = "RUNNING", _("waves under way")
        PAUSED = "PAUSED", _("paused")
        COMPLETED = "COMPLETED", _("completed")
        ABORTED = "ABORTED", _("aborted")

    class Source(models.TextChoices):
        CONDITION = "CONDITION", _("a condition")
        FILE = "FILE", _("a file of account numbers")

    EDITABLE = (State.DRAFT, State.APPROVED, State.FROZEN)
    MOVING = (State.PILOT, State.RUNNING)
    BEGUN = (*MOVING, State.PAUSED)
    ENDED = (State.COMPLETED, State.ABORTED)
    PLAN = (
        "title",
        "legal_basis",
        "product_id",
        "source",
        "population",
        "file_digest",
        "effective_on",
        "resources",
        "risks",
        "max_unbind_failures",
        "max_undelivered",
        "max_complaints",
        "minimum_sample",
        "pilot_percent",
        "wave_percents",
        "daily_cap",
        "excludes_debt",
        "withdraws_product",
    )

    number = models.CharField(_("number"), max_length=20, unique=True)
    state = FSMField(_("state"), default=State.DRAFT, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))

    # The plan: all of it is in the hash that is approved
    title = models.CharField(_("title"), max_length=120)
    legal_basis = models.CharField(_("legal basis"), max_length=500)
    product = models.ForeignKey(
        CreditProduct, verbose_name=_("product"), on_delete=models.PROTECT, related_name="campaigns"
    )
    source = models.CharField(
        _("population by"), max_length=10, choices=Source.choices, default=Source.CONDITION
    )
    population = models.TextField(_("condition of the population"), blank=True)
    file_digest = models.CharField(_("hash of the file"), max_length=64, blank=True)
    effective_on = models.DateField(_("effective on"))
    resources = models.TextField(_("resources"), blank=True)
    risks = models.TextField(_("risks and counter-measures"), blank=True)
    max_unbind_failures = percent(_("most unbinding failures, %"), 5)
    max_undelivered = percent(_("most undelivered notices, %"), 20)
    max_complaints = percent(_("most complaints, %"), 2)
    minimum_sample = models.PositiveIntegerField(
        _("cases before a guard-rail judges"), default=20, validators=[MinValueValidator(1)]
    )
    pilot_percent = percent(_("pilot, %"), 1)
    wave_percents = models.JSONField(_("waves, cumulative %"), default=list)
    daily_cap = models.PositiveIntegerField(
        _("most closings opened in a day"), default=1000, validators=[MinValueValidator(1)]
    )
    excludes_debt = models.BooleanField(_("accounts that owe are left out"), default=False)
    withdraws_product = models.BooleanField(_("withdraws the product"), default=False)

    # Who, and what exactly was approved
    drafted_by = by_staff(_("drafted by"))
    author = by_staff(_("last edited by"))
    approver = by_staff(_("approved by"))
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    plan_hash = models.CharField(_("hash of the approved plan"), max_length=64, blank=True)
    population_hash = models.CharField(_("hash of the approved population"), max_length=64, blank=True)
    voided = models.JSONField(_("why an approval was void"), default=dict, blank=True)

    # How it goes
    file_report = models.JSONField(_("what became of the file"), default=dict, blank=True)
    freeze_asked_by = by_staff(_("freeze asked by"))
    frozen_at = models.DateTimeField(_("frozen at"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    paused_from = models.CharField(max_length=10, blank=True)
    pause_code = models.CharField(_("paused because"), max_length=40, blank=True)
    # Failures that cannot be cured, accepted by whoever resumed: only more of them stop it again
    accepted = models.JSONField(_("failures accepted"), default=dict, blank=True)
    pause_values = models.JSONField(_("values at the pause"), default=dict, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    report = models.JSONField(_("final report"), default=dict, blank=True)
    report_hash = models.CharField(_("hash of the report"), max_length=64, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        permissions = [
            ("draft_campaign", _("Can draft and edit campaigns")),
            ("approve_campaign", _("Can approve campaigns")),
            ("run_campaign", _("Can freeze, start, resume and abort campaigns")),
            ("pause_campaign", _("Can pause campaigns")),
        ]
        constraints = [
            models.CheckConstraint(
                name="campaign_state_is_legal",
                condition=Q(
                    state__in=[
                        "DRAFT",
                        "APPROVED",
                        "FROZEN",
                        "PILOT",
                        "RUNNING",
                        "PAUSED",
                        "COMPLETED",
                        "ABORTED",
                    ]
                ),
            ),
            # A CHECK passes NULL: every branch says what must not be null.
            models.CheckConstraint(
                name="campaign_author_does_not_approve",
                condition=Q(approver__isnull=True)
                | (Q(author__isnull=False, approver__isnull=False) & ~Q(author=F("approver"))),
            ),
            models.CheckConstraint(
                name="campaign_drafter_does_not_approve",
                condition=Q(approver__isnull=True)
                | Q(drafted_by__isnull=True)
                | (Q(drafted_by__isnull=False, approver__isnull=False) & ~Q(drafted_by=F("approver"))),
            ),
            models.CheckConstraint(
                name="campaign_approved_by_a_person",
                condition=Q(state__in=["DRAFT", "ABORTED"])
                | (
                    Q(approver__isnull=False, approved_at__isnull=False)
                    & ~Q(plan_hash="")
                    & ~Q(population_hash="")
                ),
            ),
            models.CheckConstraint(
                name="campaign_paused_says_from_where",
                condition=~Q(state="PAUSED") | Q(paused_from__in=["PILOT", "RUNNING"]) & ~Q(pause_code=""),
            ),
            models.CheckConstraint(
                name="campaign_ended_has_its_moment",
                condition=~Q(state__in=["COMPLETED", "ABORTED"]) | Q(ended_at__isnull=False),
            ),
            models.CheckConstraint(
                name="campaign_percentages",
                condition=Q(
                    max_unbind_failures__lte=100,
                    max_undelivered__lte=100,
                    max_complaints__lte=100,
                    pilot_percent__gte=1,
                    pilot_percent__lte=100,
                ),
            ),
            models.CheckConstraint(
                name="campaign_opens_some_a_day", condition=Q(daily_cap__gte=1, minimum_sample__gte=1)
            ),
        ]
        indexes = [models.Index(name="campaign_state", fields=["state", "state_since"])]

    def __str__(self) -> str:
        return self.number

    # Transitions

    @transition(
        state,
        source=State.DRAFT,
        target=State.APPROVED,
        permission=APPROVE,
        custom=sets(label=_("Approve the campaign")),
    )
    def approve(
        self, *, approved_by: User, approved_at: datetime, plan_hash: str, population_hash: str
    ) -> None:
        self.approver, self.approved_at = approved_by, approved_at
        self.plan_hash, self.population_hash, self.voided = plan_hash, population_hash, {}

    @transition(state, source=[State.APPROVED, State.FROZEN], target=State.DRAFT, custom=sets(also=EVERYBODY))
    def void(self, *, voided: dict[str, Any]) -> None:
        """What was approved is not what is there: the plan was edited, or its population is another."""
        self.approver = self.approved_at = self.frozen_at = self.freeze_asked_by = None
        self.plan_hash = self.population_hash = ""
        self.voided = voided

    @transition(
        state,
        source=State.APPROVED,
        target=State.FROZEN,
        permission=RUN,
        custom=sets(label=_("Freeze the population"), frozen_at=NOW, freeze_asked_by=None),
    )
    def freeze(self) -> None: ...

    @transition(
        state,
        source=State.FROZEN,
        target=State.PILOT,
        permission=RUN,
        custom=sets(label=_("Start the pilot"), started_at=NOW),
    )
    def start_pilot(self) -> None: ...

    @transition(
        state,
        source=State.PILOT,
        target=State.RUNNING,
        permission=RUN,
        custom=sets(label=_("Start the waves")),
    )
    def start_waves(self) -> None: ...

    @transition(
        state,
        source=[State.PILOT, State.RUNNING],
        target=State.PAUSED,
        permission=PAUSE,
        custom=sets(label=_("Pause the campaign"), also=[ActorKind.JOB]),
    )
    def pause(self, *, paused_from: str, pause_code: str, pause_values: dict[str, Any]) -> None:
        self.paused_from, self.pause_code, self.pause_values = paused_from, pause_code, pause_values

    @transition(
        state,
        source=State.PAUSED,
        target=State.PILOT,
        permission=RUN,
        custom=sets(label=_("Resume the pilot"), pause_code=""),
    )
    def resume_pilot(self, *, author: User, accepted: dict[str, int]) -> None:
        self.author, self.accepted = author, accepted

    @transition(
        state,
        source=State.PAUSED,
        target=State.RUNNING,
        permission=RUN,
        custom=sets(label=_("Resume the waves"), pause_code=""),
    )
    def resume_waves(self, *, author: User, accepted: dict[str, int]) -> None:
        self.author, self.accepted = author, accepted

    @transition(state, source=State.RUNNING, target=State.COMPLETED, custom=sets(ended_at=NOW))
    def complete(self, *, report: dict[str, Any], report_hash: str) -> None:
        self.report, self.report_hash = report, report_hash

    @transition(
        state,
        source=[*EDITABLE, *BEGUN],
        target=State.ABORTED,
        permission=RUN,
        custom=sets(label=_("Abort the campaign"), ended_at=NOW, freeze_asked_by=None),
    )
    def abort(self) -> None:
        """Not begun: gone. Begun: nothing more is opened, what can still be stopped is cancelled."""


class CampaignDepartment(Tracked):
    """A department with a part in the campaign, and the person who answers for it."""

    campaign = models.ForeignKey(
        Campaign, verbose_name=_("campaign"), on_delete=models.PROTECT, related_name="departments"
    )
    department = models.CharField(_("department"), max_length=60)
    owner = by_staff(_("owner"))
    duty = models.CharField(_("duty"), max_length=200)
    resources = models.CharField(_("resources"), max_length=200, blank=True)
    removed_at = models.DateTimeField(_("removed at"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("department of a campaign")
        verbose_name_plural = _("departments of campaigns")
        constraints = [
            models.UniqueConstraint(
                name="campaign_department_once",
                fields=["campaign", "department"],
                condition=Q(removed_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return self.department


class CampaignMilestone(Tracked):
    """What has to be reached by when, and by which department."""

    campaign = models.ForeignKey(
        Campaign, verbose_name=_("campaign"), on_delete=models.PROTECT, related_name="milestones"
    )
    title = models.CharField(_("title"), max_length=120)
    due_on = models.DateField(_("due on"))
    department = models.ForeignKey(
        CampaignDepartment,
        verbose_name=_("department"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="milestones",
    )
    done_at = models.DateTimeField(_("reached at"), null=True, blank=True)
    done_by = by_staff(_("entered by"))
    removed_at = models.DateTimeField(_("removed at"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("milestone")
        verbose_name_plural = _("milestones")
        constraints = [
            models.CheckConstraint(
                name="milestone_reached_names_a_person",
                condition=Q(done_at__isnull=True) | Q(done_by__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return translate("%(title)s by %(day)s") % {"title": self.title, "day": self.due_on}
