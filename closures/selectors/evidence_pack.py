"""Everything around one ticket as facts: ids, codes, moments and hashes, JSON-ready, in a fixed order.

No personal data: the customer is his number. A masked identity would still be his after an erasure, so it is
left out too. Silent holds, and what hangs on them, are there only for who may know of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, Q
from django.utils.timezone import localtime

from accounts.models import CreditAccount, LineRestriction, PartnerAgreement
from closures.models import (
    AppRequest,
    Blocker,
    ClosureTicket,
    Complaint,
    ComplaintExtension,
    Hold,
    IdentityCode,
    LedgerCommand,
    Notice,
    PartnerCallback,
    PostClosureItem,
    Reversal,
    UnbindAttempt,
    UnbindTask,
    Webhook,
)

FORMAT = 1
PERSON = "__staff_no"  # people are their staff numbers

TICKET = (
    "state", "state_since", "reason", "channel", "ground", "demanded_on", "demand_until",
    "requested_at", "requested_by", "last_edited_by",
    "identity_level", "disclosure_version", "disclosure_accepted_at", "answer_due_on", "answer_calendar",
    "examined_hash", "approved_hash", "decided_by", "decided_at", "straight_through", "period_ends_at",
    "notice_arrived_at", "notice_waiver_asked_by", "notice_waived_by", "unbinding_started_at", "ended_at",
    "end_codes", "cancel_asked_by", "cancelled_by", "certificate_no", "certificate_hash",
)  # fmt: skip
BLOCKER = (
    "code",
    "severity",
    "amount",
    "count",
    "agreement_id",
    "hold_id",
    "cure",
    "appeared_at",
    "cured_at",
)
HOLD = ("kind", "state", "owner", "ground", "opened_at", "lifted_at")
TASK = (
    "agreement_id", "agreement__partner", "agreement__agreement_no", "generation", "key", "state",
    "state_since", "seen_bound", "call_may_have_arrived", "settles_at", "reason_code", "evidence",
    "evidence_by", "confirmed_by", "waiver_asked_by", "waived_by",
)  # fmt: skip
COMMAND = ("verb", "key", "state", "state_since", "reason_code")
NOTICE = (
    "kind", "channel", "round", "courtesy", "asks_money", "language", "template__version", "values",
    "content_hash", "key", "state", "state_since", "sent_at", "delivered_at", "provider_id", "proof",
    "reason_code",
)  # fmt: skip
AGREEMENT = ("partner", "kind", "agreement_no", "effect", "repayment_depends", "signed_on", "state")
RESTRICTION = ("cause", "reference", "since", "until", "lifted_at")
ACCOUNT = (
    "line_state", "credit_limit", *CreditAccount.OWED_MONEY, *CreditAccount.OWED_COUNTS, "credit_balance",
    "days_past_due", "closed_at",
)  # fmt: skip
ATTEMPT = ("task_id", "verb", "fence", "started_at", "finished_at", "heard", "detail", "applied")
CALLBACK = ("partner", "event_id", "kind", "about", "received_at", "repeats", "outcome", "detail")
CODE = (
    "purpose", "state", "state_since", "asked_by", "identity_version", "issued_at", "expires_at", "ended_at",
    "tries", "reason_code",
)  # fmt: skip
APP = ("client__key_id", "assertion", "asserted_at", "received_at", "told_state")
WEBHOOK = ("client__key_id", "event_id", "kind", "body_digest", "occurred_at", "state", "state_since")
# What was written is the customer's and ours; the pack says that there was a complaint and what came of it.
COMPLAINT = (
    "number", "kind", "channel", "topic", "state", "state_since", "received_on", "registered_by", "handler",
    "due_on", "due_rule__code", "due_calendar", "regulator_deadline", "decided_by", "decided_at", "outcome",
    "root_cause", "remedy", "compensation", "marked_on", "replied_at", "review_requested_on", "review_due_on",
    "reviewed_by", "review_outcome", "ended_at",
)  # fmt: skip
EXTENSION = (
    "complaint__number", "level", "state", "from_due_on", "to_due_on", "to_rule__code", "to_calendar",
    "asked_by", "asked_at", "approved_by", "told_at",
)  # fmt: skip
REVERSAL = (
    "number", "source", "complaint_number", "root_cause", "ground", "compensation_amount", "state",
    "state_since", "asked_by", "asked_at", "approved_by", "approved_at", "new_account__account_no",
    "bureau_due_on", "bureau_rule__code", "bureau_calendar", "bureau_corrected_at", "bureau_corrected_by",
    "bureau_proof",
)  # fmt: skip
LATER_MONEY = (
    "number", "kind", "direction", "amount", "source", "external_ref", "takes_back", "occurred_at",
    "found_at", "state", "state_since", "owner", "paid_by", "command__key", "proof", "write_off_asked_by",
    "written_off_by", "ended_at",
)  # fmt: skip
PEOPLE = frozenset(
    {
        "requested_by", "last_edited_by", "decided_by", "notice_waiver_asked_by", "notice_waived_by",
        "cancel_asked_by", "cancelled_by", "owner", "evidence_by", "confirmed_by", "waiver_asked_by",
        "waived_by", "asked_by", "approved_by", "registered_by", "handler", "reviewed_by", "paid_by",
        "bureau_corrected_by", "write_off_asked_by", "written_off_by",
    }
)  # fmt: skip


def case_of(ticket: ClosureTicket, *, silent: bool) -> dict[str, Any]:
    """The case as facts. The caller holds the ticket's lock, so that they are all of one moment."""
    account = ticket.account
    return {
        "format": FORMAT,
        "ticket": {
            "number": ticket.number,
            "account_no": account.account_no,
            "customer_no": account.customer.customer_no,
            "product": account.product.code,
            "lender": account.product.lender.legal_name,
            "reason": ticket.reason,
            "state": ticket.state,
            "policy": plain(ticket.policy),
            "answer_rule": str(ticket.answer_rule) if ticket.answer_rule else "",
            "changes_since_approval": [c for c in ticket.changes if silent or not c.get("silent")],
        },
        "certificate": {"facts": ticket.certificate, "hash": ticket.certificate_hash},
        **{name: list(read(ticket, silent)) for name, read in PARTS.items()},
    }


