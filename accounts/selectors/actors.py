"""Who did something and why, as history keeps it, in the reader's words. Touches no row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from accounts.actors import ActorKind

JOBS: dict[str, Any] = {
    "import": _("import"),
    "expire_restrictions": _("expiry of restrictions"),
}
REASONS = (
    gettext_noop("shipped with the product"),
    gettext_noop("time is over"),
    gettext_noop("invited"),
    gettext_noop("own password changed"),
)
IMPORTED = re.compile(r"import of (?P<file>\S+)")


def in_words(
    actor: str, *, names: Mapping[str, str] | None = None, jobs: Mapping[str, Any] | None = None
) -> str:
    """“staff:agent”, “job:import” and the like, in the active language.

    `names` gives the names of staff by their number, `jobs` the words for jobs beyond those of this app.
    What is not known is shown as it stands.
    """
    kind, _colon, name = (actor or "").partition(":")
    match kind:
        case ActorKind.STAFF:
            return f"{(names or {}).get(name, '')} {name}".strip()
        case ActorKind.JOB:
            return translate("System: %(job)s") % {"job": {**JOBS, **(jobs or {})}.get(name, name)}
        case ActorKind.CUSTOMER:
            return translate("Customer %(number)s") % {"number": name}
        case ActorKind.PARTNER:
            return translate("Partner %(code)s") % {"code": name}
        case "client":
            return translate("App %(key)s") % {"key": name}
        case ActorKind.SHIPPED:
            return translate("Shipped with the product")
    return actor


def why(reason: str) -> str:
    """A reason that this app writes, in the active language; anything else is somebody's own text."""
    if reason in REASONS:
        return translate(reason)
    if found := IMPORTED.fullmatch(reason):
        return translate("import of %(file)s") % found.groupdict()
    return reason
