"""A complaint by an app: taken in, looked at. The desk that handles it is the one of every other channel."""

from typing import Annotated, Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Header, Path, Query, Router
from ninja.responses import Status

from accounts.actors import Actor
from closures.api.answers import answers
from closures.api.closings import Key
from closures.api.named import the_account, the_complaint, the_ticket
from closures.api.schemas import ComplaintIn, ComplaintOut, Number, TicketNumber
from closures.api.signed import Signed, idempotent
from closures.models import Complaint
from closures.models.api import Scope
from closures.selectors import own_complaints
from closures.services import complaints

router = Router(tags=["complaints"])


@router.post(
    "/complaints",
    auth=Signed(Scope.COMPLAINTS_WRITE, "complain"),
    response=answers(ComplaintOut, 404, 409, 413, 415, 503, created=True),
)
@idempotent
def complain(
    request: HttpRequest, said: ComplaintIn, idempotency_key: Annotated[Key, Header(alias="Idempotency-Key")]
) -> Any:
    """The customer complains, about a closing of his account or about the account.

    201 with its number and the day by which it is decided. The same words about the same matter, while that
    is undecided, are the same complaint: 200. WRONG_CLOSING and NOTICE_NOT_RECEIVED stop an open closing.
    """
    account = the_account(said.customer_no, said.account_no)
    ticket = the_ticket(said.ticket, said.customer_no, said.account_no) if said.ticket else None
    now = timezone.now()
    heard = complaints.complain(
        channel=Complaint.Channel.APP,
        topic=said.topic,
        text=said.text,
        account_id=account.pk,
        ticket_id=ticket.pk if ticket else None,
        actor=Actor.customer(account.customer),
        now=now,
    )
    return Status(200 if heard.again else 201, own_complaints.shown(heard.complaint, now=now))


@router.get(
    "/complaints/{number}",
    auth=Signed(Scope.COMPLAINTS_READ, "complaint"),
    response=answers(ComplaintOut, 404),
)
def complaint(
    request: HttpRequest,
    number: Annotated[TicketNumber, Path()],
    customer_no: Annotated[Number, Query()],
    account_no: Annotated[Number, Query()],
) -> Any:
    """Where a complaint stands, in the customer's words; its outcome once he was answered."""
    found = the_complaint(number, customer_no, account_no)
    return own_complaints.shown(found, now=timezone.now())
