"""What the page of one complaint shows: its texts opened, its clock told, its timeline. Bounded reads.

Who is complained about reads nothing of what was written; everybody else who may see the complaint does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from accounts import pii
from accounts.models import User
from accounts.selectors import actors
from accounts.selectors.identities import UNREADABLE, MaskedIdentity, identity_of
from closures.models import Complaint, ComplaintExtension, ComplaintPause, ComplaintText, Hold, Notice
from closures.models.notices import NoticeChannel, NoticeKind
from closures.selectors import complaint_clocks, complaint_letters, complaint_steps, reasons
from closures.selectors.complaint_steps import Beside
from closures.selectors.next_steps import NextStep
from closures.selectors.timeline import LIMIT, WORKERS, Entry

EARLIER = 10  # other complaints of the customer shown beside this one


@dataclass(frozen=True, kw_only=True)
class Written:
    """One text, opened for the page."""

    row: ComplaintText
    text: str
    by: str

    @property
    def shared(self) -> bool:
        return self.row.kind in ComplaintText.SHARED


@dataclass(frozen=True, kw_only=True)
class ComplaintFile:
    complaint: Complaint
    step: NextStep
    identity: MaskedIdentity
    target_on: date | None
    late: bool
    hidden: bool  # the reader is complained about
    texts: tuple[Written, ...]
    extensions: tuple[Any, ...]
    pauses: tuple[ComplaintPause, ...]
    holds: tuple[Any, ...]
    notices: tuple[tuple[Any, str], ...]
    merged: tuple[Complaint, ...]
    others: tuple[Any, ...]
    timeline: tuple[Entry, ...]


def of_complaint_for(complaint: Complaint, *, user: User, now: datetime) -> ComplaintFile:
    """Everything the page shows to `user`. At most twenty queries, whatever the number of rows."""
    extensions = tuple(
        complaint.extensions.select_related("asked_by", "approved_by", "from_rule", "to_rule").order_by("pk")
    )
    pauses = tuple(complaint.pauses.order_by("pk"))
    asked = next((row.level for row in extensions if row.state == ComplaintExtension.State.ASKED), "")
    beside = Beside(waiting=any(row.ended_on is None for row in pauses), asked=asked)
    hidden = complaint.about_staff_id == user.pk
    merged = tuple(complaint.merged.order_by("pk"))
    about = [complaint.pk, *(row.pk for row in merged)]
    notices = Notice.objects.filter(about=complaint.number).order_by("-pk")
    others = Complaint.objects.filter(customer=complaint.customer_id).exclude(pk=complaint.pk)
    return ComplaintFile(
        complaint=complaint,
        step=complaint_steps.next_step(complaint, beside=beside),
        identity=identity_of(complaint.customer),
        target_on=complaint_clocks.target_of(complaint, now=now),
        late=complaint_clocks.is_late(complaint, now=now),
        hidden=hidden,
        texts=() if hidden else _texts(about),
        extensions=extensions,
        pauses=pauses,
        holds=tuple(Hold.objects.filter(complaints__in=about).select_related("ticket").distinct()),
        notices=tuple((row, reasons.code(row.reason_code)) for row in notices[:50]),
        merged=merged,
        others=tuple(others.order_by("-pk")[:EARLIER]),
        timeline=_timeline(complaint),
    )


def _texts(complaints: list[int]) -> tuple[Written, ...]:
    rows = list(ComplaintText.objects.filter(complaint__in=complaints).order_by("written_at", "pk"))
    names = _names(row.written_by for row in rows)
    return tuple(
        Written(row=row, text=_opened(row), by=actors.in_words(row.written_by, names=names, jobs=WORKERS))
        for row in rows
    )


def _opened(row: ComplaintText) -> str:
    try:
        return complaint_letters.opened(row)
    except pii.Unreadable:  # one broken seal must not hide the case
        return UNREADABLE


# --- The timeline -----------------------------------------------------------------------------------


def _timeline(complaint: Complaint) -> tuple[Entry, ...]:
    """The histories of the complaint and what hangs on it, newest first. Five queries and one for names."""
    entries: list[Entry] = []
    for row in _newest(Complaint.history.filter(id=complaint.pk)):
        entries.append(_entry(row, "complaint", state=row.state))
    for row in _newest(ComplaintExtension.history.filter(complaint_id=complaint.pk)):
        what = f"{row.get_level_display()} · {row.from_due_on} → {row.to_due_on}"
        entries.append(_entry(row, "extension", state=row.state, what=what))
    for row in _newest(ComplaintPause.history.filter(complaint_id=complaint.pk)):
        entries.append(_entry(row, "pause", state="ENDED" if row.ended_on else "OPEN"))
    if complaint.hold_id:
        for row in _newest(Hold.history.filter(id=complaint.hold_id)):
            entries.append(_entry(row, "hold", state=row.state, what=str(row.get_kind_display())))
    for row in _newest(Notice.history.filter(about=complaint.number)):
        what = f"{NoticeKind(row.kind).label} · {NoticeChannel(row.channel).label}"
        entries.append(_entry(row, "notice", state=row.state, what=what))
    entries.sort(key=lambda entry: (entry.at, entry.serial))
    told = _with_before(entries)
    names = _names(entry.actor for entry in told)
    return tuple(
        replace(entry, who=actors.in_words(entry.actor, names=names, jobs=WORKERS))
        for entry in reversed(told[-LIMIT:])
    )


def _newest(rows: Any) -> list[Any]:
    return list(rows.order_by("-history_id")[:LIMIT])


def _entry(row: Any, noun: str, *, state: str, what: str = "") -> Entry:
    return Entry(
        at=row.history_date,
        actor=row.history_actor or "",
        noun=noun,
        row_id=row.id,
        state=state,
        what=what,
        why=reasons.why(row.history_change_reason),
        serial=row.history_id,
    )


def _with_before(entries: list[Entry]) -> list[Entry]:
    last: dict[tuple[str, int], str] = {}
    told = []
    for entry in entries:
        key = (entry.noun, entry.row_id)
        before = last.get(key, "")
        told.append(replace(entry, before=before if before != entry.state else ""))
        last[key] = entry.state
    return told


def _names(written: Any) -> dict[str, str]:
    numbers = {actor[6:] for actor in written if actor.startswith("staff:")}
    if not numbers:
        return {}
    return dict(User.objects.filter(staff_no__in=numbers).values_list("staff_no", "name"))
