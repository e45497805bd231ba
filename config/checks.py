"""What production must not start with. Pure rules over settings; nothing here reads the database.

`refuse` runs at the end of the production settings, so it holds for manage.py, gunicorn, worker and beat
alike. The same rules, as Django's system checks, are in config.system_checks.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from django.core.exceptions import ImproperlyConfigured

KEY_BYTES = 32
SECRET_KEY_MIN = 32  # characters
SHORTEST_POLICY = timedelta(days=1)
# Seconds, each smaller than the next. Source: DESIGN §7 rule 16.
TIMEOUT_CHAIN = (
    "PARTNER_CONNECT_TIMEOUT",
    "PARTNER_READ_TIMEOUT",
    "TASK_SOFT_TIME_LIMIT",
    "TASK_TIME_LIMIT",
    "LEASE_SECONDS",
    "BROKER_VISIBILITY_TIMEOUT",
)


def local_key(purpose: str) -> str:
    """The key that config.settings.local makes for this purpose; anybody can compute it."""
    secret = f"local-only, never for production: {purpose}"
    return base64.b64encode(hashlib.sha256(secret.encode()).digest()).decode()


LOCAL_KEYS = frozenset(map(local_key, ("secret", "field", "index", "status")))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the settings; `id` is stable, the message names the variable."""

    id: str
    message: str


# --- Rules: each yields what is wrong ----------------------------------------------------------------


