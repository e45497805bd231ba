"""Showing a customer's identity unmasked, and finding him by it: a right, a limit and a record.

Source: PITFALLS, Security (masked by default; reveal = POST + reason + rate limit + record).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.errors import Refusal
from accounts.models import Customer, CustomerIdentity, IdentityReveal, RefusedAction, User
from accounts.selectors.identities import find_customers
from accounts.tracking import NotPermitted

PERMISSION = "accounts.reveal_identity"
WINDOW = timedelta(hours=1)
REASON_MAX = IdentityReveal._meta.get_field("reason").max_length or 0


class ReasonMissing(Refusal):
    """Nobody sees an identity without saying why."""

    code = "reason_missing"
    template = _("Say in up to {limit} characters why you need to see the identity. Nothing was shown.")


class TooManyReveals(Refusal):
    """The member of staff has seen as many identities within the hour as the limit allows."""

    code = "too_many_reveals"
    template = _("You have seen {seen} identities within an hour; {limit} are allowed. Try again later.")


class NoIdentity(Refusal):
    """The customer has no identity on file: erased, or never imported."""

    code = "no_identity"
    template = _("No identity is kept for this customer.")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A customer's current identity, unmasked. Never stored, logged or put into a URL."""

    version: int
    name: str
    id_number: str
    phone: str
    email: str
    birth_date: str

    def __repr__(self) -> str:
        # A traceback or a log line that prints this must not print the person.
        return f"Identity(version={self.version})"

    __str__ = __repr__


class NobodyFound(Refusal):
    """No customer carries exactly this; recorded, because who guesses numbers misses many times."""

    code = "nobody_found"
    template = _("Nobody is on file with exactly this. Check each digit and try again.")


class TooManyMisses(Refusal):
    """The member of staff has searched in vain as often as the limit allows within the hour."""

    code = "too_many_misses"
    template = _("You have searched in vain {missed} times within an hour. Ask the customer again, or wait.")


@decision
def search(*, id_number: str = "", phone: str = "", most: int, actor: Actor, now: datetime) -> list[Customer]:
    """Up to `most` customers whose current identity carries exactly these numbers, at least one.

    A search that finds nobody is refused and so recorded, without the numbers, and an hour has room for few
    of them: the masks of a screen must not be filled in by guessing.

    Raises: NobodyFound, TooManyMisses.
    """
    missed = RefusedAction.objects.filter(
        at__gt=now - WINDOW, actor=str(actor), code=NobodyFound.code
    ).count()
    if missed >= settings.SEARCH_MISSES_PER_HOUR:
        raise TooManyMisses(missed=missed)
    found = list(find_customers(id_number=id_number, phone=phone)[:most])
    if not found:
        raise NobodyFound
    return found


@decision
def reveal(*, customer_id: int, actor: Actor, reason: str, now: datetime) -> Identity:
    """The customer's identity unmasked; an `IdentityReveal` row says who saw it, when and why.

    Raises `NotPermitted`, `ReasonMissing`, `TooManyReveals`, `NoIdentity` or `pii.Unreadable`; then nothing
    was shown and the refusal is recorded. Asking again shows, counts and records again.
    """
    user = actor.user
    if actor.kind is not ActorKind.STAFF or user is None or not user.has_perm(PERMISSION):
        raise NotPermitted(move=_("See a customer's identity"))
    reason = reason.strip()
    if not 0 < len(reason) <= REASON_MAX:
        raise ReasonMissing(limit=REASON_MAX)
    # The lock makes simultaneous requests of one person count each other.
    User.objects.select_for_update(of=("self",)).get(pk=user.pk)
    seen = IdentityReveal.objects.filter(user=user, at__gt=now - WINDOW).count()
    if seen >= settings.REVEAL_LIMIT_PER_HOUR:
        raise TooManyReveals(seen=seen, limit=settings.REVEAL_LIMIT_PER_HOUR)
    row = (
        CustomerIdentity.objects.filter(customer_id=customer_id, superseded_at__isnull=True)
        .select_related("customer")
        .first()
    )
    if row is None:
        raise NoIdentity
    shown = {
        field: pii.reveal(getattr(row, f"{field}_sealed"), subject=row.customer.customer_no, field=field)
        for field in CustomerIdentity.SEALED
    }
    IdentityReveal.objects.create(at=now, user=user, customer_id=customer_id, reason=reason)
    return Identity(version=row.version, **shown)
