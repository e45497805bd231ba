"""The buttons of a campaign: each a right, a form and one service call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from accounts.admin.base import Dialog, Menu, held_by, in_states
from closures.admin.campaign_forms import (
    CampaignApprovalForm,
    DepartmentForm,
    MilestoneForm,
    ReachedForm,
    RemoveForm,
)
from closures.admin.forms import ConfirmForm
from closures.models import Campaign, DryRun
from closures.models.campaigns import APPROVE, DRAFT, RUN
from closures.selectors import campaign_progress
from closures.services import campaigns

State = Campaign.State


def said(text: Any) -> Any:
    return lambda campaign, result: str(text) % {"number": campaign.number}


def newest(campaign: Campaign) -> DryRun | None:
    return campaign.dry_runs.order_by("-pk").first()


def was_run_dry(campaign: Campaign) -> bool:
    return newest(campaign) is not None


def ran(campaign: Campaign, result: DryRun) -> str:
    text = gettext("Dry run of %(number)s: %(included)s of %(total)s accounts would be closed.")
    return text % {"number": campaign.number, "included": result.included, "total": result.total}


def shown_for_approval(request: HttpRequest, campaign: Campaign) -> Mapping[str, Any]:
    found = newest(campaign)
    return {"dry_run": found, "reasons": reasons_of(found)}


def reasons_of(run: DryRun | None) -> list[tuple[str, int]]:
    counted = sorted((run.exclusions if run else {}).items(), key=lambda pair: -pair[1])
    return [(campaign_progress.reason_label(code), count) for code, count in counted]


def seen_hashes(campaign: Campaign) -> dict[str, str]:
    found = newest(campaign)
    return {"seen_plan": found.plan_hash, "seen_population": found.population_hash} if found else {}


def resumed(campaign: Campaign, result: Campaign) -> str:
    text = gettext("Campaign %(number)s goes on: %(state)s.")
    return text % {"number": campaign.number, "state": result.get_state_display()}


DRY_RUN = Dialog(
    name="dry_run",
    label=_("Dry run"),
    icon="experiment",
    permission=held_by(DRAFT),
    possible=in_states(*Campaign.EDITABLE),
    call=campaigns.dry_run,
    target="campaign_id",
    form=ConfirmForm,
    description=_("Counts whom the plan would meet now, and who is left alone why. Changes nothing."),
    deciding=False,
    done=ran,
)
APPROVING = Dialog(
    name="approve",
    label=_("Approve the campaign"),
    icon="check",
    variant=ActionVariant.PRIMARY,
    transition="approve",
    possible=was_run_dry,
    hidden_from=lambda campaign, user: campaign.author_id == user.pk,
    call=campaigns.approve,
    target="campaign_id",
    form=CampaignApprovalForm,
    initial=seen_hashes,
    before_template="admin/closures/campaign/approve.html",
    context=shown_for_approval,
    description=_("Every closing of the campaign is decided in your name, unless its facts have changed."),
    done=said(_("Campaign %(number)s is approved. Next: freeze its population.")),
)
FREEZE = Dialog(
    name="freeze",
    label=_("Freeze the population"),
    icon="ac_unit",
    variant=ActionVariant.PRIMARY,
    transition="freeze",
    possible=lambda campaign: campaign.freeze_asked_by_id is None,
    call=campaigns.ask_freeze,
    target="campaign_id",
    form=ConfirmForm,
    description=_(
        "The population is taken once more. If it is not the approved one, the approval is void and the plan "
        "a draft again; else every member is written down."
    ),
    done=said(_("The population of %(number)s is being written down. Reload the page in a moment.")),
)
START = Dialog(
    name="start_pilot",
    label=_("Start the pilot"),
    icon="play_arrow",
    variant=ActionVariant.PRIMARY,
    transition="start_pilot",
    call=campaigns.start_pilot,
    target="campaign_id",
    form=ConfirmForm,
    description=_("The pilot's share is opened at once. A product that the plan withdraws is suspended."),
    done=said(_("The pilot of %(number)s has begun.")),
)
WAVES = Dialog(
    name="start_waves",
    label=_("Start the waves"),
    icon="fast_forward",
    variant=ActionVariant.PRIMARY,
    transition="start_waves",
    call=campaigns.start_waves,
    target="campaign_id",
    form=ConfirmForm,
    description=_("Everybody else is opened, wave by wave, up to the daily cap."),
    done=said(_("The waves of %(number)s have begun.")),
)
PAUSING = Dialog(
    name="pause",
    label=_("Pause the campaign"),
    icon="pause",
    variant=ActionVariant.WARNING,
    transition="pause",
    call=campaigns.pause,
    target="campaign_id",
    description=_("At once: nothing is opened and nothing irreversible begins until it is resumed."),
    deciding=False,
    done=said(_("Campaign %(number)s is paused.")),
)
RESUME = Dialog(
    name="resume",
    label=_("Resume"),
    icon="resume",
    variant=ActionVariant.PRIMARY,
    permission=held_by(RUN),
    possible=in_states(State.PAUSED),
    call=campaigns.resume,
    target="campaign_id",
    description=_("It goes on where it was. A guard-rail that still trips pauses it again."),
    done=resumed,
)
ABORT = Dialog(
    name="abort",
    label=_("Abort the campaign"),
    icon="stop",
    variant=ActionVariant.DANGER,
    transition="abort",
    call=campaigns.abort,
    target="campaign_id",
    description=_(
        "For ever. Closings whose unbinding has not begun are cancelled; the others go to their end."
    ),
    done=said(_("Campaign %(number)s is aborted.")),
)


def editing(name: str, label: Any, icon: str, form: Any, call: Any, done: Any) -> Dialog:
    return Dialog(
        name=name,
        label=label,
        icon=icon,
        permission=held_by(DRAFT),
        possible=in_states(*Campaign.EDITABLE),
        call=call,
        target="campaign_id",
        form=form,
        description=_("A change of the plan: an approval that it had is void, and you are its author."),
        deciding=False,
        done=said(done),
    )


PLANNING = Menu(
    title=_("Plan"),
    icon="edit_calendar",
    dialogs=(
        editing("add_department", _("Add a department"), "group_add", DepartmentForm,
                campaigns.add_department, _("The department is part of %(number)s.")),
        editing("add_milestone", _("Add a milestone"), "flag", MilestoneForm,
                campaigns.add_milestone, _("The milestone is part of %(number)s.")),
        editing("remove_part", _("Remove a department or milestone"), "remove", RemoveForm,
                campaigns.remove, _("It is no part of %(number)s any more.")),
    ),
)  # fmt: skip
REACHED = Dialog(
    name="reach_milestone",
    label=_("A milestone is reached"),
    icon="flag_check",
    permission=held_by(DRAFT),
    possible=lambda campaign: campaign.milestones.filter(
        done_at__isnull=True, removed_at__isnull=True
    ).exists(),
    call=campaigns.reach_milestone,
    target="campaign_id",
    form=ReachedForm,
    deciding=False,
    done=said(_("The milestone of %(number)s is entered as reached.")),
)
ALL = (DRY_RUN, APPROVING, FREEZE, START, WAVES, PAUSING, RESUME, REACHED, PLANNING, ABORT)
__all__ = ["ALL", "APPROVE", "newest", "reasons_of"]
