"""What a customer reads: every text, with every value, and never what must not be said."""

from __future__ import annotations

import itertools
import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from accounts.actors import SHIPPED
from accounts.models import CreditProduct, Regulation
from accounts.tracking import save_as
from closures.models import Blocker, ClosureTicket, Hold, NoticeTemplate, UnbindTask
from closures.models.notices import NoticeChannel, NoticeKind
from closures.models.numbers import new_number
from closures.models.tickets import Reason
from closures.selectors import letters, status_links
from closures.services.notices import ASKS_MONEY
from tests.factories import an_account, an_agreement

pytestmark = pytest.mark.django_db

HASH = "ab12" * 16
LANGUAGES = ("zh-hans", "en")
OWN = (NoticeKind.RECEIVED, NoticeKind.BLOCKERS_FOUND, NoticeKind.REFUSED, NoticeKind.WITHDRAWN)
ADVERSE = (Reason.RISK_CONTROL, Reason.POLICY)
# Kinds that are about something else than a ticket have values, and tests, of their own.
ELSEWHERE = ("COMPLAINT_", "DATA_RETENTION_")
OF_A_TICKET = tuple(kind for kind in NoticeKind if not kind.startswith(ELSEWHERE))
# What notices.queue is given with each kind.
GIVEN = {
    "REVERSED": {
        "reversal": "RV261123ABCDEFGH",
        "new_account_tail": "12R1",
        "compensation": "50.00",
        "bureau_due_on": "2026-12-14",
    },
    NoticeKind.COOLING_OFF_STARTED: {"ends_at": "2026-11-30 10:00"},
    NoticeKind.NOTICE_OF_CLOSING: {"not_before": "2026-12-23 10:00", "lead_days": "30"},
}
EVERY_TEXT = tuple(itertools.product(OF_A_TICKET, NoticeChannel, LANGUAGES))
PIECE, PIECES = 67, 3  # characters of one part of a long SMS (FACTS §4); the third is the link's
MARKETING = re.compile(
    r"优惠|红包|免息|立减|抽奖|限时|点击领取|提额|推荐您|discount|offer|exclusive|limited time|gift", re.I
)
COLLECTING = re.compile(
    r"请.{0,6}(还款|还清|偿还|归还)|尽快|逾期将|please (re)?pay|overdue|as soon as possible", re.I
)


def a_ticket(now: datetime, *, reason: str = Reason.CUSTOMER_REQUEST, product: str = "HUABEI", **fields: Any):
    own = reason == Reason.CUSTOMER_REQUEST
    account = fields.pop("account", None) or an_account(product, **fields.pop("balances", {}))
    ticket = ClosureTicket(
        number=new_number(now), account=account, reason=reason, channel=ClosureTicket.Channel.AGENT,
        state_since=now, requested_at=now, answer_due_on=now.date() if own else None,
        disclosure_version=f"{product}/1/{product}-2026-11" if own else "", **fields,
    )  # fmt: skip
    return save_as(ticket, actor=SHIPPED, reason="test", now=now)


def a_blocker(ticket: ClosureTicket, code: str, now: datetime, **fields: Any) -> Blocker:
    fields.setdefault("severity", Blocker.Severity.BLOCK)
    row = Blocker(ticket=ticket, code=code, appeared_at=now, **fields)
    return save_as(row, actor=SHIPPED, reason="test", now=now)


def a_full_case(now: datetime, *, reason: str, product: str = "BAITIAO") -> ClosureTicket:
    """A ticket with something to say in every place a text has: debts, blockers, agreements, tasks."""
    balances = {"principal": Decimal("1234.50"), "fees": Decimal("8.00"), "instalments_remaining": 3,
                "credit_balance": Decimal("5.00"), "days_past_due": 61}  # fmt: skip
    ticket = a_ticket(
        now, reason=reason, product=product, balances=balances, end_codes=["IDENTITY_NOT_PROVED"]
    )
    a_blocker(ticket, "OUTSTANDING_PRINCIPAL", now, amount=Decimal("1234.50"), cure="REPAY_PRINCIPAL")
    number = f"AL{ticket.pk:06d}000101"
    mandate = an_agreement(ticket.account, "AUTO_REPAY", repayment_depends=True, agreement_no=number)
    wealth = an_agreement(ticket.account, "WEALTH_LINK")
    a_blocker(ticket, "AGREEMENT_AUTO_REPAY", now, severity="UNBIND", agreement=mandate,
              cure="WE_UNBIND_ONCE_SETTLED")  # fmt: skip
    a_blocker(ticket, "AGREEMENT_WEALTH_LINK", now, severity="WARN", agreement=wealth, cure="KNOW_WHAT_STAYS")
    task = UnbindTask(ticket=ticket, agreement=mandate, key=f"k{mandate.pk}", state_since=now)
    save_as(task, actor=SHIPPED, reason="test", now=now)
    ticket.certificate_no, ticket.certificate_hash = f"CERT-{ticket.number}", HASH
    ticket.certificate = {
        "paid_out": True,
        "agreements": [
            {"partner": "ALIPAY", "kind": "AUTO_REPAY", "agreement_no": number, "result": "UNBOUND"}
        ],
    }
    return ticket


