"""Complaints for tests, brought where they are by the services themselves."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.utils.timezone import make_aware

from accounts import pii
from accounts.actors import Actor
from closures.models import ClosureTicket, Complaint, ComplaintExtension, ComplaintText
from closures.services import complaints
from tests.stage import Stage

RECEIVED = make_aware(datetime(2026, 2, 2, 15, 0))  # a Monday; the law's clock makes it due on 2026-02-24
WORDS = "我没有申请关闭，请核实。"


def on(stage: Stage, day: str, hour: int = 10) -> None:
    """The stage's clock shows this day."""
    stage.clock.now = make_aware(datetime.combine(date.fromisoformat(day), datetime.min.time())).replace(
        hour=hour
    )


def lodge(stage: Stage, *, by: str | Actor = "agent2", **given: Any) -> Complaint:
    """A complaint about fees unless said otherwise, of a new customer unless one is named."""
    actor = by if isinstance(by, Actor) else stage.staff(by)
    if not {"customer_id", "account_id", "ticket_id"} & set(given):
        given["account_id"] = stage.account().pk
    given = {"kind": "COMPLAINT", "channel": "APP", "topic": "FEES", "text": WORDS, **given}
    return complaints.register(actor=actor, now=stage.now, **given)


def act(stage: Stage, complaint: Complaint, move: str, *, by: str | Actor = "agent2", **given: Any) -> Any:
    """One service call on the complaint by this person, on the stage's clock."""
    actor = by if isinstance(by, Actor) else stage.staff(by)
    return getattr(complaints, move)(complaint_id=complaint.pk, actor=actor, now=stage.now, **given)


def investigating(stage: Stage, **given: Any) -> Complaint:
    complaint = lodge(stage, **given)
    act(stage, complaint, "accept")
    return act(stage, complaint, "investigate")


def decided(stage: Stage, complaint: Complaint | None = None, **given: Any) -> Complaint:
    complaint = complaint or investigating(stage)
    if complaint.kind == "BUREAU_DISPUTE":
        act(stage, complaint, "answer_bureau_mark")
    return act(stage, complaint, "decide", by="lead2", **{"outcome": "NOT_UPHELD", "text": "已核实", **given})


def replied(stage: Stage, complaint: Complaint | None = None, **given: Any) -> Complaint:
    return act(stage, decided(stage, complaint, **given), "reply", text="经核查，答复如下。")


def upheld(stage: Stage, ticket: ClosureTicket) -> Complaint:
    """A complaint about this closing, upheld with its reversal as the remedy, and answered."""
    complaint = investigating(stage, topic="WRONG_CLOSING", ticket_id=ticket.pk)
    verdict = {"outcome": "UPHELD", "root_cause": "HUMAN_ERROR", "remedy": "REVERSAL"}
    return replied(stage, complaint, **verdict)


def extend(stage: Stage, complaint: Complaint, level: str = "COMPLEX", *, by: str = "") -> ComplaintExtension:
    asked = act(stage, complaint, "ask_extension", level=level, ground="需向合作方调取记录")
    approver = by or ("reviewer2" if level == "COMPLEX" else "lead2")
    return approve(stage, asked, by=approver)


def approve(stage: Stage, extension: ComplaintExtension, *, by: str) -> ComplaintExtension:
    return complaints.approve_extension(extension_id=extension.pk, actor=stage.staff(by), now=stage.now)


def fresh(complaint: Complaint) -> Complaint:
    return Complaint.objects.get(pk=complaint.pk)


def texts(complaint: Complaint, kind: str) -> list[str]:
    """What was written, opened, in its order."""
    rows = ComplaintText.objects.filter(complaint=complaint, kind=kind).order_by("pk")
    return [pii.reveal(row.text_sealed, subject=row.key, field="text") for row in rows]
