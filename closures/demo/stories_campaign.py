"""The story of a policy campaign: seen before it acts, small before large, stopped by itself, finished."""

from __future__ import annotations

import io
from typing import Any

from django.utils import timezone
from django.utils.timezone import localdate

from accounts.models import CreditAccount
from closures.demo.told import Told
from closures.demo.world import World
from closures.models import Campaign, UnbindTask
from closures.selectors import campaign_progress
from closures.services import campaigns, rescue

MEMBERS = 4
REFUSED = "ORDER_RUNNING"


class Run:
    """One campaign over invented accounts of one product; every look at it checks that its parts add up."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.accounts: list[CreditAccount] = [
            world.account("BAITIAO", ("JD", "PASSWORD_FREE", 0)) for _ in range(MEMBERS)
        ]
        self.campaign = self._planned()
        self.polls = self.sums_wrong = 0

    def act(self, name: str, *, by: str = "lead", **given: Any) -> Any:
        service = getattr(campaigns, name)
        return service(campaign_id=self.campaign.pk, actor=self.world.staff(by), now=timezone.now(), **given)

    def _planned(self) -> Campaign:
        """Drafted by one lead for exactly these accounts, with a department and a milestone; run dry."""
        lead, now = self.world.staff("lead"), timezone.now()
        self.campaign = campaigns.draft(
            title="白条存量清退（演示）", legal_basis="业务调整决定 2026-7，合同第九条",
            effective_on=localdate(),
            product=self.accounts[0].product, source=Campaign.Source.FILE, pilot_percent=25,
            wave_percents=[100], minimum_sample=1, max_unbind_failures=20, max_undelivered=50,
            resources="客服两人值班", risks="合作方拒绝解约：暂停后人工处理", actor=lead, now=now,
        )  # fmt: skip
        numbers = "\n".join(account.account_no for account in self.accounts)
        self.act("load", file=io.BytesIO(f"account_no\n{numbers}\nNOBODY\n".encode()))
        owner = self.world.staff("lead2").user
        self.act("add_department", department="合规部", owner=owner, duty="通知与复核")
        self.act("add_milestone", title="试点结束", due_on=localdate())
        return self.fresh()

    def fresh(self) -> Campaign:
        return Campaign.objects.get(pk=self.campaign.pk)

    def progress(self) -> campaign_progress.Progress:
        found = campaign_progress.progress(self.campaign)
        self.polls += 1
        self.sums_wrong += not (found.adds_up and found.population == MEMBERS)
        return found

    def until(self, state: str) -> Campaign:
        def reached() -> bool:
            if self.fresh().frozen_at:
                self.progress()
            return bool(self.fresh().state == state)

        self.world.wait(reached, f"{self.campaign.number} → {state}")
        return self.fresh()


def stopped_and_finished(world: World) -> Told:
    """A partner refuses to end an agreement of the pilot: the campaign stops itself; cured, it goes on."""
    run = Run(world)
    dry = run.act("dry_run")
    run.act(
        "approve", by="lead2", ground="依据充分，范围已核对", seen_plan=dry.plan_hash,
        seen_population=dry.population_hash,
    )  # fmt: skip
    run.act("ask_freeze")
    run.until("FROZEN")
    pilot = run.campaign.members.get(wave=0).account
    refused = pilot.agreements.get().agreement_no
    world.simulator.fault(system="JD", kind="refuse", subject=refused, code=REFUSED)
    run.act("start_pilot")
    paused = run.until("PAUSED")
    others = run.campaign.members.exclude(account=pilot).filter(ticket__isnull=False).count()
    world.simulator.clear_faults()
    dead = UnbindTask.objects.get(agreement__agreement_no=refused, state=UnbindTask.State.DEAD)
    rescue.revive(
        task_id=dead.pk, ground="合作方订单已完成", actor=world.staff("operator"), now=timezone.now()
    )
    run.act("resume", ground="合作方已恢复，失败任务已重试")
    run.act("start_waves")
    run.act("reach_milestone", milestone=run.campaign.milestones.get())
    ended = run.until("COMPLETED")
    return checked(run, dry=dry, paused=paused, opened_while_paused=others, ended=ended, pilot=pilot)


def checked(
    run: Run, *, dry: Any, paused: Campaign, opened_while_paused: int, ended: Campaign, pilot: CreditAccount
) -> Told:
    """What must be true, by our database and by the simulator's own ledger."""
    told = Told(run.world.fresh(pilot.tickets.get()))
    told.check("state", "COMPLETED", ended.state)
    told.check("dry run: to be closed", MEMBERS, dry.included)
    told.check("paused by itself for", "UNBIND_FAILURES", paused.pause_code)
    told.check("opened beyond the pilot", 0, opened_while_paused)
    told.check("polls at which the parts did not add up", 0, run.sums_wrong)
    told.check("looked at more than once", True, run.polls > 3)
    told.check("closed", MEMBERS, run.progress().closed)
    told.check("report", MEMBERS, campaigns.checked(ended)["parts"]["closed"])
    approver = run.world.staff("lead2").user
    decided = {
        member.ticket.decided_by if member.ticket else None
        for member in ended.members.select_related("ticket__decided_by")
    }
    told.check("decided by whoever approved", {approver}, decided)
    for account in run.accounts:
        agreement = account.agreements.get().agreement_no
        told.check(f"{agreement} unbound, times", 1, run.world.effects("UNSIGN", agreement))
        told.check(f"{account} closed, times", 1, run.world.effects("CLOSE", account.account_no))
    told.check("duplicates anywhere", [], run.world.simulator.duplicates())
    return told