def letter(ticket: ClosureTicket, kind: str, channel: str, language: str, now: datetime) -> letters.Letter:
    values = letters.values_for(ticket=ticket, kind=kind, language=language, now=now, **GIVEN.get(kind, {}))
    template = letters.template_for(kind=kind, channel=channel, language=language)
    return letters.fill(template, json.loads(json.dumps(values)))  # as they come back from the database


@pytest.mark.parametrize(("kind", "channel", "language"), EVERY_TEXT)
def test_every_text_is_whole_for_every_reason_rich_or_bare(
    kind: str, channel: str, language: str, now: datetime
) -> None:
    for reason in Reason:
        for ticket in (a_full_case(now, reason=reason), a_ticket(now, reason=reason, product="WANGSHANGDAI")):
            found = letter(ticket, kind, channel, language, now)
            text = f"{found.subject}\n{found.body}"
            assert found.subject and len(found.subject) <= 120
            assert not re.search(r"\{\{|\}\}|\{%|%\}|\bNone\b|\n\n\n|：。|，。|（）|\(\)", text), text
            for said in (ticket.account.product.lender.legal_name, ticket.account.account_no[-4:], "12378"):
                assert said in text
            assert ticket.account.account_no not in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", OF_A_TICKET)
def test_an_sms_begins_with_its_signature_and_fits_three_pieces(
    kind: str, language: str, now: datetime
) -> None:
    for reason, product in itertools.product(Reason, ("HUABEI", "WANGSHANGDAI", "BAITIAO")):
        ticket = a_full_case(now, reason=reason, product=product)
        body = letter(ticket, kind, NoticeChannel.SMS, language, now).body
        assert body.startswith(f"【{ticket.account.product.lender.legal_name}】")
        assert "\n" not in body
        assert len(body) <= PIECE * PIECES, f"{len(body)}: {body}"
        assert ticket.number in body


# Kinds that are about a ticket: each leads to its status page, on every channel.
ABOUT_A_TICKET = (
    NoticeKind.RECEIVED, NoticeKind.BLOCKERS_FOUND, NoticeKind.REFUSED, NoticeKind.NOTICE_OF_CLOSING,
    NoticeKind.COOLING_OFF_STARTED, NoticeKind.WITHDRAWN, NoticeKind.UNBINDING_DELAYED, NoticeKind.CLOSED,
    NoticeKind.REVERSED,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "channel", "language"), list(itertools.product(ABOUT_A_TICKET, NoticeChannel, LANGUAGES))
)
def test_every_text_about_a_ticket_holds_the_link_to_its_page(
    kind: str, channel: str, language: str, now: datetime
) -> None:
    ticket = a_ticket(now)
    assert letter(ticket, kind, channel, language, now).body.count(status_links.url(ticket, now=now)) == 1


def test_no_text_advertises_anything() -> None:
    assert NoticeTemplate.objects.count() == len(NoticeKind) * len(NoticeChannel) * len(LANGUAGES)
    for template in NoticeTemplate.objects.all():
        assert not MARKETING.search(template.subject + template.body), template


def test_only_kinds_that_keep_quiet_hours_may_ask_for_money() -> None:
    for template in NoticeTemplate.objects.exclude(kind__in=ASKS_MONEY):
        assert not COLLECTING.search(template.subject + template.body), template


@pytest.mark.parametrize("channel", [NoticeChannel.INBOX, NoticeChannel.EMAIL, NoticeChannel.LETTER])
@pytest.mark.parametrize("reason", ADVERSE)
def test_a_notice_of_closing_says_all_that_it_has_to(reason: str, channel: str, now: datetime) -> None:
    ticket = a_full_case(now, reason=reason)
    text = letter(ticket, NoticeKind.NOTICE_OF_CLOSING, channel, "zh-hans", now).body
    why = "因产品政策调整" if reason == Reason.POLICY else "已逾期 61 天"
    product = ticket.account.product
    whose = (product.brand, product.lender.legal_name, ticket.number, why, "另一名工作人员审核")
    when = ("满 30 日", "不早于 2026-12-23 10:00（北京时间）", "自 2026-11-23 10:00（北京时间）起")
    money = ("尚欠 1,242.50 元", "1,234.50", "也不增加任何费用", "溢缴款 5.00 元")
    rights = ("征信", "保存 10 年", "撤回此前给予的同意", "人工复核", "说明具体理由", "12378", "文本版本")
    for said in (*whose, *when, *money, "0101", *rights):
        assert said in text, said


