"""What a reviewer approved, whether that has changed since, and which requests need no reviewer.

An approval is worth what it was given for. So it keeps a snapshot and its hash; before the irreversible
begins, today's snapshot is held against it, and a material change sends the ticket back with the
difference. Snapshots hold ids, codes and numbers, never a name or a number of a person.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from closures.rules.codes import AGREEMENT_CODES, SILENT_HOLDS, BlockerCode, HoldKind, Reason, Severity
from closures.rules.eligibility import AccountFacts, AgreementFact, Finding, HoldFact, blocks

SNAPSHOT_VERSION = 1

# Not part of a snapshot: it ages by itself, so no two snapshots would ever have one hash.
_UNAPPROVED = frozenset({"ledger_age"})

# Note [What is a new blocker]
#
# SPEC §3 voids an approval for "a new blocker, hold or agreement, or more principal + unbilled + open
# orders in total", and not for "repayment, interest and fees on the approved debt, unbilled becoming billed,
# an agreement gone, a newer ledger date, our own effects". A code that appears is therefore material by
# default, and these are judged by what they stand for instead:
#
# - OUTSTANDING_PRINCIPAL, UNBILLED: by their sum. One may become the other. Source: SPEC.
# - PENDING_ORDER: by its count, apart from the sum: the ledger gives open orders no amount, so they cannot
#   be added to money. An order that turns into unbilled debt is hence more debt. Source: our choice, safe.
# - OUTSTANDING_INTEREST_FEES: not material where a debt was approved, material where none was: then it is
#   on nothing that anybody approved. Source: SPEC; that instalments count as a debt is our choice.
# - CREDIT_BALANCE: not material where a debt, a refund or a dispute was approved, for a repayment may
#   overshoot and a refund arrive; material where it comes from nowhere. Source: SPEC "repayment"; our choice.
# - OPEN_HOLD and every agreement's code: by id, because a second one of a kind is as new as the first.
#   An agreement whose effect has become "block" is a new blocker. Source: SPEC; the last is our choice.
# - STALE_LEDGER: never. It says that today's facts are unknown, not that they differ; the caller reads the
#   ledger first and judges then. Otherwise an hour's outage would void every approval. Source: our choice.
#
# Instalments, refunds, disputes, another lender's line and an identity in doubt are material when they
# appear; only that they grew is not.
_JUDGED_APART = frozenset(
    {
        BlockerCode.OUTSTANDING_PRINCIPAL,
        BlockerCode.UNBILLED,
        BlockerCode.PENDING_ORDER,
        BlockerCode.OPEN_HOLD,
        BlockerCode.STALE_LEDGER,
        *AGREEMENT_CODES.values(),
    }
)

# Ends of earlier tickets that call for a person. REVERSED (a wrongful closing) is our choice; WITHDRAWN is
# the customer's good right and costs him nothing.
SPOILING_ENDS = frozenset({"REJECTED", "CANCELLED", "REVERSED"})

MONTHS_WITHOUT_ARREARS = 6


class UnknownSnapshot(ValueError):
    """A snapshot of a version that this code cannot read: to be reviewed again, never waved through."""


class ChangeKind(StrEnum):
    """In what way today differs from what was approved."""

    NEW_BLOCKER = "NEW_BLOCKER"
    NEW_HOLD = "NEW_HOLD"
    NEW_AGREEMENT = "NEW_AGREEMENT"
    MORE_DEBT = "MORE_DEBT"
    MORE_PENDING_ORDERS = "MORE_PENDING_ORDERS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One material difference; `before` and `after` are yuan or counts as text.

    `silent`: it betrays a silent hold. It counts, and is shown only to those with the right.
    """

    kind: ChangeKind
    code: BlockerCode | None = None
    before: str | None = None
    after: str | None = None
    agreement_id: int | None = None
    hold_id: int | None = None
    silent: bool = False


