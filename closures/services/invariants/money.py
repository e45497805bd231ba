"""Invariants of the money: what was owed at the moments that cannot be undone (SPEC §8, 6 and 7)."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery

from accounts.models import CreditAccount
from closures.models import UnbindAttempt, UnbindTask
from closures.services.invariants.finding import Finding, judge
from closures.services.invariants.people import closed

EITHER_WAY = (*CreditAccount.OWED_MONEY, *CreditAccount.OWED_COUNTS, "credit_balance")
TO_HIM = ("refunds_in_flight", "credit_balance")
BY_HIM = tuple(field for field in EITHER_WAY if field not in TO_HIM)  # as in eligibility.owes_nothing


def nothing_owed_at_closing() -> Finding:
    """6. When a ticket was closed, nothing was owed either way, by the account's history of that moment.

    Nor has anything been owed on the account since: later money is kept in `PostClosureItem` alone.
    """
    shut = CreditAccount.objects.filter(line_state=CreditAccount.LineState.CLOSED)
    return judge(
        examined=closed(), broken=_owing(closed(), account="account", at="ended_at", fields=EITHER_WAY)
    ) + judge(examined=shut, broken=shut.filter(_any_of(EITHER_WAY)), show="account_no")


def mandates_outlive_debt() -> Finding:
    """7. No repayment agreement was ended by us while the customer owed.

    What counts is the moment we asked the partner to end it, or a person confirmed that he had. Money that
    appears between our call and the partner's proof is not something we could have waited for.
    """
    sent = UnbindAttempt.objects.filter(
        verb=UnbindAttempt.Verb.UNSIGN, task__agreement__repayment_depends=True
    )
    by_hand = UnbindTask.objects.filter(
        state=UnbindTask.State.UNBOUND, confirmed_by__isnull=False, agreement__repayment_depends=True
    )
    return judge(
        examined=sent,
        broken=_owing(sent, account="task__agreement__account", at="started_at", fields=BY_HIM),
        show="task__key",
    ) + judge(
        examined=by_hand,
        broken=_owing(by_hand, account="agreement__account", at="state_since", fields=BY_HIM),
        show="key",
    )


def _owing(
    rows: models.QuerySet[Any], *, account: str, at: str, fields: tuple[str, ...]
) -> models.QuerySet[Any]:
    """Those `rows` whose account owed one of `fields` at the moment `at`, or has no history from before it.

    “At the moment” is the account's newest history row that is not younger.
    """
    history = CreditAccount.history.model.objects
    then = history.filter(id=OuterRef(account), history_date__lte=OuterRef(at))
    then = then.order_by("-history_date", "-history_id").values("history_id")[:1]
    owing = history.filter(_any_of(fields), history_id=OuterRef("row_then"))
    return rows.annotate(row_then=Subquery(then)).filter(Q(row_then__isnull=True) | Q(Exists(owing)))


def _any_of(fields: tuple[str, ...]) -> Q:
    return reduce(or_, (Q(**{f"{field}__gt": 0}) for field in fields))
