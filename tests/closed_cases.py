"""A closing as it should have gone, for the tests of the invariants, and ways to spoil it unseen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from accounts.actors import SHIPPED
from accounts.models import CreditAccount, PartnerAgreement, Regulation
from accounts.tracking import save_as
from closures.models import ClosureTicket, InvariantCheck, Notice, UnbindAttempt, UnbindTask
from closures.models.notices import NoticeChannel, NoticeKind
from closures.models.numbers import new_number
from closures.models.tickets import Reason
from closures.selectors import letters
from closures.services import invariants
from tests.factories import a_user, an_account, an_agreement

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Case:
    """A closed ticket with its repayment agreement ended by us, and what was asked of the partner."""

    ticket: ClosureTicket
    task: UnbindTask
    attempt: UnbindAttempt

    @property
    def account(self) -> CreditAccount:
        return self.ticket.account


def dated(row: Any, at: datetime) -> Any:
    """The row and its first history row are of that moment."""
    row.history.update(history_date=at)
    return row


def a_closed_case(now: datetime, *, reason: str = Reason.CUSTOMER_REQUEST) -> Case:
    """Received yesterday, decided by another, told in time, nothing owed, unbound, closed at `now`."""
    account = dated(an_account(), now - 30 * DAY)
    own = reason == Reason.CUSTOMER_REQUEST
    ticket = ClosureTicket(
        number=new_number(now), account=account, reason=reason, channel=ClosureTicket.Channel.AGENT,
        state=ClosureTicket.State.CLOSED, state_since=now, requested_at=now - 3 * DAY, requested_by=a_user(),
        decided_by=a_user(), decided_at=now - 2 * DAY, notice_arrived_at=None if own else now - 5 * HOUR,
        unbinding_started_at=now - 4 * HOUR, ended_at=now, **(answer_fields(now - 3 * DAY) if own else {}),
    )  # fmt: skip
    save_as(ticket, actor=SHIPPED, reason="test", now=now)
    if not own:
        a_notice(ticket, now, delivered_at=now - 5 * HOUR)
    mandate = an_agreement(
        account, "AUTO_REPAY", repayment_depends=True, state=PartnerAgreement.State.UNBOUND
    )
    return Case(ticket, *a_task(ticket, mandate, now))


def answer_fields(requested_at: datetime) -> dict[str, Any]:
    """Friday 2026-11-20 plus 15 working days."""
    assert requested_at.date() == date(2026, 11, 20)
    rule = Regulation.objects.get(code="ANSWER_DUE")
    return {"answer_due_on": date(2026, 12, 11), "answer_rule": rule, "answer_calendar": "cn-2026.1"}


def a_notice(ticket: ClosureTicket, now: datetime, *, delivered_at: datetime) -> Notice:
    kind, channel = NoticeKind.NOTICE_OF_CLOSING, NoticeChannel.SMS
    notice = Notice(
        about=ticket.number, ticket=ticket,
        customer=ticket.account.customer, kind=kind, channel=channel, language="en",
        template=letters.template_for(kind=kind, channel=channel, language="en"), content_hash="0" * 64,
        key=f"notice:{ticket.number}", state=Notice.State.DELIVERED, state_since=now,
        delivered_at=delivered_at,
    )  # fmt: skip
    return save_as(notice, actor=SHIPPED, reason="test", now=now)


def a_task(
    ticket: ClosureTicket, agreement: PartnerAgreement, now: datetime, **fields: Any
) -> tuple[UnbindTask, UnbindAttempt]:
    fields = {"state": UnbindTask.State.UNBOUND, "state_since": now - HOUR, **fields}
    generation = fields.get("generation", 1)
    task = UnbindTask(ticket=ticket, agreement=agreement, key=f"unbind:{agreement.pk}:{generation}", **fields)
    save_as(task, actor=SHIPPED, reason="test", now=now)
    attempt = UnbindAttempt.objects.create(
        task=task, verb=UnbindAttempt.Verb.UNSIGN, fence=1, started_at=now - 2 * HOUR
    )
    return task, attempt


def broken(now: datetime) -> dict[int, int]:
    """The invariants that do not hold, with their violations."""
    return {result.number: result.violations for result in invariants.run(now=now) if result.violations}


def look(number: int, now: datetime) -> InvariantCheck:
    (result,) = invariants.run(now=now, only=[number])
    return result


def unseen(model: Any, row: Any, **fields: Any) -> None:
    """Change a row and its newest history row alike, so that only the promise under test is broken."""
    model.objects.filter(pk=row.pk).update(**fields)
    newest = row.history.latest("history_id")
    model.history.filter(history_id=newest.history_id).update(**fields)


def a_change(account: CreditAccount, at: datetime, **balances: Any) -> None:
    account = CreditAccount.objects.get(pk=account.pk)
    for field, value in balances.items():
        setattr(account, field, value)
    save_as(account, actor=SHIPPED, reason="ledger", now=at)