def snapshot(
    *,
    account: AccountFacts,
    agreements: Iterable[AgreementFact],
    holds: Iterable[HoldFact],
    findings: Iterable[Finding],
    product_policy: Mapping[str, object],
) -> dict[str, Any]:
    """Give what is being approved as plain JSON: text, whole numbers, lists, in one fixed order.

    Equal facts give equal snapshots, in whatever order they came; money is text with two decimals. The
    ledger's age and the agreements' labels are left out: neither is a fact that anybody approves.

    Raises:
        TypeError: the policy holds something without one canonical form, such as a float.
    Source: SPEC §3 "What was approved".
    """
    facts = {f.name: getattr(account, f.name) for f in fields(account) if f.name not in _UNAPPROVED}
    return {
        "version": SNAPSHOT_VERSION,
        "account": _plain(facts),
        "agreements": [
            {"id": a.id, "kind": a.kind.value, "effect": a.effect.value, "repays": a.repayment_depends}
            for a in sorted(agreements, key=lambda a: a.id)
        ],
        "holds": [{"id": h.id, "kind": h.kind.value} for h in sorted(holds, key=lambda h: h.id)],
        "findings": sorted((_finding(f) for f in findings), key=_canonical),
        "policy": _plain(product_policy),
    }


def fingerprint(snapshot: Mapping[str, Any]) -> str:
    """Give the SHA-256 of a snapshot's canonical JSON, in hex; the same after a trip through a database.

    Raises:
        ValueError: it holds NaN or infinity. TypeError: something in it is not JSON.
    """
    return hashlib.sha256(_canonical(snapshot).encode()).hexdigest()


def material_changes(*, approved: Mapping[str, Any], today: Mapping[str, Any]) -> tuple[Change, ...]:
    """List every difference that voids the approval; an empty list means that it stands.

    Order is fixed: debt, orders, agreements by id, holds by id, other blockers by code. The policy is not
    compared, because it is pinned on the ticket at intake. Judge on a fresh ledger read only.

    Raises:
        UnknownSnapshot: either is of another version.
    Source: SPEC §3 "What was approved"; Note [What is a new blocker].
    """
    for side in (approved, today):
        if side.get("version") != SNAPSHOT_VERSION:
            raise UnknownSnapshot(f"snapshot version {side.get('version')!r}, not {SNAPSHOT_VERSION}")
    return (
        *_more(approved=approved, today=today),
        *_new_agreements(approved=approved, today=today),
        *_new_holds(approved=approved, today=today),
        *_new_blockers(approved=approved, today=today),
    )


def straight_through(
    *,
    reason: Reason,
    allowed_by_product: bool,
    findings: Iterable[Finding],
    arrears_months: Sequence[int],
    earlier_tickets: Collection[str],
    sampled: bool,
) -> bool:
    """Say whether a customer's request may pass without a reviewer: spotless, allowed, not sampled.

    `arrears_months` is months of delay, newest first; six months must be on record, for a history that
    nobody knows is not a clean one. `earlier_tickets` are the end states of the customer's other tickets.
    Never true for risk and policy: there a named person decides (a campaign's population is approved as
    a whole, elsewhere).
    Source: SPEC §3 table, SUBMITTED; §6 "only a named person closes"; PIPL 24. Six months, a history that
    must be on record, and SPOILING_ENDS: our choice.
    """
    recent = arrears_months[:MONTHS_WITHOUT_ARREARS]
    return (
        reason is Reason.CUSTOMER_REQUEST
        and allowed_by_product
        and not sampled
        and not blocks(findings)
        and len(recent) == MONTHS_WITHOUT_ARREARS
        and not any(recent)
        and SPOILING_ENDS.isdisjoint(earlier_tickets)
    )


