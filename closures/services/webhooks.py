"""What the apps are told: an event per state their tickets come into, sent until it is received.

# Note [No path forgets]

Nobody who moves a ticket writes an event. `derive` reads the tickets' own history, which is written in the
transaction of the move by the single path and the bulk door alike, from where each app was last told. The
mark is the ticket's, not the table's: history rows of one ticket come in the order of its lock, while rows
of several tickets may be committed out of the order of their numbers, and a mark for all would skip some.
Source: PITFALLS (Galileo: closed by the API, and no event).
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, Value, When
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.bulk import create_many
from accounts.decisions import decision
from accounts.tracking import move
from closures import jobs
from closures.errors import ClosureError
from closures.failpoints import reach
from closures.gateways import webhooks as gateway
from closures.gateways.errors import Refused, Unclear, Unreachable
from closures.jobs import Job
from closures.models import ApiClient, AppRequest, ClosureTicket, Webhook
from closures.rules import retry

ACTOR = Actor.job("webhooks")
Kind, State = Webhook.Kind, Webhook.State
KINDS: dict[str, Webhook.Kind] = {
    "SUBMITTED": Kind.RECEIVED,
    "BLOCKED": Kind.BLOCKED,
    "IN_REVIEW": Kind.IN_REVIEW,
    "NOTICE_PERIOD": Kind.DECIDED,
    "SETTLING": Kind.SETTLING,
    "UNBINDING": Kind.UNBINDING,
    "CLOSING": Kind.CLOSING,
    "CLOSED": Kind.CLOSED,
    "REJECTED": Kind.REFUSED,
    "WITHDRAWN": Kind.WITHDRAWN,
    "CANCELLED": Kind.CANCELLED,
    "REVERSED": Kind.REVERSED,
}
AFTER_THE_END = ("REVERSED",)  # states a closed ticket may still come into
BATCH = 200


class GroundMissing(ClosureError):
    code = "ground_missing"
    template = _("Say why this webhook is sent again.")


# --- From history to events ---------------------------------------------------------------------------


@transaction.atomic
def derive(*, now: datetime) -> int:
    """Every move that an app has not been told of is a row to send; returns how many requests moved on.

    Bounded; safe to repeat and to run twice at once. See Note [No path forgets].
    """
    behind = _behind()
    if not behind:
        return 0
    moves = _moves(behind)
    rows = [
        _webhook(request, made, now=now)
        for request in behind
        if request.client.webhook_url
        for made in _new_states(request, moves[request.ticket_id])
    ]
    create_many(rows, actor=ACTOR, reason="the ticket moved", now=now)
    _mark(behind, moves)
    if rows:
        jobs.enqueue(Job.SEND_WEBHOOKS)
    return len(behind)


def _behind() -> list[AppRequest]:
    """Requests whose apps have something to be told, locked; those another worker has are left to it."""
    wanted = AppRequest.objects.filter(AppRequest.behind(), over=False)
    found = list(wanted.order_by("pk").values_list("pk", flat=True)[:BATCH])
    late = AppRequest.objects.filter(AppRequest.behind(), over=True, ticket__state__in=AFTER_THE_END)
    found += late.values_list("pk", flat=True)[: BATCH - len(found)]
    rows = AppRequest.objects.filter(pk__in=found).select_related("client").order_by("pk")
    if connection.features.has_select_for_update_skip_locked:
        return list(rows.select_for_update(skip_locked=True, of=("self",)))
    return list(rows.select_for_update(of=("self",)))


@dataclass(frozen=True, kw_only=True)
class Move:
    """One history row of a ticket, as far as an app may know it."""

    history_id: int
    number: str
    state: str
    since: datetime


def _moves(behind: list[AppRequest]) -> dict[int, list[Move]]:
    """The history of each ticket since its app was told, oldest first."""
    told = {request.ticket_id: request.told_history_id for request in behind}
    history = ClosureTicket.history.filter(id__in=told, history_id__gt=min(told.values()))
    found: dict[int, list[Move]] = defaultdict(list)
    rows = history.order_by("history_id").values_list("id", "history_id", "number", "state", "state_since")
    for ticket_id, history_id, number, state, since in rows:
        if history_id > told[ticket_id]:
            made = Move(history_id=history_id, number=number, state=state, since=since)
            found[ticket_id].append(made)
    return found


def _new_states(request: AppRequest, moves: list[Move]) -> list[Move]:
    """The moves among the history rows: where state or its moment differ from the row before."""
    before: tuple[str, datetime | None] = (request.told_state, request.told_since)
    found = []
    for made in moves:
        if (made.state, made.since) != before:
            found.append(made)
        before = (made.state, made.since)
    return found


def _webhook(request: AppRequest, made: Move, *, now: datetime) -> Webhook:
    kind, event_id = KINDS[made.state], f"{made.number}.{made.history_id}"
    body: dict[str, Any] = {
        "event_id": event_id,
        "type": str(kind),
        "number": made.number,
        "state": made.state,
        "occurred_at": made.since.isoformat(),
    }
    return Webhook(
        client=request.client,
        ticket_id=request.ticket_id,
        event_id=event_id,
        kind=kind,
        body=body,
        body_digest=hashlib.sha256(gateway.content(body)).hexdigest(),
        occurred_at=made.since,
        state_since=now,
        due_at=now,
    )


def _mark(behind: list[AppRequest], moves: Mapping[int, list[Move]]) -> None:
    """Each request is told as far as was read here, in one statement."""
    last = {request.pk: moves[request.ticket_id][-1] for request in behind if moves[request.ticket_id]}
    if not last:
        return
    AppRequest.objects.filter(pk__in=last).update(
        told_history_id=_by_pk({pk: made.history_id for pk, made in last.items()}),
        told_state=_by_pk({pk: made.state for pk, made in last.items()}),
        told_since=_by_pk({pk: made.since for pk, made in last.items()}),
        over=_by_pk({pk: made.state not in ClosureTicket.OPEN for pk, made in last.items()}),
    )


def _by_pk(values: Mapping[int, Any]) -> Case:
    return Case(*(When(pk=pk, then=Value(value)) for pk, value in values.items()))


# --- From events to the apps --------------------------------------------------------------------------


def send(*, clock: Callable[[], datetime]) -> int:
    """Every webhook that is due is sent, or given up; returns how many. Safe to run anywhere, twice."""
    due: Any = Webhook.objects.filter(state__in=Webhook.OPEN)
    return int(due.drain(clock=clock, handle=lambda row: _handle(row, clock=clock)))


def _handle(claimed: Webhook, *, clock: Callable[[], datetime]) -> None:
    """SENDING means that a lease lapsed in mid-call: sent again, receivers fold by the event's id."""
    if not _begin(claimed, now=clock()):
        return
    reach("webhook.after_claim")
    code, definite = _call(claimed, now=clock())
    reach("webhook.after_call")
    _settle(claimed, code, definite=definite, now=clock())


