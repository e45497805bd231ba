"""The work that waits, list by list: bounded queries over open work, oldest or soonest first.

Each list reads at most `SHOWN` rows and counts no further than `CAP`; who sees which is decided by rights.
A worklist never names a silent hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import RefusedAction, Regulation, User
from closures.jobs import Job
from closures.models import (
    Campaign,
    ClosureTicket,
    Complaint,
    ComplaintExtension,
    DeletionRequest,
    DestructionList,
    InvariantCheck,
    Notice,
    PartnerCallback,
    PostClosureItem,
    Reversal,
    Sweep,
    UnbindTask,
    Webhook,
)
from closures.models.complaints import DECIDE as DECIDE_COMPLAINT
from closures.models.complaints import HANDLE as HANDLE_COMPLAINT
from closures.models.notices import NoticeChannel
from closures.models.tickets import Reason
from closures.selectors import after_closing, campaign_lists, keeping_lists, repair_lists, risk_lists
from closures.selectors import complaint_lists as complaints

SHOWN = 6
CAP = 99
# A tick that is this many intervals late has stopped, whatever the processes say (PITFALLS: liveness).
LATE_TICKS = 6

State = ClosureTicket.State
OWN = Q(reason=Reason.CUSTOMER_REQUEST)
TICKET = ("account__product", "account__customer", "requested_by")


@dataclass(frozen=True, kw_only=True)
class Worklist:
    """One list for one reader: the first rows, and how many there are up to CAP."""

    code: str
    rows: list[Any]
    count: int
    capped: bool = False
    # The list page's filters that show the same rows, where it has them.
    filters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of list: whom it is for, and which rows wait for him. `query(user, now)`."""

    code: str
    rights: tuple[str, ...]
    query: Callable[[Any, datetime], QuerySet[Any]]
    filters: dict[str, str] = field(default_factory=dict)


def not_mine(user: Any) -> Q:
    """Tickets that this person may decide: neither asked for nor edited last by him (SPEC §7)."""
    asked = Q(requested_by__isnull=True) | ~Q(requested_by=user)
    edited = Q(last_edited_by__isnull=True) | ~Q(last_edited_by=user)
    return asked & edited


def in_review(user: Any, *, own: bool) -> QuerySet[ClosureTicket]:
    waiting = ClosureTicket.objects.filter(not_mine(user), OWN if own else ~OWN, state=State.IN_REVIEW)
    return waiting.select_related(*TICKET).order_by("state_since", "pk")


def waivers_to_grant(user: Any, now: datetime) -> QuerySet[ClosureTicket]:
    asked = ClosureTicket.objects.filter(
        state=State.NOTICE_PERIOD, notice_waiver_asked_by__isnull=False, notice_waived_by__isnull=True
    )
    return asked.exclude(notice_waiver_asked_by=user).select_related(*TICKET).order_by("state_since", "pk")


def cancellations_to_agree(user: Any, now: datetime) -> QuerySet[ClosureTicket]:
    asked = ClosureTicket.objects.filter(
        state__in=(State.SETTLING, State.UNBINDING, State.CLOSING), cancel_asked_by__isnull=False
    )
    return asked.exclude(cancel_asked_by=user).select_related(*TICKET).order_by("state_since", "pk")


def undelivered(user: Any, now: datetime) -> QuerySet[ClosureTicket]:
    """Risk and policy closings whose notice has not arrived: nothing goes on until it has."""
    told = Q(notice_arrived_at__isnull=False) | Q(notice_waived_by__isnull=False)
    waiting = ClosureTicket.objects.filter(~OWN, ~told, state=State.NOTICE_PERIOD)
    return waiting.select_related(*TICKET).order_by("state_since", "pk")


def letters(user: Any, now: datetime) -> QuerySet[Notice]:
    """Registered letters on their way whose proof of arrival somebody has to enter."""
    sent = Notice.objects.filter(channel=NoticeChannel.LETTER, state=Notice.State.SENT)
    return sent.order_by("state_since", "pk")


def blocked(user: Any, now: datetime) -> QuerySet[ClosureTicket]:
    waiting = ClosureTicket.objects.filter(OWN, state=State.BLOCKED)
    return waiting.select_related(*TICKET).order_by("answer_due_on", "pk")


def unproved(user: Any, now: datetime) -> QuerySet[ClosureTicket]:
    waiting = ClosureTicket.objects.filter(
        OWN, state=State.SUBMITTED, identity_level=ClosureTicket.IdentityLevel.NONE
    )
    return waiting.select_related(*TICKET).order_by("answer_due_on", "pk")


def asked_by_me(user: Any, now: datetime) -> QuerySet[ClosureTicket]:
    mine = ClosureTicket.objects.filter(requested_by=user, state__in=ClosureTicket.OPEN)
    return mine.select_related(*TICKET).order_by("-pk")


def refusals(user: Any, now: datetime) -> QuerySet[RefusedAction]:
    return RefusedAction.objects.filter(at__gt=now - timedelta(days=7)).order_by("-at", "-pk")


