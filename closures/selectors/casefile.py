"""What the page of one ticket shows beside its timeline: a bounded number of reads, shaped for the page.

Customers are masked here, and silent holds are left out for whoever lacks the right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch, Q
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from accounts.models import CreditAccount, PartnerAgreement, User
from accounts.selectors.identities import MaskedIdentity, identity_of
from closures.models import (
    Blocker,
    Campaign,
    CampaignMember,
    ClosureTicket,
    Hold,
    LedgerCommand,
    Notice,
    UnbindAttempt,
    UnbindTask,
)
from closures.selectors import facts, reasons, texts
from closures.selectors.next_steps import Around, NextStep, next_step
from closures.selectors.timeline import SEE_SILENT, Entry, of_ticket

EARLIER = 10  # tickets of the customer shown beside this one
ATTEMPTS = 5  # of each task; the task's own page has them all
MONTHS = 12

SEVERITY_ORDER = {severity: n for n, severity in enumerate(Blocker.Severity.values)}
STUCK = (UnbindTask.State.DEAD, UnbindTask.State.MANUAL)


@dataclass(frozen=True, kw_only=True)
class BlockerLine:
    row: Blocker
    label: str
    much: str  # ¥1,200.00, ×3, or nothing
    cure: str


@dataclass(frozen=True, kw_only=True)
class ArrearsMonth:
    month: str  # 2026-11
    delay: int  # months behind
    height: int  # of its bar, percent


@dataclass(frozen=True, kw_only=True)
class TaskLine:
    row: UnbindTask
    reason: str
    attempts: tuple[tuple[UnbindAttempt, str], ...]


@dataclass(frozen=True, kw_only=True)
class CaseFile:
    ticket: ClosureTicket
    step: NextStep
    identity: MaskedIdentity
    balances: tuple[tuple[Any, str, bool], ...]  # label, amount or count, whether there is any
    arrears: tuple[ArrearsMonth, ...]
    earlier: tuple[ClosureTicket, ...]
    blockers: tuple[BlockerLine, ...]
    cured: tuple[BlockerLine, ...]
    changes: tuple[str, ...]
    hidden_change: bool  # the approval is void for a reason this reader may not see
    holds: tuple[Hold, ...]
    notices: tuple[tuple[Notice, str], ...]
    tasks: tuple[TaskLine, ...]
    agreements: tuple[PartnerAgreement, ...]
    commands: tuple[tuple[LedgerCommand, str], ...]
    restrictions: tuple[Any, ...]
    end_codes: tuple[str, ...]
    timeline: tuple[Entry, ...]


def of_ticket_for(ticket: ClosureTicket, *, user: User) -> CaseFile:
    """Everything the page shows to `user`. At most fifteen queries, whatever the number of rows."""
    silent = user.has_perm(SEE_SILENT)
    account = ticket.account
    blockers = blocker_lines(ticket, silent=silent)
    holds = tuple(visible_holds(ticket.holds.select_related("owner"), silent=silent).order_by("-opened_at"))
    tasks = _tasks(ticket)
    commands = tuple(ticket.commands.order_by("-pk"))
    open_lines = tuple(line for line in blockers if line.row.cured_at is None)
    changes = [change for change in ticket.changes if silent or not change.get("silent")]
    touched = {task.row.agreement_id for task in tasks}
    return CaseFile(
        ticket=ticket,
        step=next_step(
            ticket,
            around=Around(
                blocks=any(line.row.severity == Blocker.Severity.BLOCK for line in open_lines),
                held=any(hold.state == Hold.State.OPEN for hold in holds),
                stuck=any(task.row.state in STUCK for task in tasks)
                or any(command.state == LedgerCommand.State.DEAD for command in commands),
                still=bool(paused((ticket,))),
            ),
        ),
        identity=identity_of(account.customer),
        balances=tuple(balances(account)),
        arrears=tuple(arrears(account)),
        earlier=tuple(
            ClosureTicket.objects.filter(account__customer=account.customer_id)
            .exclude(pk=ticket.pk)
            .select_related("account__product")
            .order_by("-requested_at")[:EARLIER]
        ),
        blockers=open_lines,
        cured=tuple(line for line in blockers if line.row.cured_at is not None),
        changes=tuple(change_text(change) for change in changes),
        hidden_change=bool(ticket.changes) and not changes,
        holds=holds,
        notices=tuple((row, reasons.code(row.reason_code)) for row in ticket.notices.order_by("-pk")),
        tasks=tasks,
        agreements=tuple(
            row
            for row in account.agreements.filter(state__in=facts.LIVE_AGREEMENT).order_by("pk")
            if row.pk not in touched
        ),
        commands=tuple((row, reasons.code(row.reason_code)) for row in commands),
        restrictions=tuple(account.restrictions.filter(lifted_at__isnull=True).order_by("since")),
        end_codes=tuple(reasons.code(code) for code in ticket.end_codes),
        timeline=tuple(of_ticket(ticket, user=user)),
    )


def around_many(tickets: Iterable[ClosureTicket], *, user: User) -> dict[int, Around]:
    """What stands around each ticket of a list, by pk, as `user` may know it. Five queries for all."""
    tickets, silent = list(tickets), user.has_perm(SEE_SILENT)
    still = paused(tickets)
    keys = [ticket.pk for ticket in tickets]
    holds = visible_holds(Hold.objects.filter(ticket__in=keys, state=Hold.State.OPEN), silent=silent)
    blocks = visible_blockers(
        Blocker.objects.filter(ticket__in=keys, cured_at__isnull=True, severity=Blocker.Severity.BLOCK),
        silent=silent,
    )
    tasks = UnbindTask.objects.filter(ticket__in=keys, state__in=STUCK)
    commands = LedgerCommand.objects.filter(ticket__in=keys, state=LedgerCommand.State.DEAD)
    held, blocked, stuck, dead = (
        set(rows.order_by().values_list("ticket_id", flat=True)) for rows in (holds, blocks, tasks, commands)
    )
    return {
        key: Around(
            blocks=key in blocked,
            held=key in held,
            stuck=key in stuck or key in dead,
            still=key in still,
        )
        for key in keys
    }


def paused(tickets: Iterable[ClosureTicket]) -> set[int]:
    """Those of the tickets whose campaign is paused, by pk; no query where none came by a campaign."""
    keys = [ticket.pk for ticket in tickets if ticket.channel == ClosureTicket.Channel.CAMPAIGN]
    if not keys:
        return set()
    members = CampaignMember.objects.filter(ticket__in=keys, campaign__state=Campaign.State.PAUSED)
    return {pk for pk in members.values_list("ticket_id", flat=True) if pk is not None}


def visible_holds(holds: Any, *, silent: bool) -> Any:
    """The holds a reader may know of."""
    return holds if silent else holds.exclude(kind__in=Hold.SILENT)


def visible_blockers(blockers: Any, *, silent: bool) -> Any:
    """The blockers a reader may know of: a silent hold's shows nowhere."""
    return blockers if silent else blockers.filter(Q(hold__isnull=True) | ~Q(hold__kind__in=Hold.SILENT))


