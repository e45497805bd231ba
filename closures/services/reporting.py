"""What the credit bureau is told about closed accounts: a file for each stretch of days, handed in by hand.

The bureau's interface is not public (FACTS §7), so no line leads there: a person downloads the file, hands it
in, and enters the receipt and later the answer. The file names accounts and customers by our numbers.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, Min, OuterRef, QuerySet
from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import User
from accounts.tracking import NotPermitted, move, save_as
from closures.errors import ClosureError, GroundMissing
from closures.models import BureauRecord, BureauReport, ClosureTicket
from closures.models.numbers import new_number
from closures.rules.deadlines import day_began

ACTOR = Actor.job("reporting")
COLUMNS = (
    "account_no",
    "customer_no",
    "lender",
    "product",
    "closed_on",
    "reason",
    "ticket",
    "certificate_no",
)
BOM = "\ufeff"  # without it a spreadsheet reads Chinese as something else
# A cell that begins like this is a formula to a spreadsheet. Source: PITFALLS, Security.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
REPORTED = (BureauReport.State.ACCEPTED, BureauReport.State.REJECTED)


class ReceiptMissing(ClosureError):
    code = "receipt_missing"
    template = _("Enter the number under which the bureau took the file.")


class FileChanged(ClosureError):
    code = "file_changed"
    template = _("The lines of report {number} no longer give its hash. Do not hand it in; report it.")


class _NothingNew(Exception):
    pass


def prepare(*, now: datetime) -> int:
    """Closings of days that are over and were not reported yet are in one new file; returns its lines.

    By set and bounded: what is too much for one file is in the next. Two at once: each closing is in one
    file only. Safe to repeat: then nothing is new.
    Source: the day after (T+1) is [GK] in FACTS §7; so is every day here, and the number of lines is ours.
    """
    try:
        with transaction.atomic():
            return _prepare(now=now).lines
    except _NothingNew:
        return 0


def _prepare(*, now: datetime) -> BureauReport:
    due = list(unreported(now=now)[: settings.BATCH_SIZE])
    if not due:
        raise _NothingNew
    days = [localdate(ticket.ended_at) for ticket in due]
    report = BureauReport(
        number=new_number(now, prefix="BR"), state_since=now, from_on=min(days), to_on=max(days)
    )
    save_as(report, actor=ACTOR, reason="closings not reported yet", now=now)
    _record(report, due)
    if not report.lines:
        raise _NothingNew
    return save_as(report, actor=ACTOR, reason="counted", now=now)


def unreported(*, now: datetime) -> QuerySet[ClosureTicket]:
    """Closed tickets of days before today that are in no file."""
    today = day_began(moment=now)
    told = BureauRecord.objects.filter(ticket=OuterRef("pk"), current=True)
    closed = ClosureTicket.objects.filter(state=ClosureTicket.State.CLOSED, ended_at__lt=today)
    related = ("account__customer", "account__product__lender")
    return closed.exclude(Exists(told)).select_related(*related).order_by("ended_at", "pk")


@decision
def submit(*, report_id: int, receipt_no: str, actor: Actor, now: datetime) -> BureauReport:
    """A person has handed the file in and has the bureau's receipt.

    Raises: NotPermitted, ReceiptMissing, FileChanged, NotPossible.
    """
    if not receipt_no.strip():
        raise ReceiptMissing
    report = _locked(report_id)
    content(report)
    return move(
        report,
        "submit",
        actor=actor,
        reason="handed in",
        now=now,
        receipt_no=receipt_no.strip(),
        submitted_by=_person(actor),
        submitted_at=now,
    )


@decision
def accept(*, report_id: int, actor: Actor, now: datetime) -> BureauReport:
    """The bureau took the file over. Raises: NotPermitted, NotPossible."""
    return move(_locked(report_id), "accept", actor=actor, reason="accepted by the bureau", now=now)


@decision
def reject(*, report_id: int, ground: str, actor: Actor, now: datetime) -> BureauReport:
    """The bureau sent the file back. Raises: NotPermitted, GroundMissing, NotPossible."""
    if not ground.strip():
        raise GroundMissing
    return move(_locked(report_id), "reject", actor=actor, reason=ground.strip(), now=now)


@decision
def correct(*, report_id: int, ground: str, actor: Actor, now: datetime) -> BureauReport:
    """A new version stands in for the file: the same closings as they are now, less those undone since.

    Raises: NotPermitted, GroundMissing, NotPossible (not answered yet, or corrected already).
    """
    if not ground.strip():
        raise GroundMissing
    old = _locked(report_id)
    move(old, "correct", actor=actor, reason=ground.strip(), now=now)
    tickets = ClosureTicket.objects.filter(bureau_records__report=old, state=ClosureTicket.State.CLOSED)
    related = ("account__customer", "account__product__lender")
    rows = list(tickets.select_related(*related).order_by("ended_at", "pk"))
    BureauRecord.objects.filter(report=old).update(current=False)
    report = BureauReport(
        number=new_number(now, prefix="BR"),
        version=old.version + 1,
        replaces=old,
        state_since=now,
        from_on=old.from_on,
        to_on=old.to_on,
    )
    save_as(report, actor=actor, reason=ground.strip(), now=now)
    _record(report, rows)
    return save_as(report, actor=actor, reason="counted", now=now)


# --- The file ---------------------------------------------------------------------------------------


def content(report: BureauReport) -> bytes:
    """The file as CSV, checked against the report's hash. Raises FileChanged."""
    made = as_csv(BureauRecord.objects.filter(report=report).order_by("pk").values_list("values", flat=True))
    if hashlib.sha256(made).hexdigest() != report.content_hash:
        raise FileChanged(number=report.number)
    return made


def line(ticket: ClosureTicket) -> dict[str, str]:
    """What the file says of one closing."""
    account = ticket.account
    return {
        "account_no": account.account_no,
        "customer_no": account.customer.customer_no,
        "lender": account.product.lender.legal_name,
        "product": account.product.code,
        "closed_on": localdate(ticket.ended_at).isoformat(),
        "reason": str(ticket.reason),
        "ticket": ticket.number,
        "certificate_no": ticket.certificate_no or "",
    }


def neutral(cell: str) -> str:
    """The cell as text to every spreadsheet: what begins like a formula gets an apostrophe in front."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _record(report: BureauReport, tickets: Iterable[ClosureTicket]) -> None:
    rows = [BureauRecord(report=report, ticket=ticket, values=line(ticket)) for ticket in tickets]
    BureauRecord.objects.bulk_create(rows, ignore_conflicts=True)  # another took some at the same moment
    records = BureauRecord.objects.filter(report=report)
    days = records.aggregate(
        first=Min("ticket__ended_at"),
        last=Max("ticket__ended_at"),
    )
    if days["first"]:
        report.from_on, report.to_on = localdate(days["first"]), localdate(days["last"])
    made = as_csv(records.order_by("pk").values_list("values", flat=True))
    report.lines, report.content_hash = records.count(), hashlib.sha256(made).hexdigest()


def as_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The file that these lines make, every cell text to every spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([neutral(str(row.get(column, ""))) for column in COLUMNS])
    return f"{BOM}{out.getvalue()}".encode()


def _locked(report_id: int) -> BureauReport:
    return BureauReport.objects.select_for_update(of=("self",)).get(pk=report_id)


def _person(actor: Actor) -> User:
    if actor.kind is not ActorKind.STAFF or actor.user is None:
        raise NotPermitted(move=_("Hand in a file"))
    return actor.user
