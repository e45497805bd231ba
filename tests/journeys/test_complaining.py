"""The customer puts a stop to a wrong closing from his own page, reads the answer there, and asks again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from closures.services import invariants
from tests import complaint_cases as cases
from tests.complaint_cases import act, fresh
from tests.stage import Stage
from tests.visitor import Visitor

ALIPAY = ("ALIPAY", "AUTO_REPAY", True)


@pytest.fixture(autouse=True)
def no_guesses_from_before() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def test_a_wrong_closing_is_stopped_from_the_page_answered_there_and_reviewed(stage: Stage) -> None:
    stage.clock.now = cases.RECEIVED
    ticket = stage.ticket("NOTICE_PERIOD", ALIPAY, reason="RISK_CONTROL")
    visitor = Visitor(stage, ticket)
    assert visitor.url("status_complain") in visitor.text()

    # He complains: the closing that is running waits, and both pages say so.
    visitor.enters_code("complain")
    visitor.post("status_complain", topic="WRONG_CLOSING", text="弄错人了，账户一直正常使用", wish="不要关闭")
    complaint = ticket.complaints.get()
    hold = ticket.holds.get()
    assert (hold.kind, hold.state, complaint.hold) == ("COMPLAINT", "OPEN", hold)
    page = visitor.text("status_complaint", complaint.number)
    assert "最迟于 2026-02-24" in page and "账户关闭已暂停" in page
    cases.on(stage, "2026-02-05")
    stage.work()
    ticket = stage.fresh(ticket)
    assert ticket.state in ("BLOCKED", "IN_REVIEW") and ticket.unbinding_started_at is None
    visitor.enters_code("details")
    assert "账户关闭因此暂停" in visitor.text()

    # It is looked into and decided by people without a part in it; he reads nothing of it too early.
    act(stage, complaint, "accept")
    act(stage, complaint, "investigate")
    cases.decided(stage, fresh(complaint), text="内部：资料无误")
    visitor.enters_code("complain")
    page = visitor.text("status_complaint", complaint.number)
    assert "您的投诉已作出决定" in page and "不成立" not in page and "资料无误" not in page

    # He reads the reply on his page, and is not content.
    act(stage, complaint, "reply", text="经核查，关闭依据充分。核查申请期至 {{ review_until }}。")
    assert ticket.holds.get().state == "LIFTED", "not upheld: the closing goes on"
    page = visitor.text("status_complaint", complaint.number)
    assert "不成立" in page and "经核查，关闭依据充分。核查申请期至 2026-03-09。" in page
    assert "查看答复或申请核查" in visitor.text()
    visitor.post("status_complaint", complaint.number, do="review", text="请调取登录记录")

    complaint = fresh(complaint)
    assert complaint.state == "REVIEW_REQUESTED" and complaint.hold.state == "OPEN"
    page = visitor.text("status_complaint", complaint.number)
    assert "您的投诉正在核查" in page and "账户关闭已暂停" in page and str(complaint.review_due_on) in page

    # Somebody else again decides the review; that is what he reads in the end.
    act(
        stage, complaint, "decide_review", by="reviewer2", outcome="UPHELD", text="经复核，投诉成立。",
        root_cause="WRONG_PERSON", remedy="RECORDED", remedy_text="取消关闭，恢复额度",
    )  # fmt: skip
    page = visitor.text("status_complaint", complaint.number)
    assert "经复核，投诉成立。" in page and "核查已有结果" in page and "取消关闭，恢复额度" not in page
    assert [r.number for r in invariants.run(now=stage.now) if r.violations] == []
