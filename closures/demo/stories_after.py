"""Stories of what comes after a closing: closed wrongly and reversed; money that turns up later."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import CreditAccount
from closures.demo.told import Told
from closures.demo.world import World
from closures.models import ClosureTicket, PostClosureItem, Reversal
from closures.services import callbacks, later_money, reversal


def closed(world: World, product: str, *agreements: tuple[str, str, int]) -> ClosureTicket:
    """A closing that went well, as far as anybody knew."""
    ticket = world.agent_requests(world.account(product, *agreements))
    world.approve(ticket, by="reviewer")
    return world.until(ticket, "CLOSED")


def reversed_closing(world: World) -> Told:
    """Nobody had asked for it: reversed by two, and one new account although the ledger fell silent."""
    ticket = closed(world, "JIEBEI", ("ALIPAY", "PASSWORD_FREE", 0))
    proposal = reversal.propose(
        ticket_id=ticket.pk, source=Reversal.Source.OWN_FINDING,
        root_cause=Reversal.RootCause.NOT_ASKED_FOR, ground="录音核查：客户并未申请关闭",
        compensation_amount=Decimal("50.00"), actor=world.staff("lead2"), now=timezone.now(),
    )  # fmt: skip
    new_no = reversal.next_number(ticket.account.account_no)
    world.simulator.fault(
        system="LEDGER", kind="timeout_after_success", method="POST", subject=new_no, times=1, hold_s=0.2
    )
    reversal.approve(
        reversal_id=proposal.pk, ground="核查属实，同意撤销", actor=world.staff("lead"), now=timezone.now()
    )
    world.wait(lambda: state_of(proposal) == "DONE", f"{proposal.number} → DONE")
    opened = CreditAccount.objects.get(account_no=new_no).commands.get()
    world.wait(lambda: type(opened).objects.get(pk=opened.pk).state == "DONE", f"{opened.key} → DONE")
    reversal.record_bureau_correction(
        reversal_id=proposal.pk, proof="ZX-演示-1", actor=world.staff("lead2"), now=timezone.now()
    )
    said = ticket.notices.filter(kind="REVERSED", courtesy=False)
    world.wait(said.filter(state="DELIVERED").exists, "the customer has heard of it")
    told = Told(world.fresh(ticket))
    new = CreditAccount.objects.select_related("customer").get(account_no=new_no)
    told.check("state", "REVERSED", told.ticket.state)
    told.check("old line", "CLOSED", told.ticket.account.line_state)
    told.check("new line", "ACTIVE", new.line_state)
    told.check("opened in place of", ticket.account.account_no, new.reopened_from and str(new.reopened_from))
    told.check("opened, times", 1, world.effects("OPEN", new_no))
    told.check("customer", "ACTIVE", new.customer.standing)
    told.check("signed by us", 0, new.agreements.count())
    told.check("duplicates anywhere", [], world.simulator.duplicates())
    return told


def refund_and_clawback(world: World) -> Told:
    """A refund comes after the closing, is told twice, and is paid out once; the next one is taken back."""
    ticket = closed(world, "HUABEI")
    account = ticket.account
    for _ in range(2):
        tell(world, account, kind="REFUND", ref=f"R1-{account.account_no}", amount="66.00")
    refund = awaited(world, account, f"R1-{account.account_no}")
    world.wait(lambda: fresh(refund).repeats == 1, "the repeat is counted")
    later_money.pay_out(
        item_id=refund.pk, ground="退款属客户所有", actor=world.staff("reviewer"), now=timezone.now()
    )
    world.wait(lambda: fresh(refund).state == "PAID_OUT", f"{refund.number} → PAID_OUT")
    tell(world, account, kind="REFUND", ref=f"R2-{account.account_no}", amount="20.00")
    second = awaited(world, account, f"R2-{account.account_no}")
    tell(
        world, account, kind="CLAWBACK", ref=f"K2-{account.account_no}", amount="20.00",
        takes_back=second.external_ref,
    )  # fmt: skip
    world.wait(lambda: fresh(second).state == "OFFSET", f"{second.number} → OFFSET")
    told = Told(world.fresh(ticket))
    told.check("state", "CLOSED", told.ticket.state)
    told.check("line", "CLOSED", told.ticket.account.line_state)
    told.check("owed on the account", Decimal("0.00"), told.ticket.account.credit_balance)
    told.check(
        "items", ["OFFSET", "OFFSET", "PAID_OUT"], sorted(account.later_money.values_list("state", flat=True))
    )
    told.check("paid out, times", 1, world.effects("RETURN", refund.number))
    told.check("certificate", ticket.certificate_hash, told.ticket.certificate_hash)
    told.check("duplicates anywhere", [], world.simulator.duplicates())
    return told


def leave(world: World) -> None:
    """Work left waiting: a reversal to decide, a refund to pay out, a late charge to book."""
    ticket = closed(world, "WANGSHANGDAI")
    reversal.propose(
        ticket_id=ticket.pk, source=Reversal.Source.OWN_FINDING, root_cause=Reversal.RootCause.WRONG_FACTS,
        ground="抽查发现：关闭依据的逾期记录有误", actor=world.staff("lead2"), now=timezone.now(),
    )  # fmt: skip
    account = ticket.account
    tell(world, account, kind="REFUND", ref=f"R1-{account.account_no}", amount="128.00")
    tell(
        world, account, kind="CORRECTION", ref=f"C1-{account.account_no}", amount="3.20",
        direction="BY_CUSTOMER",
    )  # fmt: skip


def tell(world: World, account: CreditAccount, **posting: Any) -> None:
    """The ledger posts it and sends its message; without a callback address, we carry the message."""
    sent = world.simulator.later_money(account.account_no, **posting)
    if not sent["sent"]:
        callbacks.receive(
            partner="LEDGER", raw=sent["body"].encode(), headers=sent["headers"], now=timezone.now()
        )


def awaited(world: World, account: CreditAccount, ref: str) -> PostClosureItem:
    """The item of this reference, once the message has been applied."""
    found = account.later_money.filter(external_ref=ref)
    world.wait(found.exists, f"{ref} is in suspense")
    return found.get()


def fresh(item: PostClosureItem) -> PostClosureItem:
    return PostClosureItem.objects.get(pk=item.pk)


def state_of(row: Reversal) -> str:
    return str(Reversal.objects.values_list("state", flat=True).get(pk=row.pk))
