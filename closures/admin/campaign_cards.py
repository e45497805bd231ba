"""The home page's cards of campaigns, and the words that their pages share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from closures.admin.base import brand
from closures.admin.cards import Card, Row, ago, page_of

GUARDS = {
    "UNBIND_FAILURES": _("unbinding failures"),
    "UNDELIVERED": _("undelivered notices"),
    "COMPLAINTS": _("complaints since the opening"),
}
PAUSES: dict[str, Any] = {
    **GUARDS,
    "BY_HAND": _("by hand"),
    "AUTHOR_WITHOUT_RIGHT": _("the author may not ask for closings any more"),
}
VOIDED = {
    "EDITED": _("The plan was edited after its approval: the approval is void."),
    "POPULATION": _("The population is not the one that was approved: the approval is void."),
}
NOT_FROZEN = _("The population could not be frozen: another campaign has its accounts, or time ran out.")


def pause_reason(code: str) -> str:
    return str(PAUSES.get(code, code))


def of_campaign(campaign: Any, now: datetime) -> Row:
    note = f"{campaign.title} · {brand(campaign.product)}"
    if campaign.author:
        note += f" · {campaign.author.name}"
    return Row(what=campaign.number, note=note, when=ago(campaign.state_since, now), url=page_of(campaign))


def of_paused(campaign: Any, now: datetime) -> Row:
    note = f"{campaign.title} · {pause_reason(campaign.pause_code)}"
    return Row(
        what=campaign.number,
        note=note,
        when=ago(campaign.state_since, now),
        url=page_of(campaign),
        late=campaign.pause_code in GUARDS,
    )


def of_milestone(milestone: Any, now: datetime) -> Row:
    whose = milestone.department.department if milestone.department else gettext("no department")
    note = f"{milestone.campaign.number} · {whose}"
    return Row(
        what=milestone.title,
        note=note,
        when=str(milestone.due_on),
        url=page_of(milestone.campaign),
        late=True,
    )


CARDS: dict[str, Card] = {
    "CAMPAIGNS_TO_APPROVE": Card(
        title=_("Campaigns to approve"),
        nothing=_("No campaign waits for your approval."),
        icon="campaign",
        page="closures_campaign",
        line=of_campaign,
    ),
    "CAMPAIGNS_PAUSED": Card(
        title=_("Paused campaigns"),
        nothing=_("No campaign is paused."),
        icon="pause_circle",
        page="closures_campaign",
        line=of_paused,
        danger=True,
    ),
    "MILESTONES_OVERDUE": Card(
        title=_("Overdue milestones of campaigns"),
        nothing=_("No milestone is overdue."),
        icon="flag",
        page="closures_campaign",
        line=of_milestone,
    ),
}
