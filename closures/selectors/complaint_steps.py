"""Whose move a complaint is and what comes next, in one sentence. Reads the complaint alone: no query.

What the page or the list knows beside it (an open wait, an extension asked for) is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as translate

from closures.models import Complaint, ComplaintExtension, ComplaintPause
from closures.models import complaint_terms as terms
from closures.selectors.next_steps import Mover, NextStep

State = Complaint.State


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What stands beside a complaint: a wait for the complainant, an extension asked for and its level."""

    waiting: bool = False
    asked: str = ""


def next_step(complaint: Complaint, *, beside: Beside | None = None) -> NextStep:
    """Who moves next and what then happens; in the active language."""
    return STEPS[State(complaint.state)](complaint, beside or Beside())


def beside_many(complaints: Iterable[Complaint]) -> dict[int, Beside]:
    """What stands beside each complaint of a list, by pk. Two queries for all."""
    keys = [row.pk for row in complaints]
    waits = ComplaintPause.objects.filter(complaint__in=keys, ended_on__isnull=True)
    asked = ComplaintExtension.objects.filter(complaint__in=keys, state=ComplaintExtension.State.ASKED)
    waiting = set(waits.values_list("complaint_id", flat=True))
    levels = dict(asked.values_list("complaint_id", "level"))
    return {key: Beside(waiting=key in waiting, asked=levels.get(key, "")) for key in keys}


def _received(complaint: Complaint, beside: Beside) -> NextStep:
    text = translate(
        "Somebody without a part in it checks whether it is ours; he accepts it or says why not."
    )
    return NextStep(mover=Mover.AGENT, sentence=text)


def _registered(complaint: Complaint, beside: Beside) -> NextStep:
    text = translate("An agent begins the investigation; decided by %(day)s.")
    return NextStep(mover=Mover.AGENT, sentence=text % {"day": complaint.due_on})


def _investigating(complaint: Complaint, beside: Beside) -> NextStep:
    if beside.asked:
        mover = Mover.LEAD if beside.asked == ComplaintExtension.Level.SPECIAL else Mover.REVIEWER
        text = translate("An extension is asked for; it is approved before %(day)s or not at all.")
        return NextStep(mover=mover, sentence=text % {"day": complaint.due_on})
    if complaint.kind == Complaint.Kind.BUREAU_DISPUTE and complaint.marked_on is None:
        text = translate("The record at the credit bureau is marked as disputed; then it is verified.")
        return NextStep(mover=Mover.AGENT, sentence=text)
    if beside.waiting:
        text = translate("The complainant was asked. The statutory date, %(day)s, does not wait for him.")
        return NextStep(mover=Mover.CUSTOMER, sentence=text % {"day": complaint.due_on})
    text = translate("Somebody who does not handle it decides by %(day)s.")
    return NextStep(mover=Mover.REVIEWER, sentence=text % {"day": complaint.due_on})


def _decided(complaint: Complaint, beside: Beside) -> NextStep:
    text = translate("The complainant gets his written reply.")
    return NextStep(mover=Mover.AGENT, sentence=text)


def _replied(complaint: Complaint, beside: Beside) -> NextStep:
    upheld = complaint.final_outcome in terms.UPHELD
    if upheld and complaint.remedy == Complaint.Remedy.REVERSAL:
        text = translate("The closing is reversed by two people without a part in it; then this is closed.")
        return NextStep(mover=Mover.LEAD, sentence=text)
    text = translate("It is closed once nothing is left to do; a review may be requested until %(day)s.")
    return NextStep(mover=Mover.AGENT, sentence=text % {"day": complaint.review_until or "?"})


def _review(complaint: Complaint, beside: Beside) -> NextStep:
    text = translate("Somebody who neither handled nor decided it decides the review by %(day)s.")
    return NextStep(mover=Mover.REVIEWER, sentence=text % {"day": complaint.review_due_on or "?"})


def _reviewed(complaint: Complaint, beside: Beside) -> NextStep:
    text = translate("The review has been told; the complaint is closed once nothing is left to do.")
    return NextStep(mover=Mover.AGENT, sentence=text)


def _ended(complaint: Complaint, beside: Beside) -> NextStep:
    texts: dict[str, Any] = {
        State.OUT_OF_SCOPE: translate("It was not ours to handle; the complainant was told why."),
        State.WITHDRAWN: translate("Taken back by the complainant; nothing is left to do."),
        State.MERGED: translate("It goes on as part of another complaint."),
        State.CLOSED: translate("Closed; nothing is left to do unless a review is requested in time."),
    }
    return NextStep(mover=Mover.NOBODY, sentence=texts[complaint.state])


STEPS: dict[State, Callable[[Complaint, Beside], NextStep]] = {
    State.RECEIVED: _received,
    State.REGISTERED: _registered,
    State.INVESTIGATING: _investigating,
    State.DECIDED: _decided,
    State.REPLIED: _replied,
    State.REVIEW_REQUESTED: _review,
    State.REVIEWED: _reviewed,
    State.CLOSED: _ended,
    State.OUT_OF_SCOPE: _ended,
    State.WITHDRAWN: _ended,
    State.MERGED: _ended,
}
