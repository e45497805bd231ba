"""Whom a call is about. A pair of numbers that do not belong together is as unknown as one that never was."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from accounts.models import CreditAccount
from closures.errors import ClosureError
from closures.models import ClosureTicket, Complaint
from closures.selectors import apps, own_complaints


class NotKnown(ClosureError):
    code = "not_found"
    template = _("No such account of such a customer, or no such closing or complaint of it.")


def the_account(customer_no: str, account_no: str) -> CreditAccount:
    """The account with its customer, product and lender. Raises NotKnown."""
    account = apps.account_named(customer_no=customer_no, account_no=account_no)
    if account is None:
        raise NotKnown
    return account


def the_ticket(number: str, customer_no: str, account_no: str) -> ClosureTicket:
    """The ticket with its account, customer, product and lender. Raises NotKnown."""
    ticket = apps.ticket_named(number=number, customer_no=customer_no, account_no=account_no)
    if ticket is None:
        raise NotKnown
    return ticket


def the_complaint(number: str, customer_no: str, account_no: str) -> Complaint:
    """The complaint of that customer, with its ticket and hold. Raises NotKnown."""
    complaint = own_complaints.named(number=number, customer_no=customer_no, account_no=account_no)
    if complaint is None:
        raise NotKnown
    return complaint
