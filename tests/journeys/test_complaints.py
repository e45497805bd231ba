"""What can become of a complaint, from the first word to the last, on a clock that shows 2026."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.actors import Actor
from closures.models import Complaint, Notice
from closures.services import review
from closures.services.complaints.desk import Recused
from closures.services.complaints.extending import TooLateToExtend
from tests.closed_cases import look
from tests.complaint_cases import (
    RECEIVED,
    act,
    approve,
    decided,
    extend,
    fresh,
    investigating,
    lodge,
    on,
    replied,
    texts,
)
from tests.stage import Stage, refused


@pytest.fixture
def desk(stage: Stage) -> Stage:
    stage.clock.now = RECEIVED
    return stage


def heard(complaint: Complaint, kind: str) -> list[str]:
    """The states of what the complainant was told, copies aside."""
    rows = Notice.objects.filter(about=complaint.number, kind=kind, courtesy=False)
    return list(rows.order_by("pk").values_list("state", flat=True))


def test_through_two_extensions_to_a_decision_in_time(desk: Stage) -> None:
    complaint = lodge(desk, channel="HOTLINE_12378", regulator_number="12378-26-7")
    act(desk, complaint, "accept")
    act(desk, complaint, "investigate")
    assert fresh(complaint).due_on == date(2026, 2, 24)

    on(desk, "2026-02-23")
    extend(desk, complaint)
    assert fresh(complaint).due_on == date(2026, 3, 4)
    desk.work()
    desk.clock.skip()
    desk.work()
    assert heard(complaint, "COMPLAINT_EXTENDED") == ["DELIVERED"], "the carrier has its receipt"

    on(desk, "2026-03-03")
    extend(desk, complaint, "SPECIAL")
    assert fresh(complaint).due_on == date(2026, 4, 3)

    on(desk, "2026-04-03", hour=16)
    decided(desk, fresh(complaint), outcome="UPHELD", root_cause="SYSTEM_FAULT")
    act(desk, complaint, "reply", text="经查，系系统故障所致，现已更正。核查申请期至 {{ review_until }}。")
    desk.work()
    desk.clock.skip()
    desk.work()
    assert heard(complaint, "COMPLAINT_DECIDED") == ["DELIVERED"]
    assert texts(complaint, "REPLY") == ["经查，系系统故障所致，现已更正。核查申请期至 2026-05-06。"]
    assert act(desk, complaint, "close").state == "CLOSED"
    assert look(9, desk.now).violations == 0


def test_after_the_due_date_nothing_is_extended_and_the_breach_shows(desk: Stage) -> None:
    complaint = investigating(desk)
    asked = act(desk, complaint, "ask_extension", level="COMPLEX", ground="需调取记录")
    on(desk, "2026-02-25")
    with refused(TooLateToExtend, complaint, asked):
        approve(desk, asked, by="reviewer2")
    replied(desk, fresh(complaint))
    found = look(9, desk.now)
    assert (found.violations, found.examples) == (1, [complaint.number])


def test_a_disputed_closing_waits_and_goes_on_when_the_complaint_is_not_upheld(desk: Stage) -> None:
    ticket = desk.ticket("NOTICE_PERIOD")
    complaint = lodge(
        desk, by=Actor.customer(ticket.account.customer), ticket_id=ticket.pk, topic="WRONG_CLOSING",
        channel="STATUS_PAGE",
    )  # fmt: skip
    on(desk, "2026-02-05")
    desk.work()
    assert desk.fresh(ticket).state in ("IN_REVIEW", "BLOCKED"), "held: the approval is void"
    act(desk, complaint, "accept")
    act(desk, complaint, "investigate")
    replied(desk, fresh(complaint))
    ticket = desk.until(ticket, "IN_REVIEW")
    desk.approve(ticket, by="reviewer2")
    desk.until(ticket, "CLOSED")


def test_a_complaint_that_asks_for_the_closing_does_not_stop_it(desk: Stage) -> None:
    ticket = desk.ticket("NOTICE_PERIOD")
    lodge(desk, ticket_id=ticket.pk, topic="SLOW_CLOSING")
    desk.end_period(ticket)
    desk.until(ticket, "CLOSED")


def test_an_upheld_complaint_ends_the_closing_it_was_right_about(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    complaint = investigating(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    replied(
        desk, complaint, outcome="UPHELD", root_cause="WRONG_PERSON", remedy="RECORDED",
        remedy_text="取消关闭，恢复额度",
    )  # fmt: skip
    review.cancel(ticket_id=ticket.pk, ground="投诉成立", actor=desk.staff("lead"), now=desk.now)
    act(desk, complaint, "close")
    assert desk.fresh(ticket).state == "CANCELLED"
    assert desk.fresh(ticket).account.line_state == "ACTIVE"


def test_a_bureau_dispute_is_marked_verified_and_answered_within_twenty_days(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    dispute = lodge(
        desk, account_id=ticket.account_id, kind="BUREAU_DISPUTE", topic="CREDIT_RECORD",
        channel="CREDIT_BUREAU", regulator_number="征信-2026-9", regulator_deadline=date(2026, 2, 20),
    )  # fmt: skip
    assert dispute.due_on == date(2026, 2, 24)  # the twentieth day is a Sunday within the holidays
    assert ticket.holds.get().kind == "BUREAU_DISPUTE"
    act(desk, dispute, "accept")
    act(desk, dispute, "investigate")
    on(desk, "2026-02-20")
    dispute = replied(desk, fresh(dispute))
    assert dispute.marked_on == date(2026, 2, 20)
    assert ticket.holds.get().state == "LIFTED"
    assert look(9, desk.now).violations == 0


def test_a_withdrawal_ends_everything_the_same_day(desk: Stage) -> None:
    ticket = desk.ticket("IN_REVIEW")
    complaint = lodge(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    desk.assess()
    assert desk.fresh(ticket).state == "BLOCKED"
    complaint = act(desk, complaint, "withdraw", by=Actor.customer(complaint.customer))
    assert complaint.ended_at == desk.now
    desk.clock.skip()
    desk.assess()
    assert desk.fresh(ticket).state == "IN_REVIEW"


def test_whoever_closed_the_account_does_not_handle_the_complaint_about_it(desk: Stage) -> None:
    ticket = desk.ticket("CLOSED")
    complaint = lodge(desk, ticket_id=ticket.pk, topic="WRONG_CLOSING")
    with refused(Recused, complaint):
        act(desk, complaint, "accept", by="agent")
    act(desk, complaint, "accept")
    act(desk, complaint, "investigate")
    with refused(Recused, complaint):
        act(desk, complaint, "decide", by="reviewer", outcome="NOT_UPHELD", text="没有问题")


WORDS = "=1+2\u202e\u6d4b\u8bd5\u202c 𠮷田 <script>alert(1)</script>\n@SUM(A1)　\u2066bidi\u2069"


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_strange_words_are_kept_as_typed_and_shown_escaped(desk: Stage, settings: Any, language: str) -> None:
    settings.WHITENOISE_AUTOREFRESH = True
    complaint = investigating(desk, text=WORDS)
    replied(desk, complaint)
    assert texts(complaint, "COMPLAINT") == [WORDS.strip()]
    client = Client()
    client.force_login(desk.staff("auditor").user)
    client.cookies["django_language"] = language
    page = client.get(reverse("admin:closures_complaint_change", args=[complaint.pk])).content.decode()
    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "𠮷田" in page and "=1+2" in page
    letter = client.get(reverse("admin:closures_complaint_letter", args=[complaint.pk]))
    assert letter.status_code == 200 and "经核查，答复如下。" in letter.content.decode()
