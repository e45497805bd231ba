"""The buttons of a complaint: every move a person can make, each one service call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from accounts.admin.base import Dialog, Menu, held_by, in_states
from closures.admin.complaint_forms import (
    AssignForm,
    ExtensionForm,
    MergeForm,
    ReplyForm,
    ReviewForm,
    ScopeForm,
    VerdictForm,
    WordsForm,
)
from closures.admin.forms import ConfirmForm
from closures.models import Complaint
from closures.models.complaints import DECIDE, HANDLE
from closures.rules.complaints import told_in_time
from closures.rules.deadlines import china_date
from closures.selectors import complaint_steps
from closures.services import complaints
from closures.services.complaints.desk import parts_in

State = Complaint.State
WORKED_ON = (State.REGISTERED, State.INVESTIGATING)


# --- Who and when ---------------------------------------------------------------------------------------


def recused(complaint: Complaint, user: Any) -> bool:
    """The page offers nothing to who has to stand aside; the service refuses it anyway. Once a page."""
    if "console_parts" not in complaint.__dict__:
        complaint.__dict__["console_parts"] = parts_in(complaint)
    return user.pk in complaint.__dict__["console_parts"]


def not_the_decider(complaint: Complaint, user: Any) -> bool:
    return user.pk == complaint.handler_id or recused(complaint, user)


def not_the_reviewer(complaint: Complaint, user: Any) -> bool:
    return user.pk == complaint.decided_by_id or not_the_decider(complaint, user)


def works_on_it(complaint: Complaint, user: Any) -> bool:
    return user.has_perm(HANDLE) or user.has_perm(DECIDE)


def in_time(complaint: Complaint) -> bool:
    """An extension can still be told before the date that it moves."""
    today = china_date(moment=timezone.now())
    asked = complaint.kind == Complaint.Kind.COMPLAINT and complaint.state in WORKED_ON
    return asked and told_in_time(told_on=today, due_on=complaint.due_on)


def waits(complaint: Complaint) -> bool:
    return complaint.state in WORKED_ON and complaint.pauses.filter(ended_on__isnull=True).exists()


def can_be_reviewed(complaint: Complaint) -> bool:
    until = complaint.review_until
    today = china_date(moment=timezone.now())
    return complaint.review_requested_on is None and until is not None and today <= until


# --- What they say afterwards --------------------------------------------------------------------------


def next_of(complaint_id: int) -> str:
    """The sentence that a message ends with; the complaint is read as the service left it."""
    complaint = Complaint.objects.get(pk=complaint_id)
    step = complaint_steps.next_step(complaint, beside=complaint_steps.beside_many([complaint])[complaint.pk])
    return translate("%(whose)s: %(sentence)s") % {"whose": step.whose, "sentence": step.sentence}


def says(text: Any) -> Callable[[Complaint, Any], str]:
    """A message with the complaint's number, and what comes next."""

    def message(complaint: Complaint, result: Any) -> str:
        said = str(text) % {"number": complaint.number}
        return f"{said} {translate('Next – %(next)s') % {'next': next_of(complaint.pk)}}"

    return message


def merged(complaint: Complaint, result: Complaint) -> str:
    text = translate("Complaint %(number)s goes on as part of %(other)s, which is due on %(day)s.")
    return text % {"number": complaint.number, "other": result.number, "day": result.due_on}


def reply_context(request: HttpRequest, complaint: Complaint) -> Mapping[str, Any]:
    return {"outcome": complaint.get_outcome_display(), "complaint": complaint}


# --- The buttons ---------------------------------------------------------------------------------------

