"""The buttons of rules and of their switches: each one service call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from accounts.actors import Actor
from accounts.admin.base import Dialog, Menu, held_by
from closures.admin.risk_forms import BackTestForm, SubstanceForm
from closures.models import BackTest, RiskRule, RiskSwitch
from closures.models.risk import ACTIVATE, EDIT, RELEASE, STOP
from closures.selectors import risk_words
from closures.services.risk import backtest, rules, switches


def says(text: Any) -> Callable[[Any, Any], str]:
    return lambda row, result: str(text) % {"rule": result}


def tested(rule: RiskRule, result: BackTest) -> str:
    found = result.result
    text = translate("%(rule)s matches %(matches)s accounts; precision %(precision)s, recall %(recall)s.")
    return text % {
        "rule": rule,
        "matches": f"{found['matches']:,}",
        "precision": risk_words.percent(found["precision"]),
        "recall": risk_words.percent(found["recall"]),
    }


def may_test(rule: Any, user: Any) -> bool:
    return bool(user.has_perm(EDIT) or user.has_perm(ACTIVATE))


def stop_all(*, switch_id: int, ground: str, actor: Actor, now: datetime) -> RiskSwitch:
    return switches.stop_all(ground=ground, actor=actor, now=now)


def release_all(*, switch_id: int, ground: str, actor: Actor, now: datetime) -> RiskSwitch:
    return switches.release_all(ground=ground, actor=actor, now=now)


NEW_VERSION = Dialog(
    name="new_version",
    label=_("New version"),
    icon="edit",
    permission=held_by(EDIT),
    call=rules.new_version,
    target="rule_id",
    form=SubstanceForm,
    initial=lambda rule: {name: getattr(rule, name) for name in RiskRule.SUBSTANCE},
    description=_("This version stays as it is; the next one begins as a draft of yours."),
    submit=_("Keep as a draft"),
    deciding=False,
    done=says(_("%(rule)s is in draft. Next: back-test it and put it in shadow.")),
)
BACK_TEST = Dialog(
    name="back_test",
    label=_("Back-test"),
    icon="science",
    variant=ActionVariant.PRIMARY,
    permission=may_test,
    possible=lambda rule: rule.state != RiskRule.State.RETIRED,
    call=backtest.run,
    target="rule_id",
    form=BackTestForm,
    description=_("Counts what the rule finds today and how right it would be. Nothing else changes."),
    deciding=False,
    done=tested,
)
TO_SHADOW = Dialog(
    name="to_shadow",
    label=_("Put in shadow"),
    icon="visibility",
    transition="to_shadow",
    call=rules.to_shadow,
    target="rule_id",
    description=_("Every scan counts what it would find; nobody is alerted and nothing is frozen."),
    done=says(_("%(rule)s is in shadow. Next: its first scans, then a second person activates it.")),
)
ACTIVATE_RULE = Dialog(
    name="activate",
    label=_("Activate"),
    icon="bolt",
    variant=ActionVariant.WARNING,
    transition="activate",
    hidden_from=lambda rule, user: rule.edited_by_id == user.pk,
    call=rules.activate,
    target="rule_id",
    description=_("From its next scan on it alerts, and does what its action says, within its caps."),
    done=says(_("%(rule)s is active. Its next scan raises alerts.")),
)
RETIRE = Dialog(
    name="retire",
    label=_("Retire"),
    icon="archive",
    transition="retire",
    call=rules.retire,
    target="rule_id",
    description=_("It is scanned no more. Its alerts stay."),
    done=says(_("%(rule)s is retired.")),
)
STOP_RULE = Dialog(
    name="stop",
    label=_("Stop the rule"),
    icon="front_hand",
    variant=ActionVariant.DANGER,
    permission=held_by(STOP),
    possible=lambda rule: rule.state in RiskRule.SCANNED and not rule.is_stopped,
    call=switches.stop,
    target="rule_id",
    description=_(
        "At once: a scan under way ends with its batch. What is frozen stays frozen until its end."
    ),
    deciding=False,
    done=says(_("%(rule)s is stopped.")),
)
RELEASE_RULE = Dialog(
    name="release",
    label=_("Release the rule"),
    icon="play_arrow",
    permission=held_by(RELEASE),
    possible=lambda rule: rule.is_stopped,
    call=switches.release,
    target="rule_id",
    description=_("After too many matches: what it found last counts as usual from now on."),
    done=says(_("%(rule)s is scanned again.")),
)
RULE_DIALOGS = (
    BACK_TEST,
    TO_SHADOW,
    ACTIVATE_RULE,
    STOP_RULE,
    RELEASE_RULE,
    Menu(title=_("More"), dialogs=(NEW_VERSION, RETIRE)),
)

SWITCH_DIALOGS = (
    Dialog(
        name="stop",
        label=_("Stop all rules"),
        icon="front_hand",
        variant=ActionVariant.DANGER,
        permission=held_by(STOP),
        possible=lambda switch: not switch.stopped,
        call=stop_all,
        target="switch_id",
        description=_("At once: every scan under way ends with its batch, and none begins."),
        deciding=False,
        done=lambda switch, result: translate("All risk rules are stopped."),
    ),
    Dialog(
        name="release",
        label=_("Release all rules"),
        icon="play_arrow",
        permission=held_by(RELEASE),
        possible=lambda switch: switch.stopped,
        call=release_all,
        target="switch_id",
        description=_("Rules that are stopped one by one stay stopped."),
        done=lambda switch, result: translate("Risk rules work again."),
    ),
)
