"""May this account be closed now? Every blocker at once, each with its amount and its cure.

Reads facts that somebody else gathered (account, agreements, holds) and lists findings. Gathers nothing,
moves nothing and words nothing: texts for people are made from the codes, further up.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal

from closures.rules.codes import (
    AGREEMENT_CODES,
    SILENT_HOLDS,
    AgreementEffect,
    AgreementKind,
    BlockerCode,
    CureCode,
    HoldKind,
    Reason,
    Severity,
)

ZERO = Decimal("0.00")
TOO_MUCH = Decimal("1E+20")  # no line of credit comes near it, and exact sums need an end

# Blocks a customer's own request; settles where the lender closes, because debt never disappears: repay
# only, terms unchanged. Source: SPEC §3.
MONEY_OWED = frozenset(
    {
        BlockerCode.OUTSTANDING_PRINCIPAL,
        BlockerCode.OUTSTANDING_INTEREST_FEES,
        BlockerCode.UNBILLED,
        BlockerCode.INSTALMENTS_REMAINING,
        BlockerCode.PENDING_ORDER,
        BlockerCode.REFUND_IN_FLIGHT,
        BlockerCode.DISPUTED,
    }
)


class ImpossibleFacts(ValueError):
    """A fact that cannot be true, such as a negative debt. Judged on, it would hide a blocker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """What the core ledger says about one account; amounts in yuan to the fen.

    −0.00 becomes 0.00: it is zero, and must print, compare and hash as zero.

    Raises:
        ImpossibleFacts: an amount is negative, endless or finer than a fen; a count is negative.
    """

    principal: Decimal
    interest: Decimal
    fees: Decimal
    unbilled: Decimal
    instalments_remaining: int
    pending_orders: int
    refunds_in_flight: Decimal
    disputed: Decimal
    credit_balance: Decimal
    ledger_age: timedelta
    other_lender_lines: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Decimal):
                object.__setattr__(self, field.name, _fen(field.name, value))
            elif isinstance(value, int) and value < 0:
                raise ImpossibleFacts(f"{field.name} is {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementFact:
    """One partner agreement that is still bound; `label` is for people and is never judged."""

    id: int
    kind: AgreementKind
    effect: AgreementEffect
    repayment_depends: bool
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFact:
    """One open hold."""

    id: int
    kind: HoldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One blocker: what, how grave, how much or how many, whose, and what makes it go away."""

    code: BlockerCode
    severity: Severity
    cure: CureCode
    amount: Decimal | None = None
    count: int | None = None
    agreement_id: int | None = None
    hold_id: int | None = None


def assess(
    *,
    reason: Reason,
    account: AccountFacts,
    agreements: Iterable[AgreementFact],
    holds: Iterable[HoldFact],
    identity_mismatch: bool,
    max_ledger_age: timedelta,
) -> tuple[Finding, ...]:
    """List everything that stands in the way, all of it at once.

    Order is fixed: doubts about the facts, then money, agreements by id, other lines, holds by id. Safe to
    repeat: equal facts give an equal list.
    Source: SPEC §3 "Blockers"; PITFALLS (Fineract: the clerk cures one check and meets the next).
    """
    found: list[Finding] = []
    if identity_mismatch:
        found.append(_finding(BlockerCode.IDENTITY_MISMATCH, reason, CureCode.PROVE_IDENTITY))
    # A date as far in the future is as little worth as one in the past. Source: our choice.
    if abs(account.ledger_age) > max_ledger_age:
        found.append(_finding(BlockerCode.STALE_LEDGER, reason, CureCode.AWAIT_FRESH_LEDGER))
    found += _money(reason=reason, account=account)
    found += [
        _agreement(reason=reason, account=account, agreement=agreement)
        for agreement in sorted(agreements, key=lambda agreement: agreement.id)
    ]
    if account.other_lender_lines:
        found.append(
            _finding(
                BlockerCode.OTHER_LENDER_LINE,
                reason,
                CureCode.KNOW_WHAT_STAYS,
                count=account.other_lender_lines,
            )
        )
    found += [
        _finding(BlockerCode.OPEN_HOLD, reason, CureCode.AWAIT_HOLD_LIFTED, hold_id=hold.id)
        for hold in sorted(holds, key=lambda hold: hold.id)
    ]
    return tuple(found)


def severity(*, code: BlockerCode, reason: Reason, effect: AgreementEffect | None = None) -> Severity:
    """Say how grave a blocker is: a function of code, reason and what the product configured.

    A code that nobody thought of blocks.

    Raises:
        ValueError: an agreement's code without its effect.
    Source: SPEC §3 "Severity".
    """
    if code in MONEY_OWED:
        return Severity.BLOCK if reason is Reason.CUSTOMER_REQUEST else Severity.SETTLE
    if code is BlockerCode.CREDIT_BALANCE:
        return Severity.SETTLE
    if code is BlockerCode.OTHER_LENDER_LINE:
        return Severity.WARN
    if code in AGREEMENT_CODES.values():
        if effect is None:
            raise ValueError(f"{code} needs the agreement's effect")
        return Severity(effect.value)
    return Severity.BLOCK


def blocks(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep the findings that must be cured before anything goes on."""
    return tuple(finding for finding in findings if finding.severity is Severity.BLOCK)


def settles(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep the findings that wait for money in SETTLING."""
    return tuple(finding for finding in findings if finding.severity is Severity.SETTLE)


def visible_to_customer(findings: Iterable[Finding], *, holds: Iterable[HoldFact]) -> tuple[Finding, ...]:
    """Leave out every finding of a silent hold, and of a hold that is not among `holds`.

    What cannot be shown to be harmless is not shown: a silence too much is an awkward text, one too few is
    a crime. The same list is for staff without the right to see silent holds.
    Source: SPEC §3 "Holds".
    """
    loud = {hold.id for hold in holds if hold.kind not in SILENT_HOLDS}
    return tuple(f for f in findings if f.code is not BlockerCode.OPEN_HOLD or f.hold_id in loud)


def refusal_needs_a_person(findings: Iterable[Finding], *, holds: Iterable[HoldFact]) -> bool:
    """Say whether the sweep must leave this refusal to a person: a silent hold is among the blockers.

    True also when other blockers would suffice: the reasons of an automatic refusal are itemised, and
    a list with a gap in it tells.
    Source: SPEC §3, BLOCKED → REJECTED "a person when a silent hold is among them".
    """
    findings = tuple(findings)
    return len(visible_to_customer(findings, holds=holds)) < len(findings)


def owes_nothing(facts: AccountFacts) -> bool:
    """Say whether the customer owes nothing and nothing under way can make him owe: mandates may go.

    Pending orders, remaining instalments and disputed amounts count as owed; money on its way to *him*
    does not. Source: SPEC §8 invariant 7; that an open order counts is our choice, the safe side.
    """
    amounts = (facts.principal, facts.interest, facts.fees, facts.unbilled, facts.disputed)
    return not any(amounts) and not facts.instalments_remaining and not facts.pending_orders


def settled(facts: AccountFacts) -> bool:
    """Say whether nothing is owed either way: the line may be closed. Source: SPEC §8 invariant 6."""
    return owes_nothing(facts) and not facts.credit_balance and not facts.refunds_in_flight


def _fen(name: str, amount: Decimal) -> Decimal:
    if not amount.is_finite() or not 0 <= amount < TOO_MUCH:
        raise ImpossibleFacts(f"{name} is {amount}")
    fen = amount.quantize(ZERO)
    if fen != amount:
        raise ImpossibleFacts(f"{name} is finer than a fen: {amount}")
    return abs(fen)  # -0.00 to 0.00


def _finding(
    code: BlockerCode,
    reason: Reason,
    cure: CureCode,
    *,
    amount: Decimal | None = None,
    count: int | None = None,
    hold_id: int | None = None,
) -> Finding:
    grave = severity(code=code, reason=reason)
    return Finding(code=code, severity=grave, cure=cure, amount=amount, count=count, hold_id=hold_id)


def _money(*, reason: Reason, account: AccountFacts) -> list[Finding]:
    amounts = (
        (BlockerCode.OUTSTANDING_PRINCIPAL, account.principal, CureCode.REPAY_PRINCIPAL),
        (
            BlockerCode.OUTSTANDING_INTEREST_FEES,
            account.interest + account.fees,
            CureCode.REPAY_INTEREST_FEES,
        ),
        (BlockerCode.UNBILLED, account.unbilled, CureCode.REPAY_UNBILLED),
        (BlockerCode.REFUND_IN_FLIGHT, account.refunds_in_flight, CureCode.AWAIT_REFUND),
        (BlockerCode.DISPUTED, account.disputed, CureCode.RESOLVE_DISPUTE),
        (BlockerCode.CREDIT_BALANCE, account.credit_balance, CureCode.WE_PAY_OUT),
    )
    counts = (
        (
            BlockerCode.INSTALMENTS_REMAINING,
            account.instalments_remaining,
            CureCode.REPAY_INSTALMENTS,
        ),
        (BlockerCode.PENDING_ORDER, account.pending_orders, CureCode.FINISH_OR_CANCEL_ORDERS),
    )
    found = [_finding(code, reason, cure, amount=amount) for code, amount, cure in amounts if amount]
    found += [_finding(code, reason, cure, count=count) for code, count, cure in counts if count]
    return found


def _agreement(*, reason: Reason, account: AccountFacts, agreement: AgreementFact) -> Finding:
    if agreement.effect is AgreementEffect.BLOCK:
        cure = CureCode.CUSTOMER_ENDS_AGREEMENT
    elif agreement.effect is AgreementEffect.WARN:
        cure = CureCode.KNOW_WHAT_STAYS
    elif agreement.repayment_depends and not owes_nothing(account):
        cure = CureCode.WE_UNBIND_ONCE_SETTLED
    else:
        cure = CureCode.WE_UNBIND
    code = AGREEMENT_CODES[agreement.kind]
    return Finding(
        code=code,
        severity=severity(code=code, reason=reason, effect=agreement.effect),
        cure=cure,
        agreement_id=agreement.id,
    )
