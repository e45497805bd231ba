"""Work left waiting after the stories, so that every role's home page has something to show."""

from __future__ import annotations

from django.utils import timezone

from accounts.models import CreditAccount
from closures.demo import complaints, keeping, stories_after, stories_risk
from closures.demo.world import World
from closures.models import Hold
from closures.models.tickets import Reason
from closures.services import holds


def leave(world: World) -> None:
    """A few of the crowd are blocked, in review or held, and one task is dead. Safe to repeat."""
    crowd = CreditAccount.objects.filter(account_no__startswith="DA", tickets__isnull=True).order_by(
        "account_no"
    )
    owing = crowd.filter(principal__gt=0, days_past_due=0, unbilled=0)
    clean = crowd.filter(principal=0, credit_balance=0)
    overdue = crowd.filter(days_past_due__gte=60)
    for account in [*owing[:3], *clean[:4]]:
        world.agent_requests(account)
    for account in overdue[:2]:
        world.lender_requests(account, Reason.RISK_CONTROL, by="risk", ground="连续逾期超过六十日，已催告")
    for account in overdue[2:3]:
        ticket = world.lender_requests(account, Reason.RISK_CONTROL, by="risk", ground="疑似冒名开户")
        holds.place(
            ticket_id=ticket.pk, kind=Hold.Kind.FRAUD, ground="等待公安机关回函", actor=world.staff("risk"),
            now=timezone.now(),
        )  # fmt: skip
    leave_dead_task(world)
    complaints.leave(world)
    stories_after.leave(world)
    keeping.leave(world)
    stories_risk.leave(world)


def leave_dead_task(world: World) -> None:
    """A partner says no for good: an order is still running. A person has to act."""
    account = world.account("HUABEI", ("ALIPAY", "PAY_AFTER_USE", 0))
    world.simulator.fault(
        system="ALIPAY", kind="refuse", code="ORDER_RUNNING", subject=account.agreements.get().agreement_no
    )
    ticket = world.approve(world.agent_requests(account), by="reviewer")
    world.wait(ticket.tasks.filter(state="DEAD").exists, "the refused task is dead")
