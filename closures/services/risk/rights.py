"""Who may do it, asked before anything else; and the rows of risk control, locked."""

from __future__ import annotations

from typing import Any, cast

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor, ActorKind
from accounts.models import CreditAccount, User
from accounts.tracking import NotPermitted
from closures.errors import ClosureError
from closures.models import RiskAlert, RiskRule


class GroundMissing(ClosureError):
    code = "ground_missing"
    template = _("Say why; it is kept in the history.")


def person(actor: Actor, *rights: str, move: Any) -> User:
    """The member of staff who acts, if he holds one of the rights. Raises NotPermitted."""
    if actor.kind is not ActorKind.STAFF or not any(cast(User, actor.user).has_perm(r) for r in rights):
        raise NotPermitted(move=move)
    return cast(User, actor.user)


def said(ground: str) -> str:
    """The reason without its edges. Raises GroundMissing."""
    if not ground.strip():
        raise GroundMissing
    return ground.strip()


def locked_rule(rule_id: int) -> RiskRule:
    rule = RiskRule.objects.select_for_update(of=("self",), no_key=True).get(pk=rule_id)
    return cast(RiskRule, rule)


def locked_alert(alert_id: int) -> RiskAlert:
    """The alert under its lock, its account's lock taken first (DESIGN §7: parents first)."""
    account_id = RiskAlert.objects.values_list("account_id", flat=True).get(pk=alert_id)
    CreditAccount.objects.select_for_update(of=("self",), no_key=True).get(pk=account_id)
    rows = RiskAlert.objects.select_for_update(of=("self",)).select_related("rule", "account")
    return cast(RiskAlert, rows.get(pk=alert_id))