ACCEPT = Dialog(
    name="accept",
    label=_("Accept the complaint"),
    icon="task_alt",
    variant=ActionVariant.PRIMARY,
    transition="accept",
    hidden_from=recused,
    call=complaints.accept,
    target="complaint_id",
    form=ConfirmForm,
    description=_("It is about a product of ours and within our power; its clock runs since receipt."),
    deciding=False,
    done=says(_("Complaint %(number)s is accepted.")),
)
OUT_OF_SCOPE = Dialog(
    name="out_of_scope",
    label=_("Declare out of scope"),
    icon="block",
    transition="declare_out_of_scope",
    hidden_from=recused,
    call=complaints.declare_out_of_scope,
    target="complaint_id",
    form=ScopeForm,
    description=_("The complaint ends, a hold of its own is lifted, and the complainant is told why."),
    done=says(_("Complaint %(number)s is out of scope; the complainant is told why.")),
)
INVESTIGATE = Dialog(
    name="investigate",
    label=_("Begin the investigation"),
    icon="travel_explore",
    variant=ActionVariant.PRIMARY,
    transition="investigate",
    hidden_from=recused,
    call=complaints.investigate,
    target="complaint_id",
    form=ConfirmForm,
    description=_("You handle it from now on; somebody else decides."),
    deciding=False,
    done=says(_("Complaint %(number)s is under investigation.")),
)
DECIDE_IT = Dialog(
    name="decide",
    label=_("Decide the complaint"),
    icon="gavel",
    variant=ActionVariant.PRIMARY,
    transition="decide",
    hidden_from=not_the_decider,
    call=complaints.decide,
    target="complaint_id",
    form=VerdictForm,
    description=_("Upheld needs a root cause; a wrong closing that is upheld needs a remedy as well."),
    done=says(_("Complaint %(number)s is decided.")),
)
REPLY = Dialog(
    name="reply",
    label=_("Reply to the complainant"),
    icon="send",
    variant=ActionVariant.PRIMARY,
    transition="reply",
    hidden_from=recused,
    call=complaints.reply,
    target="complaint_id",
    form=ReplyForm,
    before_template="admin/closures/complaint/reply.html",
    context=reply_context,
    done=says(_("Complaint %(number)s is answered; the complainant is told, with the ways on.")),
)
CLOSE = Dialog(
    name="close",
    label=_("Close the complaint"),
    icon="done_all",
    transition="close",
    hidden_from=recused,
    call=complaints.close,
    target="complaint_id",
    form=ConfirmForm,
    description=_("Nothing is left to do. A review may still be requested in its time."),
    deciding=False,
    done=says(_("Complaint %(number)s is closed.")),
)
DECIDE_REVIEW = Dialog(
    name="decide_review",
    label=_("Decide the review"),
    icon="rate_review",
    variant=ActionVariant.PRIMARY,
    transition="decide_review",
    hidden_from=not_the_reviewer,
    call=complaints.decide_review,
    target="complaint_id",
    form=ReviewForm,
    description=_("What you decide stands; you have neither handled nor decided it before."),
    done=says(_("The review of complaint %(number)s is decided; the complainant is told.")),
)
NOTE = Dialog(
    name="note",
    label=_("Add a note"),
    icon="sticky_note_2",
    permission=works_on_it,
    hidden_from=recused,
    call=complaints.note,
    target="complaint_id",
    form=WordsForm,
    description=_("For us alone: the complainant does not read it."),
    deciding=False,
    done=says(_("A note is kept with complaint %(number)s.")),
)
ASSIGN = Dialog(
    name="assign",
    label=_("Assign a handler"),
    icon="assignment_ind",
    permission=works_on_it,
    possible=in_states(State.RECEIVED, *WORKED_ON),
    call=complaints.assign,
    target="complaint_id",
    form=AssignForm,
    description=_("Whoever had a part in the closing, or is complained about, cannot be chosen."),
    deciding=False,
    done=says(_("Complaint %(number)s has its handler.")),
)
WAIT = Dialog(
    name="wait",
    label=_("Ask the complainant"),
    icon="hourglass_empty",
    permission=held_by(HANDLE),
    possible=lambda complaint: complaint.state in WORKED_ON and not waits(complaint),
    hidden_from=recused,
    call=complaints.wait_for_customer,
    target="complaint_id",
    form=WordsForm,
    description=_("Our own target waits for the answer; the statutory date does not."),
    deciding=False,
    done=says(_("Complaint %(number)s waits for the complainant.")),
)
RESUME = Dialog(
    name="resume",
    label=_("The complainant has answered"),
    icon="reply",
    permission=held_by(HANDLE),
    possible=waits,
    call=complaints.resume,
    target="complaint_id",
    form=WordsForm,
    deciding=False,
    done=says(_("The answer to complaint %(number)s is kept.")),
)
NEW_FACTS = Dialog(
    name="new_facts",
    label=_("Add new facts"),
    icon="post_add",
    permission=held_by(HANDLE),
    possible=in_states(*Complaint.UNDECIDED),
    call=complaints.add_new_facts,
    target="complaint_id",
    form=WordsForm,
    description=_("A new clock starts today, and the complainant is told its date."),
    deciding=False,
    done=says(_("Complaint %(number)s has new facts and a new date.")),
)
ASK_EXTENSION = Dialog(
    name="ask_extension",
    label=_("Ask for an extension"),
    icon="more_time",
    permission=held_by(HANDLE),
    possible=in_time,
    hidden_from=recused,
    call=complaints.ask_extension,
    target="complaint_id",
    form=ExtensionForm,
    description=_("Somebody else approves it before the due date, and the complainant is told then."),
    done=says(_("More time is asked for complaint %(number)s.")),
)
MARK = Dialog(
    name="mark",
    label=_("Mark at the credit bureau"),
    icon="flag",
    permission=held_by(HANDLE),
    possible=lambda complaint: (
        complaint.kind == Complaint.Kind.BUREAU_DISPUTE
        and complaint.marked_on is None
        and complaint.state in WORKED_ON
    ),
    hidden_from=recused,
    call=complaints.answer_bureau_mark,
    target="complaint_id",
    form=ConfirmForm,
    description=_("The record carries the mark “disputed” at the credit bureau since today."),
    done=says(_("The record of dispute %(number)s is marked.")),
)
REQUEST_REVIEW = Dialog(
    name="request_review",
    label=_("Take the request for a review"),
    icon="replay",
    transition="request_review",
    possible=can_be_reviewed,
    call=complaints.request_review,
    target="complaint_id",
    form=WordsForm,
    description=_("Somebody who neither handled nor decided it decides again."),
    deciding=False,
    done=says(_("The review of complaint %(number)s is requested.")),
)
WITHDRAW = Dialog(
    name="withdraw",
    label=_("Withdraw the complaint"),
    icon="undo",
    transition="withdraw",
    call=complaints.withdraw,
    target="complaint_id",
    form=ConfirmForm,
    description=_("The complainant has taken it back. It ends now, and what it held goes on."),
    deciding=False,
    done=says(_("Complaint %(number)s is withdrawn and has ended today.")),
)
MERGE = Dialog(
    name="merge",
    label=_("Merge into another"),
    icon="merge",
    transition="merge",
    hidden_from=recused,
    call=complaints.merge,
    target="complaint_id",
    form=MergeForm,
    deciding=False,
    done=merged,
)

DIALOGS = (
    ACCEPT,
    INVESTIGATE,
    DECIDE_IT,
    REPLY,
    DECIDE_REVIEW,
    CLOSE,
    NOTE,
    Menu(
        title=_("More"),
        dialogs=(
            OUT_OF_SCOPE, ASSIGN, WAIT, RESUME, NEW_FACTS, ASK_EXTENSION, MARK, REQUEST_REVIEW, WITHDRAW,
            MERGE,
        ),
    ),
)  # fmt: skip
