"""The certificate of a closing: its facts and their hash."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from closures.models import ClosureTicket, LedgerCommand


def certificate_facts(ticket: ClosureTicket, *, now: datetime) -> dict[str, Any]:
    """The facts a certificate states, JSON-ready: ids, codes, dates and zeros, no personal data."""
    account = ticket.account
    return {
        "certificate_no": certificate_no(ticket),
        "ticket": ticket.number,
        "account_no": account.account_no,
        "brand": account.product.brand,
        "brand_en": account.product.brand_en,
        "lender": account.product.lender.legal_name,
        "reason": ticket.reason,
        "requested_at": ticket.requested_at.isoformat(),
        "closed_at": now.isoformat(),
        "owed": "0.00",
        "credit_balance": "0.00",
        "paid_out": ticket.commands.filter(
            verb=LedgerCommand.Verb.PAY_OUT, state=LedgerCommand.State.DONE
        ).exists(),
        "agreements": [
            {
                "partner": task.agreement.partner,
                "kind": task.agreement.kind,
                "agreement_no": task.agreement.agreement_no,
                "result": task.state,
                "since": task.state_since.isoformat(),
            }
            for task in ticket.tasks.select_related("agreement").order_by("pk")
        ],
    }


def certificate_no(ticket: ClosureTicket) -> str:
    return f"CERT-{ticket.number}"


def fingerprint(facts: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON; anyone with the facts can compute it again."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
