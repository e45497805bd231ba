"""One call of the API from its signature to its kept answer: proved, counted, spent once, answered once.

# Note [Three ways of one key]

The first call under an idempotency key does the work, and its answer is kept. A repeat of the same request
gets that answer again; a repeat while the first is still at work is told to come back; another request
under the same key is refused. A first call that died without an answer holds the key until its lock lapses;
then a repeat does the work, and the service below gives the first result again, because it has the key too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.decisions import record
from accounts.models import RefusedAction
from closures.errors import ClosureError
from closures.gateways import signing
from closures.gateways.signing import Forged
from closures.gateways.wire import parse_json
from closures.models import ApiCall, ApiClient
from closures.models.api import sealed_subject

WINDOW = timedelta(minutes=1)
# Whoever cannot be told from a stranger must not be able to fill the table of refusals.
STRANGERS_RECORDED = 60  # a minute
NOBODYS_SECRET = b"nobody has this secret"


class NotAuthenticated(ClosureError):
    code = "not_authenticated"
    template = _("The call is not signed by a client that may call here ({why}).")


class TooManyRequests(ClosureError):
    code = "too_many_requests"
    template = _("This client has used up its {limit} requests a minute.")


class Replayed(ClosureError):
    code = "replayed"
    template = _("This nonce was used before; every call needs a new one.")


class ScopeMissing(ClosureError):
    code = "scope_missing"
    template = _("This client has no scope “{scope}”.")


class InFlight(ClosureError):
    code = "in_flight"
    template = _("The first call under this idempotency key is still at work.")


class NotJson(ClosureError):
    code = "not_json"
    template = _("The body is not one JSON text in UTF-8.")


class KeyOfAnother(ClosureError):
    code = "key_reused"
    template = _("This idempotency key was used for another request. Send a new key.")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered under a key: status, body as it was sent, and the refusal's code or ""."""

    status: int
    body: str
    code: str


def admit(*, method: str, target: str, headers: Mapping[str, str], body: bytes, now: datetime) -> ApiCall:
    """The call is a client's, within its limit, and its nonce is spent; the row of it is IN_FLIGHT.

    A replayed call is not counted against the client: whoever overhears one cannot use up its limit.
    Raises (and records): NotAuthenticated, TooManyRequests, Replayed. Never safe to repeat, on purpose.
    """
    who = "?"
    try:
        said = signing.credentials(headers)
        who = said.key_id
        client = _proved(said, method=method, target=target, body=body, now=now)
        return _spend(client, said.nonce, now=now)
    except Forged as forged:
        refusal: ClosureError = NotAuthenticated(why=forged.code)
        cause: Exception = forged
    except (TooManyRequests, Replayed) as no:
        refusal, cause = no, no
    _record(refusal, who=who, now=now)
    raise refusal from (None if refusal is cause else cause)


def require(call: ApiCall, scope: str) -> None:
    """The client has the scope. Raises ScopeMissing."""
    if scope not in call.client.scopes:
        raise ScopeMissing(scope=scope)


def begin(*, call: ApiCall, key: str, digest: str, now: datetime) -> Answer | None:
    """The key is this call's and the work may begin (None), or the first call's answer comes back.

    Raises: InFlight, KeyOfAnother. See Note [Three ways of one key].
    """
    lock_until = now + settings.API_LOCK
    if _take(call, key=key, digest=digest, lock_until=lock_until):
        return None
    first = ApiCall.objects.filter(client=call.client_id, idempotency_key=key).first()
    if first is None:  # given back between our two looks
        raise InFlight
    if not hmac.compare_digest(first.request_digest, digest):
        raise KeyOfAnother
    if first.state == ApiCall.State.DONE:
        kept = pii.reveal(first.response_sealed, **sealed_subject(first))
        return Answer(status=first.status or 500, body=kept, code=first.code)
    if first.lock_until and first.lock_until > now:
        raise InFlight
    freed = ApiCall.objects.filter(
        pk=first.pk, state=ApiCall.State.IN_FLIGHT, idempotency_key=key, lock_until=first.lock_until
    ).update(idempotency_key=None)
    if freed and _take(call, key=key, digest=digest, lock_until=lock_until):
        return None
    raise InFlight


