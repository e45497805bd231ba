"""Who asks that his data be deleted is answered by a person, with what is kept, why, and until when."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from accounts import pii
from accounts.actors import Actor
from accounts.models import Customer
from accounts.tracking import NotPermitted, NotPossible
from closures.models import DeletionRequest, Notice
from closures.selectors.retention import lines
from closures.services import notices, retention
from tests.factories import a_person
from tests.keeping import closed, retained_until, to, work_days
from tests.races import at_once, race
from tests.stage import Stage, refused, written

AGENT = DeletionRequest.Channel.AGENT


def ask(stage: Stage, customer: Customer, *, by: str | Actor = "agent") -> DeletionRequest:
    actor = by if isinstance(by, Actor) else stage.staff(by)
    return retention.request_deletion(customer_id=customer.pk, channel=AGENT, actor=actor, now=stage.now)


def answer(stage: Stage, request: DeletionRequest, *, by: str = "reviewer") -> DeletionRequest:
    return retention.answer(request_id=request.pk, actor=stage.staff(by), now=stage.now)


def text_of(notice: Notice) -> str:
    return pii.reveal(notice.body.text_sealed, subject=notice.key, field="text")


def test_a_request_is_recorded_with_its_day(stage: Stage) -> None:
    customer = a_person()
    request = ask(stage, customer)
    assert request.number.startswith("DR") and request.state == "RECEIVED"
    assert (request.requested_by, request.requested_at) == (stage.staff("agent").user, stage.now)
    assert request.answer_due_on == date(2026, 2, 2), "15 working days after Monday 2026-01-12"
    assert (request.answer_rule.code, request.answer_calendar) == ("ANSWER_DUE", "cn-2026.1")
    assert written(request) == (str(stage.staff("agent")), "deletion asked for")


def test_asking_twice_is_asking_once_until_it_is_answered(stage: Stage) -> None:
    customer = a_person()
    first = ask(stage, customer)
    assert ask(stage, customer) == first and first.history.count() == 1
    answer(stage, first)
    assert ask(stage, customer) != first


def test_who_may_ask_and_who_may_answer(stage: Stage) -> None:
    customer, other = a_person(), a_person()
    for name in ("reviewer", "lead", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted):
            ask(stage, customer, by=name)
    with refused(retention.NotTheirData):
        ask(stage, customer, by=Actor.customer(other))
    with refused(NotPermitted):
        ask(stage, customer, by=Actor.job("x"))
    request = ask(stage, customer, by=Actor.customer(customer))
    assert request.requested_by is None
    for name in ("agent", "risk", "operator", "auditor", "admin"):
        with refused(NotPermitted, request):
            answer(stage, request, by=name)
    assert answer(stage, request, by="lead").state == "ANSWERED"


def test_while_a_relationship_goes_on_the_contract_is_the_reason(stage: Stage) -> None:
    account = stage.account(customer=a_person())
    request = answer(stage, ask(stage, account.customer))
    assert [reason["code"] for reason in request.kept] == ["RELATIONSHIP"]
    assert request.answered_by == stage.staff("reviewer").user
    (sentence,) = lines(request.kept, language="en")
    assert account.product.lender.legal_name in sentence and "article 13" in sentence


def test_after_the_closing_the_answer_names_law_and_day(stage: Stage) -> None:
    customer, ticket = closed(stage)
    request = answer(stage, ask(stage, customer))
    (reason,) = request.kept
    assert reason["code"] == "RETENTION" and reason["until"] == retained_until(customer).isoformat()
    assert (reason["rule"], reason["years"]) == ("RETENTION_YEARS", "10") and "反洗钱法" in reason["source"]
    notice = Notice.objects.get(about=request.number, courtesy=False)
    assert (notice.kind, notice.channel, notice.ticket) == ("DATA_RETENTION_ANSWER", "SMS", None)
    inbox = Notice.objects.get(about=request.number, channel="INBOX")
    for said in (reason["until"], "反洗钱法", request.number, ticket.account.product.lender.legal_name):
        assert said in text_of(inbox)
    assert request.number in text_of(notice)
    stage.work()
    assert Notice.objects.get(pk=notice.pk).state in ("SENT", "DELIVERED")


def test_it_must_arrive_so_another_channel_takes_over(stage: Stage) -> None:
    customer = a_person(known={"phone": ""})
    request = answer(stage, ask(stage, customer))
    for _ in range(8):
        notices.deliver(clock=stage.clock)
        stage.clock.skip()
    assert Notice.objects.filter(about=request.number, channel="LETTER").exists()


def test_an_open_case_and_a_hold_are_reasons_and_no_kind_is_named(stage: Stage) -> None:
    from closures.services import holds  # noqa: PLC0415

    ticket = stage.ticket("IN_REVIEW")
    holds.place(ticket_id=ticket.pk, kind="AML", ground="88", actor=stage.staff("reviewer"), now=stage.now)
    request = answer(stage, ask(stage, ticket.account.customer))
    assert [reason["code"] for reason in request.kept] == ["RELATIONSHIP", "CASE", "LEGAL_DUTY"]
    for notice in Notice.objects.filter(about=request.number):
        assert not [word for word in ("AML", "反洗钱调查", "暂挂", "可疑") if word in text_of(notice)]


def test_with_nothing_to_keep_the_customer_is_told_that_his_data_will_go(stage: Stage) -> None:
    customer, _ticket = closed(stage)
    to(stage, retained_until(customer))
    work_days(stage)
    request = answer(stage, ask(stage, customer))
    assert request.kept == []
    assert written(request)[1] == "nothing has to be kept"
    inbox = Notice.objects.get(about=request.number, channel="INBOX")
    assert "30 日等待期" in text_of(inbox)


def test_an_open_account_without_a_relationship_on_file_is_a_reason_too(stage: Stage) -> None:
    from tests.factories import an_account  # noqa: PLC0415

    account = an_account()
    request = answer(stage, ask(stage, account.customer))
    assert [(why["code"], why["lender"]) for why in request.kept] == [
        ("RELATIONSHIP", account.product.lender.legal_name)
    ]


def test_nobody_is_promised_what_the_list_would_refuse(stage: Stage) -> None:
    """Without a relationship on file no day can be told, so nobody is erased or told that he will be."""
    request = answer(stage, ask(stage, a_person()))
    assert [why["code"] for why in request.kept] == ["LEGAL_DUTY"]


def test_an_answer_is_given_once(stage: Stage) -> None:
    request = answer(stage, ask(stage, a_person()))
    with refused(NotPossible, request):
        answer(stage, request)
    assert Notice.objects.filter(about=request.number, courtesy=False).count() == 1


def test_who_is_erased_already_cannot_ask(stage: Stage) -> None:
    from tests.factories import a_customer  # noqa: PLC0415

    with refused(retention.AlreadyErased):
        ask(stage, a_customer(standing="ERASED"))


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("channel", ["INBOX", "SMS", "EMAIL", "LETTER"])
@pytest.mark.parametrize("items", [[], ["一", "二"]])
def test_every_text_is_whole(db: None, channel: str, language: str, items: list[str]) -> None:
    from closures.selectors import letters  # noqa: PLC0415

    values = {
        "lender": "重庆京东盛际小额贷款有限公司", "lenders": "甲、乙", "number": "DR26011212345678",
        "asked_on": "2026-01-12", "items": items, "wait_days": "30", "today": "2026-01-13",
    }  # fmt: skip
    template = letters.template_for(kind="DATA_RETENTION_ANSWER", channel=channel, language=language)
    filled = letters.fill(template, values)
    text = f"{filled.subject}\n{filled.body}"
    assert "{" not in text and "\n\n\n" not in text and "None" not in text
    assert "12378" in text and values["number"] in text
    if channel == "SMS":
        assert filled.body.startswith(f"【{values['lender']}】") and "\n" not in filled.body
        assert len(filled.body) <= 2 * 67, len(filled.body)
    elif items:
        assert "- 一" in text


@race
def test_of_two_who_ask_at_once_one_request_is_made(raise_stage: Any) -> None:
    stage = raise_stage()
    customer = a_person()
    stage.staff("agent"), stage.staff("agent2")
    ends = at_once(*(lambda n=n: ask(stage, customer, by=n) for n in ("agent", "agent2")))
    assert ends[0] == ends[1] and DeletionRequest.objects.count() == 1
