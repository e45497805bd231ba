"""The decision on a complaint, the written reply, and its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.tracking import move
from closures.errors import ClosureError
from closures.models import ClosureTicket, Complaint, ComplaintText, Hold, Reversal
from closures.models import complaint_terms as terms
from closures.models.complaints import DECIDE
from closures.models.notices import NoticeKind
from closures.rules.deadlines import china_date
from closures.selectors import canned, complaint_clocks
from closures.services.complaints import desk
from closures.services.complaints.extending import lapse_asked

NOTHING = Decimal("0.00")
REVIEW_REQUEST = "COMPLAINT_REVIEW_REQUEST"
Remedy = Complaint.Remedy


class HandlerDecides(ClosureError):
    code = "handler_decides"
    template = _("You handle complaint {number}; somebody else has to decide it.")


class CauseMissing(ClosureError):
    code = "cause_missing"
    template = _("A complaint that is upheld needs its root cause.")


class RemedyMissing(ClosureError):
    code = "remedy_missing"
    template = _("A wrong closing that is upheld needs a remedy: its reversal, or another one, described.")


class RemedyNotDescribed(ClosureError):
    code = "remedy_not_described"
    template = _("Describe the remedy: what is done, for whom, by when.")


class NothingToRemedy(ClosureError):
    code = "nothing_to_remedy"
    template = _("A complaint that is not upheld has no remedy, and money is paid only as a remedy.")


class NothingToReverse(ClosureError):
    code = "nothing_to_reverse"
    template = _("Complaint {number} is about no closed account, so there is nothing to reverse.")


class NotMarked(ClosureError):
    code = "not_marked"
    template = _("The record at the credit bureau is not marked as disputed yet; mark it first.")


class ClosingStillHeld(ClosureError):
    code = "closing_still_held"
    template = _(
        "Complaint {number} is upheld and still holds closing {ticket}. Cancel that closing, or let a "
        "reviewer lift the hold with a reason; then close the complaint."
    )


class ReversalMissing(ClosureError):
    code = "reversal_missing"
    template = _("Complaint {number} was upheld: closing {ticket} has to be reversed by two people first.")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a decision or its review says, as the row keeps it."""

    outcome: str
    root_cause: str
    remedy: str
    compensation: Decimal


@decision
def decide(
    *,
    complaint_id: int,
    outcome: str,
    text: str,
    actor: Actor,
    now: datetime,
    root_cause: str = "",
    remedy: str = Remedy.NONE,
    remedy_text: str = "",
    compensation: Decimal = NOTHING,
) -> Complaint:
    """The complaint is DECIDED by somebody who does not handle it; its grounds are sealed.

    Upheld means a root cause; an upheld wrong closing also a remedy: its REVERSAL, which the reversal
    service takes up, or another one, RECORDED with its description. A decision after its due date is
    possible, and shows as the breach it is (SPEC §8, 9).

    Raises: NotPermitted, Recused, HandlerDecides, NotPossible, CauseMissing, RemedyMissing,
    RemedyNotDescribed, NothingToRemedy, NothingToReverse, NotMarked, TextMissing, TextTooLong.
    """
    person = desk.staff(actor, DECIDE, move=_("Decide the complaint"))
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    if person.pk == complaint.handler_id:
        raise HandlerDecides(number=complaint.number)
    if complaint.kind == Complaint.Kind.BUREAU_DISPUTE and complaint.marked_on is None:
        raise NotMarked
    verdict = Verdict(outcome=outcome, root_cause=root_cause, remedy=remedy, compensation=compensation)
    check_verdict(complaint, verdict, remedy_text=remedy_text)
    move(
        complaint,
        "decide",
        actor=actor,
        reason="complaint decided",
        now=now,
        decided_by=person,
        decided_at=now,
        **asdict(verdict),
    )
    desk.keep(complaint, ComplaintText.Kind.DECISION, text, actor=actor, now=now)
    keep_remedy(complaint, remedy_text, actor=actor, now=now)
    lapse_asked(complaint, actor=actor, now=now)
    return complaint