def finish(*, call: ApiCall, answer: Answer, keyed: bool, replayed: bool) -> None:
    """The call is DONE with this answer; under a key the answer is kept, sealed, to be given again.

    An answer of 500 and above settles nothing: the key is given back. Safe to repeat.
    """
    broke = answer.status >= 500
    kept = pii.seal(answer.body, **sealed_subject(call)) if keyed and not broke else ""
    if keyed and broke:
        ApiCall.objects.filter(pk=call.pk).update(idempotency_key=None)
    ApiCall.objects.filter(pk=call.pk).update(
        state=ApiCall.State.DONE,
        status=answer.status,
        code=answer.code[:60],
        operation=call.operation,
        replayed=replayed,
        response_sealed=kept,
    )


def forget(*, now: datetime) -> int:
    """Calls whose time is over are gone, a batch at a time; returns how many. Nonces outlive the skew."""
    old = (
        ApiCall.objects.filter(expires_at__lt=now).order_by("expires_at").values("pk")[: settings.BATCH_SIZE]
    )
    gone, _each = ApiCall.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
    return gone


def read_json(body: bytes) -> Any:
    """The value of strict UTF-8 JSON: no NaN, no name twice, no endless number, not nested too deeply.

    Raises NotJson.
    """
    try:
        return parse_json(body)
    except ValueError as error:  # a UnicodeDecodeError is one
        raise NotJson from error


def digest_of(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _proved(said: signing.Credentials, *, method: str, target: str, body: bytes, now: datetime) -> ApiClient:
    client = ApiClient.objects.filter(key_id=said.key_id).first()
    # A stranger costs the same time as a client with a wrong signature.
    secrets = client.live_secrets(now=now) if client is not None else [NOBODYS_SECRET]
    signing.verify_request(said, method=method, target=target, body=body, secrets=secrets, now=now)
    if client is None:
        raise Forged("BAD_SIGNATURE")
    if client.state != ApiClient.State.ACTIVE:
        raise Forged("DISABLED")
    return client


def _spend(client: ApiClient, nonce: str, *, now: datetime) -> ApiCall:
    call = ApiCall(client=client, nonce=nonce, received_at=now, expires_at=now + settings.API_CALLS_KEPT)
    try:
        with transaction.atomic():
            _count(client, now=now)
            call.save(force_insert=True)
    except IntegrityError as clash:
        raise Replayed from clash
    return call


def _count(client: ApiClient, *, now: datetime) -> None:
    """One more call in this minute, in one statement; none where it is full. Raises TooManyRequests."""
    window = now.replace(second=0, microsecond=0)
    same = Q(window_at=window)
    room = ~same | Q(window_at__isnull=True) | Q(window_calls__lt=F("requests_per_minute"))
    counted = ApiClient.objects.filter(room, pk=client.pk).update(
        window_calls=Case(When(same, then=F("window_calls") + 1), default=Value(1)), window_at=window
    )
    if not counted:
        raise TooManyRequests(limit=client.requests_per_minute)


def retry_after(now: datetime) -> int:
    """Seconds until the next window begins."""
    return max(1, int((now.replace(second=0, microsecond=0) + WINDOW - now).total_seconds()) + 1)


def _take(call: ApiCall, *, key: str, digest: str, lock_until: datetime) -> bool:
    try:
        with transaction.atomic():
            ApiCall.objects.filter(pk=call.pk).update(
                idempotency_key=key, request_digest=digest, lock_until=lock_until
            )
    except IntegrityError:
        return False
    return True


def _record(refusal: ClosureError, *, who: str, now: datetime) -> None:
    """Keep the refusal, unless strangers have filled this minute."""
    recent = RefusedAction.objects.filter(action="api.admit", at__gt=now - WINDOW)
    if recent.values("pk")[:STRANGERS_RECORDED].count() < STRANGERS_RECORDED:
        record(refusal, action="api.admit", facts={"actor": f"client:{who}"})
    refusal.recorded = True  # type: ignore[attr-defined]
