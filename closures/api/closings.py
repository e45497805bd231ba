"""A closing by an app: asked for, looked at, withdrawn. The services are those that staff use too."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Header, Path, Query, Router
from ninja.responses import Status
from pydantic import Field

from accounts.actors import Actor
from closures.api.answers import answers
from closures.api.named import the_account, the_ticket
from closures.api.schemas import ClosureIn, ClosureOut, ClosuresOut, Named, Number, TicketNumber
from closures.api.signed import REPLAY, Signed, idempotent
from closures.models import ClosureTicket
from closures.models.api import Scope
from closures.models.tickets import Reason
from closures.selectors import apps, status
from closures.services import intake

router = Router(tags=["closures"])
Key = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,60}$", description="One per request, kept for repeats")]


@router.post(
    "/closures",
    auth=Signed(Scope.WRITE, "request_closure"),
    response=answers(ClosureOut, 404, 409, 413, 415, 503, created=True),
)
@idempotent
def request_closure(
    request: HttpRequest,
    response: HttpResponse,
    asked: ClosureIn,
    idempotency_key: Annotated[Key, Header(alias="Idempotency-Key")],
) -> Any:
    """The customer asks for his account to be closed.

    201 once; the same body under the same key again is 200 with Idempotent-Replay. 409 names the ticket that
    is open already, or says that the first call is still at work.
    """
    account, call = the_account(asked.customer_no, asked.account_no), request.api_call  # type: ignore[attr-defined]
    received = intake.request_closure(
        account_id=account.pk,
        reason=Reason.CUSTOMER_REQUEST,
        channel=ClosureTicket.Channel.API,
        actor=Actor.customer(account.customer),
        now=timezone.now(),
        accepted_disclosure=asked.accepted_disclosure,
        idempotency_key=f"api{call.client_id}:{idempotency_key}",
        asserted=intake.Asserted(
            client_id=call.client_id, assertion=asked.identity.level, at=asked.identity.asserted_at
        ),
    )
    if received.replayed:  # the first call died after its work and before its answer
        response[REPLAY] = "true"
    return Status(200 if received.replayed else 201, shown(received.ticket.number, asked))


@router.post(
    "/closures/{number}/withdraw",
    auth=Signed(Scope.WRITE, "withdraw_closure"),
    response=answers(ClosureOut, 404, 409, 413, 415),
)
@idempotent
def withdraw_closure(request: HttpRequest, number: Annotated[TicketNumber, Path()], named: Named) -> Any:
    """The customer takes his request back; possible until the agreements begin to be ended.

    An Idempotency-Key may be sent; without one a repeat is 409 not_possible.
    """
    ticket = the_ticket(number, named.customer_no, named.account_no)
    actor = Actor.customer(ticket.account.customer)
    intake.withdraw(ticket_id=ticket.pk, actor=actor, now=timezone.now())
    return shown(number, named)


@router.get("/closures/{number}", auth=Signed(Scope.READ, "closure"), response=answers(ClosureOut, 404))
def closure(
    request: HttpRequest,
    number: Annotated[TicketNumber, Path()],
    customer_no: Annotated[Number, Query()],
    account_no: Annotated[Number, Query()],
) -> Any:
    """Where a closing stands, in the customer's words: what blocks, how to cure it, what comes next."""
    return status.of_ticket(the_ticket(number, customer_no, account_no))


@router.get("/closures", auth=Signed(Scope.READ, "closures"), response=answers(ClosuresOut, 404))
def closures(
    request: HttpRequest,
    customer_no: Annotated[Number, Query()],
    account_no: Annotated[Number, Query()],
) -> Any:
    """The newest closings of an account, newest first, at most twenty."""
    return {"closures": apps.tickets_of(the_account(customer_no, account_no))}


def shown(number: str, named: Named) -> Any:
    return status.of_ticket(the_ticket(number, named.customer_no, named.account_no))
