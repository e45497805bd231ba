"""The customer's link in people's hands: an agent reads it out, or ends one that has gone astray."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.tracking import NotPermitted, save_as
from closures.models import ClosureTicket
from closures.selectors import status_links

PERMISSION = "closures.request_closure"


@decision
def show(*, ticket_id: int, actor: Actor, now: datetime) -> str:
    """The address of the customer's status page. Changes nothing. Raises NotPermitted."""
    _check(actor)
    return status_links.url(ClosureTicket.objects.get(pk=ticket_id), now=now)


@decision
def renew(*, ticket_id: int, actor: Actor, now: datetime) -> str:
    """Every earlier link of the ticket leads nowhere; returns the new one. Raises NotPermitted.

    Repeating it makes another. Notices that are already out keep the old link.
    """
    _check(actor)
    ticket = ClosureTicket.objects.lock(ticket_id)
    ticket.link_generation += 1
    save_as(ticket, actor=actor, reason="the status link was renewed", now=now)
    return status_links.url(ticket, now=now)


def _check(actor: Actor) -> None:
    if actor.user is None or not actor.user.has_perm(PERMISSION):
        raise NotPermitted(move=_("Show the status link"))
