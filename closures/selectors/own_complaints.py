"""A complaint in the customer's words: where it stands, by when he is answered, what he may do himself.

For the status page and the API. Nothing internal gets in here: no staff, no notes, no grounds, and no outcome
before he was told of it. Texts are in the active language.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from closures.models import ClosureTicket, Complaint, ComplaintText, Hold
from closures.rules.deadlines import china_date
from closures.selectors.complaint_letters import opened

State, Topic, Kind = Complaint.State, Complaint.Topic, ComplaintText.Kind
SHOWN = 10  # complaints of one ticket on its page
OWN_WORDS = 2000  # characters of his own words that are shown again

# What a customer may pick from, in his words.
TOPICS: dict[str, object] = {
    Topic.WRONG_CLOSING: _("This account must not be closed"),
    Topic.NOTICE_NOT_RECEIVED: _("I was not told about it"),
    Topic.REFUSED_CLOSING: _("You refused to close the account"),
    Topic.SLOW_CLOSING: _("It takes too long"),
    Topic.UNBINDING: _("A linked agreement was ended, or not ended"),
    Topic.FEES: _("Interest, fees or a payment"),
    Topic.CREDIT_RECORD: _("My credit report"),
    Topic.PRIVACY: _("My personal information"),
    Topic.SERVICE: _("How I was treated"),
    Topic.OTHER: _("Something else"),
}
HEADLINES: dict[str, object] = {
    State.RECEIVED: _("We have your complaint"),
    State.REGISTERED: _("Your complaint is accepted"),
    State.INVESTIGATING: _("Your complaint is being looked into"),
    State.OUT_OF_SCOPE: _("We cannot handle this complaint"),
    State.DECIDED: _("Your complaint is decided"),
    State.REPLIED: _("Your complaint is answered"),
    State.CLOSED: _("Your complaint is answered"),
    State.REVIEW_REQUESTED: _("Your complaint is being reviewed"),
    State.REVIEWED: _("The review is decided"),
    State.WITHDRAWN: _("You have withdrawn this complaint"),
    State.MERGED: _("It goes on as part of another complaint of yours"),
}
SAID: dict[str, object] = {
    Kind.COMPLAINT: _("Your complaint"),
    Kind.NEW_FACTS: _("What you added"),
    Kind.QUESTION: _("Our question to you"),
    Kind.ANSWER: _("Your answer"),
    Kind.REPLY: _("Our answer"),
    Kind.REVIEW_REQUEST: _("Why you asked for a review"),
    Kind.REVIEW_DECISION: _("The review's decision"),
}
OURS = (Kind.QUESTION, Kind.REPLY, Kind.REVIEW_DECISION)


@dataclass(frozen=True, kw_only=True)
class OwnComplaint:
    number: str
    ticket: str
    topic: str
    state: str
    headline: str
    sentence: str
    received_on: str
    due_on: str  # by when the next answer is due; empty when none is
    holds_closing: bool
    outcome: str  # empty until he was told
    outcome_label: str
    review_until: str  # empty when a review cannot be asked for
    may_withdraw: bool


@dataclass(frozen=True, kw_only=True)
class Said:
    """One text that the customer wrote or was sent, as it was typed."""

    title: str
    at: datetime
    text: str
    ours: bool
    shortened: bool


def about_ticket(ticket: ClosureTicket, *, now: datetime) -> tuple[OwnComplaint, ...]:
    """The customer's newest complaints about this closing, newest first. One query."""
    return tuple(shown(row, now=now) for row in of_ticket(ticket).order_by("-pk")[:SHOWN])


def of_ticket(ticket: ClosureTicket) -> QuerySet[Complaint]:
    rows = Complaint.objects.filter(ticket=ticket, customer=ticket.account.customer_id)
    return rows.select_related("ticket", "hold", "merged_into")


def named(*, number: str, customer_no: str, account_no: str) -> Complaint | None:
    """The complaint, if it is that customer's and about that account, or about none while it is his."""
    about = Q(account__account_no=account_no) | Q(account=None, customer__accounts__account_no=account_no)
    rows = Complaint.objects.filter(about, number=number, customer__customer_no=customer_no)
    return rows.select_related("ticket", "hold", "merged_into").first()