def proposals(user: Any, now: datetime) -> QuerySet[Regulation]:
    waiting = Regulation.objects.filter(state=Regulation.State.PROPOSED).exclude(proposed_by=user)
    return waiting.order_by("valid_from", "pk")


def invited(user: Any, now: datetime) -> QuerySet[User]:
    return User.objects.filter(state=User.State.INVITED).order_by("pk")


def without_role(user: Any, now: datetime) -> QuerySet[User]:
    here = User.objects.filter(state__in=(User.State.INVITED, User.State.ACTIVE), is_superuser=False)
    return here.filter(~Exists(Group.objects.filter(user=OuterRef("pk")))).order_by("pk")


DECIDE, ADVERSE = "closures.decide_closure", "closures.decide_adverse_closure"
REQUEST, WAIVE = "closures.request_closure", "closures.waive"
REVIVE, STAFF = "closures.revive_task", "accounts.manage_staff"

KINDS = (
    Kind(
        code="OWN_REVIEW",
        rights=(DECIDE,),
        query=lambda user, now: in_review(user, own=True),
        filters={"state__exact": State.IN_REVIEW, "reason__exact": Reason.CUSTOMER_REQUEST},
    ),
    Kind(
        code="ADVERSE_REVIEW",
        rights=(ADVERSE,),
        query=lambda user, now: in_review(user, own=False),
        filters={"state__exact": State.IN_REVIEW},
    ),
    Kind(
        code="NOTICE_WAIVERS",
        rights=(WAIVE,),
        query=waivers_to_grant,
        filters={"state__exact": State.NOTICE_PERIOD},
    ),
    Kind(
        code="CANCELLATIONS",
        rights=("closures.cancel_closure",),
        query=cancellations_to_agree,
        filters={"state__exact": State.UNBINDING},
    ),
    Kind(
        code="UNDELIVERED",
        rights=(ADVERSE,),
        query=undelivered,
        filters={"state__exact": State.NOTICE_PERIOD},
    ),
    Kind(
        code="LETTERS",
        rights=("closures.enter_letter_proof",),
        query=letters,
        filters={"channel__exact": NoticeChannel.LETTER, "state__exact": Notice.State.SENT},
    ),
    Kind(
        code="REVERSALS",
        rights=("closures.approve_reversal",),
        query=after_closing.reversals_to_approve,
        filters={"state__exact": Reversal.State.PROPOSED},
    ),
    Kind(
        code="BUREAU_CORRECTIONS",
        rights=("closures.correct_bureau",),
        query=after_closing.bureau_corrections,
        filters={"bureau": "open"},
    ),
    Kind(
        code="LATER_MONEY",
        rights=("closures.settle_later_money",),
        query=after_closing.open_money,
        filters={"open": "yes"},
    ),
    Kind(
        code="WRITE_OFFS",
        rights=("closures.write_off_later_money",),
        query=after_closing.write_offs_to_grant,
        filters={"state__exact": PostClosureItem.State.RECEIVABLE},
    ),
    Kind(
        code="CAMPAIGNS_TO_APPROVE",
        rights=("closures.approve_campaign",),
        query=campaign_lists.to_approve,
        filters={"state__exact": Campaign.State.DRAFT},
    ),
    Kind(
        code="CAMPAIGNS_PAUSED",
        rights=("closures.pause_campaign",),
        query=campaign_lists.paused,
        filters={"state__exact": Campaign.State.PAUSED},
    ),
    Kind(
        code="MILESTONES_OVERDUE",
        rights=("closures.draft_campaign",),
        query=campaign_lists.overdue_milestones,
    ),
    Kind(code="TASK_WAIVERS", rights=(WAIVE,), query=repair_lists.task_waivers),
    Kind(code="PROPOSALS", rights=("accounts.edit_regulation",), query=proposals),
    Kind(
        code="DELETIONS",
        rights=("closures.answer_deletion",),
        query=keeping_lists.deletions,
        filters={"state__exact": DeletionRequest.State.RECEIVED},
    ),
    Kind(
        code="DESTRUCTION_DRAFTS",
        rights=("closures.propose_destruction",),
        query=keeping_lists.destruction_drafts,
        filters={"state__exact": DestructionList.State.DRAFT},
    ),
    Kind(
        code="DESTRUCTIONS",
        rights=("closures.approve_destruction",),
        query=keeping_lists.destructions_to_approve,
        filters={"state__exact": DestructionList.State.PROPOSED},
    ),
    Kind(code="BUREAU_FILES", rights=("closures.report_to_bureau",), query=keeping_lists.bureau_reports),
    Kind(
        code="BLOCKED",
        rights=(REQUEST,),
        query=blocked,
        filters={"state__exact": State.BLOCKED, "reason__exact": Reason.CUSTOMER_REQUEST},
    ),
    Kind(code="UNPROVED", rights=(REQUEST,), query=unproved, filters={"state__exact": State.SUBMITTED}),
    Kind(
        code="MY_REQUESTS",
        rights=(REQUEST, "closures.request_risk_closure", "closures.request_policy_closure"),
        query=asked_by_me,
    ),
    Kind(
        code="DEAD_TASKS",
        rights=(REVIVE,),
        query=repair_lists.stuck_tasks(UnbindTask.State.DEAD),
        filters={"state__exact": UnbindTask.State.DEAD},
    ),
    Kind(
        code="MANUAL_TASKS",
        rights=("closures.give_evidence",),
        query=repair_lists.stuck_tasks(UnbindTask.State.MANUAL),
        filters={"state__exact": UnbindTask.State.MANUAL},
    ),
    Kind(code="EVIDENCE", rights=("closures.confirm_evidence",), query=repair_lists.evidence_to_confirm),
    Kind(
        code="UNKNOWN_TASKS",
        rights=(REVIVE,),
        query=repair_lists.unknown_tasks,
    ),
    Kind(
        code="DEAD_COMMANDS",
        rights=(REVIVE,),
        query=repair_lists.dead_commands,
    ),
    Kind(
        code="DEAD_WEBHOOKS",
        rights=("closures.revive_webhook",),
        query=repair_lists.dead_webhooks,
        filters={"state__exact": Webhook.State.DEAD},
    ),
    Kind(
        code="ALARMS",
        rights=("closures.view_partnercallback",),
        query=repair_lists.alarms,
        filters={"outcome__exact": PartnerCallback.Outcome.ALARM},
    ),
    Kind(
        code="COMPLAINTS_TO_REGISTER",
        rights=(HANDLE_COMPLAINT,),
        query=complaints.to_accept,
        filters={"state__exact": Complaint.State.RECEIVED},
    ),
    Kind(
        code="COMPLAINTS_DUE",
        rights=(HANDLE_COMPLAINT, DECIDE_COMPLAINT),
        query=complaints.due,
        filters={"due": "soon"},
    ),
    Kind(
        code="COMPLAINTS_TO_DECIDE",
        rights=(DECIDE_COMPLAINT,),
        query=complaints.to_decide,
        filters={"state__exact": Complaint.State.INVESTIGATING},
    ),
    Kind(
        code="EXTENSIONS",
        rights=(DECIDE_COMPLAINT,),
        query=complaints.extensions_to_approve,
        filters={"state__exact": ComplaintExtension.State.ASKED},
    ),
    Kind(
        code="REVIEWS",
        rights=(DECIDE_COMPLAINT,),
        query=complaints.reviews_to_decide,
        filters={"state__exact": Complaint.State.REVIEW_REQUESTED},
    ),
    Kind(code="MY_COMPLAINTS", rights=(HANDLE_COMPLAINT,), query=complaints.mine),
    *(Kind(code=code, rights=who, query=rows, filters=where) for code, who, rows, where in risk_lists.LISTS),
    Kind(code="REFUSALS", rights=("accounts.view_refusedaction",), query=refusals),
    Kind(code="INVITED", rights=(STAFF,), query=invited, filters={"state__exact": User.State.INVITED}),
    Kind(code="WITHOUT_ROLE", rights=("accounts.manage_roles",), query=without_role),
)


