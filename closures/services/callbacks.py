"""What partners tell us unasked: verified on the raw bytes, stored before answered, applied by a job."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.models import PartnerAgreement
from closures import jobs
from closures.errors import ClosureError
from closures.gateways.errors import Unclear
from closures.gateways.ledger import read_posting
from closures.gateways.signing import CallbackEvent, Forged, verify_callback
from closures.jobs import Job
from closures.models import Notice, PartnerCallback
from closures.services import identity_codes, later_money, notices, unbinding

logger = logging.getLogger(__name__)

Outcome = PartnerCallback.Outcome
ENDED, SIGNED, RECEIPT = "agreement.ended", "agreement.signed", "sms.receipt"
LATER_MONEY = "ledger.money_after_closing"


class CallbackRefused(ClosureError):
    code = "callback_refused"
    template = _("The callback was refused: {why}.")


def receive(*, partner: str, raw: bytes, headers: Mapping[str, str], now: datetime) -> PartnerCallback:
    """The event is stored once, however often it comes. Raises CallbackRefused for what is not verified.

    What is not verified costs no transaction: anybody may knock.
    """
    secrets = settings.CALLBACK_SECRETS.get(partner)
    if not secrets:
        raise CallbackRefused(why="unknown partner")
    try:
        event = verify_callback(raw, headers, [secret.encode() for secret in secrets], now)
    except Forged as forged:
        logger.warning("a callback for %s was refused: %s", partner, forged.code)
        raise CallbackRefused(why=forged.code) from forged
    return _store(partner, event, raw, now=now)


@transaction.atomic
def _store(partner: str, event: CallbackEvent, raw: bytes, *, now: datetime) -> PartnerCallback:
    stored, new = PartnerCallback.objects.get_or_create(
        partner=partner,
        event_id=event.event_id,
        defaults={
            "kind": event.type[:40],
            "body_sealed": pii.seal(raw.decode(), subject=event.event_id, field="body"),
            "received_at": now,
            "due_at": now,
        },
    )
    if new:
        jobs.enqueue(Job.APPLY_CALLBACKS)
    else:
        PartnerCallback.objects.filter(pk=stored.pk).update(repeats=F("repeats") + 1)
    return stored


def apply(*, clock: Callable[[], datetime]) -> int:
    """Every stored callback is applied once; returns how many. Safe twice and out of order."""
    due = PartnerCallback.objects.filter(outcome=Outcome.WAITING)
    return due.drain(clock=clock, handle=lambda callback: _apply(callback, now=clock()))


@transaction.atomic(durable=True)
def _apply(claimed: PartnerCallback, *, now: datetime) -> None:
    row = PartnerCallback.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    if not row.held(claimed):
        return
    body = pii.reveal(row.body_sealed, subject=row.event_id, field="body")
    event = json.loads(body)
    row.about, row.customer_id = _about(row, event)
    row.outcome, row.detail = _effect(row, event, now=now)
    row.release(due_at=None)
    row.save()


def _about(row: PartnerCallback, event: dict[str, object]) -> tuple[str, int | None]:
    """What of ours it is about, and whose, so that a case can name it and an erasure can find it."""
    agreement_no, key = str(event.get("agreement_no", ""))[:80], str(event.get("key", ""))[:80]
    if row.kind == RECEIPT:
        of_notice = Notice.objects.filter(key=key).values_list("customer_id", flat=True).first()
        return (key, of_notice) if of_notice else ("", None)
    signed = PartnerAgreement.objects.filter(partner=row.partner, agreement_no=agreement_no)
    of_agreement = signed.order_by("-pk").values_list("account__customer_id", flat=True).first()
    return (agreement_no, of_agreement) if of_agreement else ("", None)


def _effect(row: PartnerCallback, event: dict[str, object], *, now: datetime) -> tuple[str, str]:
    if row.kind == ENDED:
        heard = unbinding.hear_ended(
            partner=row.partner, agreement_no=str(event.get("agreement_no", "")), now=now
        )
        return (Outcome.ALARM if heard == "NO_TASK" else Outcome.APPLIED), heard
    if row.kind == SIGNED:
        again = unbinding.was_ended(partner=row.partner, agreement_no=str(event.get("agreement_no", "")))
        return (Outcome.ALARM, "SIGNED_AGAIN") if again else (Outcome.NO_EFFECT, "")
    if row.kind == RECEIPT and row.partner == "SMS":
        key = str(event.get("key", ""))
        ours = identity_codes.hear_receipt(key=key, now=now) or notices.hear_receipt(
            key=key, delivered=event.get("status") == "DELIVERED", now=now
        )
        return (Outcome.APPLIED, "") if ours else (Outcome.ALARM, "NO_NOTICE")
    if row.kind == LATER_MONEY and row.partner == "LEDGER":
        return _later_money(event, now=now)
    return Outcome.ALARM, "UNKNOWN_EVENT"


def _later_money(event: Mapping[str, object], *, now: datetime) -> tuple[str, str]:
    """Money has come to a closed account, or gone from it. What cannot be read is an alarm, not a guess."""
    try:
        posting = read_posting(event, now=now)
    except Unclear:
        return Outcome.ALARM, "UNREADABLE"
    heard = later_money.take_posting(**posting, now=now)
    return HEARD_OF_MONEY[heard], heard


HEARD_OF_MONEY = {
    "NEW": Outcome.APPLIED,
    "NAMED": Outcome.APPLIED,
    "REPEATED": Outcome.NO_EFFECT,
    "NOT_CLOSED": Outcome.NO_EFFECT,
    "NO_ACCOUNT": Outcome.ALARM,
    "REF_REUSED": Outcome.ALARM,
}
