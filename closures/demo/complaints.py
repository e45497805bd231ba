"""Complaints for the desk to show: some finished on dates long past, some running, one due at once.

All are made through the services with a `now` of their own, so that their clocks are real ones. A finished
case is of the first months of 2026, whose calendar every installation ships.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.timezone import make_aware

from accounts.models import CreditAccount
from closures.demo.world import World
from closures.models import CannedReply, ClosureTicket, Complaint
from closures.services import complaints

RECEIVED = make_aware(datetime(2026, 2, 2, 15, 0))  # due on 2026-02-24, a day after the holidays
CANNED = (
    ("投诉不成立（通用）", "", "NOT_UPHELD",
     "您好！您于 {{ received_on }} 提出的投诉（编号 {{ number }}）已调查完毕。"
     "经核实，未发现我们的处理存在不当，处理结果为：{{ outcome }}。"
     "如有异议，您可在 {{ review_until }} 之前申请核查。"),
    ("息费投诉成立", "FEES", "UPHELD",
     "您好！经核查，您反映的{{ brand }}（尾号 {{ account_tail }}）息费问题属实，我们向您致歉。"
     "补偿金额 {{ compensation }} 元将在五个工作日内到账。"),
)  # fmt: skip


class Desk:
    """One complaint at a time, moved by the demo's staff on the days it is told."""

    def __init__(self, world: World) -> None:
        self.world = world

    def take(self, now: datetime, *, account: CreditAccount, **given: Any) -> Complaint:
        said = {
            "kind": "COMPLAINT",
            "channel": "PHONE",
            "topic": "FEES",
            "text": "账单金额与约定不符，请核实。",
        }
        return complaints.register(
            account_id=account.pk, actor=self.world.staff("agent"), now=now, **{**said, **given}
        )

    def do(self, complaint: Complaint, move: str, now: datetime, *, by: str = "agent2", **given: Any) -> Any:
        service = getattr(complaints, move)
        return service(complaint_id=complaint.pk, actor=self.world.staff(by), now=now, **given)

    def investigated(self, now: datetime, *, account: CreditAccount, **given: Any) -> Complaint:
        complaint = self.take(now, account=account, **given)
        self.do(complaint, "accept", now)
        return self.do(complaint, "investigate", now)

    def extend(self, complaint: Complaint, now: datetime, level: str) -> None:
        asked = self.do(complaint, "ask_extension", now, level=level, ground="需向合作方调取交易记录")
        complaints.approve_extension(extension_id=asked.pk, actor=self.world.staff("lead"), now=now)

    def answer(self, complaint: Complaint, now: datetime, reply: str, **verdict: Any) -> None:
        verdict = {"outcome": "NOT_UPHELD", "text": "经核实，处理符合约定。", **verdict}
        self.do(complaint, "decide", now, by="reviewer2", **verdict)
        self.do(complaint, "reply", now, text=reply)


def leave(world: World) -> None:
    """Canned replies, finished and running complaints of the crowd. Safe to repeat: does it once."""
    if CannedReply.objects.exists():
        return
    now = timezone.now()
    for title, topic, outcome, body in CANNED:
        complaints.canned.write(
            title=title,
            topic=topic,
            outcome=outcome,
            body=body,
            actor=world.staff("lead"),
            now=timezone.now(),
        )
    crowd = CreditAccount.objects.filter(account_no__startswith="DA", complaints__isnull=True)
    free = list(crowd.filter(tickets__isnull=True).order_by("-account_no")[:8])
    if len(free) == 8:
        desk = Desk(world)
        finished(desk, free[:4])
        running(desk, free[4:], now=now)
    disputed(Desk(world), now=now)


def finished(desk: Desk, accounts: list[CreditAccount]) -> None:
    """Upheld through two extensions; answered, reviewed and closed; a bureau dispute; taken back."""
    long = desk.investigated(
        RECEIVED, account=accounts[0], channel="HOTLINE_12378", regulator_number="12378-2026-0317"
    )
    desk.extend(long, make_aware(datetime(2026, 2, 23, 10, 0)), "COMPLEX")
    desk.extend(long, make_aware(datetime(2026, 3, 3, 10, 0)), "SPECIAL")
    last = make_aware(datetime(2026, 4, 3, 16, 0))
    desk.answer(
        long, last, CANNED[1][3], outcome="UPHELD", root_cause="SYSTEM_FAULT", remedy="RECORDED",
        remedy_text="退还多计利息并更正账单", compensation=86, text="计息规则配置有误，投诉属实。",
    )  # fmt: skip
    desk.do(long, "close", last + timedelta(days=3))
    reviewed = desk.investigated(RECEIVED, account=accounts[1], topic="SERVICE", text="客服多次转接。")
    desk.answer(reviewed, RECEIVED + timedelta(days=9), CANNED[0][3])
    again = RECEIVED + timedelta(days=22)
    desk.do(reviewed, "request_review", again, text="不同意处理结果，请重新核查。")
    desk.do(
        reviewed, "decide_review", again + timedelta(days=6), by="lead", outcome="PARTLY_UPHELD",
        root_cause="HUMAN_ERROR", text="录音显示转接流程不当，已对相关人员培训。",
    )  # fmt: skip
    desk.do(reviewed, "close", again + timedelta(days=8))
    dispute = desk.investigated(
        RECEIVED, account=accounts[2], kind="BUREAU_DISPUTE", topic="CREDIT_RECORD", channel="CREDIT_BUREAU",
        text="征信报告显示逾期，实际已还清。",
    )  # fmt: skip
    desk.do(dispute, "answer_bureau_mark", RECEIVED + timedelta(days=1))
    desk.answer(dispute, RECEIVED + timedelta(days=10), CANNED[0][3])
    desk.do(dispute, "close", RECEIVED + timedelta(days=11))
    taken_back = desk.take(RECEIVED, account=accounts[3], topic="WANTS_CLOSING", text="找不到关闭入口。")
    desk.do(taken_back, "withdraw", RECEIVED + timedelta(hours=2))


def running(desk: Desk, accounts: list[CreditAccount], *, now: datetime) -> None:
    """One due tomorrow, one waiting for its extension, one for its decision, one just received."""
    desk.investigated(now - timedelta(days=14), account=accounts[0], channel="LETTER", topic="PRIVACY",
                      text="关闭后仍收到营销短信。")  # fmt: skip
    waiting = desk.investigated(now - timedelta(days=5), account=accounts[1], topic="UNBINDING",
                                text="账户已申请关闭，自动扣款仍在。")  # fmt: skip
    desk.do(waiting, "ask_extension", now, level="COMPLEX", ground="等待支付机构回函")
    asked = desk.investigated(now - timedelta(days=3), account=accounts[2])
    desk.do(asked, "wait_for_customer", now - timedelta(days=1), text="请提供还款截图。")
    desk.take(now, account=accounts[3], channel="APP", topic="SLOW_CLOSING", text="申请十天仍无结果。")


def disputed(desk: Desk, *, now: datetime) -> None:
    """A closing that waits in review is disputed, and held."""
    ticket = ClosureTicket.objects.filter(
        state=ClosureTicket.State.IN_REVIEW, holds__isnull=True, complaints__isnull=True
    ).order_by("pk").last()  # fmt: skip
    if ticket is not None:
        desk.take(now, account=ticket.account, ticket_id=ticket.pk, topic="WRONG_CLOSING",
                  channel="STATUS_PAGE", text="我没有申请关闭，请立即停止。")  # fmt: skip
