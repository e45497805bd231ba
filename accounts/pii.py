"""Personal data at rest: seal, reveal, search by blind index, mask.

What lives here: AES-256-GCM seals that name their key and are bound to one row and one field, keyed
hashes for exact search, masks for the screen, and the list of tables that hold seals. What does not:
who may reveal what (accounts.services.identities) and any query.
"""

from __future__ import annotations

import base64
import binascii
import functools
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.errors import Refusal

KEY_BYTES = 32
NONCE_BYTES = 12  # random per seal; NIST SP 800-38D §8.3 bounds one key to 2^32 of them, so rotate before
STAR = "*"


class Unreadable(Refusal):
    """A seal that no key of ours opens here: wrong key, tampered with, or another row's."""

    code = "unreadable"
    template = _("The sealed {field} of {subject} cannot be read. Nothing was changed.")


# What personal data looks like when it lies in a text, read alike by Python and by PostgreSQL: a mainland
# ID number with a possible birth date, a mobile number, an e-mail address. Numbers of ours have letters
# before or after their digits, so the digits must stand alone. SQLite keeps JSON as Django wrote it: a
# Chinese character in front of the digits is \u and four hexadecimal digits there.
ALONE, END = r"(^|[^0-9A-Za-z]|\\u[0-9a-f]{4})", "($|[^0-9A-Za-z])"
ID_NUMBER = "[1-9][0-9]{5}(18|19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
PHONE = r"(\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}"
# One character before the @ is enough to know it by; a run of them made PostgreSQL fifteen times slower.
EMAIL = r"[A-Za-z0-9._%+-]@[A-Za-z0-9-]+\.[A-Za-z0-9]"
PERSONAL = f"{ALONE}({ID_NUMBER}|{PHONE}){END}|{EMAIL}"


def looks_personal(text: str) -> bool:
    """Whether an ID number, a mobile number or an e-mail address stands in `text`."""
    return re.search(PERSONAL, text) is not None


# --- Keys -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Keyring:
    """The keys of FIELD_KEYS: the first seals, all open."""

    sealing_id: str
    ciphers: dict[str, AESGCM]


@functools.lru_cache(maxsize=8)
def _keyring(configured: str) -> Keyring:
    ciphers: dict[str, AESGCM] = {}
    for entry in filter(None, (part.strip() for part in configured.split(","))):
        key_id, colon, key = entry.partition(":")
        if not colon or not re.fullmatch(r"[a-z0-9_-]{1,20}", key_id) or key_id in ciphers:
            raise ImproperlyConfigured('FIELD_KEYS must read "id:base64key,id:base64key", each id once.')
        ciphers[key_id] = AESGCM(_key(key, name="FIELD_KEYS"))
    if not ciphers:
        raise ImproperlyConfigured("FIELD_KEYS is empty: personal data can be neither sealed nor read.")
    return Keyring(sealing_id=next(iter(ciphers)), ciphers=ciphers)


@functools.lru_cache(maxsize=8)
def _index_hash(configured: str) -> hmac.HMAC:
    if not configured:
        raise ImproperlyConfigured("INDEX_KEY is empty: customers cannot be found by their ID number.")
    return hmac.HMAC(_key(configured, name="INDEX_KEY"), hashes.SHA256())


def _key(text: str, *, name: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ImproperlyConfigured(f"{name} holds a key that is not base64.") from error
    if len(key) != KEY_BYTES:
        raise ImproperlyConfigured(f"{name} holds a key of {len(key)} bytes; {KEY_BYTES} are needed.")
    return key


def sealing_key_id() -> str:
    """The id that new seals begin with."""
    return _keyring(settings.FIELD_KEYS).sealing_id


# --- Seals ------------------------------------------------------------------------------------------


def seal(value: str, *, subject: str, field: str) -> str:
    """`value` sealed for one row (`subject`, e.g. a customer number) and one field of it.

    The text reads `key_id.base64(nonce + ciphertext)`; an empty value stays empty. Two seals of one value
    differ. Source: ASVS 11.3.3.
    """
    return seal_all({field: value}, subject=subject)[0]


def seal_all(values: Mapping[str, str], *, subject: str) -> list[str]:
    """The values of one row's fields sealed, in their order; an empty one stays empty."""
    ring = _keyring(settings.FIELD_KEYS)
    encrypt = ring.ciphers[ring.sealing_id].encrypt
    sealed = []
    for field, value in values.items():
        if not value:
            sealed.append("")
            continue
        nonce = os.urandom(NONCE_BYTES)
        body = nonce + encrypt(nonce, value.encode(), f"{subject}:{field}".encode())
        sealed.append(f"{ring.sealing_id}.{base64.b64encode(body, b'-_').decode('ascii')}")
    return sealed


def reveal(sealed: str, *, subject: str, field: str) -> str:
    """What was sealed for this row and field; "" of "". Raises `Unreadable`."""
    if not sealed:
        return ""
    key_id, _dot, body = sealed.partition(".")
    cipher = _keyring(settings.FIELD_KEYS).ciphers.get(key_id)
    try:
        if cipher is None:
            raise InvalidTag
        raw = base64.b64decode(body.encode("ascii"), altchars=b"-_", validate=True)
        opened = cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], f"{subject}:{field}".encode())
    except (InvalidTag, binascii.Error, ValueError) as error:  # ValueError: too short, or not ASCII
        raise Unreadable(subject=subject, field=field) from error
    return opened.decode()


