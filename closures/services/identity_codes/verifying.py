"""The digits that come back: every try counts, in the database, whatever else then happens."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

from django.db import transaction
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import record
from accounts.errors import Refusal
from accounts.models import CustomerIdentity
from accounts.tracking import move, save_as
from closures import jobs
from closures.errors import ClosureError
from closures.jobs import Job
from closures.models import ClosureTicket, IdentityCode
from closures.selectors import identity_codes as codes
from closures.services.identity_codes.issuing import (
    DIGITS,
    NothingToProve,
    Purpose,
    check_actor,
    forget,
    hashed,
)


class NotSixDigits(ClosureError):
    code = "not_six_digits"
    template = _("The code has six digits.")


class WrongCode(ClosureError):
    code = "wrong_code"
    template = _("This is not the code. Tries left: {left}.")


class TriesUsedUp(ClosureError):
    code = "tries_used_up"
    template = _("This is not the code, and it was the last try. Have a new code sent.")


class NoLiveCode(ClosureError):
    code = "no_live_code"
    template = _("There is no code that is good now. Have a new one sent.")


class IdentityChanged(ClosureError):
    code = "identity_changed"
    template = _("The identity on file has changed since the code was sent. Have a new code sent.")


def verify(*, ticket_id: int, purpose: Purpose, code: str, actor: Actor, now: datetime) -> IdentityCode:
    """The code is VERIFIED: whoever holds the phone on file has said so. PROVE_REQUEST proves the ticket too.

    A wrong try is counted and stays counted: it is committed before the refusal is raised, so this refuses to
    run inside somebody's transaction. Of any number of guesses at once no more are judged than a code has
    tries. Not safe to repeat: a code works once.

    Raises: NotPermitted, NotTheirTicket, NotSixDigits, NoLiveCode, IdentityChanged, NothingToProve,
        WrongCode, TriesUsedUp.
    """
    try:
        with transaction.atomic(durable=True):
            row, refusal = _judge(ticket_id, purpose, code, actor=actor, now=now)
    except Refusal as no:
        refusal = no
    if refusal is not None:
        record(refusal, action="identity_codes.verify", facts={"ticket_id": ticket_id, "actor": actor})
        raise refusal
    return row


def _judge(
    ticket_id: int, purpose: Purpose, given: str, *, actor: Actor, now: datetime
) -> tuple[IdentityCode, Refusal | None]:
    """The code as it is after this try, and what is wrong with the try; raises before anything is counted."""
    ticket = ClosureTicket.objects.lock(ticket_id)
    check_actor(ticket, purpose, actor)
    digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", given))
    if not re.fullmatch(rf"[0-9]{{{DIGITS}}}", digits):
        raise NotSixDigits
    rows = ticket.identity_codes.select_for_update(of=("self",)).filter(state__in=IdentityCode.LIVE)
    row = rows.filter(purpose=purpose).first()
    if row is None or now >= row.expires_at:
        raise NoLiveCode
    if not _bound_to_today(row):
        move(
            row,
            "cancel",
            actor=actor,
            reason="the identity has changed",
            now=now,
            reason_code="IDENTITY_CHANGED",
        )
        forget(row)
        return row, IdentityChanged()
    if purpose == Purpose.PROVE_REQUEST and not codes.needs_proof(ticket):
        raise NothingToProve
    row.tries += 1
    if constant_time_compare(row.code_hash, hashed(digits, key=row.key)):
        move(row, "verify", actor=actor, reason="the right code", now=now)
        forget(row)
        if purpose == Purpose.PROVE_REQUEST:
            _prove(ticket, actor=actor, now=now)
        return row, None
    left = row.tries_allowed - row.tries
    if left > 0:
        save_as(row, actor=actor, reason="a wrong code", now=now)
        return row, WrongCode(left=left)
    move(row, "use_up", actor=actor, reason="a wrong code", now=now)
    forget(row)
    return row, TriesUsedUp()


def _bound_to_today(row: IdentityCode) -> bool:
    current = CustomerIdentity.objects.filter(customer=row.customer_id, superseded_at__isnull=True)
    return current.filter(version=row.identity_version).exists()


def _prove(ticket: ClosureTicket, *, actor: Actor, now: datetime) -> None:
    """The request is the customer's own, and the assessment looks at once."""
    ticket.identity_level = ClosureTicket.IdentityLevel.CODE
    ticket.due_at = now
    save_as(ticket, actor=actor, reason="proved by a one-time code", now=now)
    jobs.enqueue(Job.ASSESS)
