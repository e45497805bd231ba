"""A complaint comes in: it has a number and a due date at once, and a closing that it disputes waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import CreditAccount, Customer, User
from accounts.tracking import NotPermitted, move, save_as
from closures.errors import ClosureError, GroundMissing
from closures.models import ClosureTicket, Complaint, ComplaintText
from closures.models.notices import NoticeKind
from closures.models.numbers import new_number
from closures.rules.deadlines import china_date
from closures.selectors import complaint_clocks
from closures.services.complaints import desk

REGISTER = "closures.register_complaint"
COMPARED = 50  # of the newest complaints of one customer about one matter


class NotTheirCase(ClosureError):
    code = "not_their_case"
    template = _("This account or ticket is not this customer's.")


class NobodyComplains(ClosureError):
    code = "nobody_complains"
    template = _("Say which customer complains.")


class ReceivedLater(ClosureError):
    code = "received_later"
    template = _("A complaint cannot have been received on {day}, which is still to come.")


class ScopeReasonMissing(ClosureError):
    code = "scope_reason_missing"
    template = _("Say why the complaint is not ours to handle.")


@decision
def register(
    *,
    kind: str,
    channel: str,
    topic: str,
    text: str,
    actor: Actor,
    now: datetime,
    customer_id: int | None = None,
    account_id: int | None = None,
    ticket_id: int | None = None,
    regulator_number: str = "",
    regulator_deadline: date | None = None,
    about_staff: User | None = None,
    received_on: date | None = None,
) -> Complaint:
    """The complaint is RECEIVED: numbered, its clock running, its text sealed, the complainant told so.

    The clock starts on the China day of receipt (`received_on`, default today): a letter counts from the day
    it arrived, not from the day somebody typed it. A topic that disputes the closing, or a credit-bureau
    dispute, holds the open ticket it is about; where only the account is named that is its newest ticket.
    Not folded: each call is another complaint (see `merge`, and `complain`, which folds).

    Raises: NotPermitted, NotTheirComplaint, NotTheirCase, NobodyComplains, ReceivedLater, NoRegulation,
    TextMissing, TextTooLong. Source: 投诉办法 (FACTS L11); SPEC §6.
    """
    _may_register(actor)
    ticket, account, customer_id = _about(
        customer_id=customer_id, account_id=account_id, ticket_id=ticket_id, topic=topic, kind=kind
    )
    complaint = Complaint(
        customer_id=customer_id,
        account=account,
        ticket=ticket,
        kind=Complaint.Kind(kind),
        channel=Complaint.Channel(channel),
        topic=Complaint.Topic(topic),
        regulator_number=regulator_number.strip(),
        regulator_deadline=regulator_deadline,
        about_staff=about_staff,
        registered_by=actor.user,
    )
    _start_clock(complaint, received_on=received_on, now=now)
    return _take_in(complaint, text, actor=actor, now=now)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """The customer's complaint; `again` if these words had been taken in before."""

    complaint: Complaint
    again: bool


@decision
def complain(
    *,
    channel: str,
    topic: str,
    text: str,
    actor: Actor,
    now: datetime,
    account_id: int | None = None,
    ticket_id: int | None = None,
) -> Heard:
    """The customer himself complains, by his page or an app: RECEIVED as by `register`, today.

    Safe to repeat: the same words about the same matter are the complaint that is undecided already. Two
    calls at once wait for each other at the customer's row.

    Raises: NotPermitted, NotTheirCase, NoRegulation, TextMissing, TextTooLong.
    """
    if actor.kind is not ActorKind.CUSTOMER:
        raise NotPermitted(move=_("Register a complaint"))
    kind = Complaint.Kind.COMPLAINT
    ticket, account, customer_id = _about(
        customer_id=actor.customer_id, account_id=account_id, ticket_id=ticket_id, topic=topic, kind=kind
    )
    Customer.objects.select_for_update(of=("self",), no_key=True).get(pk=customer_id)
    complaint = Complaint(
        customer_id=customer_id,
        account=account,
        ticket=ticket,
        kind=kind,
        channel=Complaint.Channel(channel),
        topic=Complaint.Topic(topic),
    )
    earlier = _with_the_same_words(complaint, text)
    if earlier is not None:
        return Heard(complaint=earlier, again=True)
    _start_clock(complaint, received_on=None, now=now)
    return Heard(complaint=_take_in(complaint, text, actor=actor, now=now), again=False)


