"""The customer complains on his page, reads what became of it, takes it back, asks for a review.

Everything here needs a code: to read, any verified one; to act, one that was sent for just this.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.errors import Refusal
from closures.api.status_pages import answer, opened, page
from closures.models import ClosureTicket, Complaint, IdentityCode
from closures.selectors import own_complaints, status
from closures.services import complaints

LONGEST, LONGEST_WISH = 2000, 500  # characters
TOO_LATE = _("This is no longer possible. Where your complaint stands is shown above.")
CODE_OVER = _("Your code is no longer good; nothing was sent. Have a new code sent, then send this again.")
NOT_NOW = _("Your complaint could not be taken in at present. Please try again later, or call 12378.")


class Words(forms.CharField):
    """A text of several lines: a browser sends two characters for each line break and counts one."""

    def __init__(self, *, longest: int, **more: Any) -> None:
        too_long = _("At most %(limit_value)s characters, please.")
        super().__init__(max_length=longest, error_messages={**WRONG, "max_length": too_long}, **more)

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


WRONG = {
    "required": _("Please tell us what happened."),
    "null_characters_not_allowed": _("Some characters cannot be read. Please type the text once more."),
}


class ComplaintForm(forms.Form):
    topic = forms.ChoiceField(
        choices=tuple(own_complaints.TOPICS.items()),
        error_messages={
            "required": _("Please choose what it is about."),
            "invalid_choice": _("Please choose what it is about."),
        },
    )
    text = Words(longest=LONGEST)
    wish = Words(longest=LONGEST_WISH, required=False)

    def in_one(self) -> str:
        """What happened, and below it what he would like."""
        text, wish = self.cleaned_data["text"], self.cleaned_data["wish"]
        return f"{text}\n\n{translate('What I would like:')} {wish}" if wish else text


class ReviewForm(forms.Form):
    text = Words(longest=LONGEST)


@page("GET", "POST")
def complain(request: HttpRequest, ticket: ClosureTicket, token: str) -> HttpResponse:
    """The complaint is taken in, once however often it is sent; then its own page says what comes next."""
    allowed, now = _may_act(request, ticket), timezone.now()
    if request.method != "POST":
        if not allowed:
            return HttpResponseRedirect(_code_needed(token))
        return _form(request, ticket, token, ComplaintForm())
    form = ComplaintForm(request.POST)
    if not allowed:  # what he has typed is not lost
        return _form(request, ticket, token, form, 403, problem=CODE_OVER, code_url=_code_needed(token))
    if not form.is_valid():
        return _form(request, ticket, token, form, 422)
    try:
        heard = complaints.complain(
            channel=Complaint.Channel.STATUS_PAGE,
            topic=form.cleaned_data["topic"],
            text=form.in_one(),
            ticket_id=ticket.pk,
            actor=Actor.customer(ticket.account.customer),
            now=now,
        )
    except Refusal:  # no rule in force to count its days by: a clerk's sentence, and on record
        return _form(request, ticket, token, form, 409, problem=NOT_NOW)
    return HttpResponseRedirect(_own_page(token, heard.complaint.number) + "?heard=1")


@page("GET", "POST")
def complaint(request: HttpRequest, ticket: ClosureTicket, token: str, number: str) -> HttpResponse:
    """One complaint about this closing: where it stands, what was written, and what he may still do."""
    code = opened(request, ticket)
    may_act = code is not None and code.purpose == IdentityCode.Purpose.COMPLAIN
    if request.method == "POST":
        if may_act:
            return _act(request, ticket, token, number)
        kept = request.POST.get("text", "")[: 2 * LONGEST]
        return answer(
            request, "status/code_over.html", 403, problem=CODE_OVER, kept=kept,
            code_url=_code_needed(token, number), back=_own_page(token, number),
        )  # fmt: skip
    if code is None:
        return HttpResponseRedirect(_code_needed(token, number))
    return _one(request, ticket, token, number, may_act=may_act)


def _act(request: HttpRequest, ticket: ClosureTicket, token: str, number: str) -> HttpResponse:
    """`do` says what: withdraw, or review with its text."""
    row, do = _found(ticket, number), request.POST.get("do")
    actor, now = Actor.customer(ticket.account.customer), timezone.now()
    form = ReviewForm(request.POST)
    try:
        if do == "withdraw":
            complaints.withdraw(complaint_id=row.pk, actor=actor, now=now)
        elif do == "review" and form.is_valid():
            text = form.cleaned_data["text"]
            complaints.request_review(complaint_id=row.pk, text=text, actor=actor, now=now)
        else:
            return _one(request, ticket, token, number, 422, may_act=True)
    except Refusal:  # decided, over, or too late, between the two looks
        return _one(request, ticket, token, number, 409, may_act=True, problem=TOO_LATE)
    return HttpResponseRedirect(_own_page(token, number))


def _may_act(request: HttpRequest, ticket: ClosureTicket) -> bool:
    code = opened(request, ticket)
    return code is not None and code.purpose == IdentityCode.Purpose.COMPLAIN


def _form(
    request: HttpRequest, ticket: ClosureTicket, token: str, form: ComplaintForm, code: int = 200, **more: Any
) -> HttpResponse:
    return answer(
        request,
        "status/complain_form.html",
        code,
        token=token,
        brand=status.brand(ticket),
        tail=ticket.account.account_no[-4:],
        form=form,
        longest=LONGEST,
        longest_wish=LONGEST_WISH,
        back=reverse("status", args=[token]),
        **more,
    )


def _one(
    request: HttpRequest, ticket: ClosureTicket, token: str, number: str, code: int = 200, **more: Any
) -> HttpResponse:
    """The page of one complaint, read afresh. `may_act`: the code was sent for this."""
    row, now = _found(ticket, number), timezone.now()
    return answer(
        request,
        "status/complaint.html",
        code,
        **{
            "token": token,
            "brand": status.brand(ticket),
            "tail": ticket.account.account_no[-4:],
            "complaint": own_complaints.shown(row, now=now),
            "said": own_complaints.texts_of(row),
            "just_heard": "heard" in request.GET,
            "form": ReviewForm(request.POST if request.POST.get("do") == "review" else None),
            "longest": LONGEST,
            "code_url": _code_needed(token, number),
            "back": reverse("status", args=[token]),
            **more,
        },
    )


def _found(ticket: ClosureTicket, number: str) -> Complaint:
    found = own_complaints.of_ticket(ticket).filter(number=number).first()
    if found is None:
        raise Http404
    return found


def _own_page(token: str, number: str) -> str:
    return reverse("status_complaint", args=[token, number])


def _code_needed(token: str, number: str = "") -> str:
    address = reverse("status_code", args=[token, "complain"])
    return f"{address}?complaint={number}" if number.isascii() and number.isalnum() else address
