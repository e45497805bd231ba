"""Replies kept ready: written, edited, taken out of use and back, each version with its history."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.tracking import move, save_as
from closures.errors import ClosureError
from closures.models import CannedReply
from closures.models.complaint_rows import EDIT
from closures.selectors import canned
from closures.services.complaints import desk


class TitleTaken(ClosureError):
    code = "title_taken"
    template = _("There is a canned reply with the title “{title}” already.")


@decision
def write(
    *, title: str, body: str, actor: Actor, now: datetime, topic: str = "", outcome: str = ""
) -> CannedReply:
    """A new canned reply is in use.

    Raises: NotPermitted, TextMissing, TextTooLong, UnknownField, TitleTaken.
    """
    desk.staff(actor, EDIT, move=_("Write a canned reply"))
    reply = CannedReply()
    return _keep(reply, title=title, body=body, topic=topic, outcome=outcome, actor=actor, now=now)


@decision
def edit(
    *, reply_id: int, title: str, body: str, actor: Actor, now: datetime, topic: str = "", outcome: str = ""
) -> CannedReply:
    """The canned reply reads so from now on, as its next version; replies that went out stay as they were.

    Raises: NotPermitted, TextMissing, TextTooLong, UnknownField, TitleTaken.
    """
    desk.staff(actor, EDIT, move=_("Write a canned reply"))
    reply = CannedReply.objects.select_for_update(of=("self",)).get(pk=reply_id)
    reply.version += 1
    return _keep(reply, title=title, body=body, topic=topic, outcome=outcome, actor=actor, now=now)


@decision
def retire(*, reply_id: int, actor: Actor, now: datetime) -> CannedReply:
    """Nobody is offered it any more. Raises: NotPermitted, NotPossible."""
    reply = CannedReply.objects.select_for_update(of=("self",)).get(pk=reply_id)
    return move(reply, "retire", actor=actor, reason="canned reply out of use", now=now)  # type: ignore[no-any-return]


@decision
def revive(*, reply_id: int, actor: Actor, now: datetime) -> CannedReply:
    """It is offered again. Raises: NotPermitted, NotPossible."""
    reply = CannedReply.objects.select_for_update(of=("self",)).get(pk=reply_id)
    return move(reply, "revive", actor=actor, reason="canned reply in use again", now=now)  # type: ignore[no-any-return]


def _keep(
    reply: CannedReply, *, title: str, body: str, topic: str, outcome: str, actor: Actor, now: datetime
) -> CannedReply:
    reply.title, reply.body = desk.readable(title), desk.readable(body)
    reply.topic, reply.outcome = topic, outcome
    canned.check(reply.body)
    if CannedReply.objects.filter(title=reply.title).exclude(pk=reply.pk).exists():
        raise TitleTaken(title=reply.title)
    return save_as(reply, actor=actor, reason="canned reply written", now=now)  # type: ignore[no-any-return]
