"""The documents of a case as pages: its certificate and the case itself, as PDF and as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils.timezone import localtime
from django.utils.translation import get_language
from django.utils.translation import gettext as translate

from closures.models import Blocker, ClosureTicket, Hold, LedgerCommand, Notice, UnbindTask
from closures.models.notices import NoticeChannel, NoticeKind
from closures.selectors import certificate, pdf
from closures.selectors.timeline import Entry

TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A case to be printed: `facts` are those of `evidence_pack.case_of`."""

    ticket: ClosureTicket
    entries: list[Entry]
    facts: dict[str, Any]
    number: str
    made_at: datetime


@dataclass(frozen=True, kw_only=True)
class Table:
    title: str
    headings: tuple[str, ...]
    widths: tuple[int, ...]
    rows: list[tuple[str, ...]]


# --- The certificate --------------------------------------------------------------------------------


def certificate_pdf(ticket: ClosureTicket, *, intact: bool) -> bytes:
    """The certificate in the active language; dated by the closing it certifies. Raises FontMissing."""
    facts = certificate.shown(ticket.certificate)
    sheet = pdf.Sheet(
        title=translate("Certificate of account closing"),
        number=facts["certificate_no"],
        footer=f"{facts['lender']} · {facts['certificate_no']}",
        dated=ticket.ended_at,
    )
    sheet.paragraph(certified_sentence(facts))
    sheet.facts(certified_rows(facts))
    if facts["agreements"]:
        sheet.heading(translate("Agreements with partners"))
        sheet.table(
            [translate(text) for text in ("Partner", "Kind", "Number", "Result", "Since")],
            [
                [row[k] for k in ("partner", "kind", "agreement_no", "result", "since")]
                for row in facts["agreements"]
            ],
            (2, 3, 4, 2, 3),
        )
    else:
        sheet.paragraph(translate("No agreement with a partner had to be ended."))
    sheet.paragraph(
        translate("Hash of the certified facts (SHA-256 of their canonical JSON):")
        + f"\n{ticket.certificate_hash}",
        small=True,
    )
    if not intact:
        sheet.paragraph(
            translate("The facts no longer match this hash. Do not hand out this certificate; report it."),
            bold=True,
        )
    sheet.paragraph(
        translate("Credit records before the closing stay with the credit bureau as the law provides."),
        small=True,
    )
    return sheet.bytes()


def reply_pdf(facts: dict[str, Any], *, dated: datetime | None) -> bytes:
    """The written reply to a complaint (`complaint_letters.reply_facts`). Raises FontMissing."""
    title = (
        translate("Reply to a credit-bureau dispute")
        if facts["bureau"]
        else translate("Reply to a complaint")
    )
    sheet = pdf.Sheet(
        title=title,
        number=facts["complaint"],
        footer=f"{facts['lender']} · {facts['complaint']}",
        dated=dated,
    )
    sheet.facts(
        [
            (translate("To"), translate("customer %(number)s") % {"number": facts["customer_no"]}),
            (translate("From"), facts["lender"]),
            (translate("Topic"), facts["topic"]),
            (translate("Received"), facts["received_on"]),
            (translate("Decision"), f"{facts['outcome']} ({facts['decided_on']})"),
            (translate("Replied"), facts["reviewed_at"] or facts["replied_at"]),
        ]
    )
    if facts["review"]:
        sheet.heading(translate("Decision of the review"))
        sheet.paragraph(facts["review"])
        sheet.heading(translate("The reply before it"))
    sheet.paragraph(facts["reply"])
    sheet.heading(translate("Ways that are open to you"))
    for way in _ways(facts):
        sheet.paragraph(f"· {way}")
    return sheet.bytes()