@transaction.atomic(durable=True)
def _begin(claimed: Webhook, *, now: datetime) -> bool:
    row = _held(claimed)
    if row is None:
        return False
    if row.state == State.PENDING:
        move(row, "send", actor=ACTOR, reason=f"attempt {row.attempts}", now=now)
    return True


def _call(webhook: Webhook, *, now: datetime) -> tuple[str, bool]:
    """("", …) once received; else why not, and whether trying again is of no use."""
    client = webhook.client
    if client.state != ApiClient.State.ACTIVE or not client.webhook_url:
        return "CLIENT_DISABLED", True
    try:
        gateway.send(
            url=client.webhook_url,
            event_id=webhook.event_id,
            body=gateway.content(webhook.body),
            secrets=client.live_secrets(now=now),
        )
    except Refused as refused:
        return refused.code, True
    except Unreachable:
        return "UNREACHABLE", False
    except Unclear:
        return "UNCLEAR", False
    return "", False


@transaction.atomic(durable=True)
def _settle(claimed: Webhook, code: str, *, definite: bool, now: datetime) -> None:
    row = _held(claimed)
    if row is None:
        return
    row.release(due_at=None)
    if not code:
        move(row, "arrive", actor=ACTOR, reason="answered", now=now)
    elif definite or retry.exhausted(attempts=row.attempts, limit=settings.WEBHOOK_ATTEMPT_LIMIT):
        move(row, "give_up", actor=ACTOR, reason=code, now=now, reason_code=code)
    else:
        pause = retry.delay(
            attempt=row.attempts, base=settings.RETRY_BASE, cap=settings.RETRY_CAP, random=random.random
        )
        row.due_at = now + pause
        move(row, "put_back", actor=ACTOR, reason=code, now=now, reason_code=code)


def _held(claimed: Webhook) -> Webhook | None:
    row = Webhook.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    return row if row.held(claimed) and row.state in Webhook.OPEN else None


@decision
def revive(*, webhook_id: int, ground: str, actor: Actor, now: datetime) -> Webhook:
    """A dead webhook is sent again under the same event id.

    Raises: NotPermitted, GroundMissing, NotPossible.
    """
    if not ground.strip():
        raise GroundMissing
    row = Webhook.objects.select_for_update(of=("self",)).get(pk=webhook_id)
    row.attempts = 0
    row.release(due_at=now)
    move(row, "revive", actor=actor, reason=ground.strip(), now=now)
    jobs.enqueue(Job.SEND_WEBHOOKS)
    return row
