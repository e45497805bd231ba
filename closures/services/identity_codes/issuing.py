"""A new code: who may ask for one, how often, and what is kept of it."""

from __future__ import annotations

import math
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import translation
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import Customer, CustomerIdentity
from accounts.tracking import NotPermitted, move, save_as
from closures import jobs
from closures.errors import ClosureError
from closures.jobs import Job
from closures.models import ClosureTicket, IdentityCode, IdentityCodeText
from closures.selectors import identity_codes as codes
from closures.selectors import status

Purpose = IdentityCode.Purpose
MAY_ISSUE = "closures.request_closure"
LANGUAGE = "zh-hans"
SALT = "closures.identity_code"
DIGITS = 6

# What the message says that the code is for.
TO_DO = {
    Purpose.PROVE_REQUEST: _("confirm your request to close the account"),
    Purpose.STATUS_DETAILS: _("see the details of your closing"),
    Purpose.WITHDRAW: _("withdraw your request to close the account"),
    Purpose.COMPLAIN: _("complain, or go on with your complaint"),
}


class NotTheirTicket(ClosureError):
    code = "not_their_ticket"
    template = _("This ticket belongs to another customer.")


class NothingToProve(ClosureError):
    code = "nothing_to_prove"
    template = _("No code is needed for this now. Reload the page to see where the case stands.")


class NoPhone(ClosureError):
    code = "no_phone"
    template = _("There is no phone number on file. The identity has to be checked in person.")


class TooManyCodes(ClosureError):
    code = "too_many_codes"
    template = _("A code was sent a short time ago. The next one can be sent in {minutes} minute(s).")


@decision
def issue(
    *, ticket_id: int, purpose: Purpose, actor: Actor, now: datetime, language: str = LANGUAGE
) -> IdentityCode:
    """A fresh code is on its way to the phone on file; an earlier one of this purpose is void.

    Nothing is asked of the customer beyond the phone he registered with. Not safe to repeat: each call is a
    new code and counts against the limits, which hold for the customer and for the phone number.

    Raises: NotPermitted, NotTheirTicket, NothingToProve, NoPhone, TooManyCodes.
    Source: GB/T 35273-2020 §8.5 (no more is asked than at registration); FACTS §4 for the limits, which are
    those of the SMS providers.
    """
    ticket = ClosureTicket.objects.lock(ticket_id)
    check_actor(ticket, purpose, actor)
    if not _has_a_use(ticket, purpose):
        raise NothingToProve
    customer_id = ticket.account.customer_id
    sharing = _locked(customer_id)
    identity = CustomerIdentity.objects.filter(customer=customer_id, superseded_at__isnull=True).first()
    if identity is None or not identity.phone_sealed:
        raise NoPhone
    _check_limits(sharing, customer_id, purpose, now=now)
    for earlier in ticket.identity_codes.select_for_update(of=("self",)).filter(
        purpose=purpose, state__in=IdentityCode.LIVE
    ):
        move(earlier, "cancel", actor=actor, reason="a newer code", now=now, reason_code="NEWER_CODE")
        forget(earlier)
    digits = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    key = f"code:{uuid.uuid4().hex}"
    code = IdentityCode(
        ticket=ticket,
        customer_id=customer_id,
        purpose=purpose,
        state_since=now,
        asked_by=actor.user,
        identity_version=identity.version,
        key=key,
        code_hash=hashed(digits, key=key),
        issued_at=now,
        expires_at=now + settings.IDENTITY_CODE_GOOD_FOR,
        tries_allowed=settings.IDENTITY_CODE_TRIES,
        due_at=now,
    )
    save_as(code, actor=actor, reason=str(purpose), now=now)
    text = _message(ticket, purpose, digits, by_staff=actor.user is not None, language=language)
    IdentityCodeText.objects.create(code=code, text_sealed=pii.seal(text, subject=key, field="text"))
    jobs.enqueue(Job.SEND_CODES)
    return code


def check_actor(ticket: ClosureTicket, purpose: str, actor: Actor) -> None:
    """Staff may ask for, and enter, a code that proves a request; the customer any code of his own.

    Raises: NotPermitted, NotTheirTicket.
    """
    if actor.kind is ActorKind.CUSTOMER:
        if actor.customer_id != ticket.account.customer_id:
            raise NotTheirTicket
        return
    may = actor.user is not None and actor.user.has_perm(MAY_ISSUE)
    if actor.kind is not ActorKind.STAFF or not may or purpose != Purpose.PROVE_REQUEST:
        raise NotPermitted(move=_("Send a one-time code"))


def hashed(digits: str, *, key: str) -> str:
    """What is kept of the digits: a hash keyed by our secret and bound to the code's row."""
    return salted_hmac(SALT, f"{key}:{digits}", algorithm="sha256").hexdigest()


def forget(code: IdentityCode) -> None:
    """The message with the digits is gone. Safe to repeat."""
    IdentityCodeText.objects.filter(code=code).delete()


def _has_a_use(ticket: ClosureTicket, purpose: str) -> bool:
    match purpose:
        case Purpose.PROVE_REQUEST:
            return codes.needs_proof(ticket)
        case Purpose.WITHDRAW:
            return status.may_withdraw(ticket)
    return True


def _locked(customer_id: int) -> list[int]:
    """The customers whom this phone number reaches, locked: codes asked for at once count each other."""
    sharing = codes.same_number(customer_id).values("pk")
    rows = Customer.objects.select_for_update(of=("self",)).filter(pk__in=sharing).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def _check_limits(sharing: Iterable[int], customer_id: int, purpose: str, *, now: datetime) -> None:
    """Raises TooManyCodes. What was asked for counts, sent or not: a limit that can be reset is none."""
    recent = IdentityCode.objects.filter(customer__in=sharing, issued_at__gt=now - timedelta(days=1))
    issued = list(recent.order_by("-issued_at").values_list("issued_at", "purpose", "customer_id"))
    waits = []
    same = [at for at, what, who in issued if what == purpose and who == customer_id]
    if same:  # the pause is each purpose's own: who has just looked may withdraw at once
        waits.append(same[0] + settings.IDENTITY_CODE_PAUSE - now)
    for limit, span in (
        (settings.IDENTITY_CODES_PER_HOUR, timedelta(hours=1)),
        (settings.IDENTITY_CODES_PER_DAY, timedelta(days=1)),
    ):
        within = [at for at, _what, _who in issued if at > now - span]
        if len(within) >= limit:
            waits.append(within[limit - 1] + span - now)
    longest = max(waits, default=timedelta(0))
    if longest > timedelta(0):
        raise TooManyCodes(minutes=math.ceil(longest / timedelta(minutes=1)))


def _message(ticket: ClosureTicket, purpose: Purpose, digits: str, *, by_staff: bool, language: str) -> str:
    with translation.override(language):
        said = {
            "lender": ticket.account.product.lender.legal_name,
            "code": digits,
            "purpose": TO_DO[purpose],
            "minutes": int(settings.IDENTITY_CODE_GOOD_FOR / timedelta(minutes=1)),
        }
        if by_staff:
            return (
                translate(
                    "[%(lender)s] Code %(code)s, to %(purpose)s. Good for %(minutes)s minutes. Tell it only "
                    "to the agent you are speaking with. Not you? Call 12378."
                )
                % said
            )
        return (
            translate(
                "[%(lender)s] Code %(code)s, to %(purpose)s. Good for %(minutes)s minutes. Tell it to "
                "nobody. Not you? Call 12378."
            )
            % said
        )