def _ways(facts: dict[str, Any]) -> Iterator[str]:
    if not facts["reviewed"]:
        text = translate(
            "A review by somebody who neither handled nor decided this matter: ask us for it by %(day)s."
        )
        yield text % {"day": facts["review_until"]}
    yield translate("Mediation by the local mediation organisation for financial consumers.")
    yield translate("The complaint hotline for financial consumers, 12378.")
    yield translate("Arbitration where it was agreed, or an action before a people's court.")


def certificate_html(ticket: ClosureTicket, *, intact: bool) -> bytes:
    """The page of the console as it stands, for a machine that can print no Chinese."""
    context = {"ticket": ticket, "facts": certificate.shown(ticket.certificate), "intact": intact}
    return render_to_string("evidence/certificate.html", context).encode()


def certified_sentence(facts: dict[str, Any]) -> str:
    # The same sentence as the HTML page's, so it is translated once.
    return translate(
        "The %(brand)s credit account %(account)s of %(lender)s was closed on %(moment)s (Asia/Shanghai). "
        "At that moment nothing was owed by the customer and nothing was owed to the customer."
    ) % {
        "brand": facts["brand"],
        "account": facts["account_no"],
        "lender": facts["lender"],
        "moment": facts["closed_at"],
    }


def certified_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    balance = f"¥{facts['credit_balance']}"
    if facts["paid_out"]:
        balance += f" ({translate('paid out before closing')})"
    return [
        (translate("Ticket"), facts["ticket"]),
        (translate("Reason"), str(facts["reason"])),
        (translate("Requested"), facts["requested_at"]),
        (translate("Closed"), facts["closed_at"]),
        (translate("Owed"), f"¥{facts['owed']}"),
        (translate("Credit balance"), balance),
    ]


# --- The case ---------------------------------------------------------------------------------------


def case_pdf(case: Case) -> bytes:
    """The case to be read: its head, its timeline, its tables. Raises FontMissing."""
    sheet = pdf.Sheet(
        title=translate("Case file"),
        number=f"{case.ticket.number} · {case.number}",
        footer=f"{case.ticket.number} · {case.number}",
        dated=case.made_at,
    )
    sheet.facts(head_rows(case))
    for table in tables(case):
        sheet.heading(table.title)
        sheet.table(table.headings, table.rows, table.widths)
    return sheet.bytes()


def case_html(case: Case) -> bytes:
    """The same as one HTML page."""
    context = {
        "language": get_language(),
        "number": case.number,
        "ticket": case.ticket.number,
        "head": head_rows(case),
        "tables": tables(case),
    }
    return render_to_string("evidence/case.html", context).encode()


def head_rows(case: Case) -> list[tuple[str, str]]:
    ticket, account = case.ticket, case.ticket.account
    chinese = (get_language() or "").startswith("zh")
    rows = [
        (translate("Product"), account.product.brand if chinese else account.product.brand_en),
        (translate("Lender"), account.product.lender.legal_name),
        (translate("Account"), account.account_no),
        (translate("Customer"), account.customer.customer_no),
        (translate("Reason"), str(ticket.get_reason_display())),
        (translate("State"), str(ticket.get_state_display())),
        (translate("Requested"), moment(ticket.requested_at)),
        (translate("Answer due"), ticket.answer_due_on.isoformat() if ticket.answer_due_on else "—"),
        (translate("Decided"), moment(ticket.decided_at)),
        (translate("Closed"), moment(ticket.ended_at) if ticket.certificate_no else "—"),
        (translate("Certificate"), ticket.certificate_no or "—"),
        (translate("Made at"), moment(case.made_at)),
    ]
    return rows


def moment(at: datetime | None) -> str:
    return localtime(at).strftime(TIME) if at else "—"


def tables(case: Case) -> list[Table]:
    """The timeline first, then the newest state of each noun; what is empty is left out."""
    found = [_timeline(case.entries)]
    found += [_blockers(case), _holds(case), _tasks(case), _commands(case), _notices(case)]
    return [table for table in found if table.rows]


