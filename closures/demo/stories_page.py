"""Stories on the customer's own page: he acts over HTTP, as he would on his phone."""

from __future__ import annotations

from closures.demo.browser import Browser
from closures.demo.told import Told, closed_for_good
from closures.demo.world import World
from closures.models import ClosureTicket, IdentityCode


def cured(world: World) -> Told:
    """Nobody has checked him: he proves himself on the page, reads what blocks, cures it, sees the end."""
    account = world.account("HUABEI", ("ALIPAY", "PASSWORD_FREE", 0), principal="1200.00")
    ticket = world.agent_requests(account, identity_level=ClosureTicket.IdentityLevel.NONE)
    phone = world.browser()
    link = told_by_notice(ticket)
    asks = "确认" in phone.open(link)
    enter_code(world, phone, ticket, link, "request")
    proved_by = world.fresh(ticket).identity_level
    world.until(ticket, "BLOCKED")
    page = phone.open(link)
    advice = "归还本金" in page and "1,200.00" in page
    world.simulator.repay(account.account_no)
    world.approve(ticket, by="reviewer")
    told = closed_for_good(world, ticket)
    enter_code(world, phone, ticket, link, "details")
    certificate = phone.open(f"{link}certificate/")
    told.check("the page asks for a proof", True, asks)
    told.check("identity proved by", "CODE", proved_by)
    told.check("the page says what to pay", True, advice)
    told.check("certificate on the page", True, str(told.ticket.certificate_no) in certificate)
    phone.close()
    return told


def withdrawn(world: World) -> Told:
    """Approved, cooling-off runs, and he presses the button after all: the line is as before."""
    account = world.account("JIEBEI", ("ALIPAY", "PASSWORD_FREE", 0))
    ticket = world.until(world.agent_requests(account), "IN_REVIEW")
    phone, link = world.browser(), told_by_notice(ticket)
    phone.open(link)
    confirm = enter_code(world, phone, ticket, link, "withdraw")  # in hand before the clock starts
    world.approve(ticket, by="reviewer")
    page = phone.post(f"{link}withdraw/")
    phone.close()
    ticket = world.fresh(ticket)
    thawed = ticket.commands.filter(verb="UNFREEZE", state="DONE")
    world.wait(thawed.exists, "the ledger has thawed the line")
    told = Told(ticket)
    told.check("state", "WITHDRAWN", ticket.state)
    told.check("asked to confirm first", True, "确定撤回" in confirm)
    told.check("the page says so", True, "申请已撤回" in page)
    told.check(
        "by the customer", True, ticket.history.latest("history_id").history_actor.startswith("customer:")
    )
    told.check("line", "ACTIVE", ticket.account.line_state)
    told.check("unbindings", 0, world.effects("UNSIGN", account.agreements.get().agreement_no))
    return told


def told_by_notice(ticket: ClosureTicket) -> str:
    """The link as the first notice has it."""
    return str(ticket.notices.order_by("pk").first().values["status_link"])  # type: ignore[union-attr]


def enter_code(world: World, phone: Browser, ticket: ClosureTicket, link: str, what: str) -> str:
    """A code is asked for, comes by SMS and is entered; returns the page that follows."""
    url = f"{link}code/{what}/"
    phone.open(url)
    phone.post(url, send="1")
    code = IdentityCode.objects.filter(ticket=ticket).latest("pk")
    world.wait(lambda: phone.digits(code) != "", "the code has come by SMS")
    return phone.post(url, code=phone.digits(code))
