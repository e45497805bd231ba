"""Versions of risk rules: written, put in shadow, activated by somebody else, retired; never edited."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.actors import Actor
from accounts.decisions import PersonalDataWritten, decision
from accounts.models import User
from accounts.services.rights import require
from accounts.tracking import move, save_as
from closures.errors import ClosureError, said
from closures.models import BackTest, RiskRule, RiskScan
from closures.models.risk import ACTIVATE, EDIT
from closures.selectors import risk_figures, rule_language
from closures.services.risk.rights import locked_rule

LONGEST = timedelta(days=366)
State, Action = RiskRule.State, RiskRule.Action


class RuleIncomplete(ClosureError):
    code = "rule_incomplete"
    template = _("The rule is not whole: {what}.")


class CodeTaken(ClosureError):
    code = "code_taken"
    template = _("There is a rule {code} already. Make a new version of it.")


class NothingChanged(ClosureError):
    code = "nothing_changed"
    template = _("Nothing differs from {rule}; no new version was made.")


class SameAuthor(ClosureError):
    code = "same_author"
    template = _("You wrote {rule}; somebody else has to activate it.")


class NotBackTested(ClosureError):
    code = "not_back_tested"
    template = _("{rule} has no back-test of its own. Run one and look at it first.")


class NotSeenInShadow(ClosureError):
    code = "not_seen_in_shadow"
    template = _("{rule} has not been scanned in shadow to its end yet. Nobody knows what it would do.")


class MatchesTooMany(ClosureError):
    code = "matches_too_many"
    template = _(
        "{rule} is true of {matches} of {accounts} accounts, more than half, and cannot be activated."
    )


class StillStopped(ClosureError):
    code = "still_stopped"
    template = _("{rule} is stopped. Release it first, if it should work.")


@dataclass(frozen=True, kw_only=True)
class Substance:
    """What a version says. `freeze_length` belongs to FREEZE and to nothing else."""

    title: str
    title_en: str
    condition: str
    action: str
    severity: str
    cap_per_run: int
    cap_per_day: int
    dedupe_window: timedelta
    sentence: str
    sentence_en: str
    freeze_length: timedelta | None = None

    def checked(self) -> dict[str, Any]:
        """Its values, ready for a row.

        Raises: ConditionRefused, RuleIncomplete, PersonalDataWritten.
        """
        values = asdict(self)
        for name in ("title", "title_en", "condition", "sentence", "sentence_en"):
            values[name] = str(values[name]).strip()
            if not values[name]:
                label = RiskRule._meta.get_field(name).verbose_name  # type: ignore[union-attr]
                raise RuleIncomplete(what=_("“{field}” is empty").format(field=label))
            if pii.looks_personal(values[name]):
                raise PersonalDataWritten
        rule_language.read(values["condition"])
        if min(self.cap_per_run, self.cap_per_day) < 1:
            raise RuleIncomplete(what=_("a cap is less than one"))
        if not timedelta(0) <= self.dedupe_window <= LONGEST:
            raise RuleIncomplete(what=_("the time without a second alert is not between nothing and a year"))
        if self.action != Action.FREEZE:
            values["freeze_length"] = None
        elif self.freeze_length is None or not timedelta(0) < self.freeze_length <= LONGEST:
            raise RuleIncomplete(what=_("a freeze needs its end, within a year"))
        return values


def substance_of(rule: RiskRule) -> Substance:
    return Substance(**{name: getattr(rule, name) for name in RiskRule.SUBSTANCE})


@decision
def draft(
    *, code: str, substance: Substance, actor: Actor, now: datetime, owner: User | None = None
) -> RiskRule:
    """A rule that was not there before exists as version 1, in DRAFT.

    Raises: NotPermitted, CodeTaken, and what `Substance.checked` raises.
    """
    author = require(actor=actor, right=EDIT, move=_("Write a rule"))
    code = code.strip().upper()
    if RiskRule.objects.filter(code=code).exists():
        raise CodeTaken(code=code)
    return _written(code, 1, substance, owner=owner or author, author=author, actor=actor, now=now)


@decision
def new_version(
    *, rule_id: int, substance: Substance, actor: Actor, now: datetime, owner: User | None = None
) -> RiskRule:
    """The rule's next version exists in DRAFT; what is in force stays in force until somebody activates it.

    Raises: NotPermitted, NothingChanged, and what `Substance.checked` raises.
    """
    author = require(actor=actor, right=EDIT, move=_("Write a rule"))
    earlier = _locked_versions(rule_id)
    if substance.checked() == substance_of(earlier).checked():
        raise NothingChanged(rule=earlier)
    newest = RiskRule.objects.filter(code=earlier.code).aggregate(Max("version"))["version__max"]
    return _written(
        earlier.code,
        newest + 1,
        substance,
        owner=owner or earlier.owner or author,
        author=author,
        actor=actor,
        now=now,
    )


def _written(
    code: str,
    version: int,
    substance: Substance,
    *,
    owner: User,
    author: User,
    actor: Actor,
    now: datetime,
) -> RiskRule:
    rule = RiskRule(
        code=code,
        version=version,
        owner=owner,
        edited_by=author,
        edited_at=now,
        state_since=now,
        **substance.checked(),
    )
    return cast(RiskRule, save_as(rule, actor=actor, reason="version written", now=now))


@decision
def to_shadow(*, rule_id: int, ground: str, actor: Actor, now: datetime) -> RiskRule:
    """Scans count what the version would find, and do nothing else. Another one in shadow is retired.

    A version without an author, as the product ships them, has one from now on: who puts it in shadow.

    Raises: NotPermitted, GroundMissing, NotPossible, ConditionRefused.
    """
    author = require(actor=actor, right=EDIT, move=_("Put in shadow"))
    rule, ground = _locked_versions(rule_id), said(ground)
    rule_language.read(rule.condition)
    _supersede(rule, State.SHADOW, actor=actor, now=now)
    move(rule, "to_shadow", actor=actor, reason=ground, now=now, edited_by=rule.edited_by or author)
    return rule


@decision
def activate(*, rule_id: int, ground: str, actor: Actor, now: datetime) -> RiskRule:
    """The version acts from its next scan on; the one in force until now is retired.

    Raises: NotPermitted, GroundMissing, SameAuthor, StillStopped, NotBackTested, NotSeenInShadow,
    MatchesTooMany, ConditionRefused, ConditionTooSlow, NotPossible.
    Source: SPEC §6; that it must have been seen in shadow is our choice: it is seen before it acts.
    """
    second = require(actor=actor, right=ACTIVATE, move=_("Activate"))
    _check_narrow(RiskRule.objects.get(pk=rule_id), now=now)  # before the locks: a kill switch needs them
    rule, ground = _locked_versions(rule_id), said(ground)
    if rule.edited_by_id == second.pk:
        raise SameAuthor(rule=rule)
    stopped = RiskRule.objects.filter(code=rule.code, state__in=RiskRule.SCANNED, stopped_at__isnull=False)
    if (one := stopped.first()) is not None:  # another version must not get round a stop
        raise StillStopped(rule=one)
    backtest = BackTest.objects.filter(rule=rule).order_by("-made_at", "-pk").first()
    if backtest is None:
        raise NotBackTested(rule=rule)
    if not RiskScan.objects.filter(rule=rule, shadow=True, outcome__in=RiskScan.WHOLE).exists():
        raise NotSeenInShadow(rule=rule)
    _supersede(rule, State.ACTIVE, actor=actor, now=now)
    move(rule, "activate", actor=actor, reason=ground, now=now, activated_by=second, backtest=backtest)
    return rule


@decision
def retire(*, rule_id: int, ground: str, actor: Actor, now: datetime) -> RiskRule:
    """The version is scanned no more; its alerts stay. Raises NotPermitted, GroundMissing, NotPossible."""
    require(actor=actor, right=EDIT, move=_("Retire"))
    rule, ground = locked_rule(rule_id), said(ground)
    move(rule, "retire", actor=actor, reason=ground, now=now)
    return rule


def release_owned(*, user: User, actor: Actor, now: datetime) -> None:
    """Nobody's any more are the rules of a person who leaves. For `accounts.services.staff.on_leave`."""
    owned = RiskRule.objects.select_for_update(of=("self",)).filter(owner=user, state__in=RiskRule.LIVE)
    for rule in owned.order_by("pk"):
        rule.owner = None
        save_as(rule, actor=actor, reason="its owner has left", now=now)


def _check_narrow(rule: RiskRule, *, now: datetime) -> None:
    """Raises MatchesTooMany. Source: SPEC §6 and the worst accident this product can cause."""
    found = risk_figures.count(rule_language.read(rule.condition), now=now)
    if found.matches * 2 > found.accounts:
        raise MatchesTooMany(rule=rule, matches=found.matches, accounts=found.accounts)


def _locked_versions(rule_id: int) -> RiskRule:
    """The version under its lock, with every other of its code: two people at once do not overtake."""
    code = RiskRule.objects.values_list("code", flat=True).get(pk=rule_id)
    rows = RiskRule.objects.select_for_update(of=("self",), no_key=True).filter(code=code).order_by("pk")
    return next(rule for rule in rows if rule.pk == rule_id)


def _supersede(rule: RiskRule, state: str, *, actor: Actor, now: datetime) -> None:
    for other in RiskRule.objects.filter(code=rule.code, state=state).exclude(pk=rule.pk):
        move(other, "supersede", actor=actor, reason="a newer version takes its place", now=now)
