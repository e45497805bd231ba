"""What partners tell us unasked: verified on the raw bytes, stored before answered, applied by a job."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from accounts import pii
from closures import jobs
from closures.errors import ClosureError
from closures.gateways.signing import Forged, verify_callback
from closures.jobs import Job
from closures.models import PartnerCallback
from closures.services import identity_codes, notices, unbinding

Outcome = PartnerCallback.Outcome
ENDED, SIGNED, RECEIPT = "agreement.ended", "agreement.signed", "sms.receipt"


class CallbackRefused(ClosureError):
    code = "callback_refused"
    template = _("The callback was refused: {why}.")


@transaction.atomic
def receive(*, partner: str, raw: bytes, headers: Mapping[str, str], now: datetime) -> PartnerCallback:
    """The event is stored once, however often it comes. Raises CallbackRefused for what is not verified."""
    secrets = settings.CALLBACK_SECRETS.get(partner)
    if not secrets:
        raise CallbackRefused(why="unknown partner")
    try:
        event = verify_callback(raw, headers, [secret.encode() for secret in secrets], now)
    except Forged as forged:
        raise CallbackRefused(why=forged.code) from forged
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
    row.outcome, row.detail = _effect(row, json.loads(body), now=now)
    row.release(due_at=None)
    row.save()


def _effect(row: PartnerCallback, event: dict[str, object], *, now: datetime) -> tuple[str, str]:
    if row.kind == ENDED:
        heard = unbinding.hear_ended(
            partner=row.partner, agreement_no=str(event.get("agreement_no", "")), now=now
        )
        return (Outcome.ALARM if heard == "NO_TASK" else Outcome.APPLIED), heard
    if row.kind == SIGNED:
        again = unbinding.was_ended(partner=row.partner, agreement_no=str(event.get("agreement_no", "")))
        return (Outcome.ALARM, "SIGNED_AGAIN") if again else (Outcome.NO_EFFECT, "")
    if row.kind == RECEIPT:
        key = str(event.get("key", ""))
        ours = identity_codes.hear_receipt(key=key, now=now) or notices.hear_receipt(
            key=key, delivered=event.get("status") == "DELIVERED", now=now
        )
        return (Outcome.APPLIED, "") if ours else (Outcome.ALARM, "NO_NOTICE")
    return Outcome.ALARM, "UNKNOWN_EVENT"