def test_a_closed_notice_carries_the_certificate_and_what_became_of_each_agreement(now: datetime) -> None:
    ticket = a_full_case(now, reason=Reason.CUSTOMER_REQUEST)
    text = letter(ticket, NoticeKind.CLOSED, NoticeChannel.INBOX, "zh-hans", now).body
    for said in (
        f"CERT-{ticket.number}",
        HASH,
        "0101",
        "已解除",
        "继续有效",
        "溢缴款已经退还",
        "双方互无欠款",
    ):
        assert said in text


def test_the_kind_of_a_hold_is_never_told_and_a_silent_hold_not_at_all(now: datetime) -> None:
    ticket = a_ticket(now)
    before = letters.values_for(ticket=ticket, kind=NoticeKind.BLOCKERS_FOUND, language="en", now=now)
    for kind in (Hold.Kind.AML, Hold.Kind.FRAUD):
        hold = save_as(
            Hold(ticket=ticket, kind=kind, ground="秘密调查", opened_at=now),
            actor=SHIPPED,
            reason="t",
            now=now,
        )
        a_blocker(ticket, "OPEN_HOLD", now, hold=hold, cure="AWAIT_HOLD_LIFTED")
        if kind == Hold.Kind.AML:
            after = letters.values_for(ticket=ticket, kind=NoticeKind.BLOCKERS_FOUND, language="en", now=now)
            assert after == before
    assert len(letters.blocker_lines(ticket)) == 1
    for kind, channel, language in itertools.product(OWN, NoticeChannel, LANGUAGES):
        body = letter(ticket, kind, channel, language, now).body
        for secret in ("秘密", "AML", "launder", "fraud", "欺诈", "可疑"):
            assert secret not in body


def test_a_hold_that_is_not_known_is_not_told(now: datetime) -> None:
    ticket = a_ticket(now)
    a_blocker(ticket, "OPEN_HOLD", now, cure="AWAIT_HOLD_LIFTED")
    assert letters.blocker_lines(ticket) == []


@pytest.mark.parametrize("channel", NoticeChannel)
def test_only_a_silent_hold_reads_as_still_looking(channel: str, now: datetime) -> None:
    ticket = a_ticket(now)
    hold = save_as(
        Hold(ticket=ticket, kind=Hold.Kind.AML, ground="-", opened_at=now), actor=SHIPPED, reason="t", now=now
    )
    a_blocker(ticket, "OPEN_HOLD", now, hold=hold, cure="AWAIT_HOLD_LIFTED")
    text = letter(ticket, NoticeKind.BLOCKERS_FOUND, channel, "zh-hans", now).body
    assert "仍在核对" in text and "0项" not in text


def test_a_cured_blocker_and_one_that_only_settles_are_no_obstacles(now: datetime) -> None:
    ticket = a_ticket(now)
    a_blocker(ticket, "UNBILLED", now, amount=Decimal("1.00"), cure="REPAY_UNBILLED", cured_at=now)
    a_blocker(ticket, "CREDIT_BALANCE", now, amount=Decimal("1.00"), cure="WE_PAY_OUT", severity="SETTLE")
    assert letters.blocker_lines(ticket) == []
    a_blocker(ticket, "PENDING_ORDER", now, count=2, cure="FINISH_OR_CANCEL_ORDERS")
    assert len(letters.blocker_lines(ticket)) == 1


@pytest.mark.parametrize("kind", OF_A_TICKET)
def test_values_hold_no_ground_no_full_number_and_can_be_kept_as_json(kind: str, now: datetime) -> None:
    ticket = a_full_case(now, reason=Reason.RISK_CONTROL)
    ticket.ground = "内部备注：客户情绪激动"
    kept = json.dumps(
        letters.values_for(ticket=ticket, kind=kind, language="zh-hans", now=now, **GIVEN.get(kind, {})),
        ensure_ascii=False,
    )
    assert "内部备注" not in kept
    assert ticket.account.account_no not in kept and "000101" not in kept
    assert not re.search(r"\d{17}[\dXx]|1[3-9]\d{9}|@", kept)


