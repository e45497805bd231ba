"""The history of everything around a ticket in one list: who, when, what, why; newest first.

One UNION over the history tables, whatever their number of rows, and one query for names. Silent holds are
left out here, for every reader without the right: the callers cannot forget it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, CharField, DecimalField, F, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import (
    CreditAccount,
    IdentityReveal,
    LineRestriction,
    PartnerAgreement,
    RefusedAction,
    RestrictionCause,
    User,
)
from accounts.selectors import actors
from closures.models import (
    Blocker,
    ClosureTicket,
    Complaint,
    ComplaintExtension,
    Hold,
    LedgerCommand,
    Notice,
    PostClosureItem,
    Reversal,
    UnbindAttempt,
    UnbindTask,
)
from closures.models.notices import NoticeChannel, NoticeKind
from closures.selectors import reasons

LIMIT = 300  # newest entries; a page that shows more is read by nobody
SEE_SILENT = "closures.see_silent_holds"

NOUNS: dict[str, tuple[Any, str]] = {
    "ticket": (_("Ticket"), "assignment"),
    "blocker": (_("Blocker"), "block"),
    "hold": (_("Hold"), "front_hand"),
    "task": (_("Unbinding task"), "link_off"),
    "attempt": (_("Call to the partner"), "call_made"),
    "agreement": (_("Agreement"), "handshake"),
    "command": (_("Ledger command"), "account_balance"),
    "notice": (_("Notice"), "mail"),
    "restriction": (_("Line restriction"), "lock"),
    "account": (_("Account"), "credit_card"),
    "reversal": (_("Reversal"), "settings_backup_restore"),
    "money": (_("Money after closing"), "payments"),
    "reveal": (_("Identity shown"), "visibility"),
    "refusal": (_("Refused"), "do_not_disturb_on"),
    "complaint": (_("Complaint"), "sentiment_dissatisfied"),
    "extension": (_("Extension"), "more_time"),
    "pause": (_("Wait for the complainant"), "hourglass_empty"),
}
STATES: dict[str, dict[str, Any]] = {
    "ticket": dict(ClosureTicket.State.choices),
    "blocker": {"OPEN": _("appeared"), "CURED": _("cured")},
    "hold": dict(Hold.State.choices),
    "task": dict(UnbindTask.State.choices),
    "attempt": dict(UnbindAttempt.Verb.choices),
    "agreement": dict(PartnerAgreement.State.choices),
    "command": dict(LedgerCommand.State.choices),
    "notice": dict(Notice.State.choices),
    "reversal": dict(Reversal.State.choices),
    "money": dict(PostClosureItem.State.choices),
    "restriction": {"OPEN": _("put"), "LIFTED": _("lifted")},
    "account": dict(CreditAccount.LineState.choices),
    "complaint": dict(Complaint.State.choices),
    "extension": dict(ComplaintExtension.State.choices),
    "pause": {"OPEN": _("no answer yet"), "ENDED": _("the answer has come")},
}
WORKERS = {
    "assessment": _("assessment"),
    "cooling_off": _("end of periods"),
    "settling": pgettext_lazy("job", "settling"),
    "unbinding": pgettext_lazy("job", "unbinding"),
    "closing": pgettext_lazy("job", "closing"),
    "ledger": _("ledger"),
    "notices": _("notices"),
    "identity_codes": _("one-time codes"),
    "callbacks": _("callbacks"),
    "answer_dates": _("answer dates"),
    "reversal": pgettext_lazy("job", "reversals"),
    "later_money": pgettext_lazy("job", "money after closing"),
    "retention": _("destruction"),
    "reporting": _("bureau reporting"),
    "webhooks": _("webhooks"),
    "campaigns": _("campaigns"),
    "risk_scan": _("scans of the risk rules"),
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    at: datetime
    actor: str  # as history keeps it, kind:name
    noun: str
    row_id: int
    state: str
    what: str
    why: str
    serial: int = 0  # of its history table: two rows of one moment keep their order
    before: str = ""
    times: int = 1
    until: datetime | None = None  # of entries folded into one, the newest
    who: str = ""

    @property
    def label(self) -> str:
        return str(NOUNS[self.noun][0])

    @property
    def icon(self) -> str:
        return NOUNS[self.noun][1]

    @property
    def state_label(self) -> str:
        return str(STATES.get(self.noun, {}).get(self.state, self.state))

    @property
    def before_label(self) -> str:
        return str(STATES.get(self.noun, {}).get(self.before, self.before)) if self.before else ""

    @property
    def by_person(self) -> bool:
        return self.actor.startswith(("staff:", "customer:"))


def of_ticket(ticket: ClosureTicket, *, user: User) -> list[Entry]:
    """Everything that happened to the ticket, and around it since it was requested, as `user` may see it.

    At most three queries. Repeats of one and the same (a daily look at a blocked case) are folded into one.
    """
    entries = _read(ticket, silent=user.has_perm(SEE_SILENT), limit=LIMIT)
    if user.has_perm("accounts.view_refusedaction"):
        entries += _refusals(ticket)
    return list(reversed(_told(entries)))


def whole(ticket: ClosureTicket, *, silent: bool) -> list[Entry]:
    """The same without an end, oldest first, for a document; what was only tried and refused is left out."""
    return _told(_read(ticket, silent=silent, limit=None))


def _read(ticket: ClosureTicket, *, silent: bool, limit: int | None) -> list[Entry]:
    parts = _histories(ticket, silent=silent)
    rows = parts[0].union(*parts[1:], all=True).order_by("-c_at", "-c_serial")
    return [_entry(row) for row in (rows if limit is None else rows[:limit])]


def _told(entries: list[Entry]) -> list[Entry]:
    """The entries in the order in which they happened, repeats folded, with who in words."""
    told = _fold(_with_before(sorted(entries, key=lambda entry: (entry.at, entry.serial))))
    names = _names(told)
    return [replace(entry, who=actors.in_words(entry.actor, names=names, jobs=WORKERS)) for entry in told]


# --- The rows ---------------------------------------------------------------------------------------


def _text(value: str) -> Cast:
    return Cast(Value(value), TextField())


def _columns(
    rows: QuerySet[Any], noun: str, *, state: Any, first: Any = None, second: Any = None, **own: Any
) -> QuerySet[Any]:
    columns = {
        "at": F("history_date"),
        "actor": Cast(F("history_actor"), TextField()),
        "reason": Cast(F("history_change_reason"), TextField()),
        "row": F("id"),
        "serial": F("history_id"),
        **own,
    }
    named = {
        "at": columns["at"],
        "by": columns["actor"],
        "reason_text": columns["reason"],
        "noun": _text(noun),
        "row": columns["row"],
        "serial": columns["serial"],
        "state_text": Cast(state, TextField()),
        "first": Cast(first, TextField()) if first is not None else _text(""),
        "second": Cast(second, TextField()) if second is not None else _text(""),
    }
    return (
        rows.order_by()
        .annotate(**{f"c_{name}": expression for name, expression in named.items()})
        .values_list(*[f"c_{name}" for name in named])
    )


def _histories(ticket: ClosureTicket, *, silent: bool) -> list[QuerySet[Any]]:
    return [
        *_of_the_case(ticket, silent=silent),
        *_of_the_machine(ticket),
        *_of_the_account(ticket),
        *_after_the_closing(ticket),
    ]


def _of_the_case(ticket: ClosureTicket, *, silent: bool) -> list[QuerySet[Any]]:
    blockers = Blocker.history.filter(ticket_id=ticket.pk)
    holds = Hold.history.filter(ticket_id=ticket.pk)
    if not silent:
        blockers = blockers.filter(Q(hold__isnull=True) | ~Q(hold__kind__in=Hold.SILENT))
        holds = holds.exclude(kind__in=Hold.SILENT)
    cured = Case(When(cured_at__isnull=True, then=Value("OPEN")), default=Value("CURED"))
    notices = Notice.history.filter(ticket_id=ticket.pk)
    return [
        _columns(ClosureTicket.history.filter(id=ticket.pk), "ticket", state=F("state")),
        _columns(blockers, "blocker", state=cured, first=F("code"), second=F("amount")),
        _columns(holds, "hold", state=F("state"), first=F("kind")),
        _columns(notices, "notice", state=F("state"), first=F("kind"), second=F("channel")),
    ]


def _of_the_machine(ticket: ClosureTicket) -> list[QuerySet[Any]]:
    commands = LedgerCommand.history.filter(ticket_id=ticket.pk)
    return [
        _columns(
            UnbindTask.history.filter(ticket_id=ticket.pk),
            "task",
            state=F("state"),
            first=F("agreement__partner"),
            second=F("agreement__agreement_no"),
        ),
        _columns(
            UnbindAttempt.objects.filter(task__ticket=ticket.pk),
            "attempt",
            state=F("verb"),
            first=F("task__agreement__partner"),
            second=F("task__agreement__agreement_no"),
            at=F("started_at"),
            actor=_text("job:unbinding"),
            reason=Cast(F("heard"), TextField()),
            serial=F("id"),
        ),
        _columns(commands, "command", state=F("state"), first=F("verb")),
    ]


def _of_the_account(ticket: ClosureTicket) -> list[QuerySet[Any]]:
    account, since = ticket.account_id, {"history_date__gte": ticket.requested_at}
    lifted = Case(When(lifted_at__isnull=True, then=Value("OPEN")), default=Value("LIFTED"))
    owed = F("principal") + F("interest") + F("fees") + F("unbilled")
    agreements = PartnerAgreement.history.filter(account_id=account, **since)
    restrictions = LineRestriction.history.filter(account_id=account, reference=ticket.number)
    return [
        _columns(agreements, "agreement", state=F("state"), first=F("partner"), second=F("agreement_no")),
        _columns(restrictions, "restriction", state=lifted, first=F("cause")),
        _columns(
            CreditAccount.history.filter(id=account, **since),
            "account",
            state=F("line_state"),
            first=Cast(owed, DecimalField(max_digits=18, decimal_places=2)),
            second=F("credit_balance"),
        ),
        _columns(
            IdentityReveal.objects.filter(customer=ticket.account.customer_id, at__gte=ticket.requested_at),
            "reveal",
            state=Value("", output_field=CharField()),
            at=F("at"),
            actor=Concat(Value("staff:"), F("user__staff_no"), output_field=TextField()),
            reason=Cast(F("reason"), TextField()),
            serial=F("id"),
        ),
    ]


def _after_the_closing(ticket: ClosureTicket) -> list[QuerySet[Any]]:
    money = PostClosureItem.history.filter(ticket_id=ticket.pk)
    return [
        _columns(
            Reversal.history.filter(ticket_id=ticket.pk), "reversal", state=F("state"), first=F("number")
        ),
        _columns(money, "money", state=F("state"), first=F("kind"), second=F("amount")),
    ]


def _refusals(ticket: ClosureTicket) -> list[Entry]:
    """What was refused on this ticket, for those who may read refusals. Bounded by the ticket's own time."""
    rows = RefusedAction.objects.filter(at__gte=ticket.requested_at, subject={"ticket_id": ticket.pk})
    return [
        Entry(
            at=row.at,
            actor=row.actor,
            noun="refusal",
            row_id=row.pk,
            state="",
            what=row.code,
            why=row.message,
        )
        for row in rows.order_by("-at")[:50]
    ]


