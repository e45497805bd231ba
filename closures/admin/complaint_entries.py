"""Buttons beside a complaint's own: registering one from a customer or a ticket, deciding on more time."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from accounts.admin.base import Dialog, held_by
from closures.admin.complaint_dialogs import next_of
from closures.admin.complaint_forms import RegisterForCustomerForm, RegisterForm
from closures.admin.forms import ConfirmForm
from closures.models import Complaint
from closures.services import complaints
from closures.services.complaints.receiving import REGISTER


def registered(row: Any, result: Complaint) -> str:
    text = translate("Complaint %(number)s is received; it is due on %(day)s. Next – %(next)s")
    return text % {"number": result.number, "day": result.due_on, "next": next_of(result.pk)}


EXTENSION_DIALOGS = (
    Dialog(
        name="approve",
        label=_("Approve the extension"),
        icon="check",
        variant=ActionVariant.PRIMARY,
        transition="approve",
        hidden_from=lambda extension, user: extension.asked_by_id == user.pk,
        call=complaints.approve_extension,
        target="extension_id",
        form=ConfirmForm,
        description=_("The due date moves, and the complainant is told so in the same moment."),
        done=lambda extension, result: (
            translate("Complaint %(number)s is due on %(day)s now; the complainant is told.")
            % {"number": extension.complaint.number, "day": result.to_due_on}
        ),
    ),
    Dialog(
        name="refuse",
        label=_("Refuse the extension"),
        icon="close",
        transition="refuse",
        hidden_from=lambda extension, user: extension.asked_by_id == user.pk,
        call=complaints.refuse_extension,
        target="extension_id",
        done=lambda extension, result: (
            translate("Complaint %(number)s stays due on %(day)s.")
            % {"number": extension.complaint.number, "day": result.from_due_on}
        ),
    ),
)

# On the pages of what a complaint is about.
REGISTER_ON_TICKET = Dialog(
    name="complain",
    label=_("Register a complaint"),
    icon="sentiment_dissatisfied",
    permission=held_by(REGISTER),
    call=complaints.register,
    target="ticket_id",
    form=RegisterForm,
    description=_("About this closing. It has its number and its due date at once."),
    deciding=False,
    done=registered,
)
REGISTER_FOR_CUSTOMER = Dialog(
    name="complain",
    label=_("Register a complaint"),
    icon="sentiment_dissatisfied",
    permission=held_by(REGISTER),
    call=complaints.register,
    target="customer_id",
    form=RegisterForCustomerForm,
    description=_("It has its number and its due date at once."),
    deciding=False,
    done=registered,
)