def is_current(sealed: str) -> bool:
    """Whether the key that seals today made this; a blank field needs no key."""
    return not sealed or sealed.startswith(f"{sealing_key_id()}.")


# --- Keyed hashes -----------------------------------------------------------------------------------


def normalised(field: str, value: str) -> str:
    """One spelling per ID number and phone, however it was typed; other fields only lose outer blanks."""
    value = unicodedata.normalize("NFKC", value).strip() if not value.isascii() else value.strip()
    if field == "id_number":
        return re.sub(r"\s", "", value).upper()
    if field == "phone":
        digits = re.sub(r"[^0-9]", "", value)
        # +86 is what an address book adds to a mainland number of eleven digits.
        return digits[2:] if len(digits) == 13 and digits.startswith("86") else digits
    return value


def blind_index(field: str, value: str) -> str:
    """A keyed hash for exact search, "" for nothing; equal values of different fields differ."""
    value = normalised(field, value)
    return _keyed("index", field, value) if value else ""


def row_digest(values: Iterable[str]) -> str:
    """A keyed hash over a row of texts: tells whether it changed, and nothing about what is in it."""
    return _keyed("row", *values)


def _keyed(*parts: str) -> str:
    # The lengths keep two rows apart whose parts, run together, read the same.
    message = f"{[*map(len, parts)]}{''.join(parts)}".encode("utf-8", "surrogatepass")
    keyed = _index_hash(settings.INDEX_KEY).copy()
    keyed.update(message)
    return keyed.finalize().hex()


# --- Masks ------------------------------------------------------------------------------------------


def mask(field: str, value: str) -> str:
    """What a screen shows without a reason: 张*, 990***********0010, 199****0001, c***@example.com."""
    if not value:
        return ""
    match field:
        case "name":
            return value[0] + STAR * (len(value) - 1) if len(value) > 1 else STAR
        case "id_number":
            return _ends(value, head=3, tail=4)
        case "phone":
            return _ends(value, head=3, tail=4)
        case "email":
            local, at, domain = value.rpartition("@")
            return f"{local[:1]}{STAR * 3}@{domain}" if at else STAR * 3
        case "birth_date":
            return "****-**-**"
        case _:
            return STAR * 3


def _ends(value: str, *, head: int, tail: int) -> str:
    hidden = len(value) - head - tail
    return value[:head] + STAR * hidden + value[-tail:] if hidden > 0 else STAR * len(value)


# --- Where seals are kept ---------------------------------------------------------------------------


@dataclass
class SealedTable:
    """A model whose columns `{field}_sealed` hold seals, bound to what `subject_path` leads to."""

    model: type[models.Model]
    subject_path: str
    fields: list[str] = dataclass_field(default_factory=list)
    customer_path: str | None = ""  # to the customer whose erasure empties the row; None: nobody's
    row_goes: bool = False  # erasure deletes the row; else it empties the sealed columns


_tables: dict[type[models.Model], SealedTable] = {}


def register_sealed(
    model: type[models.Model],
    field: str,
    subject_path: str,
    *,
    customer_path: str | None = "",
    row_goes: bool = False,
) -> None:
    """`manage.py rotate_keys` reseals `{field}_sealed` of `model`, and erasing a customer empties it.

    `subject_path` is a lookup from the model to the text that was given as `subject`, `customer_path` one to
    the customer, or None where no customer is meant (a client's secret, an answer kept for days); with
    `row_goes` his erasure deletes the whole row. A guard wants one or the other said.
    Safe to repeat.
    """
    model._meta.get_field(f"{field}_sealed")
    table = _tables.setdefault(
        model,
        SealedTable(model=model, subject_path=subject_path, customer_path=customer_path, row_goes=row_goes),
    )
    if table.subject_path != subject_path:
        raise ValueError(f"{model.__name__} binds its seals to {table.subject_path} already")
    if field not in table.fields:
        table.fields.append(field)


def sealed_tables() -> list[SealedTable]:
    return list(_tables.values())


def personal_tables() -> list[SealedTable]:
    """The sealed tables that an erasure has to reach."""
    return [table for table in sealed_tables() if table.customer_path is not None]


def reseal(row: Any, *, subject: str, fields: Iterable[str]) -> bool:
    """Put the row's old seals under today's key, in memory; True when one changed. Raises `Unreadable`."""
    fresh = {}
    for name in fields:
        sealed = getattr(row, f"{name}_sealed")
        if not is_current(sealed):
            fresh[name] = seal(reveal(sealed, subject=subject, field=name), subject=subject, field=name)
    for name, sealed in fresh.items():
        setattr(row, f"{name}_sealed", sealed)
    return bool(fresh)