# --- The parts --------------------------------------------------------------------------------------

Part = Callable[[ClosureTicket, bool], Iterable[dict[str, Any]]]


def history(rows: Any, fields: Iterable[str]) -> Iterable[dict[str, Any]]:
    """Each version of each row, oldest first: what it was, since when, by whom, why."""
    names = {name.replace("__", "_"): f"{name}{PERSON}" if name in PEOPLE else name for name in fields}
    fixed = {
        "row": F("id"),
        "at": F("history_date"),
        "by": F("history_actor"),
        "why": F("history_change_reason"),
    }
    columns = {f"c_{name}": F(path) for name, path in names.items()} | {
        f"c_{name}": expression for name, expression in fixed.items()
    }
    for row in rows.order_by("history_id").values(**columns):
        yield {name.removeprefix("c_"): plain(value) for name, value in row.items()}


def plainly(rows: Any, fields: Iterable[str]) -> Iterable[dict[str, Any]]:
    for row in rows.order_by("pk").values("pk", *fields):
        yield {name: plain(value) for name, value in row.items()}


def _blockers(ticket: ClosureTicket, silent: bool) -> Iterable[dict[str, Any]]:
    rows = Blocker.history.filter(ticket_id=ticket.pk)
    return history(
        rows if silent else rows.filter(Q(hold__isnull=True) | ~Q(hold__kind__in=Hold.SILENT)), BLOCKER
    )


def _holds(ticket: ClosureTicket, silent: bool) -> Iterable[dict[str, Any]]:
    rows = Hold.history.filter(ticket_id=ticket.pk)
    return history(rows if silent else rows.exclude(kind__in=Hold.SILENT), HOLD)


def _callbacks(ticket: ClosureTicket, silent: bool) -> Iterable[dict[str, Any]]:
    agreements = PartnerAgreement.objects.filter(tasks__ticket=ticket).values("agreement_no")
    keys = Notice.objects.filter(ticket=ticket).values("key")
    of_case = Q(about__in=agreements) | Q(about__in=keys)
    rows = PartnerCallback.objects.filter(of_case, received_at__gte=ticket.requested_at)
    return plainly(rows.filter(customer=ticket.account.customer_id), CALLBACK)


def _since(ticket: ClosureTicket) -> dict[str, Any]:
    return {"history_date__gte": ticket.requested_at}


# Another noun that belongs to a case is one line here.
PARTS: dict[str, Part] = {
    "ticket_history": lambda t, silent: history(ClosureTicket.history.filter(id=t.pk), TICKET),
    "blockers": _blockers,
    "holds": _holds,
    "tasks": lambda t, silent: history(UnbindTask.history.filter(ticket_id=t.pk), TASK),
    "attempts": lambda t, silent: plainly(UnbindAttempt.objects.filter(task__ticket=t), ATTEMPT),
    "commands": lambda t, silent: history(LedgerCommand.history.filter(ticket_id=t.pk), COMMAND),
    "notices": lambda t, silent: history(Notice.history.filter(ticket_id=t.pk), NOTICE),
    "callbacks": _callbacks,
    "restrictions": lambda t, silent: history(
        LineRestriction.history.filter(account_id=t.account_id, reference=t.number), RESTRICTION
    ),
    "agreements": lambda t, silent: history(
        PartnerAgreement.history.filter(account_id=t.account_id, **_since(t)), AGREEMENT
    ),
    "account": lambda t, silent: history(CreditAccount.history.filter(id=t.account_id, **_since(t)), ACCOUNT),
    "identity_codes": lambda t, silent: history(IdentityCode.history.filter(ticket_id=t.pk), CODE),
    "app_requests": lambda t, silent: plainly(AppRequest.objects.filter(ticket=t), APP),
    "webhooks": lambda t, silent: history(Webhook.history.filter(ticket_id=t.pk), WEBHOOK),
    "complaints": lambda t, silent: history(Complaint.history.filter(ticket_id=t.pk), COMPLAINT),
    "complaint_extensions": lambda t, silent: history(
        ComplaintExtension.history.filter(complaint__ticket=t), EXTENSION
    ),
    "reversals": lambda t, silent: history(Reversal.history.filter(ticket_id=t.pk), REVERSAL),
    "later_money": lambda t, silent: history(
        PostClosureItem.history.filter(account_id=t.account_id, **_since(t)), LATER_MONEY
    ),
}


def plain(value: Any) -> Any:
    """The value as JSON has it: moments in China time, money with two decimals."""
    match value:
        case datetime():
            return localtime(value).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:.2f}"
    return value
