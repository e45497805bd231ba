"""How services lock tickets: the one order of locks, parents first, lowest pk first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from accounts.models import CreditAccount
from closures.models.conditions import facts_changed, stands_still
from closures.models.queue import QueueQuerySet

if TYPE_CHECKING:
    from closures.models.tickets import ClosureTicket


class TicketQuerySet(QueueQuerySet):
    def lock(self, pk: int, *, account_id: int | None = None) -> ClosureTicket:
        """One ticket with its account, both locked, the parent first; the only way services lock a ticket.

        A caller who has seen the ticket knows its account, which never changes, and saves a look.
        """
        if account_id is None:
            account_id = self.values_list("account_id", flat=True).get(pk=pk)
        accounts = CreditAccount.objects.select_for_update(of=("self",), no_key=True).select_related(
            "product"
        )
        account = accounts.get(pk=account_id)
        ticket = self.select_for_update(of=("self",)).get(pk=pk)
        ticket.account = account
        return ticket

    def lock_many(self, wanted: TicketQuerySet, *, limit: int) -> list[ClosureTicket]:
        """Up to `limit` wanted tickets with their accounts, locked as by `lock`; fewer if some moved on."""
        pairs = dict(wanted.order_by("pk").values_list("pk", "account_id")[:limit])
        accounts = CreditAccount.objects.select_for_update(of=("self",), no_key=True).filter(
            pk__in=pairs.values()
        )
        list(accounts.order_by("pk").values_list("pk", flat=True))
        list(
            self.select_for_update(of=("self",))
            .filter(pk__in=pairs)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        return list(wanted.filter(pk__in=pairs).order_by("pk"))

    def stands_still(self, pk: int, *, now: datetime) -> bool:
        """Whether a hold or its campaign forbids every irreversible step of this ticket."""
        return self.filter(stands_still(now), pk=pk).exists()

    def with_changed_facts(self) -> TicketQuerySet:
        """Tickets whose account or agreements are newer than what was last examined."""
        return self.filter(facts_changed())
