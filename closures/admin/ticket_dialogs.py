"""The buttons of a ticket: every move a person can make, each one service call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from accounts.actors import Actor
from accounts.admin.base import Dialog, Menu, held_by
from accounts.services import identities
from closures.admin.base import comes_next
from closures.admin.complaint_entries import REGISTER_ON_TICKET
from closures.admin.evidence import MAKE_PACK
from closures.admin.forms import (
    AmendForm,
    ApprovalForm,
    ConfirmForm,
    HoldForm,
    RevealForm,
    ReversalForm,
)
from closures.admin.identity_codes import ENTER_CODE, RENEW_LINK, SEND_CODE, STATUS_LINK
from closures.models import ClosureTicket, Reversal, UnbindTask
from closures.selectors import after_closing, casefile, participants
from closures.selectors.timeline import SEE_SILENT
from closures.services import holds, intake, reversal, review

State = ClosureTicket.State


def asked_by(ticket: ClosureTicket, user: Any) -> bool:
    """Four eyes: the page does not offer a decision to who asked or edited; the service refuses it anyway."""
    return user.pk in (ticket.requested_by_id, ticket.last_edited_by_id)


# --- What the dialogs show -----------------------------------------------------------------------------


def what_is_approved(request: HttpRequest, ticket: ClosureTicket) -> Mapping[str, Any]:
    silent = request.user.has_perm(SEE_SILENT)
    lines = casefile.blocker_lines(ticket, silent=silent)
    account = ticket.account
    return {
        "lines": [line for line in lines if line.row.cured_at is None],
        "owed": casefile.yuan(account.owed),
        "credit_balance": casefile.yuan(account.credit_balance),
        "as_of": account.ledger_as_of,
    }


def consequences(request: HttpRequest, ticket: ClosureTicket) -> Mapping[str, Any]:
    states = list(ticket.tasks.values_list("state", flat=True))
    return {
        "cancelled": sum(state in review.CANCELLABLE for state in states),
        "asked": sum(state in UnbindTask.MUST_BE_ASKED for state in states),
        "ended": sum(state in UnbindTask.DONE for state in states),
        "began": ticket.unbinding_started_at,
    }


def identity_of_ticket(*, ticket_id: int, reason: str, actor: Actor, now: datetime) -> identities.Identity:
    """The customer behind the ticket, unmasked and recorded (accounts.services.identities.reveal)."""
    customer_id = ClosureTicket.objects.values_list("account__customer_id", flat=True).get(pk=ticket_id)
    return identities.reveal(customer_id=customer_id, reason=reason, actor=actor, now=now)


# --- When they are there -------------------------------------------------------------------------------


def can_be_amended(ticket: ClosureTicket) -> bool:
    return not ticket.is_customers_own and ticket.state in ClosureTicket.BEFORE_DECISION


def needs_two_to_cancel(ticket: ClosureTicket) -> bool:
    return ticket.is_open and ticket.unbinding_started_at is not None


def waits_for_arrival(ticket: ClosureTicket) -> bool:
    waiting = ticket.state == State.NOTICE_PERIOD and ticket.notice_arrived_at is None
    return not ticket.is_customers_own and waiting and ticket.notice_waived_by_id is None


def may_amend(ticket: ClosureTicket, user: Any) -> bool:
    right = review.AMEND.get(ticket.reason)
    return right is not None and user.has_perm(right)


# --- What they say afterwards --------------------------------------------------------------------------


def approved(ticket: ClosureTicket, result: ClosureTicket) -> str:
    text = translate("Ticket %(number)s is approved. Next – %(next)s")
    return text % {"number": ticket.number, "next": comes_next(result)}


def rejected(ticket: ClosureTicket, result: ClosureTicket) -> str:
    text = translate("Ticket %(number)s is rejected; the line is free of its limits. Next – %(next)s")
    return text % {"number": ticket.number, "next": comes_next(result)}


def withdrawn(ticket: ClosureTicket, result: ClosureTicket) -> str:
    text = translate("Ticket %(number)s is withdrawn; the customer is told. Next – %(next)s")
    return text % {"number": ticket.number, "next": comes_next(result)}


def amended(ticket: ClosureTicket, result: ClosureTicket) -> str:
    text = translate("The ground of ticket %(number)s is amended. Somebody else decides it now.")
    return text % {"number": ticket.number}


def cancelled(ticket: ClosureTicket, result: ClosureTicket) -> str:
    text = translate("Ticket %(number)s is cancelled. Tasks that may have reached a partner are asked about.")
    return text % {"number": ticket.number}


def cancellation_asked(ticket: ClosureTicket, result: ClosureTicket) -> str:
    text = translate("The cancellation of ticket %(number)s is asked for. A second person decides on it.")
    return text % {"number": ticket.number}


def held(ticket: ClosureTicket, result: Any) -> str:
    text = translate("Hold (%(kind)s) placed on ticket %(number)s. Until it is lifted nothing is final.")
    return text % {"kind": result.get_kind_display(), "number": ticket.number}


def waiver_asked(ticket: ClosureTicket, result: ClosureTicket) -> str:
    text = translate("A notice waiver is asked for on ticket %(number)s. A second person decides on it.")
    return text % {"number": ticket.number}


def waiver_granted(ticket: ClosureTicket, result: ClosureTicket) -> str:
    text = translate("The notice's arrival is waived on ticket %(number)s. Next – %(next)s")
    return text % {"number": ticket.number, "next": comes_next(result)}


def reversal_proposed(ticket: ClosureTicket, result: Reversal) -> str:
    text = translate("Reversal %(reversal)s of ticket %(number)s is proposed. Next – %(next)s")
    return text % {
        "reversal": result.number,
        "number": ticket.number,
        "next": after_closing.reversal_next(result),
    }


# --- The buttons ---------------------------------------------------------------------------------------

APPROVE = Dialog(
    name="approve",
    label=_("Approve"),
    icon="check",
    variant=ActionVariant.PRIMARY,
    transition="approve",
    hidden_from=asked_by,
    call=review.approve,
    target="ticket_id",
    form=ApprovalForm,
    initial=lambda ticket: {"seen_hash": ticket.examined_hash},
    before_template="admin/closures/closureticket/approve.html",
    context=what_is_approved,
    done=approved,
)
REJECT = Dialog(
    name="reject",
    label=_("Reject"),
    icon="close",
    variant=ActionVariant.DANGER,
    transition="reject",
    hidden_from=asked_by,
    call=review.reject,
    target="ticket_id",
    description=_("The ticket ends, the line is freed of its limits, and the customer is told why."),
    done=rejected,
)
WITHDRAW = Dialog(
    name="withdraw",
    label=_("Withdraw for the customer"),
    icon="undo",
    transition="withdraw",
    call=intake.withdraw,
    target="ticket_id",
    form=ConfirmForm,
    description=_("The customer has said that the account is to stay. The ticket ends and he is told so."),
    deciding=False,
    done=withdrawn,
)
HOLD = Dialog(
    name="hold",
    label=_("Place a hold"),
    icon="front_hand",
    permission=held_by("closures.place_hold"),
    possible=lambda ticket: ticket.is_open,
    call=holds.place,
    target="ticket_id",
    form=HoldForm,
    description=_("Nothing irreversible happens until it is lifted. An approval given before becomes void."),
    deciding=False,
    done=held,
)
AMEND = Dialog(
    name="amend",
    label=_("Amend the ground"),
    icon="edit",
    permission=may_amend,
    possible=can_be_amended,
    call=review.amend,
    target="ticket_id",
    form=AmendForm,
    initial=lambda ticket: {"ground": ticket.ground},
    deciding=False,
    done=amended,
)
CANCEL = Dialog(
    name="cancel",
    label=_("Cancel the closing"),
    icon="cancel",
    variant=ActionVariant.DANGER,
    transition="cancel",
    hidden_from=lambda ticket, user: (
        needs_two_to_cancel(ticket) and ticket.cancel_asked_by_id in (None, user.pk)
    ),
    call=review.cancel,
    target="ticket_id",
    before_template="admin/closures/closureticket/cancel.html",
    context=consequences,
    done=cancelled,
)
ASK_CANCELLATION = Dialog(
    name="ask_cancellation",
    label=_("Ask for cancellation"),
    icon="cancel_schedule_send",
    permission=held_by("closures.cancel_closure"),
    possible=lambda ticket: needs_two_to_cancel(ticket) and ticket.cancel_asked_by_id is None,
    call=review.ask_cancellation,
    target="ticket_id",
    before_template="admin/closures/closureticket/cancel.html",
    context=consequences,
    done=cancellation_asked,
)
ASK_NOTICE_WAIVER = Dialog(
    name="ask_notice_waiver",
    label=_("Ask for a notice waiver"),
    icon="mark_email_unread",
    permission=held_by("closures.waive"),
    possible=lambda ticket: waits_for_arrival(ticket) and ticket.notice_waiver_asked_by_id is None,
    call=review.ask_notice_waiver,
    target="ticket_id",
    description=_("The closing would go on although nobody can show that its notice has arrived."),
    done=waiver_asked,
)
GRANT_NOTICE_WAIVER = Dialog(
    name="grant_notice_waiver",
    label=_("Grant the notice waiver"),
    icon="mark_email_read",
    permission=held_by("closures.waive"),
    possible=lambda ticket: waits_for_arrival(ticket) and ticket.notice_waiver_asked_by_id is not None,
    hidden_from=lambda ticket, user: ticket.notice_waiver_asked_by_id == user.pk,
    call=review.grant_notice_waiver,
    target="ticket_id",
    description=_("You are the second person. The notice period runs from now."),
    done=waiver_granted,
)
REVEAL = Dialog(
    name="reveal",
    label=_("Show the customer's identity"),
    icon="visibility",
    permission=held_by(identities.PERMISSION),
    call=identity_of_ticket,
    target="ticket_id",
    form=RevealForm,
    submit=_("Show"),
    result_template="admin/closures/closureticket/identity.html",
    in_header=False,
)

PROPOSE_REVERSAL = Dialog(
    name="propose_reversal",
    label=_("Propose to reverse the closing"),
    icon="settings_backup_restore",
    variant=ActionVariant.WARNING,
    permission=held_by("closures.propose_reversal"),
    possible=lambda ticket: (
        ticket.state == State.CLOSED and not ticket.reversals.filter(state__in=Reversal.STANDING).exists()
    ),
    hidden_from=lambda ticket, user: user.pk in participants.in_the_closing(ticket.pk),
    call=reversal.propose,
    target="ticket_id",
    form=ReversalForm,
    description=_(
        "The closed account stays closed; a new one takes its place once a second person has approved. "
        "Agreements are signed again by the customer alone."
    ),
    done=reversal_proposed,
)

DIALOGS = (
    APPROVE,
    REJECT,
    ENTER_CODE,
    SEND_CODE,
    WITHDRAW,
    HOLD,
    REGISTER_ON_TICKET,
    PROPOSE_REVERSAL,
    Menu(
        title=_("More"),
        dialogs=(
            AMEND,
            ASK_CANCELLATION,
            CANCEL,
            ASK_NOTICE_WAIVER,
            GRANT_NOTICE_WAIVER,
            MAKE_PACK,
            STATUS_LINK,
            RENEW_LINK,
        ),
    ),
    REVEAL,
)