def _take_in(complaint: Complaint, text: str, *, actor: Actor, now: datetime) -> Complaint:
    """It is saved with its words, the closing that it disputes waits, and the complainant is told."""
    desk.own(complaint, actor)
    ticket = complaint.ticket
    if ticket is not None and ticket.is_open and complaint.disputes_closing:
        desk.hold(complaint, ticket, actor=actor, now=now)
    save_as(complaint, actor=actor, reason="complaint received", now=now)
    desk.keep(complaint, ComplaintText.Kind.COMPLAINT, text, actor=actor, now=now)
    desk.tell(complaint, NoticeKind.COMPLAINT_ACKNOWLEDGED, actor=actor, now=now)
    return complaint


def _with_the_same_words(draft: Complaint, text: str) -> Complaint | None:
    """An undecided complaint about the same, in these very words. Raises TextMissing, TextTooLong."""
    words = desk.readable(text)
    texts = ComplaintText.objects.filter(
        kind=ComplaintText.Kind.COMPLAINT,
        complaint__customer=draft.customer_id,
        complaint__account=draft.account_id,
        complaint__ticket=draft.ticket_id,
        complaint__kind=draft.kind,
        complaint__topic=draft.topic,
        complaint__state__in=Complaint.UNDECIDED,
    )
    for row in texts.select_related("complaint").order_by("-pk")[:COMPARED]:
        if pii.reveal(row.text_sealed, subject=row.key, field="text") == words:
            return row.complaint
    return None


def _start_clock(complaint: Complaint, *, received_on: date | None, now: datetime) -> None:
    """The new complaint has its number and its dates. Raises ReceivedLater, NoRegulation."""
    today = china_date(moment=now)
    received_on = received_on or today
    if received_on > today:
        raise ReceivedLater(day=received_on)
    counted = complaint_clocks.first_due(kind=complaint.kind, started_on=received_on)
    complaint.number = new_number(now, prefix="CP")
    complaint.state_since = complaint.registered_at = now
    complaint.received_on = complaint.clock_started_on = received_on
    complaint.due_on, complaint.due_rule = counted.due_on, counted.rule
    complaint.due_calendar = counted.calendar


@decision
def accept(*, complaint_id: int, actor: Actor, now: datetime) -> Complaint:
    """The scope check says: it is ours to handle.

    Raises: NotPermitted, Recused, NotPossible.
    """
    person = desk.staff(actor)
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    return move(complaint, "accept", actor=actor, reason="within our scope", now=now)  # type: ignore[no-any-return]


@decision
def declare_out_of_scope(
    *, complaint_id: int, scope_reason: str, ground: str, actor: Actor, now: datetime
) -> Complaint:
    """It is not ours to handle: it ends, its hold too, and the complainant is told why and where to go.

    Raises: NotPermitted, Recused, ScopeReasonMissing, GroundMissing, NotPossible.
    """
    person = desk.staff(actor)
    if not scope_reason:
        raise ScopeReasonMissing
    if not ground.strip():
        raise GroundMissing
    complaint = desk.locked(complaint_id)
    desk.recuse(complaint, person)
    reason = Complaint.ScopeReason(scope_reason)
    move(
        complaint,
        "declare_out_of_scope",
        actor=actor,
        reason=ground.strip(),
        now=now,
        scope_reason=reason,
    )
    desk.free(complaint, actor=actor, now=now)
    desk.tell(complaint, NoticeKind.COMPLAINT_DECIDED, actor=actor, now=now)
    return complaint


def _may_register(actor: Actor) -> None:
    if actor.kind is ActorKind.CUSTOMER:
        return
    desk.staff(actor, REGISTER, move=_("Register a complaint"))


def _about(
    *, customer_id: int | None, account_id: int | None, ticket_id: int | None, topic: str, kind: str
) -> tuple[ClosureTicket | None, CreditAccount | None, int]:
    """The ticket (locked), the account and the customer that fit together. Raises NotTheirCase."""
    accounts = CreditAccount.objects.select_related("product__lender")
    account = accounts.get(pk=account_id) if account_id else None
    ticket_id = ticket_id or _newest_ticket(account, topic=topic, kind=kind)
    ticket = None
    if ticket_id:
        ticket = ClosureTicket.objects.select_for_update(of=("self",)).get(pk=ticket_id)
        account = account or accounts.get(pk=ticket.account_id)
        if ticket.account_id != account.pk:
            raise NotTheirCase
    if account is not None:
        customer_id = customer_id or account.customer_id
        if account.customer_id != customer_id:
            raise NotTheirCase
    if not customer_id:
        raise NobodyComplains
    return ticket, account, customer_id


def _newest_ticket(account: CreditAccount | None, *, topic: str, kind: str) -> int | None:
    draft = Complaint(topic=topic, kind=kind)
    if account is None or not draft.disputes_closing:
        return None
    return account.tickets.order_by("-pk").values_list("pk", flat=True).first()
