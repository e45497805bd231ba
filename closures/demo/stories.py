"""The stories: each plays one case to its end and says what it expects. Read them first.

A story takes the world and returns the tickets it was about. What must be true afterwards stands in the
story itself, as checks against our database *and* against the simulator's own ledger.
"""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from closures.demo import stories_after, stories_page
from closures.demo.told import Story, Told, closed_for_good
from closures.demo.world import World
from closures.models import ClosureTicket, UnbindTask
from closures.models.tickets import Reason
from closures.services import intake, review
from closures.services.review import SameReviewer


def told_first(ticket: ClosureTicket) -> bool:
    """The notice had arrived when unbinding began."""
    arrived, begun = ticket.notice_arrived_at, ticket.unbinding_started_at
    return arrived is not None and begun is not None and arrived <= begun


def clean_closing(product: str) -> Callable[[World], Told]:
    """Nothing owed, two agreements: requested, reviewed, cooled off, unbound, closed, certified."""

    def play(world: World) -> Told:
        account = world.account(product, ("ALIPAY", "AUTO_REPAY", 1), ("WECHAT", "WITHHOLDING", 1))
        ticket = world.agent_requests(account)
        world.approve(ticket, by="reviewer")
        return closed_for_good(world, ticket)

    return play


def blockers_cured(world: World) -> Told:
    """The customer owes; he is told everything at once, repays, and the case goes on by itself."""
    account = world.account("HUABEI", principal="1200.00", unbilled="80.00", instalments_remaining=3)
    ticket = world.until(world.agent_requests(account), "BLOCKED")
    blocking = ticket.blockers.filter(severity="BLOCK", cured_at__isnull=True)
    codes = sorted(blocking.values_list("code", flat=True))
    world.simulator.repay(account.account_no)
    world.approve(ticket, by="reviewer")
    told = closed_for_good(world, ticket)
    told.check("blockers", ["INSTALMENTS_REMAINING", "OUTSTANDING_PRINCIPAL", "UNBILLED"], codes)
    return told


def timeout_after_success(world: World) -> Told:
    """The partner does it and never answers: asked, not resent."""
    account = world.account("JIEBEI", ("ALIPAY", "PASSWORD_FREE", 0))
    agreement = account.agreements.get()
    world.simulator.fault(
        system="ALIPAY", kind="timeout_after_success", method="POST", subject=agreement.agreement_no, times=1
    )
    ticket = world.agent_requests(account)
    world.approve(ticket, by="reviewer")
    return closed_for_good(world, ticket)


def partner_down(world: World) -> Told:
    """The partner is down for a while: the task waits, the others go on, nothing is lost."""
    account = world.account("WANGSHANGDAI", ("WECHAT", "WITHHOLDING", 0), ("ALIPAY", "PASSWORD_FREE", 0))
    subject = account.agreements.get(partner="WECHAT").agreement_no
    world.simulator.fault(system="WECHAT", kind="down", subject=subject)
    ticket = world.agent_requests(account)
    world.approve(ticket, by="reviewer")
    world.until(ticket, "UNBINDING")
    other = ticket.tasks.filter(agreement__partner="ALIPAY", state=UnbindTask.State.UNBOUND)
    world.wait(other.exists, "the other partner's agreement is unbound meanwhile")
    down = ticket.tasks.get(agreement__partner="WECHAT")
    world.simulator.clear_faults()
    told = closed_for_good(world, ticket)
    told.check("while down", True, down.state in ("PENDING", "UNKNOWN", "SENDING"))
    return told


def risk_closing(world: World) -> Told:
    """The lender closes an overdue account: a named person decides, debt is settled, not forgiven."""
    account = world.account(
        "BAITIAO", ("ALIPAY", "AUTO_REPAY", 1), principal="300.00", interest="12.50", days_past_due=95,
        arrears_months="3|2|1|0|0|0",
    )  # fmt: skip
    ticket = world.lender_requests(account, Reason.RISK_CONTROL, by="risk", ground="连续逾期超过九十日")
    world.approve(ticket, by="lead", ground="催告期已过，同意关闭")
    settling = world.until(ticket, "SETTLING")
    line = settling.account.line_state
    still_bound = account.agreements.get().state
    world.simulator.repay(account.account_no)
    told = closed_for_good(world, ticket)
    told.check("line while settling", "FROZEN", line)
    told.check("repayment agreement while owing", "BOUND", still_bound)
    told.check("notice arrived first", True, told_first(told.ticket))
    return told