# --- The words --------------------------------------------------------------------------------------


def _entry(row: tuple[Any, ...]) -> Entry:
    at, actor, reason, noun, row_id, serial, state, first, second = row
    return Entry(
        at=at,
        actor=actor or "",
        noun=noun,
        row_id=row_id,
        state=state or "",
        what=_what(noun, first or "", second or ""),
        why=reasons.why(reason),
        serial=serial,
    )


def _what(noun: str, first: str, second: str) -> str:
    match noun:
        case "blocker":
            label = str(Blocker.Code(first).label)
            return f"{label} {_yuan(second)}" if second else label
        case "hold":
            return str(Hold.Kind(first).label)
        case "task" | "attempt" | "agreement":
            return f"{first} {second}"
        case "reversal":
            return first
        case "money":
            return f"{PostClosureItem.Kind(first).label} {_yuan(second)}"
        case "command":
            return str(LedgerCommand.Verb(first).label)
        case "notice":
            return f"{NoticeKind(first).label} · {NoticeChannel(second).label}"
        case "restriction":
            return str(RestrictionCause(first).label)
        case "account":
            return translate("owed %(owed)s, credit balance %(credit)s") % {
                "owed": _yuan(first),
                "credit": _yuan(second),
            }
    return ""


def _yuan(text: str) -> str:
    # SQLite hands money back as a float's text; what is shown has two decimals on every database.
    return f"{Decimal(text or 0).quantize(Decimal('0.01')):,.2f}"


def _with_before(entries: Iterable[Entry]) -> list[Entry]:
    last: dict[tuple[str, int], str] = {}
    told = []
    for entry in entries:
        key = (entry.noun, entry.row_id)
        before = last.get(key, "")
        told.append(replace(entry, before=before if before != entry.state else ""))
        last[key] = entry.state
    return told


def _fold(entries: Iterable[Entry]) -> list[Entry]:
    told: list[Entry] = []
    for entry in entries:
        last = told[-1] if told else None
        if last and not entry.before and _same(last, entry):
            told[-1] = replace(last, times=last.times + 1, until=entry.at)
        else:
            told.append(entry)
    return told


def _same(one: Entry, other: Entry) -> bool:
    return (one.noun, one.row_id, one.state, one.what, one.why, one.actor) == (
        other.noun,
        other.row_id,
        other.state,
        other.what,
        other.why,
        other.actor,
    )


def _names(entries: Iterable[Entry]) -> dict[str, str]:
    numbers = {entry.actor[6:] for entry in entries if entry.actor.startswith("staff:")}
    return dict(User.objects.filter(staff_no__in=numbers).values_list("staff_no", "name")) if numbers else {}
