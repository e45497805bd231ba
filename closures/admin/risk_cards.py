"""The cards of the risk desk on the home page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from closures.admin.base import brand
from closures.admin.cards import Card, Row, ago, page_of
from closures.models.risk import Severity
from closures.selectors.risk_words import rule_title


def of_alert(alert: Any, now: datetime) -> Row:
    account = alert.account
    parts = (alert.get_severity_display(), rule_title(alert.rule), brand(account.product), account.account_no)
    return Row(
        what=alert.number,
        note=" · ".join(parts),
        when=ago(alert.state_since, now),
        url=page_of(alert),
        late=alert.severity == Severity.HIGH,
    )


def of_appeal(appeal: Any, now: datetime) -> Row:
    account = appeal.alert.account
    note = " · ".join((appeal.alert.number, brand(account.product), account.account_no))
    return Row(what=appeal.number, note=note, when=ago(appeal.raised_at, now), url=page_of(appeal))


def of_rule(rule: Any, now: datetime) -> Row:
    author = rule.edited_by.name if rule.edited_by else ""
    note = " · ".join(filter(None, [rule_title(rule), author]))
    return Row(what=str(rule), note=note, when=ago(rule.state_since, now), url=page_of(rule))


def of_stopped(rule: Any, now: datetime) -> Row:
    who = rule.stopped_by.name if rule.stopped_by else gettext("by itself")
    note = " · ".join((rule_title(rule), rule.get_stop_code_display(), who))
    return Row(what=str(rule), note=note, when=ago(rule.stopped_at, now), url=page_of(rule), late=True)


CARDS: dict[str, Card] = {
    "STOPPED_RULES": Card(
        title=_("Risk rules that are stopped"),
        nothing=_("No risk rule is stopped."),
        icon="front_hand",
        page="closures_riskrule",
        line=of_stopped,
        danger=True,
    ),
    "RISK_ALERTS": Card(
        title=_("Risk alerts, worst first"),
        nothing=_("No risk alert waits."),
        icon="warning",
        page="closures_riskalert",
        line=of_alert,
    ),
    "RISK_PROPOSALS": Card(
        title=_("Proposed closings to decide"),
        nothing=_("No proposed closing waits for you."),
        icon="gavel",
        page="closures_riskalert",
        line=of_alert,
    ),
    "RISK_APPEALS": Card(
        title=_("Appeals against alerts"),
        nothing=_("No appeal waits for you."),
        icon="record_voice_over",
        page="closures_riskappeal",
        line=of_appeal,
    ),
    "RULES_TO_ACTIVATE": Card(
        title=_("Risk rules to activate"),
        nothing=_("No tested rule waits for a second person."),
        icon="verified_user",
        page="closures_riskrule",
        line=of_rule,
    ),
}
