"""The question every service on people, products and rules asks first: may this actor do that?"""

from __future__ import annotations

from typing import Any

from accounts.actors import Actor, ActorKind
from accounts.models import User
from accounts.tracking import NotPermitted


def require(*, actor: Actor, right: str | tuple[str, ...], move: Any) -> User:
    """The member of staff behind `actor`, who holds `right` (`app.codename`), or one of several.

    Raises:
        NotPermitted: he does not, or no person stands behind the actor; `move` names the act for the clerk.
    """
    rights = (right,) if isinstance(right, str) else right
    if actor.kind is not ActorKind.STAFF or actor.user is None or not any(map(actor.user.has_perm, rights)):
        raise NotPermitted(move=move)
    return actor.user
