"""Whose data is kept and why, whose may go, and the words for both. Reads only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import translation
from django.utils.translation import gettext as translate

from accounts.models import CreditAccount, Customer, LenderRelationship, Regulation
from accounts.selectors import regulations
from accounts.selectors.regulations import NoRegulation
from closures.models import (
    ClosureTicket,
    Complaint,
    DeletionRequest,
    DestructionItem,
    Hold,
    LedgerCommand,
    Notice,
    PostClosureItem,
    Reversal,
    UnbindTask,
)
from closures.rules.retention import Keep, KeepCode, Relationship, reasons

RULE = "RETENTION_YEARS"
ON_ITS_WAY = (Notice.State.PENDING, Notice.State.SENDING, Notice.State.UNKNOWN)


def _relationships() -> QuerySet[LenderRelationship]:
    return LenderRelationship.objects.filter(customer=OuterRef("pk"))


def _tickets(**which: Any) -> QuerySet[ClosureTicket]:
    return ClosureTicket.objects.filter(account__customer=OuterRef("pk"), **which)


# What keeps a customer's data from being destroyed on a day, each as a Q on customers, in the order in which
# a person is told. Whoever adds a kind of case adds its line here.
KEEPERS: dict[str, Callable[[date], Q]] = {
    "IN_USE": lambda on: ~Q(standing=Customer.Standing.RESTRICTED),
    "NO_RELATIONSHIP": lambda on: ~Q(Exists(_relationships())),
    "RELATIONSHIP_GOES_ON": lambda on: Q(Exists(_relationships().filter(ended_on__isnull=True))),
    "RETENTION_RUNS": lambda on: Q(Exists(_relationships().filter(retain_until__gt=on))),
    "ACCOUNT_OPEN": lambda on: Q(
        Exists(
            CreditAccount.objects.filter(customer=OuterRef("pk")).exclude(
                line_state=CreditAccount.LineState.CLOSED
            )
        )
    ),
    "OPEN_HOLD": lambda on: Q(
        Exists(Hold.objects.filter(ticket__account__customer=OuterRef("pk"), state=Hold.State.OPEN))
    ),
    "CASE_OPEN": lambda on: Q(Exists(_tickets(state__in=ClosureTicket.OPEN))),
    "COMPLAINT_OPEN": lambda on: Q(
        Exists(Complaint.objects.filter(customer=OuterRef("pk"), state__in=Complaint.RUNNING))
    ),
    "REVERSAL_OPEN": lambda on: Q(
        Exists(Reversal.objects.filter(Reversal.under_way(), ticket__account__customer=OuterRef("pk")))
    ),
    "MONEY_OPEN": lambda on: Q(
        Exists(
            PostClosureItem.objects.filter(account__customer=OuterRef("pk"), state__in=PostClosureItem.OPEN)
        )
    ),
    "CALL_UNDER_WAY": lambda on: (
        Q(
            Exists(
                UnbindTask.objects.filter(
                    ticket__account__customer=OuterRef("pk"), state__in=UnbindTask.MUST_BE_ASKED
                )
            )
        )
        | Q(
            Exists(
                LedgerCommand.objects.filter(account__customer=OuterRef("pk"), state__in=LedgerCommand.OPEN)
            )
        )
    ),
    "NOTICE_ON_ITS_WAY": lambda on: Q(
        Exists(Notice.objects.filter(customer=OuterRef("pk"), state__in=ON_ITS_WAY))
    ),
    # Once he is erased nobody can tell him anything, so he is told first.
    "REQUEST_UNANSWERED": lambda on: Q(
        Exists(DeletionRequest.objects.filter(customer=OuterRef("pk"), state=DeletionRequest.State.RECEIVED))
    ),
}


def erasable(*, on: date) -> QuerySet[Any]:
    """Customers whose data nothing wants kept on that day and who are on no list yet, with `kept_until`."""
    found = Customer.objects.filter(standing=Customer.Standing.RESTRICTED)  # said aloud: it narrows most
    for keeper in KEEPERS.values():
        found = found.exclude(keeper(on))
    listed = DestructionItem.objects.filter(customer=OuterRef("pk"), state=DestructionItem.State.WAITING)
    return (
        found.exclude(Exists(listed)).annotate(kept_until=Max("relationships__retain_until")).order_by("pk")
    )


def keeps(customer_id: int, *, on: date) -> str:
    """The first code of KEEPERS that wants this customer's data kept, or "" when it may go. One query."""
    customer = Customer.objects.filter(pk=customer_id)
    found: Any = customer.annotate(**{f"k_{code}": Q(q(on)) for code, q in KEEPERS.items()}).values().get()
    return next((code for code in KEEPERS if found[f"k_{code}"]), "")


# --- What a customer is told --------------------------------------------------------------------------


def kept(customer: Customer, *, on: date) -> list[dict[str, Any]]:
    """Why his data is kept on that day, JSON-ready, each reason with the law it stands on. Six queries."""
    rows = customer.relationships.select_related("lender").order_by("lender__code", "pk")
    times = [Relationship(lender=row.lender.legal_name, retain_until=row.retain_until) for row in rows]
    accounts = customer.accounts.exclude(line_state=CreditAccount.LineState.CLOSED)
    lenders = accounts.order_by("product__lender__code").values_list("product__lender__legal_name", flat=True)
    times += [Relationship(lender=name, retain_until=None) for name in dict.fromkeys(lenders)]
    tickets = ClosureTicket.objects.filter(account__customer=customer, state__in=ClosureTicket.OPEN)
    complaints = Complaint.objects.filter(customer=customer, state__in=Complaint.RUNNING)
    cases = [*tickets.order_by("pk"), *complaints.order_by("pk")]
    holds = Hold.objects.filter(ticket__account__customer=customer, state=Hold.State.OPEN)
    found = reasons(
        relationships=times,
        open_cases=[case.number for case in cases],
        # Without a relationship on file no day can be told and nobody is erased: that is a duty too.
        held=holds.exists() or not times,
        on=on,
    )
    return [_plain(keep, law=_law(on)) for keep in found]


def _law(on: date) -> Regulation | None:
    try:
        return regulations.in_force(RULE, on=on)
    except NoRegulation:
        return None


def _plain(keep: Keep, *, law: Regulation | None) -> dict[str, Any]:
    said: dict[str, Any] = {"code": str(keep.code)}
    if keep.lender:
        said["lender"] = keep.lender
    if keep.case:
        said["case"] = keep.case
    if keep.until:
        said["until"] = keep.until.isoformat()
    if keep.code is KeepCode.RETENTION and law is not None:
        said |= {"rule": law.code, "years": law.value, "source": law.source}
    return said


def lines(kept: list[dict[str, Any]], *, language: str) -> list[str]:
    """The reasons as sentences in that language."""
    with translation.override(language):
        return [_line(reason) for reason in kept]


def _line(reason: dict[str, Any]) -> str:
    match KeepCode(reason["code"]):
        case KeepCode.RELATIONSHIP:
            text = translate(
                "%(lender)s: your relationship goes on, and your data is needed for the contract "
                "(Personal Information Protection Law, article 13)."
            )
        case KeepCode.RETENTION:
            text = translate(
                "%(lender)s: identity and transaction records are kept until %(until)s, %(years)s years "
                "after the relationship ended (%(source)s). Until then they are only stored."
            )
        case KeepCode.CASE:
            text = translate("Case %(case)s is open; its records are needed until it has ended.")
        case KeepCode.LEGAL_DUTY:
            text = translate(
                "The law obliges us to keep the records for the time being "
                "(Personal Information Protection Law, article 47)."
            )
    return text % {"years": "", "source": "", **reason}
