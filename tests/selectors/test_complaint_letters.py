"""What a complainant reads: every text for every case, whole, in both languages, and nothing typed."""

from __future__ import annotations

import itertools
import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from accounts.actors import SHIPPED
from accounts.models import Regulation
from accounts.tracking import save_as
from closures.models import ClosureTicket, Complaint, Hold
from closures.models.notices import NoticeChannel, NoticeKind
from closures.models.numbers import new_number
from closures.selectors import complaint_letters, letters
from tests.complaint_cases import RECEIVED, replied
from tests.factories import a_customer, an_account
from tests.stage import Stage

pytestmark = pytest.mark.django_db

KINDS = tuple(kind for kind in NoticeKind if kind.startswith("COMPLAINT_"))
LANGUAGES = ("zh-hans", "en")
EVERY_TEXT = tuple(itertools.product(KINDS, NoticeChannel, LANGUAGES))
GIVEN = {NoticeKind.COMPLAINT_EXTENDED: {"from_due_on": "2026-02-24", "level": "SPECIAL"}}
LONGEST = 134  # two parts of a long text message (FACTS §4)


def a_complaint(now: datetime, **fields: Any) -> Complaint:
    account = fields.pop("account", None)
    row = Complaint(
        **{
            "number": new_number(now, prefix="CP"), "kind": "COMPLAINT", "channel": "APP", "topic": "FEES",
            "account": account, "customer": account.customer if account else a_customer(),
            "state_since": now, "received_on": now.date(), "registered_at": now,
            "clock_started_on": now.date(), "due_on": date(2026, 12, 24),
            "due_rule": Regulation.objects.get(code="COMPLAINT_SIMPLE"), **fields,
        }
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test", now=now)


def cases(now: datetime) -> list[Complaint]:
    """Rich and bare: with and without an account, a hold, a remedy, a review, an outcome."""
    account = an_account("WANGSHANGDAI")
    ticket = ClosureTicket(
        number=new_number(now), account=account, reason="CUSTOMER_REQUEST", channel="AGENT",
        state_since=now, requested_at=now,
    )  # fmt: skip
    save_as(ticket, actor=SHIPPED, reason="test")
    hold = Hold(ticket=ticket, kind="COMPLAINT", ground="x", opened_at=now)
    save_as(hold, actor=SHIPPED, reason="test")
    verdict = {"outcome": "PARTLY_UPHELD", "remedy": "RECORDED", "root_cause": "NO_FAULT", "decided_at": now,
               "compensation": Decimal("12345.60"), "review_until": date(2026, 12, 30)}  # fmt: skip
    return [
        a_complaint(now),
        a_complaint(now, account=account, ticket=ticket, hold=hold, topic="WRONG_CLOSING", **verdict),
        a_complaint(now, account=an_account("BAITIAO"), kind="BUREAU_DISPUTE", topic="CREDIT_RECORD",
                    marked_on=now.date(), outcome="NOT_UPHELD", remedy="NONE", decided_at=now),
        a_complaint(now, account=account, scope_reason="ALREADY_DECIDED"),
        a_complaint(now, account=account, **{**verdict, "remedy": "REVERSAL"}, review_outcome="UPHELD",
                    reviewed_at=now),
    ]  # fmt: skip


def letter(complaint: Complaint, kind: str, channel: str, language: str, now: datetime) -> letters.Letter:
    values = complaint_letters.values_for(complaint, language=language, now=now, **GIVEN.get(kind, {}))
    template = letters.template_for(kind=kind, channel=channel, language=language)
    return letters.fill(template, json.loads(json.dumps(values)))


@pytest.mark.parametrize(("kind", "channel", "language"), EVERY_TEXT)
def test_every_text_is_whole(kind: str, channel: str, language: str, now: datetime) -> None:
    for complaint in cases(now):
        if kind == NoticeKind.COMPLAINT_DECIDED and not (complaint.outcome or complaint.scope_reason):
            continue  # nothing is decided, so nobody says so
        found = letter(complaint, kind, channel, language, now)
        text = f"{found.subject}\n{found.body}"
        assert found.subject and len(found.subject) <= 120
        assert not re.search(r"\{\{|\}\}|\{%|%\}|\bNone\b|\n\n\n|：。|，。|（）|\(\)|“”", text), text
        assert complaint.number in text and "12378" in text
        if channel != NoticeChannel.SMS:
            assert "起诉" in text or "诉讼" in text or "court" in text or kind != "COMPLAINT_DECIDED"
        if complaint.account:
            assert complaint.account.product.lender.legal_name in text
            assert complaint.account.account_no not in text


@pytest.mark.parametrize(("kind", "language"), list(itertools.product(KINDS, LANGUAGES)))
def test_an_sms_begins_with_its_signature_and_fits_two_pieces(
    kind: str, language: str, now: datetime
) -> None:
    for complaint in cases(now):
        body = letter(complaint, kind, NoticeChannel.SMS, language, now).body
        assert body.startswith("【") and "【】" not in body and "\n" not in body
        assert len(body) <= LONGEST, f"{len(body)}: {body}"


def test_the_decision_names_the_outcome_and_every_way_on(now: datetime) -> None:
    rich = cases(now)[1]
    text = letter(rich, NoticeKind.COMPLAINT_DECIDED, NoticeChannel.LETTER, "zh-hans", now).body
    for said in (
        "投诉部分成立",
        "12,345.60 元",
        "申请核查",
        "2026-12-30",
        "调解",
        "仲裁",
        "人民法院",
        "12378",
    ):
        assert said in text, said


def test_a_printed_reply_states_all_its_facts(stage: Stage) -> None:
    stage.clock.now = RECEIVED
    complaint = replied(stage)
    with translation.override("zh-hans"):
        facts = complaint_letters.reply_facts(Complaint.objects.get(pk=complaint.pk), now=stage.now)
    assert facts is not None
    assert (facts["complaint"], facts["customer_no"]) == (complaint.number, complaint.customer.customer_no)
    assert (facts["reply"], facts["outcome"]) == ("经核查，答复如下。", "投诉不成立")
    assert facts["review_until"] == "2026-03-04"


def test_before_the_reply_there_is_no_letter(stage: Stage) -> None:
    from tests.complaint_cases import lodge  # noqa: PLC0415

    assert complaint_letters.reply_facts(lodge(stage), now=stage.now) is None
