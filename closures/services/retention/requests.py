"""A customer asks that his data be deleted; a person answers what is kept, under which law, until when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import Customer, Lender, User
from accounts.selectors import regulations
from accounts.services import relationships
from accounts.tracking import NotPermitted, move, save_as
from closures.errors import ClosureError
from closures.models import DeletionRequest
from closures.models.notices import NoticeKind
from closures.models.numbers import new_number
from closures.selectors import letters, retention
from closures.selectors.answer_dates import answer_date
from closures.services import notices

ASK = "closures.request_deletion"
WAIT = "DESTRUCTION_WAIT"
UNKNOWN_LENDER = "个人信息保护部门"  # signs for a customer without a lender, in Chinese like the text


class AlreadyErased(ClosureError):
    code = "already_erased"
    template = _("The data of customer {customer} has been erased already.")


class NotTheirData(ClosureError):
    code = "not_their_data"
    template = _("A customer can ask for the deletion of his own data only.")


@decision
def request_deletion(
    *, customer_id: int, channel: DeletionRequest.Channel, actor: Actor, now: datetime
) -> DeletionRequest:
    """The customer's wish is recorded, with the day by which it must be answered.

    Safe to repeat: while one waits for its answer, it is given back.

    Raises: NotPermitted, NotTheirData, AlreadyErased, CalendarIncomplete, NoRegulation.
    Source: 个人信息保护法 47, 50; the answer date is that of a closing request (FACTS L1, L3).
    """
    _check_right(customer_id, actor)
    customer = relationships.locked(customer_id)
    if customer.standing == Customer.Standing.ERASED:
        raise AlreadyErased(customer=customer)
    waiting = customer.deletion_requests.filter(state=DeletionRequest.State.RECEIVED).first()
    if waiting is not None:
        return waiting
    request = DeletionRequest(
        number=new_number(now, prefix="DR"),
        customer=customer,
        channel=DeletionRequest.Channel(channel),
        state_since=now,
        requested_at=now,
        requested_by=actor.user,
        **answer_date(now),
    )
    return save_as(request, actor=actor, reason="deletion asked for", now=now)


@decision
def answer(*, request_id: int, actor: Actor, now: datetime) -> DeletionRequest:
    """The customer is told what is kept, under which law and until when; or that his data will go.

    What is kept is decided here, from the facts of this moment, not by whoever presses the button.

    Raises: NotPermitted, NotPossible (answered already).
    Source: 个人信息保护法 47 (storage only while a period runs), 50 (a refusal needs its reasons).
    """
    customer_id = DeletionRequest.objects.values_list("customer_id", flat=True).get(pk=request_id)
    customer = relationships.locked(customer_id)
    request = DeletionRequest.objects.select_for_update(of=("self",)).get(pk=request_id)
    kept = retention.kept(customer, on=localdate(now))
    move(
        request,
        "answer",
        actor=actor,
        reason="kept, with reasons" if kept else "nothing has to be kept",
        now=now,
        answered_by=_person(actor),
        answered_at=now,
        kept=kept,
    )
    notices.tell(
        customer=customer,
        about=request.number,
        kind=NoticeKind.DATA_RETENTION_ANSWER,
        values=values(request, now=now),
        actor=actor,
        now=now,
    )
    return request


def values(request: DeletionRequest, *, now: datetime) -> dict[str, Any]:
    """What the answer's text says, JSON-ready; codes, dates and sentences, no personal data."""
    lenders = Lender.objects.filter(relationships__customer=request.customer_id).distinct().order_by("code")
    names = list(lenders.values_list("legal_name", flat=True))
    return {
        "lender": names[0] if names else UNKNOWN_LENDER,
        "lenders": "、".join(names) or UNKNOWN_LENDER,
        "number": request.number,
        "asked_on": letters.day(request.requested_at),
        "items": retention.lines(request.kept, language=notices.LANGUAGE),
        "wait_days": str(regulations.number(WAIT, on=localdate(now))),
        "today": letters.day(now),
    }


def _check_right(customer_id: int, actor: Actor) -> None:
    if actor.kind is ActorKind.STAFF:
        if not _person(actor).has_perm(ASK):
            raise NotPermitted(move=_("Take a request for deletion"))
    elif actor.kind is ActorKind.CUSTOMER:
        if actor.customer_id != customer_id:
            raise NotTheirData
    else:
        raise NotPermitted(move=_("Take a request for deletion"))


def _person(actor: Actor) -> User:
    if actor.kind is not ActorKind.STAFF or actor.user is None:
        raise NotPermitted(move=_("Answer a request for deletion"))
    return actor.user
