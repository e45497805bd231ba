"""A decision is looked at once more, by somebody who neither handled nor decided the complaint (核查)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import User
from accounts.tracking import move
from closures.errors import ClosureError
from closures.models import ClosureTicket, Complaint, ComplaintText, Hold
from closures.models import complaint_terms as terms
from closures.models.complaints import DECIDE
from closures.models.notices import NoticeKind
from closures.rules.deadlines import china_date
from closures.selectors import complaint_clocks
from closures.services.complaints import desk
from closures.services.complaints.deciding import NOTHING, Remedy, Verdict, check_verdict, keep_remedy

REVIEW_DECISION = "COMPLAINT_REVIEW_DECISION"


class ReviewTooLate(ClosureError):
    code = "review_too_late"
    template = _("A review of complaint {number} could be requested until {day}.")


class ReviewedBefore(ClosureError):
    code = "reviewed_before"
    template = _("Complaint {number} has had its review; mediation, 12378 and the courts stay open.")


class SameHands(ClosureError):
    code = "same_hands"
    template = _("You handled or decided complaint {number}; somebody else has to review it.")


@decision
def request_review(*, complaint_id: int, text: str, actor: Actor, now: datetime) -> Complaint:
    """The complainant asks for a review, in time; its own clock starts, and a disputed closing waits again.

    Raises: NotPermitted, NotTheirComplaint, NotPossible, ReviewedBefore, ReviewTooLate, TextMissing.
    Source: 投诉办法 (FACTS L13: within 30 days, decided within 30 days).
    """
    complaint = desk.locked(complaint_id)
    desk.own(complaint, actor)
    if actor.kind is not ActorKind.CUSTOMER:
        desk.staff(actor)
    desk.in_states(complaint, *REVIEWABLE, Complaint.State.REVIEWED, move=_("Take the request for a review"))
    if complaint.review_requested_on is not None:
        raise ReviewedBefore(number=complaint.number)
    today = china_date(moment=now)
    if complaint.review_until is None or today > complaint.review_until:
        raise ReviewTooLate(number=complaint.number, day=complaint.review_until)
    counted = complaint_clocks.by_rule(REVIEW_DECISION, started_on=today)
    _hold_again(complaint, actor=actor, now=now)
    move(
        complaint,
        "request_review",
        actor=actor,
        reason="review requested",
        now=now,
        review_requested_on=today,
        review_due_on=counted.due_on,
        review_rule=counted.rule,
        review_calendar=counted.calendar,
    )
    desk.keep(complaint, ComplaintText.Kind.REVIEW_REQUEST, text, actor=actor, now=now)
    return complaint


REVIEWABLE = (Complaint.State.REPLIED, Complaint.State.CLOSED)


@decision
def decide_review(
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
    """What stands from now on is the review's outcome, its cause and its remedy; the complainant is told.

    Raises: NotPermitted, Recused, SameHands, NotPossible, and what `decide` says of an outcome.
    """
    person = desk.staff(actor, DECIDE, move=_("Decide the review"))
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    if _had_a_hand(complaint, person):
        raise SameHands(number=complaint.number)
    verdict = Verdict(outcome=outcome, root_cause=root_cause, remedy=remedy, compensation=compensation)
    check_verdict(complaint, verdict, remedy_text=remedy_text)
    move(
        complaint,
        "decide_review",
        actor=actor,
        reason="review decided",
        now=now,
        reviewed_by=person,
        **asdict(verdict),
    )
    desk.keep(complaint, ComplaintText.Kind.REVIEW_DECISION, text, actor=actor, now=now)
    keep_remedy(complaint, remedy_text, actor=actor, now=now)
    if complaint.review_outcome not in terms.UPHELD:
        desk.free(complaint, actor=actor, now=now)
    desk.tell(complaint, NoticeKind.COMPLAINT_DECIDED, actor=actor, now=now)
    return complaint


def _hold_again(complaint: Complaint, *, actor: Actor, now: datetime) -> None:
    ticket = complaint.ticket
    if ticket is None or not complaint.disputes_closing or ticket.state not in ClosureTicket.OPEN:
        return
    standing = complaint.hold
    if standing is None or standing.state != Hold.State.OPEN:
        desk.hold(complaint, ticket, actor=actor, now=now)


def _had_a_hand(complaint: Complaint, person: User) -> bool:
    """Whoever decided it, or handled it at any time."""
    handled = Complaint.history.filter(id=complaint.pk, handler_id=person.pk)
    return person.pk == complaint.decided_by_id or handled.exists()
