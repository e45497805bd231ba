"""The end of a campaign: everybody accounted for, the product withdrawn, a report kept with its hash."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.errors import Refusal
from accounts.models import CreditProduct
from accounts.services import products
from accounts.tracking import move
from closures.errors import ClosureError
from closures.models import Campaign, CampaignMember
from closures.rules.approval import fingerprint
from closures.selectors import campaign_progress
from closures.services.campaigns.guarding import values
from closures.services.campaigns.terms import JOB
from closures.services.reporting import BOM, neutral

PARTS = ("closed", "settling", "failed", "unknown", "waiting", "under_way", "excluded")


class ReportChanged(ClosureError):
    code = "report_changed"
    template = _("The report of campaign {number} no longer gives its hash. Do not use it; report it.")


def finish(campaign_id: int, *, now: datetime) -> int:
    """A campaign whose every member is done, failed or excluded is COMPLETED; returns 1 if it is now.

    The product that the plan withdraws leaves the market in the approver's name; if he may not any more, the
    report says that it is still there. Safe to repeat and to run beside itself.
    """
    waiting = CampaignMember.objects.filter(campaign=campaign_id, entry=CampaignMember.Entry.PENDING)
    if waiting.exists():
        return 0
    with transaction.atomic():
        rows = Campaign.objects.select_for_update(of=("self",)).select_related("product", "approver")
        campaign = rows.filter(pk=campaign_id, state=Campaign.State.RUNNING).first()
        if campaign is None or not campaign_progress.progress(campaign).over:
            return 0
        _withdraw_product(campaign, now=now)
        report = report_of(campaign, now=now)
        digest = fingerprint(report)
        move(
            campaign, "complete", actor=JOB, reason="everybody accounted for", now=now, report=report,
            report_hash=digest,
        )  # fmt: skip
        CampaignMember.objects.filter(campaign=campaign, live=True).update(live=False)
    return 1


def _withdraw_product(campaign: Campaign, *, now: datetime) -> None:
    if not campaign.withdraws_product or campaign.approver is None:
        return
    if campaign.product.state == CreditProduct.State.WITHDRAWN:
        return
    try:
        products.withdraw(
            product_id=campaign.product_id,
            actor=Actor.staff(campaign.approver),
            reason=f"campaign {campaign.number}",
            now=now,
        )
    except Refusal:  # recorded there; the campaign is over all the same, and its report says so
        return


def report_of(campaign: Campaign, *, now: datetime) -> dict[str, Any]:
    """What the campaign came to, JSON-ready."""
    progress = campaign_progress.progress(campaign)
    product = CreditProduct.objects.get(pk=campaign.product_id)
    return {
        "number": campaign.number,
        "title": campaign.title,
        "legal_basis": campaign.legal_basis,
        "product": product.code,
        "product_state": str(product.state),
        "plan_hash": campaign.plan_hash,
        "population_hash": campaign.population_hash,
        "author": str(campaign.author) if campaign.author else "",
        "approver": str(campaign.approver) if campaign.approver else "",
        "started_at": localtime(campaign.started_at).isoformat() if campaign.started_at else "",
        "ended_at": localtime(now).isoformat(),
        "population": progress.population,
        "parts": {name: getattr(progress, name) for name in PARTS},
        "excluded": dict(campaign_progress.exclusions(campaign)),
        "failed": {str(state): n for state, n in campaign_progress.failures(campaign)},
        "waves": campaign_progress.by_wave(campaign),
        "guard_rails": {str(r.guard): values(r) for r in campaign_progress.guard_rails(campaign)},
        "milestones": [
            {
                "title": row.title,
                "due_on": str(row.due_on),
                "reached_on": str(localtime(row.done_at).date()) if row.done_at else "",
            }
            for row in campaign.milestones.filter(removed_at__isnull=True).order_by("due_on", "pk")
        ],
    }


def checked(campaign: Campaign) -> dict[str, Any]:
    """The report as it was kept. Raises ReportChanged if it is not what its hash says."""
    if not campaign.report or fingerprint(campaign.report) != campaign.report_hash:
        raise ReportChanged(number=campaign.number)
    return dict(campaign.report)


def as_csv(campaign: Campaign) -> bytes:
    """The kept report as lines of section, what and value; every cell is text to a spreadsheet.

    Raises ReportChanged.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("section", "what", "value"))
    for section, what, value in _lines(checked(campaign)):
        writer.writerow([neutral(cell) for cell in (section, what, value)])
    writer.writerow(("report", "sha256", campaign.report_hash))
    return f"{BOM}{out.getvalue()}".encode()


def _lines(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    lines = []
    for section, held in report.items():
        if isinstance(held, dict):
            lines += [(section, str(what), str(value)) for what, value in held.items()]
        elif isinstance(held, list):
            lines += [
                (section, str(n), "; ".join(f"{k}={v}" for k, v in row.items()))
                for n, row in enumerate(held, start=1)
            ]
        else:
            lines.append(("report", section, str(held)))
    return lines
