"""The pages of customers and accounts, with what the closing process knows of them and its buttons.

The pages themselves are those of `accounts.admin`; they know nothing of closings, so they are registered
anew here with more on them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from accounts.actors import Actor
from accounts.admin.agreements import PartnerAgreementAdmin
from accounts.admin.base import Dialog, ReasonForm, held_by
from accounts.admin.customers import CustomerAdmin
from accounts.admin.lines import CreditAccountAdmin, LineRestrictionAdmin
from accounts.admin.overviews import AccountCard
from accounts.models import CreditAccount, Customer, LineRestriction, PartnerAgreement, RestrictionCause
from closures.admin import intake
from closures.admin.base import InWords, brand, colour, comes_next
from closures.admin.complaint_entries import REGISTER_FOR_CUSTOMER
from closures.admin.forms import ConfirmForm
from closures.admin.risk_forms import DemandForm
from closures.models import ClosureTicket, Complaint, DeletionRequest, RiskAlert
from closures.models.tickets import Reason
from closures.selectors import risk_words
from closures.services import retention
from closures.services.intake import Demand, Received, request_closure

TICKETS_SHOWN = 20


def tickets_of(**which: Any) -> list[ClosureTicket]:
    """The newest tickets, ready to be shown."""
    rows = ClosureTicket.objects.filter(**which).select_related("account__product").order_by("-pk")
    found = list(rows[:TICKETS_SHOWN])
    for ticket in found:
        ticket.colour = colour(ticket.state)
        ticket.brand = brand(ticket.account.product)
    return found


def complaints_of(**which: Any) -> list[Complaint]:
    """The newest complaints, ready to be shown."""
    found: list[Any] = list(Complaint.objects.filter(**which).order_by("-pk")[:TICKETS_SHOWN])
    for complaint in found:
        complaint.colour = colour(complaint.state)
    return found


def tell(cards: list[AccountCard], tickets: list[ClosureTicket], request: HttpRequest) -> None:
    """Each card says whether a closing is under way or done, and offers to ask for one where it may be."""
    for card in cards:
        own = [ticket for ticket in tickets if ticket.account_id == card.account.pk]
        card.extra = intake.about(card.account, own, request)
    explain(cards)


def explain(cards: list[AccountCard]) -> None:
    """A line that an alert has frozen says so in the sentence that the customer may hear."""
    limits: list[Any] = [
        row for card in cards for row in card.restrictions if row.cause == RestrictionCause.RISK
    ]
    if not limits:
        return
    alerts = RiskAlert.objects.filter(number__in={row.reference for row in limits})
    told = {alert.number: risk_words.sentence(alert) for alert in alerts}
    for row in limits:
        row.said = told.get(row.reference, row.said)


def requester(reason: Reason, channel: ClosureTicket.Channel) -> Callable[..., Received]:
    def request(*, account_id: int, ground: str, actor: Actor, now: datetime, **days: Any) -> Received:
        given: dict[str, Any] = {"ground": ground, "actor": actor, "now": now, "demand": Demand(**days)}
        return request_closure(account_id=account_id, reason=reason, channel=channel, **given)

    return request


def can_be_asked_for(account: CreditAccount) -> bool:
    closed = account.line_state == CreditAccount.LineState.CLOSED
    return not closed and not account.tickets.filter(state__in=ClosureTicket.OPEN).exists()


def adverse(name: str, label: Any, *, icon: str, reason: Reason, channel: ClosureTicket.Channel) -> Dialog:
    """The lender asks to close: a ground, then somebody else decides, and the customer is told in time."""
    right = {
        Reason.RISK_CONTROL: "closures.request_risk_closure",
        Reason.POLICY: "closures.request_policy_closure",
    }[reason]
    return Dialog(
        name=name,
        label=label,
        icon=icon,
        variant=ActionVariant.WARNING,
        permission=held_by(right),
        possible=can_be_asked_for,
        call=requester(reason, channel),
        target="account_id",
        form=DemandForm if reason == Reason.RISK_CONTROL else ReasonForm,
        deciding=False,
        description=_(
            "Somebody else decides. Debt stays on its terms; nothing closes before the notice has arrived."
        ),
        done=lambda account, received: (
            gettext("Ticket %(number)s is open for account %(account)s. Next: %(next)s")
            % {
                "number": received.ticket.number,
                "account": account.account_no,
                "next": comes_next(received.ticket),
            }
        ),
    )


def ask_deletion(*, customer_id: int, actor: Actor, now: datetime) -> DeletionRequest:
    """An agent takes the request on the customer's behalf."""
    return retention.request_deletion(
        customer_id=customer_id, channel=DeletionRequest.Channel.AGENT, actor=actor, now=now
    )


admin.site.unregister((Customer, CreditAccount, LineRestriction, PartnerAgreement))


@admin.register(LineRestriction)
class RestrictionInWordsAdmin(InWords, LineRestrictionAdmin):
    """The closing process restricts lines; its history speaks of closings."""


@admin.register(PartnerAgreement)
class AgreementInWordsAdmin(InWords, PartnerAgreementAdmin):
    """The closing process ends agreements; its history speaks of closings."""


ASK_DELETION = Dialog(
    name="ask_deletion",
    label=_("Take a request for deletion"),
    icon="delete",
    permission=held_by("closures.request_deletion"),
    possible=lambda customer: customer.standing != Customer.Standing.ERASED,
    call=ask_deletion,
    target="customer_id",
    form=ConfirmForm,
    deciding=False,
    description=_(
        "The customer wants his personal data deleted. A reviewer answers what the law has us keep, and "
        "until when; the customer is told."
    ),
    done=lambda customer, request: (
        gettext("Request %(number)s is recorded; it is to be answered by %(day)s.")
        % {"number": request.number, "day": request.answer_due_on}
    ),
)


@admin.register(Customer)
class CustomerWithTicketsAdmin(InWords, CustomerAdmin):
    dialogs = (*CustomerAdmin.dialogs, REGISTER_FOR_CUSTOMER, ASK_DELETION)

    def overview(self, request: HttpRequest, customer: Customer) -> dict[str, Any]:
        context = super().overview(request, customer)
        if request.user.has_perm("closures.view_closureticket"):
            tickets = tickets_of(account__customer=customer)
            tell(context["cards"], tickets, request)
            context |= {"tickets": tickets, "tickets_template": "admin/closures/tickets_card.html"}
        if request.user.has_perm("closures.view_complaint"):
            context |= {
                "complaints": complaints_of(customer=customer),
                "complaints_template": "admin/closures/complaints_card.html",
            }
        return context


@admin.register(CreditAccount)
class ClosableAccountAdmin(InWords, CreditAccountAdmin):
    dialogs = (
        adverse(
            "request_risk",
            _("Close for risk control"),
            icon="shield",
            reason=Reason.RISK_CONTROL,
            channel=ClosureTicket.Channel.RISK,
        ),
        adverse(
            "request_policy",
            _("Close for policy"),
            icon="policy",
            reason=Reason.POLICY,
            channel=ClosureTicket.Channel.CAMPAIGN,
        ),
    )

    def overview(self, request: HttpRequest, account: CreditAccount) -> dict[str, Any]:
        context = super().overview(request, account)
        if request.user.has_perm("closures.view_closureticket"):
            tickets = tickets_of(account=account)
            tell([context["card"]], tickets, request)
            context |= {"tickets": tickets, "tickets_template": "admin/closures/tickets_card.html"}
        return context
