"""Why something is stuck: in one sentence what it waits for, since when, whose move it is, what comes next.

For any ticket, task, complaint, reversal or item of later money by its number or key; the same words on its
page and by `manage.py why`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as translate

from accounts.models import User
from closures.models import ClosureTicket, Complaint, PostClosureItem, Reversal, UnbindTask
from closures.selectors import after_closing, casefile, complaint_steps, reasons
from closures.selectors.next_steps import MOVERS, Mover, moment, next_step

Task = UnbindTask.State


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What a case waits for. `until` is when the machine looks again by itself, where it does."""

    number: str
    state: str
    since: datetime
    whose: str
    sentence: str
    until: datetime | None = None
    over: bool = False  # it has ended; it waits for nothing

    def __str__(self) -> str:
        said = {
            "number": self.number,
            "state": self.state,
            "since": moment(self.since),
            "whose": self.whose,
            "sentence": self.sentence,
        }
        text = translate("%(number)s is %(state)s since %(since)s. Next, %(whose)s: %(sentence)s") % said
        if self.until is None:
            return text
        return text + " " + translate("The system looks again at %(until)s.") % {"until": moment(self.until)}


def why(number: str, *, user: User | None = None) -> Waiting | None:
    """What the case of this number waits for; None if there is none. At most eight queries.

    Without a user, as for one who may not know of silent holds.
    """
    number = number.strip()
    ticket = ClosureTicket.objects.select_related("account").filter(number=number).first()
    if ticket is not None:
        return of_ticket(ticket, user=user)
    for find in (_a_task, _a_complaint, _a_reversal, _an_item):
        if (waiting := find(number)) is not None:
            return waiting
    return None


def of_ticket(ticket: ClosureTicket, *, user: User | None = None) -> Waiting:
    """A ticket; what its reader may not know is not said."""
    around = casefile.around_many([ticket], user=user or User())[ticket.pk]
    step = next_step(ticket, around=around)
    machine = step.mover is Mover.MACHINE and ticket.is_open
    return Waiting(
        number=ticket.number,
        state=ticket.get_state_display(),
        since=ticket.state_since,
        whose=step.whose,
        sentence=step.sentence,
        until=ticket.due_at if machine else None,
        over=not ticket.is_open,
    )


def of_task(task: UnbindTask) -> Waiting:
    """An unbinding task, with the reason it gave up for where it has."""
    mover, sentence = _of_task(task)
    return Waiting(
        number=task.key,
        state=task.get_state_display(),
        since=task.state_since,
        whose=str(MOVERS[mover]),
        sentence=sentence,
        until=task.due_at if task.state in UnbindTask.MACHINE else None,
        over=task.state in (*UnbindTask.DONE, Task.CANCELLED),
    )


def of_complaint(complaint: Complaint) -> Waiting:
    """A complaint at the desk. Two queries."""
    step = complaint_steps.next_step(complaint, beside=complaint_steps.beside_many([complaint])[complaint.pk])
    return Waiting(
        number=complaint.number,
        state=complaint.get_state_display(),
        since=complaint.state_since,
        whose=step.whose,
        sentence=step.sentence,
        over=step.mover is Mover.NOBODY,
    )


def _a_task(number: str) -> Waiting | None:
    task = UnbindTask.objects.select_related("ticket", "agreement").filter(key=number).first()
    return of_task(task) if task is not None else None


def _a_complaint(number: str) -> Waiting | None:
    complaint = Complaint.objects.filter(number=number).first()
    return of_complaint(complaint) if complaint is not None else None


def _a_reversal(number: str) -> Waiting | None:
    reversal = Reversal.objects.filter(number=number).first()
    return _after(reversal, after_closing.reversal_next(reversal)) if reversal is not None else None


def _an_item(number: str) -> Waiting | None:
    item = PostClosureItem.objects.select_related("command").filter(number=number).first()
    return _after(item, after_closing.money_next(item)) if item is not None else None


def _after(row: Any, comes_next: str) -> Waiting:
    """What came after a closing: its own sentence begins with whose move it is."""
    whose, _colon, sentence = comes_next.replace("：", ": ", 1).partition(": ")
    return Waiting(
        number=row.number,
        state=row.get_state_display(),
        since=row.state_since,
        whose=whose,
        sentence=sentence.strip(),
    )


def _of_task(task: UnbindTask) -> tuple[Mover, str]:
    said: dict[str, Any] = {
        "partner": task.agreement.partner,
        "reason": reasons.code(task.reason_code) or "—",
        "attempts": task.attempts,
    }
    match task.state:
        case Task.PENDING if task.ticket.state != ClosureTicket.State.UNBINDING:
            return Mover.MACHINE, translate("its ticket is not being unbound now; nothing is sent meanwhile.")
        case Task.PENDING if task.attempts:
            text = translate("%(partner)s could not be reached or had not done it; it is told again.")
            return Mover.MACHINE, text % said
        case Task.PENDING:
            return Mover.MACHINE, translate(
                "%(partner)s is asked for the status, then told to end it."
            ) % said
        case Task.SENDING:
            return Mover.MACHINE, translate("a call to %(partner)s is under way.") % said
        case Task.CONFIRMING:
            text = translate("%(partner)s has accepted; only its own status will prove that it is ended.")
            return Mover.MACHINE, text % said
        case Task.UNKNOWN:
            text = translate("%(partner)s gave no clear answer; it is asked until the truth is known.")
            return Mover.MACHINE, text % said
        case Task.DEAD if task.waiver_asked_by_id:
            return Mover.LEAD, translate("a waiver was asked for; a second person agrees or does not.")
        case Task.DEAD:
            text = translate("given up (%(reason)s); try again, take over by hand, or ask for a waiver.")
            return Mover.OPERATOR, text % said
        case Task.MANUAL if task.evidence_by_id:
            return Mover.OPERATOR, translate("evidence was given; a second person confirms it.")
        case Task.MANUAL:
            return Mover.OPERATOR, translate(
                "%(partner)s has no interface; end it there and give evidence."
            ) % said
    return Mover.NOBODY, translate("nothing is left to do.")
