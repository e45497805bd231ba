"""What one-time codes have shown: who still has to prove himself, and what a verified code opens."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db.models import Exists, Max, OuterRef, QuerySet

from accounts.models import Customer, CustomerIdentity
from closures.models import Blocker, ClosureTicket, IdentityCode

Purpose = IdentityCode.Purpose


def needs_proof(ticket: ClosureTicket) -> bool:
    """The customer's own request waits for his proof: never checked, or name or ID number changed since."""
    if not ticket.is_customers_own:
        return False
    if ticket.state == ClosureTicket.State.SUBMITTED:
        return ticket.identity_level == ClosureTicket.IdentityLevel.NONE
    if ticket.state != ClosureTicket.State.BLOCKED:
        return False
    mismatch = ticket.blockers.filter(cured_at__isnull=True, code=Blocker.Code.IDENTITY_MISMATCH)
    return mismatch.exists()


def proved_at(ticket: ClosureTicket) -> datetime:
    """From when on a change of name or ID number counts: the request, or the newest code that proved it."""
    if ticket.identity_level != ClosureTicket.IdentityLevel.CODE:
        return ticket.requested_at
    proofs = ticket.identity_codes.filter(state=IdentityCode.State.VERIFIED, purpose=Purpose.PROVE_REQUEST)
    newest = proofs.aggregate(newest=Max("ended_at"))["newest"]
    return max(ticket.requested_at, newest) if newest else ticket.requested_at


def opened_by(code_id: int, *, ticket: ClosureTicket, now: datetime) -> IdentityCode | None:
    """The verified code of this number, if it still opens this ticket's personal details. One query.

    Not for long after it was entered, and not once the identity it was bound to is another.
    """
    current = CustomerIdentity.objects.filter(
        customer=OuterRef("customer"), version=OuterRef("identity_version"), superseded_at__isnull=True
    )
    found = ticket.identity_codes.filter(
        Exists(current),
        pk=code_id,
        state=IdentityCode.State.VERIFIED,
        ended_at__gt=now - settings.STATUS_DETAILS_OPEN_FOR,
    )
    return found.first()


def live(ticket: ClosureTicket, purpose: str, *, now: datetime) -> IdentityCode | None:
    """The code that may be entered now, if there is one."""
    codes = ticket.identity_codes.filter(purpose=purpose, state__in=IdentityCode.LIVE, expires_at__gt=now)
    return codes.order_by("-pk").first()


def same_number(customer_id: int) -> QuerySet[Customer]:
    """The customer and whoever else is reached by his phone number; limits are the number's as well."""
    current = CustomerIdentity.objects.filter(superseded_at__isnull=True)
    phones = current.filter(customer=customer_id).exclude(phone_index="").values("phone_index")
    sharing = current.filter(phone_index__in=phones).values("customer_id")
    return Customer.objects.filter(pk__in=sharing) | Customer.objects.filter(pk=customer_id)
