"""Risk rules, each version a row of its own; the one switch for all of them; and what each scan found."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.models import User
from accounts.tracking import EVERYBODY, NOW, Tracked, sets, tracked
from closures.models.people import by_staff

EDIT = "closures.edit_risk_rule"
ACTIVATE = "closures.activate_risk_rule"
STOP = "closures.stop_risk_rules"
RELEASE = "closures.release_risk_rules"


class Severity(models.TextChoices):
    LOW = "LOW", _("low")
    MEDIUM = "MEDIUM", _("medium")
    HIGH = "HIGH", _("high")


class RiskRule(Tracked):
    """风控规则: a condition over accounts and what follows from it. One row is one version, never edited.

    Every edit makes a new version in DRAFT; the old ones stay. A stopped rule keeps its state and is not
    scanned.
    """

    class State(models.TextChoices):
        DRAFT = "DRAFT", _("draft")
        SHADOW = "SHADOW", _("in shadow")
        ACTIVE = "ACTIVE", _("active")
        RETIRED = "RETIRED", _("retired")

    class Action(models.TextChoices):
        MONITOR = "MONITOR", _("alert only")
        FREEZE = "FREEZE", _("alert and freeze")
        PROPOSE_CLOSING = "PROPOSE_CLOSING", _("propose a closing")

    class StopCode(models.TextChoices):
        BY_HAND = "BY_HAND", _("stopped by a person")
        DRIFT = "DRIFT", _("far more matches than usual")
        TOO_SLOW = "TOO_SLOW", _("its condition takes too long")

    SCANNED = (State.SHADOW, State.ACTIVE)
    LIVE = (State.DRAFT, *SCANNED)
    # What an edit may change, and what makes a version what it is.
    SUBSTANCE = (
        "title",
        "title_en",
        "condition",
        "action",
        "severity",
        "cap_per_run",
        "cap_per_day",
        "dedupe_window",
        "freeze_length",
        "sentence",
        "sentence_en",
    )

    code = models.SlugField(_("code"), max_length=40)
    version = models.PositiveIntegerField(_("version"), default=1)
    title = models.CharField(_("title"), max_length=80)
    title_en = models.CharField(_("title in English"), max_length=120)
    condition = models.TextField(_("condition"), max_length=2000)
    action = models.CharField(_("action"), max_length=16, choices=Action.choices)
    severity = models.CharField(_("severity"), max_length=8, choices=Severity.choices)
    cap_per_run = models.PositiveIntegerField(
        _("new alerts per scan, at most"), validators=[MinValueValidator(1)]
    )
    cap_per_day = models.PositiveIntegerField(
        _("new alerts per day, at most"), validators=[MinValueValidator(1)]
    )
    dedupe_window = models.DurationField(_("no second alert within"))
    freeze_length = models.DurationField(_("freeze ends after"), null=True, blank=True)
    sentence = models.CharField(_("sentence for the customer"), max_length=300)
    sentence_en = models.CharField(_("sentence for the customer, English"), max_length=400)
    owner = by_staff(_("owner"))
    state = FSMField(_("state"), default=State.DRAFT, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    edited_by = by_staff(_("edited by"))
    edited_at = models.DateTimeField(_("edited at"))
    activated_by = by_staff(_("activated by"))
    activated_at = models.DateTimeField(_("activated at"), null=True, blank=True)
    backtest = models.ForeignKey(
        "closures.BackTest",
        verbose_name=_("back-test it was activated on"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    # The kill switch of this rule
    stopped_at = models.DateTimeField(_("stopped at"), null=True, blank=True)
    stopped_by = by_staff(_("stopped by"))
    stop_code = models.CharField(
        _("stopped because"), max_length=10, choices=StopCode.choices, blank=True, default=""
    )
    # What whoever released it took for usual; scans since then count in its place as they come.
    usual_matches = models.PositiveIntegerField(_("usual matches, by hand"), null=True, blank=True)
    released_at = models.DateTimeField(_("released at"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("risk rule")
        verbose_name_plural = _("risk rules")
        permissions = [
            ("edit_risk_rule", _("Can write risk rules and put them in shadow")),
            ("activate_risk_rule", _("Can activate a risk rule that somebody else wrote")),
            ("stop_risk_rules", _("Can stop risk rules")),
            ("release_risk_rules", _("Can release stopped risk rules")),
        ]
        constraints = [
            models.CheckConstraint(
                name="rule_state_is_legal", condition=Q(state__in=["DRAFT", "SHADOW", "ACTIVE", "RETIRED"])
            ),
            models.UniqueConstraint(name="rule_version_once", fields=["code", "version"]),
            models.UniqueConstraint(
                name="rule_one_active_per_code", fields=["code"], condition=Q(state="ACTIVE")
            ),
            models.UniqueConstraint(
                name="rule_one_shadow_per_code", fields=["code"], condition=Q(state="SHADOW")
            ),
            # Four eyes. A CHECK passes NULL: every branch says what must not be null.
            models.CheckConstraint(
                name="rule_activation_names_two_people",
                condition=Q(activated_by__isnull=True)
                | (Q(activated_by__isnull=False, edited_by__isnull=False) & ~Q(activated_by=F("edited_by"))),
            ),
            models.CheckConstraint(
                name="rule_active_was_tested_and_activated",
                condition=~Q(state="ACTIVE")
                | Q(activated_by__isnull=False, activated_at__isnull=False, backtest__isnull=False),
            ),
            models.CheckConstraint(
                name="rule_freeze_has_its_length",
                condition=~Q(action="FREEZE") | Q(freeze_length__isnull=False),
            ),
            models.CheckConstraint(
                name="rule_caps_are_caps", condition=Q(cap_per_run__gte=1, cap_per_day__gte=1)
            ),
            models.CheckConstraint(
                name="rule_stop_says_why",
                condition=Q(stopped_at__isnull=True, stop_code="")
                | Q(stopped_at__isnull=False) & ~Q(stop_code=""),
            ),
            models.CheckConstraint(
                name="rule_stop_by_hand_names_its_person",
                condition=~Q(stop_code="BY_HAND") | Q(stopped_by__isnull=False),
            ),
        ]
        indexes = [models.Index(name="rule_state", fields=["state", "code"])]

    def __str__(self) -> str:
        return f"{self.code} v{self.version}"

    # Transitions

    @transition(
        state,
        source=State.DRAFT,
        target=State.SHADOW,
        permission=EDIT,
        custom=sets(label=_("Put in shadow")),
    )
    def to_shadow(self, *, edited_by: User) -> None:
        """Scans count from now on and do nothing else. A shipped rule gets its author here."""
        self.edited_by = edited_by

    @transition(
        state,
        source=State.SHADOW,
        target=State.ACTIVE,
        permission=ACTIVATE,
        custom=sets(label=_("Activate"), activated_at=NOW),
    )
    def activate(self, *, activated_by: User, backtest: Any) -> None:
        self.activated_by, self.backtest = activated_by, backtest

    @transition(
        state, source=list(LIVE), target=State.RETIRED, permission=EDIT, custom=sets(label=_("Retire"))
    )
    def retire(self) -> None: ...

    @transition(state, source=list(LIVE), target=State.RETIRED, custom=sets(also=EVERYBODY))
    def supersede(self) -> None:
        """A newer version of the same rule has taken its place."""

    # Properties

    @property
    def is_stopped(self) -> bool:
        return self.stopped_at is not None


class RiskSwitch(Tracked):
    """总开关: one row. While it is thrown, no rule is scanned and a scan under way ends with its batch."""

    stopped = models.BooleanField(_("stopped"), default=False)
    changed_by = by_staff(_("changed by"))
    changed_at = models.DateTimeField(_("changed at"), null=True, blank=True)
    ground = models.CharField(_("reason"), max_length=300, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("switch of all risk rules")
        verbose_name_plural = _("switch of all risk rules")
        constraints = [
            models.CheckConstraint(name="switch_is_one", condition=Q(pk=1)),
            models.CheckConstraint(
                name="switch_stop_names_its_person",
                condition=Q(stopped=False)
                | (Q(changed_by__isnull=False, changed_at__isnull=False) & ~Q(ground="")),
            ),
        ]

    def __str__(self) -> str:
        return translate("all rules are stopped") if self.stopped else translate("rules are at work")


class RiskScan(models.Model):
    """扫描: one pass of one rule over all accounts. Append-only; it keeps its place while it runs."""

    class Outcome(models.TextChoices):
        RUNNING = "RUNNING", _("running")
        DONE = "DONE", _("done")
        CAPPED = "CAPPED", _("cut at its cap")
        DRIFT = "DRIFT", _("stopped itself: far more matches than usual")
        KILLED = "KILLED", _("stopped by a switch")
        TOO_SLOW = "TOO_SLOW", _("stopped: too slow")

    WHOLE = (Outcome.DONE, Outcome.CAPPED)

    rule = models.ForeignKey(
        RiskRule, verbose_name=_("risk rule"), on_delete=models.PROTECT, related_name="scans"
    )
    shadow = models.BooleanField(_("in shadow"), default=False)
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices, default=Outcome.RUNNING)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    matched = models.PositiveIntegerField(_("matches"), default=0)
    usual = models.PositiveIntegerField(_("usual matches"), null=True, blank=True)
    fresh = models.PositiveIntegerField(_("of them not alerted yet"), default=0)
    cap = models.PositiveIntegerField(_("cap"), default=0)
    alerted = models.PositiveIntegerField(_("alerted"), default=0)
    folded = models.PositiveIntegerField(_("folded"), default=0)
    frozen = models.PositiveIntegerField(_("frozen"), default=0)
    reached = models.BigIntegerField(_("last account looked at"), default=0)

    class Meta:
        verbose_name = _("risk scan")
        verbose_name_plural = _("risk scans")
        constraints = [
            models.UniqueConstraint(
                name="scan_one_running_per_rule", fields=["rule"], condition=Q(outcome="RUNNING")
            ),
            models.CheckConstraint(
                name="scan_ended_has_its_moment",
                condition=Q(outcome="RUNNING", finished_at__isnull=True)
                | (~Q(outcome="RUNNING") & Q(finished_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="scan_in_shadow_does_nothing",
                condition=Q(shadow=False) | Q(alerted=0, folded=0, frozen=0),
            ),
            models.CheckConstraint(name="scan_keeps_its_cap", condition=Q(alerted__lte=F("cap"))),
        ]
        indexes = [models.Index(name="scan_newest", fields=["rule", "-started_at"])]

    def __str__(self) -> str:
        return translate("scan of rule %(rule)s, %(moment)s") % {
            "rule": self.rule_id,
            "moment": moment(self.started_at),
        }


def moment(when: datetime) -> str:
    return when.isoformat(timespec="seconds")