def _timeline(entries: Iterable[Entry]) -> Table:
    rows: list[tuple[str, ...]] = []
    for entry in entries:
        became = f"{entry.before_label} → {entry.state_label}" if entry.before else entry.state_label
        if entry.times > 1:
            became += f" ×{entry.times}"
        rows.append((moment(entry.at), f"{entry.label} {entry.what}".strip(), became, entry.who, entry.why))
    return Table(
        title=translate("Timeline"),
        headings=(
            translate("When"),
            translate("What"),
            translate("State"),
            translate("Who"),
            translate("Why"),
        ),
        widths=(20, 25, 18, 15, 22),
        rows=rows,
    )


def newest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last version of each row of a history."""
    return list({row["row"]: row for row in rows}.values())


def _blockers(case: Case) -> Table:
    rows = newest(case.facts["blockers"])
    return Table(
        title=translate("Blockers"),
        headings=(
            translate("Blocker"),
            translate("Severity"),
            translate("Amount"),
            translate("Appeared"),
            translate("Cured"),
        ),
        widths=(29, 15, 14, 21, 21),
        rows=[
            (
                str(Blocker.Code(row["code"]).label),
                str(Blocker.Severity(row["severity"]).label),
                row["amount"] or (str(row["count"]) if row["count"] is not None else "—"),
                _at(row["appeared_at"]),
                _at(row["cured_at"]),
            )
            for row in rows
        ],
    )


def _holds(case: Case) -> Table:
    return Table(
        title=translate("Holds"),
        headings=(
            translate("Kind"),
            translate("State"),
            translate("Owner"),
            translate("Ground"),
            translate("From"),
            translate("Until"),
        ),
        widths=(13, 9, 13, 23, 21, 21),
        rows=[
            (
                str(Hold.Kind(row["kind"]).label),
                str(Hold.State(row["state"]).label),
                row["owner"] or "—",
                row["ground"],
                _at(row["opened_at"]),
                _at(row["lifted_at"]),
            )
            for row in newest(case.facts["holds"])
        ],
    )


def _tasks(case: Case) -> Table:
    tries: dict[int, int] = {}
    for row in case.facts["attempts"]:
        tries[row["task_id"]] = tries.get(row["task_id"], 0) + 1
    return Table(
        title=translate("Unbinding"),
        headings=(
            translate("Agreement"),
            translate("State"),
            translate("Since"),
            translate("Calls"),
            translate("Key"),
        ),
        widths=(25, 11, 21, 9, 34),
        rows=[
            (
                f"{row['agreement_partner']} {row['agreement_agreement_no']}",
                str(UnbindTask.State(row["state"]).label),
                _at(row["state_since"]),
                str(tries.get(row["row"], 0)),
                row["key"],
            )
            for row in newest(case.facts["tasks"])
        ],
    )


def _commands(case: Case) -> Table:
    return Table(
        title=translate("Ledger commands"),
        headings=(translate("Command"), translate("State"), translate("Since"), translate("Key")),
        widths=(23, 14, 21, 42),
        rows=[
            (
                str(LedgerCommand.Verb(row["verb"]).label),
                str(LedgerCommand.State(row["state"]).label),
                _at(row["state_since"]),
                row["key"],
            )
            for row in newest(case.facts["commands"])
        ],
    )


def _notices(case: Case) -> Table:
    return Table(
        title=translate("Notices"),
        headings=(
            translate("Notice"),
            translate("Text version"),
            translate("State"),
            translate("Arrived"),
            translate("Content hash"),
        ),
        widths=(24, 9, 11, 21, 35),
        rows=[
            (
                f"{NoticeKind(row['kind']).label} · {NoticeChannel(row['channel']).label}",
                f"v{row['template_version']}",
                str(Notice.State(row["state"]).label),
                _at(row["delivered_at"]),
                row["content_hash"],
            )
            for row in newest(case.facts["notices"])
        ],
    )


def _at(text: str | None) -> str:
    return datetime.fromisoformat(text).strftime(TIME) if text else "—"
