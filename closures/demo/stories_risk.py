"""The story of a risk rule: a draft, alerts, a freeze that ends, an appeal, a closing by named people."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import CreditAccount
from closures.demo.told import Story, Told, closed_for_good
from closures.demo.world import World, demanded
from closures.models import LedgerCommand, RiskAlert, RiskRule
from closures.services import restrictions
from closures.services.risk import alerts, appeals, backtest, rules, scan
from closures.services.risk.rules import SameAuthor, Substance

FREEZE = timedelta(seconds=2)
MARK = "7731.00"  # a limit that nobody else has: the story's rule finds the story's accounts


def substance(condition: str) -> Substance:
    return Substance(
        title="演示：逾期止付",
        title_en="Demo: freeze when overdue",
        condition=condition,
        action=RiskRule.Action.FREEZE,
        severity="HIGH",
        cap_per_run=50,
        cap_per_day=50,
        dedupe_window=timedelta(days=30),
        freeze_length=FREEZE,
        sentence="您的账户已逾期六十天以上，额度暂停使用，还款不受影响。",
        sentence_en="Your account is more than sixty days past due. New use is paused; repaying is not.",
    )


def rule_to_closing(world: World) -> Told:
    """Tested, watched in shadow, activated by a second person; three alerts go three ways."""
    late = [
        world.account(
            "BAITIAO", ("ALIPAY", "AUTO_REPAY", 1), credit_limit=MARK, principal="500.00",
            days_past_due=75, arrears_months="2|1|0|0|0|0",
        )
        for _ in range(3)
    ]  # fmt: skip
    fine = [world.account("HUABEI", credit_limit=MARK) for _ in range(4)]
    rule, refused = activated(world, late=late, fine=fine)
    done = scan.scan(rule_id=rule.pk, clock=timezone.now)
    raised = RiskAlert.objects.filter(account__in=late).order_by("account_id")
    expiring, appealed, closing = raised
    lines = [account_line(account) for account in late]
    granted = appeal_granted(world, appealed)
    told = closed_by_named_people(world, closing)
    world.wait(lambda: thawed(expiring), f"the freeze of {expiring.number} ends by itself")
    rules.retire(rule_id=rule.pk, ground="演示结束", actor=world.staff("risk"), now=timezone.now())
    tested = rule.backtest.result if rule.backtest else {}
    told.check("matches, precision, recall", (3, 0.6667, 1.0), tuple(
        tested.get(name) for name in ("matches", "precision", "recall")
    ))  # fmt: skip
    told.check("activation by its author", "same_author", refused)
    told.check("outcome, alerts, frozen", ("DONE", 3, 3), done and (done.outcome, done.alerted, done.frozen))
    told.check("lines after the scan", ["FROZEN"] * 3, lines)
    told.check("line after the appeal", ("GRANTED", "ACTIVE"), granted)
    told.check("line after the freeze", "ACTIVE", account_line(expiring.account))
    told.check("told the ledger", ["FREEZE", "UNFREEZE"], commands_of(expiring.account))
    told.check("the alert became", told.ticket.number, RiskAlert.objects.get(pk=closing.pk).ticket.number)  # type: ignore[union-attr]
    return told


def activated(world: World, *, late: list[CreditAccount], fine: list[CreditAccount]) -> tuple[RiskRule, str]:
    """The rule, at work; and what its author heard when he tried to activate it himself."""
    labels = f"demo-{late[0].account_no}".lower()
    known = {late[0]: 1, late[1]: 1, late[2]: 0, fine[0]: 0}
    import_outcomes({account.account_no: defaulted for account, defaulted in known.items()}, labels)
    numbered = f"LATE_{late[0].account_no}".replace("-", "_")[:40]
    does: dict[str, Any] = {"actor": world.staff("risk"), "now": timezone.now()}
    rule = rules.draft(
        code=numbered, substance=substance(f"days_past_due >= 60 and credit_limit = {MARK}"), **does
    )
    backtest.run(rule_id=rule.pk, labels=labels, **does)
    rules.to_shadow(rule_id=rule.pk, ground="先观察", **does)
    scan.scan(rule_id=rule.pk, clock=timezone.now)
    try:
        rules.activate(rule_id=rule.pk, ground="自己启用", **does)
        refused = "activated"
    except SameAuthor as refusal:
        refused = refusal.code
    rules.activate(
        rule_id=rule.pk, ground="回测与影子运行相符", actor=world.staff("lead"), now=timezone.now()
    )
    return RiskRule.objects.select_related("backtest").get(pk=rule.pk), refused


def import_outcomes(known: dict[str, int], labels: str) -> None:
    """By the real import, as an institution takes in what became of its accounts."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "outcomes.csv"
        lines = ["account_no,defaulted", *(f"{number},{flag}" for number, flag in known.items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with open(Path(name) / "said", "w") as said:
            call_command("import_outcomes", path, labels=labels, no_progress=True, stdout=said)


def appeal_granted(world: World, alert: RiskAlert) -> tuple[str, str]:
    """The customer objects, somebody without a part in it agrees: the line is free at once."""
    appeal = appeals.enter(
        alert_id=alert.pk,
        ground="客户称款项已还，银行延迟入账",
        actor=world.staff("agent"),
        now=timezone.now(),
    )
    appeal = appeals.grant(
        appeal_id=appeal.pk, ground="流水属实", actor=world.staff("lead2"), now=timezone.now()
    )
    return str(appeal.state), account_line(alert.account)


def closed_by_named_people(world: World, alert: RiskAlert) -> Told:
    """Taken on and proposed by one, decided by another, reviewed by the lead, closed once repaid."""
    for act in (alerts.triage, alerts.propose):
        act(alert_id=alert.pk, ground="连续逾期，催告无果", actor=world.staff("risk"), now=timezone.now())
    alert = alerts.decide(
        alert_id=alert.pk, ground="催告期已过，建议终止", actor=world.staff("risk2"), now=timezone.now(),
        **demanded(),
    )  # fmt: skip
    ticket = alert.ticket
    assert ticket is not None
    world.approve(ticket, by="lead", ground="催告期已过，同意关闭")
    world.until(ticket, "SETTLING")
    world.simulator.repay(ticket.account.account_no)
    return closed_for_good(world, ticket)


def thawed(alert: RiskAlert) -> bool:
    """The freeze is over, here and at the ledger. The sweep comes once a minute; the story does not wait."""
    restrictions.expire(now=timezone.now())
    done = alert.account.commands.filter(verb=LedgerCommand.Verb.UNFREEZE, state="DONE").exists()
    return done and account_line(alert.account) == "ACTIVE"


def account_line(account: CreditAccount) -> str:
    return str(CreditAccount.objects.values_list("line_state", flat=True).get(pk=account.pk))


def commands_of(account: CreditAccount) -> list[str]:
    return list(account.commands.order_by("pk").values_list("verb", flat=True))


def leave(world: World) -> None:
    """Shipped rules at work on the crowd: alerts to look at, proposals to decide, one rule to activate."""
    risk: dict[str, Any] = {"actor": world.staff("risk"), "now": timezone.now()}
    for code in ("OVERDUE_30", "OVERDUE_90", "OVERDUE_60"):
        rule = RiskRule.objects.get(code=code, version=1)
        if rule.state != RiskRule.State.DRAFT:
            continue
        backtest.run(rule_id=rule.pk, **risk)
        rules.to_shadow(rule_id=rule.pk, ground="先观察", **risk)
        scan.scan(rule_id=rule.pk, clock=timezone.now)
        if code != "OVERDUE_60":
            rules.activate(rule_id=rule.pk, ground="回测可信", actor=world.staff("lead"), now=timezone.now())
            scan.scan(rule_id=rule.pk, clock=timezone.now)


STORIES = (
    Story("risk-rule", _("A risk rule, from its draft to a closing by named people"), rule_to_closing),
)
