"""A population by file: one account number a line, read in a stream, whatever the file is.

Every line is accounted for: taken, named before, unknown, or no account number at all. The lines themselves
are not kept; the accounts that they name are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.imports.seen import Seen
from accounts.models import CreditAccount
from accounts.statements import batched
from accounts.tracking import save_as
from closures.errors import ClosureError
from closures.models import Campaign, CampaignEntry
from closures.services.campaigns.plan import opened

BATCH = 5_000
MOST_LINES = 2_000_000  # engineering limit: far above any product's accounts
LONGEST = 200  # bytes of a line that can still be an account number
SHOWN = 5  # line numbers given as examples of each kind of reject
NUMBER = re.compile(r"[A-Za-z0-9_\-]{1,32}")
HEADERS = {"account_no", "account", "账户", "账号", "授信账号"}
WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00")


class FileRefused(ClosureError):
    code = "file_refused"
    template = _("The file cannot be read: {why}. Nothing was changed.")


class Report:
    """What became of the lines, with the first few line numbers of each reject."""

    def __init__(self) -> None:
        self.counts = {"lines": 0, "taken": 0, "twice": 0, "unknown": 0, "unreadable": 0}
        self.examples: dict[str, list[int]] = {"twice": [], "unknown": [], "unreadable": []}

    def reject(self, why: str, line: int) -> None:
        self.counts[why] += 1
        if len(self.examples[why]) < SHOWN:
            self.examples[why].append(line)

    def as_json(self) -> dict[str, Any]:
        return {**self.counts, "examples": {why: lines for why, lines in self.examples.items() if lines}}


@decision
def load(*, campaign_id: int, file: Any, actor: Actor, now: datetime) -> Campaign:
    """The plan means the accounts that the file names; one it had before is replaced, an approval void.

    `file` is an open binary file. Duplicates, unknown numbers and unreadable lines are counted on the
    campaign, never kept. Raises: NotPermitted, NotEditable, FileRefused (not UTF-8, no known account,
    too many lines).
    """
    campaign = opened(campaign_id, actor=actor, now=now)
    campaign.entries.all().delete()
    report, digest = Report(), hashlib.sha256()
    with closing(Seen()) as seen:
        for batch in batched(_lines(file, add=digest.update), BATCH):
            _take(campaign, batch, seen, report)
    if not report.counts["taken"]:
        raise FileRefused(why=_("no line names an account of ours"))
    campaign.source, campaign.population = Campaign.Source.FILE, ""
    campaign.file_digest, campaign.file_report = digest.hexdigest(), report.as_json()
    return save_as(campaign, actor=actor, reason="population by file", now=now)


def _lines(file: Any, *, add: Callable[[bytes], None]) -> Iterator[tuple[int, bytes]]:
    """Every line with its number; too long a one is cut, and so unreadable. Raises FileRefused."""
    number, whole = 0, True
    while raw := file.readline(LONGEST):
        add(raw)
        if whole:
            number += 1
            if number == 1 and raw.startswith(WIDE):
                raise FileRefused(why=_("it is not UTF-8 text"))
            if number > MOST_LINES:
                raise FileRefused(why=_("it has more than {most} lines").format(most=MOST_LINES))
            yield number, raw
        whole = raw.endswith(b"\n")


def _take(campaign: Campaign, batch: list[tuple[int, bytes]], seen: Seen, report: Report) -> None:
    named: dict[str, int] = {}
    for line, raw in batch:
        text = raw.decode("utf-8-sig", errors="replace").split(",")[0].strip().strip('"').strip()
        if not text or (line == 1 and text.lower() in HEADERS):
            continue
        report.counts["lines"] += 1
        if not NUMBER.fullmatch(text):
            report.reject("unreadable", line)
        elif text in named:
            report.reject("twice", line)
        else:
            named[text] = line
    for number in seen.among(list(named)):
        report.reject("twice", named.pop(number))
    seen.add(named)
    found = CreditAccount.objects.filter(account_no__in=list(named), customer__synthetic=False)
    keys = dict(found.values_list("account_no", "pk"))
    for number, line in named.items():
        if number not in keys:
            report.reject("unknown", line)
    report.counts["taken"] += len(keys)
    CampaignEntry.objects.bulk_create(
        [CampaignEntry(campaign=campaign, account_id=pk) for pk in keys.values()], batch_size=BATCH
    )
