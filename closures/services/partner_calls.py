"""Calls to a partner about one task: what was heard, as the rules understand it, and each attempt's record.

No task is moved here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from accounts import pii
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.gateways.partners.base import AgreementStatus, Partner, UnsignAnswer
from closures.models import UnbindAttempt, UnbindTask
from closures.rules.outcomes import Enquiry, Heard, Seen


def unsign(task: UnbindTask, partner: Partner) -> tuple[Heard, str, bytes]:
    """The partner was told to end the agreement; gives what was heard, a code, and the raw bytes."""
    agreement = task.agreement
    try:
        answer = partner.unsign(
            agreement_no=agreement.agreement_no, account_no=agreement.account.account_no, key=task.key
        )
    except Unreachable as silence:
        return Heard.UNREACHABLE, silence.detail, b""
    except Refused as refused:
        return Heard.REFUSED, refused.code, refused.raw
    except Unclear as unclear:
        return Heard.UNCLEAR, unclear.detail, unclear.raw
    return ANSWERS[answer], "", b""


ANSWERS = {
    UnsignAnswer.ACCEPTED: Heard.ACCEPTED,
    UnsignAnswer.ALREADY_ENDED: Heard.ALREADY_ENDED,
    UnsignAnswer.NOT_FOUND: Heard.NOT_FOUND,
}


def enquire(task: UnbindTask, partner: Partner) -> Enquiry:
    """One look: by number; what would end the task is checked by the account's list, a 404 by the canary.

    A status that lies is caught by nothing but the list.
    """
    agreement_no, account_no = task.agreement.agreement_no, task.agreement.account.account_no
    by_number = _seen(lambda: partner.status(agreement_no=agreement_no, account_no=account_no))
    if by_number in (Seen.BOUND, Seen.UNREADABLE):
        return Enquiry(by_number=by_number)
    by_account = _seen(lambda: partner.listed(account_no=account_no, agreement_no=agreement_no))
    canary = _canary(partner) if by_number is Seen.NOT_FOUND else None
    return Enquiry(by_number=by_number, by_account=by_account, canary_found=canary)


def _seen(question: Callable[[], AgreementStatus]) -> Seen:
    try:
        return Seen(question().value)
    except (Unreachable, Unclear, Refused):
        return Seen.UNREADABLE


def _canary(partner: Partner) -> bool | None:
    try:
        return partner.canary_found()
    except (Unreachable, Unclear, Refused):
        return None


def words(enquiry: Enquiry) -> str:
    """An enquiry for the record: “BOUND”, “NOT_FOUND/NOT_FOUND”."""
    parts = [str(enquiry.by_number)]
    if enquiry.by_account is not None:
        parts.append(str(enquiry.by_account))
    return "/".join(parts)


def sends(task: UnbindTask) -> int:
    """How often the partner was, or may have been, told to end the agreement. One query."""
    told = task.tries.filter(verb=UnbindAttempt.Verb.UNSIGN)
    return told.exclude(heard=str(Heard.UNREACHABLE)).count()


def begin(row: UnbindTask, verb: UnbindAttempt.Verb, *, now: datetime) -> UnbindAttempt:
    """The attempt is on record before the call. A fence, and so a claim, has one of each verb."""
    return UnbindAttempt.objects.create(task=row, fence=row.fence, verb=verb, started_at=now)


def hear(attempt: UnbindAttempt, *, heard: str, now: datetime, detail: str = "", raw: bytes = b"") -> None:
    """The attempt says what was heard, the partner's raw words sealed. Not saved: see `keep`."""
    attempt.heard, attempt.detail, attempt.finished_at = heard, detail[:200], now
    if raw:
        attempt.answer_sealed = pii.seal(
            raw.decode("utf-8", "replace"), subject=attempt.task.key, field="answer"
        )


def keep(attempt: UnbindAttempt, *, applied: bool = False) -> None:
    """What was heard is on record, and whether it was applied; what comes after its lease lapsed is not."""
    attempt.applied = applied
    attempt.save(update_fields=["heard", "detail", "finished_at", "answer_sealed", "applied"])
