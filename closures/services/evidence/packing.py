"""The evidence pack of a case: facts, pages to read, a manifest, and the script that checks it offline.

# Note [One pack, one ZIP]

The ZIP is not compressed and bears no dates, so the script can make it again from what is in it and compare
byte by byte: a change between the files is found like one within them. What makes the pack the one that was
made, and not another that is whole too, is its hash, kept in the row and shown on its page.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import translation
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.decisions import decision
from accounts.models import User
from accounts.tracking import NotPermitted
from closures.models import ClosureTicket, EvidencePack
from closures.models.numbers import new_number
from closures.selectors import evidence_pack, papers, timeline
from closures.selectors.pdf import FontMissing
from closures.selectors.timeline import SEE_SILENT, Entry
from closures.services.evidence import verify_pack
from closures.services.evidence.certifying import fingerprint

PERMISSION = "closures.make_evidence_pack"
SCRIPT = "verify_pack.py"


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What the pack says, all of one moment."""

    ticket: ClosureTicket
    case: dict[str, Any]
    entries: list[Entry]
    certified: bool
    intact: bool


def make_pack(
    *, ticket_id: int, language: str, actor: Actor, now: datetime, for_outside: bool = False
) -> EvidencePack:
    """The ticket has one more evidence pack, checked before it is kept; its pages are in `language`.

    Silent holds are in it only if the maker may know of them and it is not `for_outside`. The same facts,
    number, maker and moment give the same bytes. Where no font can print Chinese its pages are HTML. Each
    call makes a pack of its own. The ticket is locked while facts are read, not while pages are made.

    Raises: NotPermitted.
    """
    with translation.override(language):
        gathered = _gather(ticket_id=ticket_id, actor=actor, for_outside=for_outside)
        user = _person(actor)
        pack = EvidencePack(
            number=new_number(now, prefix="EP"),
            ticket=gathered.ticket,
            made_by=user,
            made_at=now,
            language=language,
            with_silent_holds=_silent(actor, for_outside=for_outside),
        )
        pack.content = build(pack, gathered)
    pack.digest = verify_pack.verify(pack.content)["hash"]
    pack.size = len(pack.content)
    with transaction.atomic():
        pack.save(force_insert=True)
    return pack


@decision
def _gather(*, ticket_id: int, actor: Actor, for_outside: bool) -> Gathered:
    if not _person(actor).has_perm(PERMISSION):
        raise NotPermitted(move=_("Make an evidence pack"))
    ClosureTicket.objects.lock(ticket_id)
    related = ("account__product__lender", "account__customer", "answer_rule")
    ticket = ClosureTicket.objects.select_related(*related).get(pk=ticket_id)
    silent = _silent(actor, for_outside=for_outside)
    return Gathered(
        ticket=ticket,
        case=evidence_pack.case_of(ticket, silent=silent),
        entries=timeline.whole(ticket, silent=silent),
        certified=bool(ticket.certificate_no),
        intact=fingerprint(ticket.certificate) == ticket.certificate_hash,
    )


def build(pack: EvidencePack, gathered: Gathered) -> bytes:
    """The bytes of the pack, in the active language. Pure: nothing is read that is not given."""
    files = {"case.json": _json(gathered.case), SCRIPT: Path(verify_pack.__file__).read_bytes()}
    files |= _pages(pack, gathered)
    manifest = _json(
        {
            "format": evidence_pack.FORMAT,
            "pack": pack.number,
            "ticket": gathered.ticket.number,
            "made_at": localtime(pack.made_at).isoformat(),
            "made_by": pack.made_by.staff_no,
            "language": pack.language,
            "with_silent_holds": pack.with_silent_holds,
            "files": [
                {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in sorted(files.items())
            ],
        }
    )
    files |= {verify_pack.MANIFEST: manifest, verify_pack.SEAL: verify_pack.seal_of(manifest)}
    return verify_pack.archive(files)


def _pages(pack: EvidencePack, gathered: Gathered) -> dict[str, bytes]:
    """certificate and case to read: PDF, or HTML where no font prints Chinese."""
    case = papers.Case(
        ticket=gathered.ticket,
        entries=gathered.entries,
        facts=gathered.case,
        number=pack.number,
        made_at=pack.made_at,
    )
    try:
        pages = {"case.pdf": papers.case_pdf(case)}
        if gathered.certified:
            pages["certificate.pdf"] = papers.certificate_pdf(gathered.ticket, intact=gathered.intact)
    except FontMissing:
        pages = {"case.html": papers.case_html(case)}
        if gathered.certified:
            pages["certificate.html"] = papers.certificate_html(gathered.ticket, intact=gathered.intact)
    return pages


def _json(facts: dict[str, Any]) -> bytes:
    return f"{json.dumps(facts, ensure_ascii=False, sort_keys=True, indent=1)}\n".encode()


def _silent(actor: Actor, *, for_outside: bool) -> bool:
    return not for_outside and _person(actor).has_perm(SEE_SILENT)


def _person(actor: Actor) -> User:
    if actor.kind is not ActorKind.STAFF or actor.user is None:
        raise NotPermitted(move=_("Make an evidence pack"))
    return actor.user
