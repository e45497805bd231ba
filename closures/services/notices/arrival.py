"""That a notice has arrived: a letter's proof entered by a person, receipts, and what arrival begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.tracking import NotPermitted, move, save_as
from closures import jobs
from closures.errors import ClosureError
from closures.jobs import Job
from closures.models import ClosureTicket, Notice
from closures.models.notices import NoticeChannel, NoticeKind
from closures.selectors import letters

PROVES = "closures.enter_letter_proof"


class NotALetter(ClosureError):
    code = "not_a_letter"
    template = _("Only a registered letter is proved by hand; other channels give their own receipts.")


class ProofMissing(ClosureError):
    code = "proof_missing"
    template = _("Enter the tracking number of the letter.")


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A letter to print and post: whose, and what it says. Never stored in the open."""

    customer_no: str
    subject: str
    text: str


@decision
def print_letter(*, notice_id: int, actor: Actor, now: datetime) -> Letter:
    """The letter is there to be printed and posted; history says who had it. Asking again records again.

    Raises: NotPermitted, NotALetter.
    """
    if actor.kind is not ActorKind.STAFF or not (actor.user and actor.user.has_perm(PROVES)):
        raise NotPermitted(move=_("Print the letter"))
    notice = Notice.objects.select_for_update(of=("self",)).select_related("customer").get(pk=notice_id)
    if notice.channel != NoticeChannel.LETTER:
        raise NotALetter
    subject, text = letters.opened(notice)
    save_as(notice, actor=actor, reason="the letter was printed", now=now)
    return Letter(customer_no=notice.customer.customer_no, subject=subject, text=text)


@decision
def prove_arrival(*, notice_id: int, proof: str, actor: Actor, now: datetime) -> Notice:
    """A registered letter has arrived: a person has seen its tracking proof.

    Raises: ProofMissing, NotALetter, NotPermitted, NotPossible (not on its way).
    """
    if not proof.strip():
        raise ProofMissing
    ticket_id = Notice.objects.values_list("ticket_id", flat=True).get(pk=notice_id)
    ticket = locked(ticket_id)
    notice = Notice.objects.select_for_update(of=("self",)).get(pk=notice_id)
    if notice.channel != NoticeChannel.LETTER:
        raise NotALetter
    notice.release(due_at=None)
    move(
        notice, "prove_arrival", actor=actor, reason="letter", now=now, delivered_at=now, proof=proof.strip()
    )
    if ticket is not None:
        arrived(ticket, notice, actor=actor, now=now)
    return notice


def hear_receipt(*, key: str, delivered: bool, now: datetime) -> bool:
    """A verified callback says what became of a message; returns whether a notice of ours has that key.

    It only makes the next look happen now: the receipt itself is read from the provider. Safe out of order.
    """
    found = Notice.objects.filter(key=key)
    found.filter(state__in=[Notice.State.SENT, Notice.State.UNKNOWN]).update(due_at=now)
    jobs.enqueue(Job.DELIVER_NOTICES)
    return found.exists()


def arrived(ticket: ClosureTicket, notice: Notice, *, actor: Actor, now: datetime) -> None:
    """The notice of closing has reached the customer: its lead time begins. Source: 民法典 565, 137."""
    waiting = ticket.state == ClosureTicket.State.NOTICE_PERIOD and not ticket.is_customers_own
    if notice.kind != NoticeKind.NOTICE_OF_CLOSING or not waiting or ticket.notice_arrived_at is not None:
        return
    if not is_newest_round(notice):
        return  # it told of an approval that is void; what it said is not what will happen
    ticket.notice_arrived_at = now
    ticket.period_ends_at = now + timedelta(seconds=ticket.policy["notice_lead_seconds"])
    save_as(ticket, actor=actor, reason="the notice of closing arrived", now=now)


def is_newest_round(notice: Notice) -> bool:
    """Nothing newer of the kind has been said about the same case since."""
    newer = Notice.objects.filter(about=notice.about, kind=notice.kind, round__gt=notice.round)
    return not newer.exists()


def locked(ticket_id: int | None) -> ClosureTicket | None:
    """The ticket that the notice hangs on, locked; None where it hangs on none."""
    if ticket_id is None:
        return None
    return ClosureTicket.objects.select_for_update(of=("self",)).get(pk=ticket_id)
