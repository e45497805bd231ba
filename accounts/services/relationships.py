"""A customer's time with a lender begins and ends, and his standing and the retention date follow."""

from __future__ import annotations

from datetime import date, datetime

from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.errors import Refusal
from accounts.models import CreditAccount, Customer, LenderRelationship
from accounts.selectors import regulations
from accounts.tracking import move, save_as

RETENTION = "RETENTION_YEARS"


class CustomerErased(Refusal):
    """The customer's identity has been erased; he would come back as a new customer."""

    code = "customer_erased"
    template = _("Customer {customer} has been erased. Open a new customer instead.")


class AccountsStillOpen(Refusal):
    """The relationship goes on while an account with the lender is open."""

    code = "accounts_still_open"
    template = _("{count} account(s) with this lender are still open. The relationship goes on.")


class EndsBeforeItStarts(Refusal):
    """The last day lies before the first."""

    code = "ends_before_it_starts"
    template = _("The relationship began on {started_on} and cannot end on {ended_on}.")


@decision
def begin(
    *, customer_id: int, lender_id: int, started_on: date, actor: Actor, reason: str, now: datetime
) -> LenderRelationship:
    """The customer is with the lender, and his data may be used again if it was only stored. Safe to repeat.

    Raises:
        CustomerErased: there is nobody left to be with anybody.
    """
    customer = locked(customer_id)
    if customer.standing == Customer.Standing.ERASED:
        raise CustomerErased(customer=customer)
    relationship = customer.relationships.filter(lender=lender_id, ended_on__isnull=True).first()
    if relationship is None:
        relationship = save_as(
            LenderRelationship(customer=customer, lender_id=lender_id, started_on=started_on),
            actor=actor,
            reason=reason,
            now=now,
        )
    if customer.standing == Customer.Standing.RESTRICTED:
        move(customer, "resume", actor=actor, reason=reason, now=now)
    return relationship


@decision
def end(
    *, customer_id: int, lender_id: int, ended_on: date, actor: Actor, reason: str, now: datetime
) -> LenderRelationship | None:
    """The customer has left the lender, and his data is kept until the legal day.

    After his last lender his data is only stored (standing RESTRICTED). Returns the relationship, or None
    if there never was one. Safe to repeat: an ended one stays as it ended.

    Raises:
        AccountsStillOpen: an account with the lender is not closed.
        EndsBeforeItStarts: `ended_on` lies before the first day.
        NoRegulation: no retention period is in force.
    Source: 反洗钱法 34 (at least ten years after the end of the relationship), counted from the last
    account with this lender (FACTS §2.2); 个人信息保护法 47 (storage only from then on).
    """
    customer = locked(customer_id)
    if still_open := open_accounts(customer, lender_id):
        raise AccountsStillOpen(count=still_open)
    return conclude(customer, lender_id, ended_on=ended_on, actor=actor, reason=reason, now=now)


@decision
def end_if_last(
    *, customer_id: int, lender_id: int, ended_on: date, actor: Actor, reason: str, now: datetime
) -> LenderRelationship | None:
    """As `end` after the closing of an account, but None, and nothing changed, while another one is open.

    Asks under the customer's lock: of two accounts that close at the same moment, the later one ends the
    relationship. A caller that asks before the lock sees both open, and nobody ends it.
    """
    customer = locked(customer_id)
    if open_accounts(customer, lender_id):
        return None
    return conclude(customer, lender_id, ended_on=ended_on, actor=actor, reason=reason, now=now)


def conclude(
    customer: Customer, lender_id: int, *, ended_on: date, actor: Actor, reason: str, now: datetime
) -> LenderRelationship | None:
    of_lender = customer.relationships.filter(lender=lender_id)
    relationship = of_lender.filter(ended_on__isnull=True).first()
    if relationship is None:
        return of_lender.order_by("-ended_on", "-pk").first()
    if ended_on < relationship.started_on:
        raise EndsBeforeItStarts(started_on=relationship.started_on, ended_on=ended_on)
    relationship.ended_on = ended_on
    relationship.retain_until = retention_date(ended_on, today=localdate(now))
    save_as(relationship, actor=actor, reason=reason, now=now)
    with_somebody = customer.relationships.filter(ended_on__isnull=True).exists()
    if not with_somebody and customer.standing == Customer.Standing.ACTIVE:
        move(customer, "restrict", actor=actor, reason=reason, now=now)
    return relationship


def retention_date(ended_on: date, *, today: date) -> date:
    """The first day on which the records of a relationship may go.

    The period in force when the end is recorded counts, even for an end that lies before it: what is still
    kept is kept under today's law. Ten years after 29 February is 1 March: one day too late is no breach.
    """
    years = regulations.number(RETENTION, on=max(ended_on, today))
    try:
        return ended_on.replace(year=ended_on.year + years)
    except ValueError:
        return date(ended_on.year + years, 3, 1)


def locked(customer_id: int) -> Customer:
    return Customer.objects.select_for_update(of=("self",), no_key=True).get(pk=customer_id)


def open_accounts(customer: Customer, lender_id: int) -> int:
    """How many accounts of the customer with the lender are not closed."""
    accounts = customer.accounts.filter(product__lender=lender_id)
    return accounts.exclude(line_state=CreditAccount.LineState.CLOSED).count()