def shown(complaint: Complaint, *, now: datetime) -> OwnComplaint:
    """The complaint as its customer may see it. No query if ticket, hold and merged_into are selected."""
    told = complaint.replied_at is not None and complaint.final_outcome
    hold, ticket, state = complaint.hold, complaint.ticket, State(complaint.state)
    return OwnComplaint(
        number=complaint.number,
        ticket=ticket.number if ticket else "",
        topic=str(TOPICS.get(complaint.topic, complaint.get_topic_display())),
        state=complaint.state,
        headline=str(HEADLINES[state]),
        sentence=SENTENCES[state](complaint, now),
        received_on=complaint.received_on.isoformat(),
        due_on=_iso(_due_on(complaint)),
        holds_closing=hold is not None and hold.state == Hold.State.OPEN,
        outcome=complaint.final_outcome if told else "",
        outcome_label=str(Complaint.Outcome(complaint.final_outcome).label) if told else "",
        review_until=_iso(complaint.review_until) if may_ask_review(complaint, now=now) else "",
        may_withdraw=complaint.is_undecided,
    )


def may_ask_review(complaint: Complaint, *, now: datetime) -> bool:
    """Answered, not reviewed yet, and in time. Source: 投诉办法 (FACTS L13)."""
    if complaint.state not in (State.REPLIED, State.CLOSED) or complaint.review_requested_on is not None:
        return False
    return complaint.review_until is not None and china_date(moment=now) <= complaint.review_until


def texts_of(complaint: Complaint) -> list[Said]:
    """What he wrote and what he was sent, oldest first; his own words may be shortened. One query.

    Raises: pii.Unreadable.
    """
    rows = complaint.texts.filter(kind__in=ComplaintText.SHARED).order_by("pk")
    return [_said(row) for row in rows]


def _said(row: ComplaintText) -> Said:
    text, ours = opened(row), row.kind in OURS
    cut = not ours and len(text) > OWN_WORDS
    return Said(
        title=str(SAID[Kind(row.kind)]),
        at=row.written_at,
        text=f"{text[:OWN_WORDS]}…" if cut else text,
        ours=ours,
        shortened=cut,
    )


def _due_on(complaint: Complaint) -> date | None:
    if complaint.state == State.REVIEW_REQUESTED:
        return complaint.review_due_on
    return complaint.due_on if complaint.is_undecided else None


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


# --- Sentences ----------------------------------------------------------------------------------------


def _received(complaint: Complaint, now: datetime) -> str:
    text = translate(
        "First we check whether it is ours to handle, and tell you either way. It is decided by %(day)s at "
        "the latest; if more time is needed we tell you before that day."
    )
    return text % {"day": complaint.due_on}


def _worked_on(complaint: Complaint, now: datetime) -> str:
    text = translate(
        "Somebody who had no part in your case looks into it. It is decided by %(day)s at the latest; if "
        "more time is needed we tell you before that day."
    )
    return text % {"day": complaint.due_on}


def _out_of_scope(complaint: Complaint, now: datetime) -> str:
    text = translate("The reason: %(reason)s. If you see it differently, you may call 12378.")
    return text % {"reason": complaint.get_scope_reason_display()}


def _decided(complaint: Complaint, now: datetime) -> str:
    return translate("The written answer comes next; you will be told, and can read it here.")


def _answered(complaint: Complaint, now: datetime) -> str:
    if may_ask_review(complaint, now=now):
        text = translate("You have our written answer. Until %(day)s you may ask for a review.")
        return text % {"day": complaint.review_until}
    if complaint.review_outcome:
        return _reviewed(complaint, now)
    return translate("You have our written answer. Mediation, 12378 and the courts stay open to you.")


def _in_review(complaint: Complaint, now: datetime) -> str:
    text = translate("Somebody who neither handled nor decided it looks at it once more, by %(day)s.")
    return text % {"day": complaint.review_due_on}


def _reviewed(complaint: Complaint, now: datetime) -> str:
    return translate("What the review decided stands. Mediation, 12378 and the courts stay open to you.")


def _withdrawn(complaint: Complaint, now: datetime) -> str:
    return translate("Nothing more is done about it. You may complain again at any time.")


def _merged(complaint: Complaint, now: datetime) -> str:
    other = complaint.merged_into
    text = translate("Ask for complaint %(number)s; the earlier of the two dates counts.")
    return text % {"number": other.number if other else ""}


SENTENCES: dict[str, Callable[[Complaint, datetime], str]] = {
    State.RECEIVED: _received,
    State.REGISTERED: _worked_on,
    State.INVESTIGATING: _worked_on,
    State.OUT_OF_SCOPE: _out_of_scope,
    State.DECIDED: _decided,
    State.REPLIED: _answered,
    State.CLOSED: _answered,
    State.REVIEW_REQUESTED: _in_review,
    State.REVIEWED: _reviewed,
    State.WITHDRAWN: _withdrawn,
    State.MERGED: _merged,
}
