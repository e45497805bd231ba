"""Partner agreements of accounts that are known, batch by batch as `accounts.imports.accounts`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from accounts import bulk
from accounts.actors import Actor
from accounts.imports import loading
from accounts.imports.entries import Entry
from accounts.imports.outcomes import Outcome
from accounts.imports.reading import Line
from accounts.imports.reasons import Problem, Reason
from accounts.imports.rows import AGREEMENT_COLUMNS, AgreementLine, BadRow, parse_agreement
from accounts.imports.seen import Seen
from accounts.models import CreditAccount, PartnerAgreement
from accounts.models.agreements import shipped_effect
from accounts.statements import new_ids

State = PartnerAgreement.State
OPEN = frozenset({State.BOUND, State.UNBINDING})
ATTRIBUTES = ("kind", "signed_on", "repayment_depends", "effect")
NEW = ("account", "partner", "agreement_no", *ATTRIBUTES)


class Account(NamedTuple):
    pk: int
    is_closed: bool


class AgreementImport:
    """How a file of agreements is kept. A new one is BOUND with the shipped effect of its kind."""

    columns = AGREEMENT_COLUMNS
    tables = (PartnerAgreement,)

    def __init__(self, *, actor: Actor, reason: str, now: datetime) -> None:
        self.now = now
        self.signed: dict[str, Any] = {"actor": actor, "reason": reason, "now": now}

    def prepare(self, line: Line) -> Entry[AgreementLine]:
        """What the line says; pure, so it can be done while the batch before is written."""
        if line.problem:
            return Entry(line.number, problems=(Problem("", line.problem),))
        try:
            row = parse_agreement(line.values, now=self.now)
        except BadRow as bad:
            return Entry(line.number, problems=bad.problems)
        return Entry(line.number, key(row.partner, row.agreement_no), row=row)

    def keep(self, entries: Sequence[Entry[AgreementLine]], *, seen: Seen) -> Outcome:
        """The good lines are in the database; the caller holds the transaction. Safe to repeat."""
        return AgreementBatch(self).keep(entries, seen=seen)


class AgreementBatch:
    """The lines of one transaction, and what is known about them."""

    def __init__(self, run: AgreementImport) -> None:
        self.run = run
        self.outcome = Outcome()
        self.accounts: dict[str, Account] = {}
        self.agreements: dict[str, PartnerAgreement] = {}
        self.created: list[tuple[Any, ...]] = []
        self.changed: list[dict[str, Any]] = []

    def keep(self, entries: Sequence[Entry[AgreementLine]], *, seen: Seen) -> Outcome:
        self._read([entry.row for entry in entries if entry.row])
        taken = seen.among([entry.key for entry in entries if entry.row])
        for entry in entries:
            problems = entry.problems
            if not problems and entry.key in taken:
                problems = (Problem("agreement_no", Reason.TWICE),)
            elif entry.row and (problem := self._judge(entry.line, entry.row)):
                problems = (problem,)
            if problems:
                self.outcome.reject(entry.line, problems)
            else:
                taken.add(entry.key)
                self.outcome.kept.append(entry.key)
        self._write()
        return self.outcome

    def _read(self, rows: Sequence[AgreementLine]) -> None:
        """Read the accounts, lock the agreements; of one number the open row counts, else the last."""
        accounts = CreditAccount.objects.filter(account_no__among={row.account_no for row in rows})
        self.accounts = {
            number: Account(pk, state == CreditAccount.LineState.CLOSED)
            for number, pk, state in accounts.values_list("account_no", "pk", "line_state")
        }
        known = PartnerAgreement.objects.filter(agreement_no__among={row.agreement_no for row in rows})
        for agreement in known.order_by("pk").select_for_update(of=("self",), no_key=True):
            own = key(agreement.partner, agreement.agreement_no)
            if own not in self.agreements or self.agreements[own].state not in OPEN:
                self.agreements[own] = agreement

    def _judge(self, line: int, row: AgreementLine) -> Problem | None:
        """Count the line and put it among what will be written; or why it cannot be kept."""
        account = self.accounts.get(row.account_no)
        if account is None:
            return Problem("account_no", Reason.UNKNOWN_ACCOUNT)
        known = self.agreements.get(key(row.partner, row.agreement_no))
        if known is None:
            self._create(line, row, account=account)
            return None
        if known.account_id != account.pk:
            return Problem("agreement_no", Reason.OTHER_ACCOUNT)
        # An agreement on its way out, or gone, is the closing's and the reconciliation's matter.
        if known.state == State.BOUND and self._change(known, row):
            self.outcome.counts.updated += 1
        else:
            self.outcome.counts.unchanged += 1
        return None

    def _create(self, line: int, row: AgreementLine, *, account: Account) -> None:
        effect = shipped_effect(row.kind)
        attributes = (row.kind, row.signed_on, row.repayment_depends, effect)
        self.created.append((account.pk, row.partner, row.agreement_no, *attributes))
        self.outcome.counts.imported += 1
        if account.is_closed:
            self.outcome.flag(line, "account_no", Reason.ON_CLOSED_ACCOUNT)

    def _change(self, known: PartnerAgreement, row: AgreementLine) -> bool:
        # The effect is ours, not the extract's; it follows only when the kind itself was corrected.
        effect = known.effect if known.kind == row.kind else shipped_effect(row.kind)
        values = {"kind": row.kind, "signed_on": row.signed_on, "repayment_depends": row.repayment_depends}
        values["effect"] = effect
        if all(getattr(known, name) == value for name, value in values.items()):
            return False
        self.changed.append({"pk": known.pk, **values})
        return True

    def _write(self) -> None:
        pks = new_ids(PartnerAgreement, len(self.created))
        rows = [(pk, *row) for pk, row in zip(pks, self.created, strict=True)]
        loading.insert_tracked(PartnerAgreement, ("id", *NEW), rows, **self.run.signed)
        if self.changed:
            bulk.update_many(PartnerAgreement, self.changed, key="pk", fields=ATTRIBUTES, **self.run.signed)


def key(partner: str, agreement_no: str) -> str:
    return f"{partner} {agreement_no}"
