"""The partners' own ledger of effects, where there is one: the simulator's. Real partners show none."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from closures.gateways import http

UNSIGN = "UNSIGN"
LIMIT = 10_000  # rows of one answer


@dataclass(frozen=True)
class Repeated:
    """Something that may happen once to a subject and happened `count` times."""

    system: str
    kind: str
    subject: str
    count: int


def repeated() -> list[Repeated]:
    """What happened more than once though it may happen only once. Changes nothing.

    Raises `Unreachable`, `Unclear`, `Refused`.
    """
    # The control plane takes no signature; the key only makes the call look like every other.
    endpoint = http.Endpoint(
        system="EFFECTS", url=settings.EFFECTS_LEDGER_URL.rstrip("/"), key_id="unsigned", secret=b"unsigned"
    )
    fields = http.get(endpoint, "control", "effects", "duplicates").success()
    return [
        Repeated(row.text("system"), row.text("kind"), row.text("subject"), row.count("count"))
        for row in fields.objects("duplicates", limit=LIMIT)
    ]