def test_the_years_that_data_is_kept_are_the_regulations(now: datetime) -> None:
    ticket = a_ticket(now, reason=Reason.POLICY)
    rule = Regulation.objects.get(code="RETENTION_YEARS")
    rule.value = "12"
    save_as(rule, actor=SHIPPED, reason="test", now=now)
    assert "保存 12 年" in letter(ticket, NoticeKind.CLOSED, NoticeChannel.INBOX, "zh-hans", now).body
    Regulation.objects.filter(pk=rule.pk).update(state=Regulation.State.REJECTED)
    text = letter(ticket, NoticeKind.CLOSED, NoticeChannel.INBOX, "zh-hans", now).body
    assert "按法律规定的期限保存" in text


def test_a_lead_of_less_than_a_day_is_not_counted_in_days(now: datetime) -> None:
    ticket = a_ticket(now, reason=Reason.POLICY)
    values = letters.values_for(
        ticket=ticket, kind=NoticeKind.NOTICE_OF_CLOSING, language="zh-hans", now=now,
        not_before="2026-11-23 10:01", lead_days="0",
    )  # fmt: skip
    for channel in NoticeChannel:
        template = letters.template_for(
            kind=NoticeKind.NOTICE_OF_CLOSING, channel=channel, language="zh-hans"
        )
        body = letters.fill(template, values).body
        assert "日后" not in body and "0 日" not in body and "满0日" not in body


def test_the_digest_is_of_what_was_sent_and_moves_with_every_value(now: datetime) -> None:
    ticket = a_ticket(now)
    first = letter(ticket, NoticeKind.RECEIVED, NoticeChannel.INBOX, "zh-hans", now)
    again = letter(ticket, NoticeKind.RECEIVED, NoticeChannel.INBOX, "zh-hans", now)
    assert first == again and first.digest == again.digest
    product = CreditProduct.objects.get(code="HUABEI")
    product.brand = "新花呗"
    save_as(product, actor=SHIPPED, reason="test", now=now)
    ticket = ClosureTicket.objects.get(pk=ticket.pk)
    assert letter(ticket, NoticeKind.RECEIVED, NoticeChannel.INBOX, "zh-hans", now).digest != first.digest


def test_a_value_cannot_add_template_code(now: datetime) -> None:
    ticket = a_ticket(now)
    values = letters.values_for(ticket=ticket, kind=NoticeKind.WITHDRAWN, language="zh-hans", now=now)
    template = letters.template_for(kind=NoticeKind.WITHDRAWN, channel="INBOX", language="zh-hans")
    body = letters.fill(template, {**values, "brand": "{% debug %}<b>"}).body
    assert "{% debug %}<b>" in body  # neither run nor escaped: it is plain text


def test_what_the_caller_gives_wins(now: datetime) -> None:
    ticket = a_ticket(now)
    values = letters.values_for(
        ticket=ticket,
        kind=NoticeKind.WITHDRAWN,
        language="en",
        now=now,
        ticket_url="x",
        today="2020-01-01",
        n=3,
    )
    assert (values["today"], values["ticket_url"], values["n"]) == ("2020-01-01", "x", "3")
    assert values["brand"] == "Huabei"


def test_gathering_values_costs_few_queries(now: datetime, django_assert_max_num_queries: Any) -> None:
    ticket = a_full_case(now, reason=Reason.POLICY)
    ticket = ClosureTicket.objects.select_related("account__product__lender").get(pk=ticket.pk)
    for kind in OF_A_TICKET:
        with django_assert_max_num_queries(2):
            letters.values_for(ticket=ticket, kind=kind, language="zh-hans", now=now, **GIVEN.get(kind, {}))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reversal_says_what_we_did_and_what_only_the_customer_can_do(language: str, now: datetime) -> None:
    ticket = a_full_case(now, reason=Reason.CUSTOMER_REQUEST)
    body = letter(ticket, "REVERSED", NoticeChannel.INBOX, language, now).body
    for said in ("12R1", "50.00", "2026-12-14", "RV261123ABCDEFGH", "0101"):
        assert said in body
    bare = a_ticket(now, reason=Reason.CUSTOMER_REQUEST, product="HUABEI")
    values = letters.values_for(
        ticket=bare, kind="REVERSED", language=language, now=now,
        **{**GIVEN["REVERSED"], "compensation": ""},
    )  # fmt: skip
    template = letters.template_for(kind="REVERSED", channel=NoticeChannel.INBOX, language=language)
    said = letters.fill(template, values).body
    assert ("compensation" if language == "en" else "补偿") not in said
