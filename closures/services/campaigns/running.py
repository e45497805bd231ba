"""The job of a campaign: freeze what was asked, open the next members, call off what was aborted, finish.

# Note [One batch, one transaction, one lock]
A batch holds the campaign's lock from its first look to its last row. A pause, an abort or another worker
waits for it or finds it gone; killed in its middle it has done nothing, and the next run begins it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, Subquery

from accounts.actors import Actor
from accounts.bulk import transition_many
from accounts.errors import Refusal
from accounts.models import CreditAccount
from accounts.tracking import NotPermitted, save_as
from closures.failpoints import reach
from closures.models import Campaign, CampaignMember, ClosureTicket, Notice
from closures.models.campaign_members import ExclusionReason
from closures.models.tickets import Reason
from closures.selectors import campaign_population, campaign_progress
from closures.selectors.campaign_progress import tickets_to_call_off
from closures.services import intake, restrictions
from closures.services.campaigns import approving, finishing, guarding, steering
from closures.services.campaigns.terms import JOB, locked

logger = logging.getLogger(__name__)
Entry = CampaignMember.Entry
CANCELS = 500  # tickets called off in one transaction: each has a line, a command and notices besides


def run(*, clock: Callable[[], datetime]) -> int:
    """Every campaign is one stretch further; returns how many rows moved. Safe to run anywhere, twice."""
    moved = 0
    for ids, act in (
        (_ids(state=Campaign.State.ABORTED), call_off),  # first: what was called off must not wait
        (_ids(state__in=Campaign.MOVING), open_batch),
        (_ids(state=Campaign.State.RUNNING), finishing.finish),
    ):
        share = settings.DRAIN_BUDGET / max(len(ids), 1)  # a large campaign does not starve the others
        for pk in ids:
            moved += _some_of(pk, act, share=share, clock=clock)
    return moved + _freeze_asked(clock=clock)


def _some_of(pk: int, act: Callable[..., int], *, share: timedelta, clock: Callable[[], datetime]) -> int:
    """As many batches of one campaign as fit in its share of the time; one that fails delays no other."""
    started, moved = clock(), 0
    try:
        while clock() - started < share and (more := act(pk, now=clock())):
            moved += more
    except SoftTimeLimitExceeded:
        raise
    except Exception:
        logger.exception("campaign %s failed", pk)
    return moved


def _ids(**wanted: object) -> list[int]:
    rows = Campaign.objects.filter(**wanted)
    if wanted.get("state") == Campaign.State.ABORTED:
        rows = rows.filter(members__ticket__in=ClosureTicket.objects.filter(state__in=ClosureTicket.OPEN))
    return sorted(set(rows.values_list("pk", flat=True)))


def _freeze_asked(*, clock: Callable[[], datetime]) -> int:
    """What people asked to be frozen is, in their name; one that cannot be is theirs to ask again."""
    frozen = 0
    for campaign in Campaign.objects.filter(freeze_asked_by__isnull=False, state=Campaign.State.APPROVED):
        person = campaign.freeze_asked_by
        if person is None:
            continue
        if not _free(campaign.pk):  # another worker is at it
            continue
        try:
            approving.freeze(campaign_id=campaign.pk, actor=Actor.staff(person), now=clock())
            frozen += 1
        except Refusal as refusal:
            with transaction.atomic():
                row = locked(campaign.pk)
                if row.state != Campaign.State.APPROVED or row.freeze_asked_by_id != person.pk:
                    continue
                row.freeze_asked_by, row.voided = None, {"why": refusal.code}
                save_as(row, actor=JOB, reason=f"not frozen: {refusal.code}", now=clock())
    return frozen


@transaction.atomic
def _free(campaign_id: int) -> bool:
    rows = Campaign.objects.select_for_update(skip_locked=True, of=("self",))
    return rows.filter(pk=campaign_id).exists()


def open_batch(campaign_id: int, *, now: datetime) -> int:
    """The next members have their tickets, up to the day's cap; returns how many were settled this way.

    Each is looked at once more under its lock; whoever is to be left alone now is excluded with the reason.
    The guard-rails are asked first. Safe to repeat and to run beside itself.
    """
    try:
        with transaction.atomic():
            campaign = _taken(campaign_id)
            if campaign is None or guarding.judge(campaign, now=now):
                return 0
            return _open(campaign, now=now)
    except NotPermitted:  # the author has lost the right: no ticket may be asked for in his name
        with transaction.atomic():
            campaign = locked(campaign_id)
            if campaign.state in Campaign.MOVING:
                steering.stop(
                    campaign, code=steering.NO_AUTHOR, values={}, actor=JOB, reason="no author", now=now
                )
        return 0


def _taken(campaign_id: int) -> Campaign | None:
    """The campaign locked and under way; None if another worker or a person is at it."""
    rows = Campaign.objects.select_for_update(skip_locked=True, of=("self",))
    related = rows.select_related("author", "product")
    return related.filter(pk=campaign_id, state__in=Campaign.MOVING).first()


def _open(campaign: Campaign, *, now: datetime) -> int:
    room = campaign.daily_cap - campaign_progress.opened_today(campaign, now=now)
    limit = min(room, settings.BATCH_SIZE)
    waiting = CampaignMember.objects.filter(campaign=campaign, entry=Entry.PENDING)
    if campaign.state == Campaign.State.PILOT:
        waiting = waiting.filter(wave=0)
    batch = list(waiting.order_by("wave", "pk").values_list("account_id", flat=True)[: max(limit, 0)])
    if not batch:
        return 0
    accounts = CreditAccount.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=batch)
    list(accounts.order_by("pk").values_list("pk", flat=True))
    leave = campaign_population.left_alone(batch, campaign)
    going = [pk for pk in batch if pk not in leave]
    author = campaign.author
    if author is None:
        raise NotPermitted(move=campaign)
    opened = intake.request_closures(
        account_ids=going,
        reason=Reason.POLICY,
        channel=ClosureTicket.Channel.CAMPAIGN,
        ground=campaign.legal_basis,
        actor=Actor.staff(author),
        now=now,
    )
    reach("campaign.after_tickets")
    leave |= dict.fromkeys(opened.refused, ExclusionReason.CHANGED)
    _note(campaign, leave, [ticket.account_id for ticket in opened.tickets], now=now)
    return len(batch)


def _note(campaign: Campaign, leave: dict[int, str], opened: list[int], *, now: datetime) -> None:
    """The member rows say what became of them: a statement per reason, and one for those opened."""
    mine = CampaignMember.objects.filter(campaign=campaign, entry=Entry.PENDING)
    for reason in sorted(set(leave.values())):
        keys = [pk for pk, why in leave.items() if why == reason]
        CampaignMember.objects.filter(pk__in=mine.filter(account__in=keys).values("pk")).update(
            entry=Entry.EXCLUDED, reason_code=reason, live=False
        )
    ticket = ClosureTicket.objects.filter(account=OuterRef("account"), state__in=ClosureTicket.OPEN)
    CampaignMember.objects.filter(pk__in=mine.filter(account__in=opened).values("pk")).update(
        entry=Entry.OPENED, opened_at=now, ticket=Subquery(ticket.values("pk")[:1])
    )


@transaction.atomic
def call_off(campaign_id: int, *, now: datetime) -> int:
    """Tickets of an aborted campaign whose unbinding has not begun are cancelled, and their lines free.

    By set, as a single cancellation does it; returns how many. Safe to repeat and to overlap.
    """
    campaign = locked(campaign_id)
    if campaign.state != Campaign.State.ABORTED:
        return 0
    tickets = ClosureTicket.objects.lock_many(tickets_to_call_off(campaign), limit=CANCELS)
    keys = [ticket.pk for ticket in tickets]
    reason = f"campaign {campaign.number} aborted"
    rows = ClosureTicket.objects.filter(pk__in=keys)
    gone = set(transition_many(rows, ClosureTicket.call_off, actor=JOB, reason=reason, now=now).moved)
    restrictions.lift_many([ticket for ticket in tickets if ticket.pk in gone], actor=JOB, now=now)
    pending = Notice.objects.filter(ticket__in=gone, state=Notice.State.PENDING)
    transition_many(pending, Notice.cancel, actor=JOB, reason="the ticket moved on", now=now)
    return len(gone)