def yuan(amount: Decimal) -> str:
    # Not left to the locale: in Chinese Django groups nothing, and ¥12000000.00 is misread.
    return f"¥{amount:,.2f}"


def balances(account: CreditAccount) -> Iterable[tuple[Any, str, bool]]:
    """What is owed either way, then the limit: label, text, and whether it is more than nothing."""
    for field in (*CreditAccount.OWED_MONEY, "credit_balance", *CreditAccount.OWED_COUNTS, "credit_limit"):
        value = getattr(account, field)
        text = str(value) if field in CreditAccount.OWED_COUNTS else yuan(value)
        column: Any = account._meta.get_field(field)
        yield column.verbose_name, text, bool(value)


def arrears(account: CreditAccount) -> Iterable[ArrearsMonth]:
    """Months of delay, oldest first, so that a row of bars reads like a calendar."""
    months = facts.arrears(account)[:MONTHS]
    newest = localtime(account.ledger_as_of).date()
    highest = max([*months, 3])
    for back in reversed(range(len(months))):
        yield ArrearsMonth(
            month=month_before(newest, back), delay=months[back], height=round(100 * months[back] / highest)
        )


def month_before(day: date, back: int) -> str:
    year, month = divmod(day.year * 12 + day.month - 1 - back, 12)
    return f"{year}-{month + 1:02}"


def blocker_lines(ticket: ClosureTicket, *, silent: bool) -> tuple[BlockerLine, ...]:
    """Every blocker of the ticket, gravest first, with its label and its cure. One query."""
    rows = visible_blockers(ticket.blockers.select_related("agreement", "hold"), silent=silent)
    lines = [
        BlockerLine(row=row, label=_blocker_label(row), much=_much(row), cure=texts.cure(row.cure))
        for row in rows
    ]
    return tuple(sorted(lines, key=lambda line: (SEVERITY_ORDER[line.row.severity], line.row.pk)))


def _much(row: Blocker) -> str:
    if row.amount is not None:
        return yuan(row.amount)
    return f"×{row.count}" if row.count is not None else ""


def _blocker_label(row: Blocker) -> str:
    about = ""
    if row.agreement is not None:
        about = str(row.agreement)
    elif row.hold is not None:
        about = str(row.hold.get_kind_display())
    return f"{row.get_code_display()} · {about}" if about else str(row.get_code_display())


def _tasks(ticket: ClosureTicket) -> tuple[TaskLine, ...]:
    newest = UnbindAttempt.objects.order_by("-pk")
    people = ("evidence_by", "confirmed_by", "waiver_asked_by", "waived_by")
    rows = (
        ticket.tasks.select_related("agreement", *people)
        .prefetch_related(Prefetch("tries", queryset=newest, to_attr="newest_tries"))
        .order_by("pk")
    )
    return tuple(
        TaskLine(
            row=row,
            reason=reasons.code(row.reason_code),
            attempts=tuple((one, reasons.heard(one.heard)) for one in row.newest_tries[:ATTEMPTS]),
        )
        for row in rows
    )


CHANGES = {
    "MORE_DEBT": _("more debt: %(before)s became %(after)s yuan"),
    "MORE_PENDING_ORDERS": _("more pending orders: %(before)s became %(after)s"),
    "NEW_AGREEMENT": _("a new agreement (%(what)s)"),
    "NEW_HOLD": _("a new hold"),
    "NEW_BLOCKER": _("a new blocker: %(what)s"),
}


def change_text(change: dict[str, Any]) -> str:
    """One difference between what was approved and what is there now, as a phrase."""
    values = {
        "before": change.get("before", "0"),
        "after": change.get("after", ""),
        "what": reasons.code(change.get("code") or ""),
    }
    return str(CHANGES[change["kind"]]) % values
