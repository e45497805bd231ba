"""Which gateway reaches which partner, as settings.PARTNERS says now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from closures.gateways import http
from closures.gateways.partners.base import Partner
from closures.gateways.partners.generic import GenericPartner
from closures.gateways.partners.manual import ManualPartner

KINDS: dict[str, Callable[[str, Mapping[str, str]], Partner]] = {
    "generic": lambda code, entry: GenericPartner(code=code, endpoint=http.Endpoint.of(code, entry)),
    "manual": lambda code, entry: ManualPartner(code=code),
}


def codes() -> list[str]:
    """The partners there are."""
    return list(settings.PARTNERS)


def get(code: str) -> Partner:
    """The partner's gateway. Raises ImproperlyConfigured naming what is missing. Calls nobody."""
    if code not in settings.PARTNERS:
        raise ImproperlyConfigured(f"settings.PARTNERS has no partner {code!r}; it has: {', '.join(codes())}")
    entry = settings.PARTNERS[code]
    kind = entry.get("gateway", "")
    if kind not in KINDS:
        raise ImproperlyConfigured(f"partner {code}: gateway {kind!r} is none of: {', '.join(KINDS)}")
    return KINDS[kind](code, entry)


def check_config() -> list[str]:
    """What is wrong with the settings of any partner; empty when nothing is. Calls nobody."""
    found = []
    for code in codes():
        try:
            found += get(code).check_config()
        except ImproperlyConfigured as error:
            found.append(str(error))
    return found
