"""The institution's apps at our API: made, changed, given secrets, disabled; the security officer's alone.

A secret leaves this module once, in what `create` and `rotate` return, and is stored nowhere but sealed.
"""

from __future__ import annotations

import secrets as dice
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.actors import Actor
from accounts.decisions import decision
from accounts.services.rights import require
from accounts.tracking import move, save_as
from closures.errors import ClosureError
from closures.gateways import webhooks
from closures.models import ApiClient
from closures.models.api import MANAGE, Scope

SECRET_BYTES = 32
HIGHEST_RATE = 60_000


class UnknownScope(ClosureError):
    code = "unknown_scope"
    template = _("“{scope}” is no scope. Nothing was changed.")


class AddressRefused(ClosureError):
    code = "address_refused"
    template = _(
        "Events may not be sent to this address ({why}): it must be https, at a host of WEBHOOK_HOSTS."
    )


class RateRefused(ClosureError):
    code = "rate_refused"
    template = _("Between 1 and {highest} requests a minute are possible.")


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A client and its new secret in the clear: shown once, kept by nobody."""

    client: ApiClient
    secret: str


@decision
def create(
    *,
    name: str,
    scopes: Iterable[str],
    requests_per_minute: int,
    webhook_url: str,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Issued:
    """A new app may call the API. Raises: NotPermitted, UnknownScope, AddressRefused, RateRefused."""
    require(actor=actor, right=MANAGE, move=_("Make an API client"))
    client = ApiClient(key_id=f"app_{dice.token_hex(8)}", state_since=now, rotated_at=now)
    _set(client, name=name, scopes=scopes, rate=requests_per_minute, webhook_url=webhook_url)
    secret = _new_secret(client)
    save_as(client, actor=actor, reason=reason, now=now)
    return Issued(client=client, secret=secret)


@decision
def edit(
    *,
    client_id: int,
    name: str,
    scopes: Iterable[str],
    requests_per_minute: int,
    webhook_url: str,
    reason: str,
    actor: Actor,
    now: datetime,
) -> ApiClient:
    """The client's name, scopes, limit and webhook address are these; they count from its next call on.

    Raises: NotPermitted, UnknownScope, AddressRefused, RateRefused. Safe to repeat.
    """
    require(actor=actor, right=MANAGE, move=_("Change an API client"))
    client = _lock(client_id)
    _set(client, name=name, scopes=scopes, rate=requests_per_minute, webhook_url=webhook_url)
    return save_as(client, actor=actor, reason=reason, now=now)


@decision
def rotate(*, client_id: int, reason: str, actor: Actor, now: datetime) -> Issued:
    """The client has a new secret; the one before lives on for `API_OLD_SECRET_LIVES`, older ones are dead.

    Rotating twice therefore ends a secret that has leaked at once. Raises: NotPermitted.
    """
    require(actor=actor, right=MANAGE, move=_("Rotate a secret"))
    client = _lock(client_id)
    before = pii.reveal(client.secret_sealed, subject=client.key_id, field="secret")
    client.previous_secret_sealed = pii.seal(before, subject=client.key_id, field="previous_secret")
    client.previous_until = now + settings.API_OLD_SECRET_LIVES
    client.rotated_at = now
    secret = _new_secret(client)
    save_as(client, actor=actor, reason=reason, now=now)
    return Issued(client=client, secret=secret)


@decision
def disable(*, client_id: int, reason: str, actor: Actor, now: datetime) -> ApiClient:
    """The client's next call is refused, and nothing is sent to it. Raises: NotPermitted, NotPossible."""
    return move(_lock(client_id), "disable", actor=actor, reason=reason, now=now)


@decision
def enable(*, client_id: int, reason: str, actor: Actor, now: datetime) -> ApiClient:
    """The client may call again with the secrets it had. Raises: NotPermitted, NotPossible."""
    return move(_lock(client_id), "enable", actor=actor, reason=reason, now=now)


def _lock(client_id: int) -> ApiClient:
    return ApiClient.objects.select_for_update(of=("self",)).get(pk=client_id)


def _set(client: ApiClient, *, name: str, scopes: Iterable[str], rate: Any, webhook_url: str) -> None:
    wanted = sorted(set(scopes))
    for scope in wanted:
        if scope not in Scope.values:
            raise UnknownScope(scope=scope)
    if not 1 <= rate <= HIGHEST_RATE:
        raise RateRefused(highest=HIGHEST_RATE)
    webhook_url = webhook_url.strip()
    if webhook_url and (why := webhooks.problem(webhook_url)):
        raise AddressRefused(why=why)
    client.name, client.scopes = name.strip(), wanted
    client.requests_per_minute, client.webhook_url = rate, webhook_url


def _new_secret(client: ApiClient) -> str:
    secret = dice.token_urlsafe(SECRET_BYTES)
    client.secret_sealed = pii.seal(secret, subject=client.key_id, field="secret")
    return secret
