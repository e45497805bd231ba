"""How far a campaign is: parts that add up to its population, and its guard-rails' present values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q

from closures.models import Campaign, CampaignMember, ClosureTicket, Complaint, Notice, UnbindTask
from closures.models.campaign_members import ExclusionReason, MemberState
from closures.models.notices import NoticeKind
from closures.models.ticket_queries import TicketQuerySet
from closures.rules.campaigns import Guard, Reading
from closures.rules.deadlines import day_began

Entry = CampaignMember.Entry
# A complaint taken back, put into another or outside our scope says nothing about the campaign.
NO_COMPLAINT = (Complaint.State.WITHDRAWN, Complaint.State.MERGED, Complaint.State.OUT_OF_SCOPE)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Members by where they stand. done + failed + unknown + pending + excluded = population, always."""

    population: int
    waiting: int
    under_way: int
    unknown: int
    closed: int
    settling: int
    failed: int
    excluded: int

    @property
    def done(self) -> int:
        return self.closed + self.settling

    @property
    def pending(self) -> int:
        return self.waiting + self.under_way

    @property
    def adds_up(self) -> bool:
        parts = self.done + self.failed + self.unknown + self.pending + self.excluded
        return parts == self.population

    @property
    def over(self) -> bool:
        return not self.pending and not self.unknown


PARTS = {
    "waiting": MemberState.PENDING,
    "under_way": MemberState.UNDER_WAY,
    "unknown": MemberState.UNKNOWN,
    "closed": MemberState.CLOSED,
    "settling": MemberState.SETTLING,
    "failed": MemberState.FAILED,
    "excluded": MemberState.EXCLUDED,
}


def progress(campaign: Campaign) -> Progress:
    """One statement, so that no member is counted twice or missed between two looks."""
    members = CampaignMember.objects.filter(campaign=campaign).standing()
    told = members.order_by().values("standing").annotate(n=Count("pk")).values_list("standing", "n")
    found = dict(told)
    return Progress(
        population=sum(found.values()), **{name: found.get(state, 0) for name, state in PARTS.items()}
    )


def by_wave(campaign: Campaign) -> list[dict[str, Any]]:
    """A line per wave: its members, and those done, failed and still to come."""
    members = CampaignMember.objects.filter(campaign=campaign).exclude(entry=Entry.EXCLUDED).standing()
    done = Q(standing__in=(MemberState.CLOSED, MemberState.SETTLING))
    counted = members.values("wave").annotate(
        members=Count("pk"),
        opened=Count("pk", filter=Q(entry=Entry.OPENED)),
        done=Count("pk", filter=done),
        failed=Count("pk", filter=Q(standing=MemberState.FAILED)),
    )
    return list(counted.order_by("wave"))


def exclusions(campaign: Campaign) -> list[tuple[str, int]]:
    """The reasons why members were left alone, with how many each."""
    members = CampaignMember.objects.filter(campaign=campaign, entry=Entry.EXCLUDED)
    counted = members.values("reason_code").annotate(n=Count("pk")).order_by("-n", "reason_code")
    return [(row["reason_code"], row["n"]) for row in counted]


def failures(campaign: Campaign) -> list[tuple[str, int]]:
    """The states in which closings failed, with how many each."""
    lost = CampaignMember.objects.filter(campaign=campaign).standing().filter(standing=MemberState.FAILED)
    counted = lost.values("ticket__state").annotate(n=Count("pk")).order_by("-n", "ticket__state")
    return [(row["ticket__state"], row["n"]) for row in counted]


def reason_label(code: str) -> str:
    return str(ExclusionReason(code).label) if code in ExclusionReason.values else code


def opened_today(campaign: Campaign, *, now: datetime) -> int:
    opened = CampaignMember.objects.filter(campaign=campaign, entry=Entry.OPENED)
    return opened.filter(opened_at__gte=day_began(moment=now)).count()


def guard_rails(campaign: Campaign) -> list[Reading]:
    """Each guard-rail's failures among the cases that can show one, in one statement.

    Unbinding: tickets with a dead task among those that began; notices: tickets whose notice of closing
    ran out on a channel and has not arrived on another, among those decided; complaints: opened members
    whose customer has complained since, of whatever about this account or ticket, and stood by it.
    """
    opened = CampaignMember.objects.filter(campaign=campaign, entry=Entry.OPENED)
    dead = UnbindTask.objects.filter(ticket=OuterRef("ticket"), state=UnbindTask.State.DEAD)
    lost = Notice.objects.filter(
        ticket=OuterRef("ticket"),
        kind=NoticeKind.NOTICE_OF_CLOSING,
        courtesy=False,
        state__in=(Notice.State.FAILED, Notice.State.EXPIRED),
    )
    complained = Complaint.objects.filter(
        Q(ticket=OuterRef("ticket")) | Q(account=OuterRef("account")),
        registered_at__gte=OuterRef("opened_at"),
    ).exclude(state__in=NO_COMPLAINT)
    told = Q(ticket__notice_arrived_at__isnull=False) | Q(ticket__notice_waived_by__isnull=False)
    found = opened.aggregate(
        opened=Count("pk"),
        begun=Count("pk", filter=Q(ticket__unbinding_started_at__isnull=False)),
        decided=Count("pk", filter=Q(ticket__decided_by__isnull=False)),
        dead=Count("pk", filter=Exists(dead)),
        undelivered=Count(
            "pk", filter=Q(Exists(lost), ticket__state=ClosureTicket.State.NOTICE_PERIOD) & ~told
        ),
        complaints=Count("pk", filter=Exists(complained)),
    )
    bounds = (
        (Guard.UNBIND_FAILURES, "dead", "begun", campaign.max_unbind_failures),
        (Guard.UNDELIVERED, "undelivered", "decided", campaign.max_undelivered),
        (Guard.COMPLAINTS, "complaints", "opened", campaign.max_complaints),
    )
    return [
        Reading(
            guard=guard,
            failures=found[failed],
            sample=found[among],
            most=most,
            accepted=campaign.accepted.get(guard, 0),
        )
        for guard, failed, among, most in bounds
    ]


def tickets_to_call_off(campaign: Campaign) -> TicketQuerySet:
    """Tickets of the campaign whose unbinding has not begun: an abort cancels them."""
    State = ClosureTicket.State
    early = (*ClosureTicket.BEFORE_DECISION, State.NOTICE_PERIOD, State.SETTLING)
    return ClosureTicket.objects.filter(
        campaign_member__campaign=campaign, state__in=early, unbinding_started_at__isnull=True
    )