def debug(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings.get("DEBUG"):
        yield "DEBUG is on: every error page would show settings and customers' data."


def secret_key(settings: Mapping[str, Any]) -> Iterator[str]:
    keys = {"SECRET_KEY": settings.get("SECRET_KEY") or ""}
    for n, key in enumerate(settings.get("SECRET_KEY_FALLBACKS") or ()):
        keys[f"SECRET_KEY_FALLBACKS[{n}]"] = key
    for name, key in keys.items():
        if not key:
            yield f"{name} is missing."
        elif key in LOCAL_KEYS or key.startswith("django-insecure-"):
            yield f"{name} is a local-only key."
        elif len(key) < SECRET_KEY_MIN:
            yield f"{name} is shorter than {SECRET_KEY_MIN} characters."


def field_keys(settings: Mapping[str, Any]) -> Iterator[str]:
    entries = [entry.strip() for entry in (settings.get("FIELD_KEYS") or "").split(",") if entry.strip()]
    if not entries:
        yield "FIELD_KEYS is missing."
    for entry in entries:
        name, _, key = entry.partition(":")
        if key in LOCAL_KEYS:
            yield f"FIELD_KEYS: key {name!r} is a local-only key."
        elif not is_key(key):
            yield f"FIELD_KEYS: {name!r} is not followed by a base64 key of {KEY_BYTES} bytes."


def index_key(settings: Mapping[str, Any]) -> Iterator[str]:
    key = settings.get("INDEX_KEY") or ""
    if not key:
        yield "INDEX_KEY is missing."
    elif key in LOCAL_KEYS:
        yield "INDEX_KEY is a local-only key."
    elif not is_key(key):
        yield f"INDEX_KEY is not a base64 key of {KEY_BYTES} bytes."
    elif key in (settings.get("FIELD_KEYS") or ""):
        yield "INDEX_KEY is one of FIELD_KEYS: an index must not fall with a seal."


def second_factor(settings: Mapping[str, Any]) -> Iterator[str]:
    if not settings.get("STAFF_OTP_REQUIRED"):
        yield "STAFF_OTP_REQUIRED is off: staff could sign in without a second factor."
    if not settings.get("STEP_UP_REQUIRED"):
        yield "STEP_UP_REQUIRED is off: decisions would not need a fresh sign-in."


def partner_secrets(settings: Mapping[str, Any]) -> Iterator[str]:
    local = settings.get("LOCAL_PARTNER_SECRET")
    for name, system in systems(settings).items():
        if system.get("secret") in (None, "", local):
            yield f"{name}_SECRET is missing: the local one is never accepted."
    for code, secrets in (settings.get("CALLBACK_SECRETS") or {}).items():
        name = code if code in ("SMS", "LEDGER") else f"PARTNER_{code}"
        if not secrets or set(secrets) & {"", local}:
            yield f"{name}_CALLBACK_SECRETS is missing: the local one is never accepted."


def partner_addresses(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings.get("PARTNER_PRIVATE_ADDRESSES_ALLOWED"):
        yield "PARTNER_PRIVATE_ADDRESSES_ALLOWED is on: a partner is never at a private address."
    simulator = settings.get("SIMULATOR_URL") or "http://127.0.0.1"
    for name, system in systems(settings).items():
        if not system.get("url") or system["url"].startswith(simulator):
            yield f"{name}_URL is missing: the default is the simulator, which closes nothing."


def policy_minimum(settings: Mapping[str, Any]) -> Iterator[str]:
    if (settings.get("POLICY_MINIMUM") or timedelta(0)) < SHORTEST_POLICY:
        yield "POLICY_MINIMUM is less than a day: closing policies could say seconds."


def timeouts(settings: Mapping[str, Any]) -> Iterator[str]:
    for shorter, longer in pairwise(TIMEOUT_CHAIN):
        if not settings[shorter] < settings[longer]:
            yield f"{shorter} ({settings[shorter]} s) must be below {longer} ({settings[longer]} s)."


def status_links(settings: Mapping[str, Any]) -> Iterator[str]:
    """A guessed or forged link is a stranger on a customer's page."""
    keys = {"STATUS_LINK_KEY": settings.get("STATUS_LINK_KEY") or ""}
    for n, key in enumerate(settings.get("STATUS_LINK_KEY_FALLBACKS") or ()):
        keys[f"STATUS_LINK_KEY_FALLBACKS[{n}]"] = key
    for name, key in keys.items():
        if key in LOCAL_KEYS or len(key) < SECRET_KEY_MIN:
            yield f"{name} is missing, local-only or shorter than {SECRET_KEY_MIN} characters."
        elif key == settings.get("SECRET_KEY"):
            yield f"{name} is SECRET_KEY: a link must not fall with a session."
    if not (settings.get("PUBLIC_URL") or "").startswith("https://"):
        yield "PUBLIC_URL is missing or not https: notices would lead customers astray."


def failpoint(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings.get("FAILPOINT"):
        yield "FAILPOINT is set: the process would kill itself there."


RULES: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "config.E001": debug,
    "config.E002": secret_key,
    "config.E003": field_keys,
    "config.E004": index_key,
    "config.E005": second_factor,
    "config.E006": partner_secrets,
    "config.E007": partner_addresses,
    "config.E008": policy_minimum,
    "config.E009": timeouts,
    "config.E020": status_links,
    "config.E012": failpoint,  # E010 and E011 need the database: config.system_checks
}
EVERYWHERE = ("config.E009",)  # what no place may start with, the demo included


# --- What runs them ----------------------------------------------------------------------------------


def problems(settings: Mapping[str, Any], *, ids: tuple[str, ...] = tuple(RULES)) -> list[Problem]:
    """Everything that is wrong, at once: who mends one line at a time meets the next at the next start."""
    return [Problem(id, message) for id in ids for message in RULES[id](settings)]


def refuse(settings: Mapping[str, Any], *, ids: tuple[str, ...] = tuple(RULES)) -> None:
    """Nothing, when the settings are fit.

    Raises:
        ImproperlyConfigured: naming everything that is not.
    """
    found = problems(settings, ids=ids)
    if found:
        lines = "\n".join(f"  {problem.id}: {problem.message}" for problem in found)
        raise ImproperlyConfigured(f"This does not start:\n{lines}")


def systems(settings: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    """The systems that are called with a key, by the prefix of their variables; manual partners are not."""
    partners = {f"PARTNER_{code}": system for code, system in (settings.get("PARTNERS") or {}).items()}
    called = {name: system for name, system in partners.items() if system.get("gateway") != "manual"}
    return {**called, "LEDGER": settings.get("LEDGER") or {}, "SMS": settings.get("SMS") or {}}


def is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False