def policy_closing(world: World) -> Told:
    """The product changes: notice first, its lead time, then the closing; a credit balance is paid out."""
    account = world.account("BAITIAO", ("JD", "PASSWORD_FREE", 0), credit_balance="36.20")
    ticket = world.lender_requests(account, Reason.POLICY, by="lead", ground="产品政策调整，依合同第九条")
    world.approve(ticket, by="lead2", ground="依据已核对，同意关闭")
    told = closed_for_good(world, ticket)
    told.check("paid out, times", 1, world.effects("PAY_OUT", account.account_no))
    told.check("notice arrived first", True, told_first(told.ticket))
    return told


def withdrawn(world: World) -> Told:
    """The customer thinks better of it in cooling-off: one click, and the line is as before."""
    account = world.account("HUABEI", ("ALIPAY", "PASSWORD_FREE", 0))
    ticket = world.agent_requests(account)
    world.approve(ticket, by="reviewer")
    intake.withdraw(ticket_id=ticket.pk, actor=world.staff("agent"), now=timezone.now())
    ticket = world.fresh(ticket)
    thawed = ticket.commands.filter(verb="UNFREEZE", state="DONE")
    world.wait(thawed.exists, "the ledger has thawed the line")
    told = Told(ticket)
    told.check("state", "WITHDRAWN", ticket.state)
    told.check("line", "ACTIVE", ticket.account.line_state)
    told.check("agreement", "BOUND", account.agreements.get().state)
    told.check("unbindings", 0, world.effects("UNSIGN", account.agreements.get().agreement_no))
    return told


def self_approval(world: World) -> Told:
    """Who asks may not decide, whatever his rights: refused, recorded, nothing changed."""
    account = world.account("JIEBEI")
    ticket = world.lender_requests(account, Reason.POLICY, by="lead", ground="产品政策调整")
    ticket = world.until(ticket, "IN_REVIEW")
    try:
        world.approve(ticket, by="lead")
        refused = "approved"
    except SameReviewer as refusal:
        refused = refusal.code
    told = Told(world.fresh(ticket))
    told.check("refused with", "same_reviewer", refused)
    told.check("state", "IN_REVIEW", told.ticket.state)
    review.cancel(ticket_id=ticket.pk, ground="演示结束", actor=world.staff("lead2"), now=timezone.now())
    told.ticket = world.fresh(ticket)
    told.check("afterwards", "CANCELLED", told.ticket.state)
    return told


STORIES = (
    Story("clean-huabei", _("A clean closing of Huabei"), clean_closing("HUABEI")),
    Story("clean-jiebei", _("A clean closing of Jiebei"), clean_closing("JIEBEI")),
    Story("clean-wangshangdai", _("A clean closing of Wangshangdai"), clean_closing("WANGSHANGDAI")),
    Story("clean-baitiao", _("A clean closing of Baitiao"), clean_closing("BAITIAO")),
    Story("blockers-cured", _("Blockers cured by a repayment"), blockers_cured),
    Story("timeout-after-success", _("A partner that succeeds and does not answer"), timeout_after_success),
    Story("partner-down", _("A partner that is down for a while"), partner_down),
    Story("risk-closing", _("A risk closing with debt that settles"), risk_closing),
    Story("policy-closing", _("A policy closing, credit balance paid out"), policy_closing),
    Story("withdrawn", _("A withdrawal in cooling-off"), withdrawn),
    Story("cured-by-the-page", _("Proved and cured by what the status page says"), stories_page.cured),
    Story(
        "withdrawn-on-the-page",
        _("A withdrawal from the status page in the last minute"),
        stories_page.withdrawn,
    ),
    Story("self-approval", _("A refused self-approval"), self_approval),
    Story("reversed", _("A wrong closing, reversed"), stories_after.reversed_closing),
    Story(
        "refund-and-clawback",
        _("A refund after closing, its duplicate, its clawback"),
        stories_after.refund_and_clawback,
    ),
)