@decision
def reply(*, complaint_id: int, text: str, actor: Actor, now: datetime) -> Complaint:
    """The complainant has his written answer, with the ways that are open to him.

    Fields in the text, as in a canned reply, are filled. A closing that was held goes on if the complaint
    was not upheld; if it was, it waits until somebody has dealt with it.

    Raises: NotPermitted, Recused, NotPossible, UnknownField, TextMissing, TextTooLong.
    Source: 投诉办法 (the answer names review, mediation, arbitration and lawsuit; FACTS L13).
    """
    person = desk.staff(actor)
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    counted = complaint_clocks.by_rule(REVIEW_REQUEST, started_on=china_date(moment=now))
    filled = canned.fill(desk.readable(text), complaint, now=now, review_until=counted.due_on.isoformat())
    move(
        complaint,
        "reply",
        actor=actor,
        reason="complaint answered",
        now=now,
        review_until=counted.due_on,
    )
    desk.keep(complaint, ComplaintText.Kind.REPLY, filled, actor=actor, now=now)
    if complaint.outcome not in terms.UPHELD:
        desk.free(complaint, actor=actor, now=now)
    desk.tell(complaint, NoticeKind.COMPLAINT_DECIDED, actor=actor, now=now)
    return complaint


@decision
def close(*, complaint_id: int, actor: Actor, now: datetime) -> Complaint:
    """Nothing is left to do. A review may still be requested in its time.

    Raises: NotPermitted, Recused, NotPossible, ClosingStillHeld, ReversalMissing.
    """
    person = desk.staff(actor)
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    if complaint.final_outcome in terms.UPHELD:
        _check_ticket(complaint)
    move(complaint, "close", actor=actor, reason="complaint closed", now=now)
    desk.free(complaint, actor=actor, now=now)
    return complaint


def check_verdict(complaint: Complaint, verdict: Verdict, *, remedy_text: str) -> None:
    """What an outcome needs beside itself; the same for a decision and for its review."""
    Complaint.Outcome(verdict.outcome), Remedy(verdict.remedy)  # anything else is a defect of the caller
    if verdict.outcome not in terms.UPHELD:
        if verdict.remedy != Remedy.NONE or verdict.compensation:
            raise NothingToRemedy
        return
    if not verdict.root_cause:
        raise CauseMissing
    if verdict.remedy == Remedy.NONE:
        if complaint.topic == Complaint.Topic.WRONG_CLOSING:
            raise RemedyMissing
        if verdict.compensation:
            raise NothingToRemedy
    elif verdict.remedy == Remedy.RECORDED and not remedy_text.strip():
        raise RemedyNotDescribed
    elif verdict.remedy == Remedy.REVERSAL:
        ticket = complaint.ticket
        if ticket is None or ticket.state != ClosureTicket.State.CLOSED:
            raise NothingToReverse(number=complaint.number)


def keep_remedy(complaint: Complaint, text: str, *, actor: Actor, now: datetime) -> None:
    if text.strip():
        desk.keep(complaint, ComplaintText.Kind.REMEDY, text, actor=actor, now=now)


def _check_ticket(complaint: Complaint) -> None:
    """An upheld complaint does not simply let go of the closing that it was right about."""
    held = Hold.objects.filter(
        complaints__in=desk.family(complaint.pk),
        state=Hold.State.OPEN,
        ticket__state__in=ClosureTicket.OPEN,
    )
    number = held.values_list("ticket__number", flat=True).first()
    if number is not None:
        raise ClosingStillHeld(number=complaint.number, ticket=number)
    if complaint.remedy != Remedy.REVERSAL or complaint.ticket is None:
        return
    granted = complaint.ticket.reversals.filter(state__in=Reversal.GRANTED)
    if not granted.exists():
        raise ReversalMissing(number=complaint.number, ticket=complaint.ticket.number)