def lists_for(user: Any, *, now: datetime) -> list[Worklist]:
    """Every worklist that this person's rights give him, in the order of the work; empty ones too."""
    return [
        read(kind, user=user, now=now) for kind in KINDS if any(user.has_perm(right) for right in kind.rights)
    ]


def read(kind: Kind, *, user: Any, now: datetime) -> Worklist:
    """One list: a query, and a second that counts only where there is more than is shown."""
    query = kind.query(user, now)
    rows = list(query[: SHOWN + 1])
    count = len(rows) if len(rows) <= SHOWN else query.order_by()[: CAP + 1].count()
    return Worklist(
        code=kind.code,
        rows=rows[:SHOWN],
        count=min(count, CAP),
        capped=count > CAP,
        filters={name: str(value) for name, value in kind.filters.items()},
    )


# --- The machine's pulse ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Whether the machine runs, and what it found out about itself."""

    ticked_at: datetime | None
    stopped: bool
    failing: list[Sweep]
    checks: list[InvariantCheck]

    @property
    def broken(self) -> list[InvariantCheck]:
        return [check for check in self.checks if check.violations]


def pulse(*, now: datetime) -> Pulse:
    """The last tick, sweeps that fail, and each invariant's newest result."""
    tick = Sweep.objects.filter(job=Job.TICK).first()
    ticked_at = tick.started_at if tick else None
    patience = timedelta(seconds=LATE_TICKS * settings.CELERY_BEAT_SCHEDULE["tick"]["schedule"])
    return Pulse(
        ticked_at=ticked_at,
        stopped=ticked_at is None or now - ticked_at > patience,
        failing=list(Sweep.objects.filter(failures__gt=0).order_by("job")[:SHOWN]),
        checks=newest_checks(),
    )


def newest_checks() -> list[InvariantCheck]:
    """The newest result of each invariant, among the last forty results."""
    newest: dict[int, InvariantCheck] = {}
    for check in InvariantCheck.objects.order_by("-checked_at", "-pk")[:40]:
        newest.setdefault(check.number, check)
    return [newest[number] for number in sorted(newest)]
