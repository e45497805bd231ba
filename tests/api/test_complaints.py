"""A complaint by an app: taken in once, looked at in the customer's words, nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import CreditAccount
from closures.models import ApiCall, Complaint
from tests import complaint_cases as cases
from tests.api.conftest import KEY, DeskApp, named
from tests.stage import Stage

WORDS = "我没有申请关闭。\n请恢复我的额度。𠮷"
SHOWN = {
    "number", "ticket", "topic", "state", "headline", "sentence", "received_on", "due_on", "holds_closing",
    "outcome", "outcome_label", "review_until", "may_withdraw",
}  # fmt: skip


def said(account: CreditAccount, **given: Any) -> dict[str, Any]:
    return {**named(account), "topic": "WRONG_CLOSING", "text": WORDS, **given}


@pytest.fixture
def desk(stage: Stage) -> Stage:
    stage.clock.now = cases.RECEIVED
    return stage


def test_a_complaint_has_its_number_and_its_day_at_once_and_the_closing_waits(
    app: DeskApp, desk: Stage
) -> None:
    ticket = desk.ticket("IN_REVIEW")
    answer = app.post("/complaints", said(ticket.account, ticket=ticket.number), key=KEY)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert set(body) == SHOWN
    assert (body["state"], body["due_on"], body["holds_closing"]) == ("RECEIVED", "2026-02-24", True)
    assert (body["ticket"], body["outcome"], body["may_withdraw"]) == (ticket.number, "", True)

    complaint = Complaint.objects.get(number=body["number"])
    assert (complaint.kind, complaint.channel, complaint.topic) == ("COMPLAINT", "APP", "WRONG_CLOSING")
    assert complaint.customer == ticket.account.customer and complaint.hold == ticket.holds.get()
    assert cases.texts(complaint, "COMPLAINT") == [WORDS]
    newest = complaint.history.latest("history_id")
    assert newest.history_actor == f"customer:{ticket.account.customer.customer_no}"
    assert ApiCall.objects.latest("pk").operation == "complain"


def test_it_may_be_about_the_account_alone(app: DeskApp, desk: Stage) -> None:
    account = desk.account()
    answer = app.post("/complaints", said(account, topic="FEES"), key=KEY)
    assert (answer.status_code, answer.json()["ticket"]) == (201, "")
    assert Complaint.objects.get().account == account


def test_one_key_is_one_complaint_and_one_answer(app: DeskApp, desk: Stage) -> None:
    body = said(desk.account(), topic="FEES")
    first, again = app.post("/complaints", body, key=KEY), app.post("/complaints", body, key=KEY)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.text == again.text and again.headers["Idempotent-Replay"] == "true"
    other = app.post("/complaints", {**body, "text": "另一件事"}, key=KEY)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert Complaint.objects.count() == 1


def test_the_same_words_under_another_key_are_the_same_complaint(app: DeskApp, desk: Stage) -> None:
    body = said(desk.account(), topic="FEES")
    first, again = app.post("/complaints", body, key="one"), app.post("/complaints", body, key="two")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() and "Idempotent-Replay" not in again.headers
    assert app.post("/complaints", {**body, "text": "另一件事"}, key="three").status_code == 201
    assert app.post("/complaints", {**body, "topic": "OTHER"}, key="four").status_code == 201


@pytest.mark.parametrize("text", ["", "   ", "\n\t", " ", "x" * 2001, "a\x00b", "a\x1bb", None, 7, ["x"]])
def test_words_that_are_none_or_too_many_are_refused(app: DeskApp, desk: Stage, text: Any) -> None:
    answer = app.post("/complaints", said(desk.account(), text=text), key=KEY)
    assert answer.status_code == 422, answer.text
    assert not Complaint.objects.exists()


@pytest.mark.parametrize("change", [{"topic": "NONSENSE"}, {"kind": "BUREAU_DISPUTE"}, {"ticket": "CT 1"}])
def test_what_the_form_does_not_know_is_refused(app: DeskApp, desk: Stage, change: dict[str, str]) -> None:
    answer = app.post("/complaints", {**said(desk.account()), **change}, key=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_key_is_asked_for(app: DeskApp, desk: Stage) -> None:
    assert app.post("/complaints", said(desk.account())).status_code == 422


def test_nobody_complains_about_what_is_not_his(app: DeskApp, desk: Stage) -> None:
    mine, theirs = desk.ticket("IN_REVIEW"), desk.ticket("IN_REVIEW")
    asked = [
        said(mine.account, ticket=theirs.number),
        {**said(mine.account), "account_no": theirs.account.account_no},
        {**said(mine.account), "customer_no": "NOBODY"},
        said(mine.account, ticket="CT0"),
    ]
    answers = [app.post("/complaints", body, key=f"k{n}") for n, body in enumerate(asked)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert not Complaint.objects.exists()


def test_only_its_customer_reads_it(app: DeskApp, desk: Stage) -> None:
    account, other = desk.account(), desk.account()
    number = app.post("/complaints", said(account, topic="FEES"), key=KEY).json()["number"]
    assert app.get(f"/complaints/{number}", **named(account)).json()["number"] == number
    wrong = [
        app.get(f"/complaints/{number}", **named(other)),
        app.get(f"/complaints/{number}", **{**named(account), "account_no": other.account_no}),
        app.get("/complaints/CP0", **named(account)),
    ]
    assert {(one.status_code, one.json()["code"]) for one in wrong} == {(404, "not_found")}


@pytest.mark.parametrize(
    ("language", "headline", "outcome"),
    [("en", "Your complaint is answered", "not upheld"), ("zh-CN", "您的投诉已答复", "不成立")],
)
def test_the_outcome_is_told_once_he_was_answered(
    make_app: Callable[..., DeskApp], desk: Stage, language: str, headline: str, outcome: str
) -> None:
    app, account = make_app(language=language), desk.account()
    number = app.post("/complaints", said(account, topic="FEES"), key=KEY).json()["number"]
    complaint = Complaint.objects.get(number=number)
    cases.act(desk, complaint, "accept")
    cases.act(desk, complaint, "investigate")
    cases.decided(desk, cases.fresh(complaint))
    decided = app.get(f"/complaints/{number}", **named(account)).json()
    assert (decided["state"], decided["outcome"], decided["outcome_label"]) == ("DECIDED", "", "")
    cases.act(desk, complaint, "reply", text="经核查，答复如下。")
    answered = app.get(f"/complaints/{number}", **named(account)).json()
    assert (answered["headline"], answered["outcome"]) == (headline, "NOT_UPHELD")
    assert outcome in answered["outcome_label"]
    assert answered["review_until"] and not answered["due_on"] and not answered["may_withdraw"]


def test_without_a_rule_in_force_it_says_later(app: DeskApp, desk: Stage) -> None:
    from accounts.models import Regulation  # noqa: PLC0415

    rules = Regulation.objects.filter(code__startswith="COMPLAINT")
    rules.update(valid_from="2030-01-01")
    answer = app.post("/complaints", said(desk.account()), key=KEY)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_regulation")
    assert not Complaint.objects.exists()


def test_reading_costs_few_queries(app: DeskApp, desk: Stage, django_assert_max_num_queries: Any) -> None:
    account = desk.account()
    number = app.post("/complaints", said(account, topic="FEES"), key=KEY).json()["number"]
    with django_assert_max_num_queries(10):
        assert app.get(f"/complaints/{number}", **named(account)).status_code == 200