def sampled(*, ticket_number: str, percent: int | Decimal) -> bool:
    """Say whether this ticket goes to a reviewer although it is spotless: `percent` of all, by hash.

    The same ticket always gets the same answer, so that trying again does not draw again; a higher
    percentage keeps every ticket that a lower one took. Steps of a hundredth of a percent.

    Raises:
        ValueError: percent is not within 0 and 100.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} % is no share")
    draw = int.from_bytes(hashlib.sha256(f"sample:{ticket_number}".encode()).digest()[:8], "big") % 10_000
    return draw < percent * 100


def _more(*, approved: Mapping[str, Any], today: Mapping[str, Any]) -> list[Change]:
    changes = []
    was, now = _debt(approved), _debt(today)
    if now > was:
        changes.append(Change(kind=ChangeKind.MORE_DEBT, before=f"{was:.2f}", after=f"{now:.2f}"))
    orders_were, orders_are = approved["account"]["pending_orders"], today["account"]["pending_orders"]
    if orders_are > orders_were:
        changes.append(
            Change(
                kind=ChangeKind.MORE_PENDING_ORDERS,
                code=BlockerCode.PENDING_ORDER,
                before=str(orders_were),
                after=str(orders_are),
            )
        )
    return changes


def _new_agreements(*, approved: Mapping[str, Any], today: Mapping[str, Any]) -> list[Change]:
    known = {agreement["id"] for agreement in approved["agreements"]}
    new = [
        Change(
            kind=ChangeKind.NEW_AGREEMENT,
            code=BlockerCode[f"AGREEMENT_{agreement['kind']}"],
            agreement_id=agreement["id"],
        )
        for agreement in today["agreements"]
        if agreement["id"] not in known
    ]
    blocked = _blocking_agreements(approved)
    hardened = [
        Change(kind=ChangeKind.NEW_BLOCKER, code=code, agreement_id=agreement_id)
        for agreement_id, code in sorted(_blocking_agreements(today).items())
        if agreement_id in known and agreement_id not in blocked
    ]
    return new + hardened


def _new_holds(*, approved: Mapping[str, Any], today: Mapping[str, Any]) -> list[Change]:
    known = {hold["id"] for hold in approved["holds"]}
    return [
        Change(
            kind=ChangeKind.NEW_HOLD,
            code=BlockerCode.OPEN_HOLD,
            hold_id=hold["id"],
            silent=HoldKind(hold["kind"]) in SILENT_HOLDS,
        )
        for hold in today["holds"]
        if hold["id"] not in known
    ]


def _new_blockers(*, approved: Mapping[str, Any], today: Mapping[str, Any]) -> list[Change]:
    known = {finding["code"] for finding in approved["findings"]}
    explained = _explained(approved)
    return [
        Change(
            kind=ChangeKind.NEW_BLOCKER,
            code=BlockerCode(finding["code"]),
            before="0",
            after=finding["amount"] or str(finding["count"] or 1),
        )
        for finding in today["findings"]
        if finding["code"] not in known | _JUDGED_APART | explained
    ]


def _explained(approved: Mapping[str, Any]) -> frozenset[BlockerCode]:
    """Codes whose appearance follows from what was approved. Note [What is a new blocker]."""
    account = approved["account"]
    debt = _debt(approved) + Decimal(account["interest"]) + Decimal(account["fees"])
    explained = set()
    if debt or account["instalments_remaining"]:
        explained = {BlockerCode.OUTSTANDING_INTEREST_FEES, BlockerCode.CREDIT_BALANCE}
    if Decimal(account["refunds_in_flight"]) or Decimal(account["disputed"]):
        explained.add(BlockerCode.CREDIT_BALANCE)
    return frozenset(explained)


def _debt(of: Mapping[str, Any]) -> Decimal:
    return Decimal(of["account"]["principal"]) + Decimal(of["account"]["unbilled"])


def _blocking_agreements(of: Mapping[str, Any]) -> dict[int, BlockerCode]:
    return {
        finding["agreement_id"]: BlockerCode(finding["code"])
        for finding in of["findings"]
        if finding["agreement_id"] is not None and finding["severity"] == Severity.BLOCK
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {field.name: _plain(getattr(finding, field.name)) for field in fields(finding)}


def _plain(value: object) -> Any:
    match value:
        case StrEnum():
            return value.value
        case None | bool() | int() | str():
            return value
        case Decimal() if value.is_finite():
            return _amount(value)
        case timedelta() | date():
            return str(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in sorted(value.items())}
        case list() | tuple():
            return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form in a snapshot")


def _amount(value: Decimal) -> str:
    """2 and 2.00 are one amount, and so are 0.00 and −0.00; a rate finer than a fen keeps its digits."""
    if value == 0:
        return "0.00"
    return f"{value:.2f}" if value == round(value, 2) else f"{value.normalize():f}"


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
