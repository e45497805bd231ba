"""Gathers what the rules judge: one account, its agreements and holds, as plain facts. Reads only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Max

from accounts import pii
from accounts.models import CreditAccount, CustomerIdentity, PartnerAgreement
from closures.models import ClosureTicket, Hold
from closures.rules import approval, eligibility
from closures.rules.codes import AgreementEffect, AgreementKind, HoldKind, Reason
from closures.rules.eligibility import AccountFacts, AgreementFact, Finding, HoldFact
from closures.selectors import identity_codes

LIVE_AGREEMENT = (PartnerAgreement.State.BOUND, PartnerAgreement.State.UNBINDING)


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What an account looked like at one moment, judged for one ticket."""

    account: AccountFacts
    agreements: tuple[AgreementFact, ...]
    holds: tuple[HoldFact, ...]
    findings: tuple[Finding, ...]
    snapshot: dict[str, Any]
    fingerprint: str
    ledger_as_of: datetime
    newest_agreement_id: int

    @property
    def blocked(self) -> bool:
        return bool(eligibility.blocks(self.findings))

    @property
    def settled(self) -> bool:
        return eligibility.settled(self.account)

    def changes_since(self, approved: dict[str, Any]) -> list[dict[str, Any]]:
        """What voids the approval of that snapshot, JSON-ready; empty if it stands."""
        return [
            {k: v for k, v in asdict(change).items() if v not in (None, False)}
            for change in approval.material_changes(approved=approved, today=self.snapshot)
        ]


def settled(account: CreditAccount, *, now: datetime) -> bool:
    """Nothing is owed either way, by our copy; lines elsewhere play no part and are not counted."""
    return eligibility.settled(account_facts(account, now=now, other_lines=0))


def account_facts(account: CreditAccount, *, now: datetime, other_lines: int | None = None) -> AccountFacts:
    """What the rules judge; `other_lines`, where the caller knows the number, saves counting them."""
    return AccountFacts(
        principal=account.principal,
        interest=account.interest,
        fees=account.fees,
        unbilled=account.unbilled,
        instalments_remaining=account.instalments_remaining,
        pending_orders=account.pending_orders,
        refunds_in_flight=account.refunds_in_flight,
        disputed=account.disputed,
        credit_balance=account.credit_balance,
        ledger_age=now - account.ledger_as_of,
        other_lender_lines=other_lender_lines(account) if other_lines is None else other_lines,
    )


def other_lender_lines(account: CreditAccount) -> int:
    """Open accounts of the same customer with another lender; closing this one leaves them alone."""
    return (
        CreditAccount.objects.filter(customer=account.customer_id)
        .exclude(line_state=CreditAccount.LineState.CLOSED)
        .exclude(product__lender=account.product.lender_id)
        .count()
    )


def agreement_facts(account: CreditAccount) -> tuple[AgreementFact, ...]:
    return tuple(
        AgreementFact(
            id=row.pk,
            kind=AgreementKind(row.kind),
            effect=AgreementEffect(row.effect),
            repayment_depends=row.repayment_depends,
            label=str(row),
        )
        for row in account.agreements.filter(state__in=LIVE_AGREEMENT).order_by("pk")
    )


def hold_facts(ticket: ClosureTicket | None) -> tuple[HoldFact, ...]:
    if ticket is None:
        return ()
    rows = ticket.holds.filter(state=Hold.State.OPEN).order_by("pk").values_list("pk", "kind")
    return tuple(HoldFact(id=pk, kind=HoldKind(kind)) for pk, kind in rows)


def identity_mismatch(account: CreditAccount, *, since: datetime) -> bool:
    """Nobody's identity is on file, or name or ID number is not what it was when the customer proved it."""
    versions = CustomerIdentity.objects.filter(customer=account.customer_id).select_related("customer")
    current = versions.filter(superseded_at__isnull=True).first()
    if current is None:
        return True
    since_then = versions.filter(superseded_at__gt=since)
    return any(
        row.id_number_index != current.id_number_index or _name(row) != _name(current) for row in since_then
    )


def _name(identity: CustomerIdentity) -> str:
    """To be compared, never to be shown: seals of one name differ."""
    return pii.reveal(identity.name_sealed, subject=identity.customer.customer_no, field="name")


def examine(
    *,
    account: CreditAccount,
    reason: str,
    policy: dict[str, Any],
    since: datetime,
    now: datetime,
    ticket: ClosureTicket | None = None,
) -> Examination:
    """Judge an account as it stands in our copy; with a ticket its holds count too. Changes nothing."""
    facts = account_facts(account, now=now)
    agreements = agreement_facts(account)
    holds = hold_facts(ticket)
    findings = eligibility.assess(
        reason=Reason(reason),
        account=facts,
        agreements=agreements,
        holds=holds,
        identity_mismatch=identity_mismatch(account, since=since),
        max_ledger_age=settings.MAX_LEDGER_AGE,
    )
    snapshot = approval.snapshot(
        account=facts, agreements=agreements, holds=holds, findings=findings, product_policy=policy
    )
    return Examination(
        account=facts,
        agreements=agreements,
        holds=holds,
        findings=findings,
        snapshot=snapshot,
        fingerprint=approval.fingerprint(snapshot),
        ledger_as_of=account.ledger_as_of,
        newest_agreement_id=newest_agreement_id(account),
    )


def examine_ticket(ticket: ClosureTicket, *, now: datetime) -> Examination:
    return examine(
        account=ticket.account,
        reason=ticket.reason,
        policy=ticket.policy,
        since=identity_codes.proved_at(ticket),
        now=now,
        ticket=ticket,
    )


def newest_agreement_id(account: CreditAccount) -> int:
    return account.agreements.aggregate(newest=Max("pk"))["newest"] or 0


def arrears(account: CreditAccount) -> list[int]:
    """Months of delay, newest first."""
    return [int(month) for month in account.arrears_months.split("|") if month.strip().isdigit()]
