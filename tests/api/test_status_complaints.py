"""The customer complains on his page: with a code, once, and reads there what became of it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import RefusedAction
from closures.models import Complaint
from tests import complaint_cases as cases
from tests.stage import Stage
from tests.visitor import Visitor

TOPIC, WORDS, WISH = "WRONG_CLOSING", "我没有申请关闭这个账户。\r\n请核实 <b>𠮷</b>", "恢复额度"
SENT = {"topic": TOPIC, "text": WORDS, "wish": WISH}
LARGEST, QUERIES = 60_000, 10


@pytest.fixture
def desk(stage: Stage) -> Stage:
    stage.clock.now = cases.RECEIVED
    return stage


def complaining(desk: Stage, visit: Any, state: str = "IN_REVIEW", **more: Any) -> Visitor:
    """A customer with a code for this."""
    visitor: Visitor = visit(desk.ticket(state), **more)
    assert visitor.enters_code("complain")["Location"] == visitor.url("status_complain")
    return visitor


def complained(desk: Stage, visit: Any, **more: Any) -> tuple[Visitor, Complaint]:
    visitor = complaining(desk, visit, **more)
    assert visitor.post("status_complain", **SENT).status_code == 302
    return visitor, Complaint.objects.get(ticket=visitor.ticket)


def own_page(visitor: Visitor, complaint: Complaint) -> str:
    return visitor.text("status_complaint", complaint.number)


# --- Complaining ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh-hans", ["我们已收到您的投诉", "最迟于 2026-02-24", "账户关闭已暂停", "撤回投诉"]),
        ("en", ["We have your complaint", "by 2026-02-24", "The closing waits", "Withdraw the complaint"]),
    ],
)
def test_he_complains_and_reads_number_day_and_how_to_withdraw(
    desk: Stage, visit: Any, language: str, words: list[str]
) -> None:
    visitor = complaining(desk, visit, language=language)
    assert 'name="topic"' in visitor.text("status_complain")
    answer = visitor.post("status_complain", **SENT)
    complaint = Complaint.objects.get()
    assert answer["Location"] == f"{visitor.url('status_complaint', complaint.number)}?heard=1"
    page = own_page(visitor, complaint)
    assert complaint.number in page
    for word in words:
        assert word in page, word


def test_what_is_kept_is_a_complaint_by_the_status_page_of_himself(desk: Stage, visit: Any) -> None:
    visitor, complaint = complained(desk, visit)
    ticket = visitor.ticket
    assert (complaint.kind, complaint.channel, complaint.topic) == ("COMPLAINT", "STATUS_PAGE", TOPIC)
    assert (complaint.customer, complaint.account) == (ticket.account.customer, ticket.account)
    assert complaint.hold == ticket.holds.get() and complaint.registered_by is None
    assert cases.texts(complaint, "COMPLAINT") == [
        "我没有申请关闭这个账户。\n请核实 <b>𠮷</b>\n\n我的诉求： 恢复额度"
    ]
    newest = complaint.history.latest("history_id")
    assert newest.history_actor == f"customer:{ticket.account.customer.customer_no}"
    assert "<b>𠮷" not in own_page(visitor, complaint) and "&lt;b&gt;𠮷" in own_page(visitor, complaint)


def test_sent_twice_it_is_one_complaint(desk: Stage, visit: Any) -> None:
    visitor = complaining(desk, visit)
    first, again = visitor.post("status_complain", **SENT), visitor.post("status_complain", **SENT)
    assert first["Location"] == again["Location"]
    assert Complaint.objects.count() == 1
    visitor.post("status_complain", **{**SENT, "text": "另外，客服态度不好"})
    assert Complaint.objects.count() == 2, "other words are another complaint"


def test_after_its_end_the_same_words_are_a_new_complaint(desk: Stage, visit: Any) -> None:
    visitor, complaint = complained(desk, visit)
    visitor.post("status_complaint", complaint.number, do="withdraw")
    visitor.post("status_complain", **SENT)
    assert Complaint.objects.count() == 2


@pytest.mark.parametrize("purpose", [None, "details"])
def test_without_a_code_for_it_nobody_complains_and_what_was_typed_stays(
    desk: Stage, visit: Any, purpose: str | None
) -> None:
    visitor = visit(desk.ticket("IN_REVIEW"))
    if purpose:
        visitor.enters_code(purpose)
    assert visitor.get("status_complain")["Location"] == visitor.url("status_code", "complain")
    answer = visitor.post("status_complain", **SENT)
    page = answer.content.decode()
    assert answer.status_code == 403 and "我没有申请关闭这个账户。" in page and "验证码已失效" in page
    assert not Complaint.objects.exists()


def test_a_code_that_is_over_no_longer_complains(desk: Stage, visit: Any) -> None:
    visitor = complaining(desk, visit)
    desk.clock.skip(timedelta(minutes=16))
    assert visitor.post("status_complain", **SENT).status_code == 403
    assert not Complaint.objects.exists()


@pytest.mark.parametrize(
    ("changed", "zh", "en"),
    [
        ({"topic": ""}, "请选择投诉事项", "Please choose what it is about"),
        ({"topic": "NONSENSE"}, "请选择投诉事项", "Please choose what it is about"),
        ({"topic": "WANTS_CLOSING"}, "请选择投诉事项", "Please choose what it is about"),
        ({"text": " \r\n "}, "请填写事情经过", "Please tell us what happened"),
        ({"text": "长" * 2001}, "请不要超过 2000 个字", "At most 2000 characters"),
        ({"text": "a\x00b"}, "部分字符无法识别", "Some characters cannot be read"),
        ({"wish": "长" * 501}, "请不要超过 500 个字", "At most 500 characters"),
    ],
)
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_what_is_missing_is_said_and_nothing_is_lost(
    desk: Stage, visit: Any, changed: dict[str, str], zh: str, en: str, language: str
) -> None:
    visitor = complaining(desk, visit, language=language)
    answer = visitor.post("status_complain", **{**SENT, **changed})
    page = answer.content.decode()
    assert answer.status_code == 422 and (zh if language == "zh-hans" else en) in page
    if "wish" not in changed:
        assert WISH in page
    assert not Complaint.objects.exists()


def test_two_thousand_characters_with_line_breaks_are_not_too_many(desk: Stage, visit: Any) -> None:
    visitor = complaining(desk, visit)
    text = "\r\n".join(["长" * 99] * 20)  # 1,999 as he counts them
    assert visitor.post("status_complain", topic="FEES", text=text).status_code == 302


def test_without_a_rule_in_force_the_page_says_later(desk: Stage, visit: Any) -> None:
    from accounts.models import Regulation  # noqa: PLC0415

    visitor = complaining(desk, visit)
    Regulation.objects.filter(code__startswith="COMPLAINT").update(valid_from="2030-01-01")
    answer = visitor.post("status_complain", **SENT)
    assert answer.status_code == 409 and "暂时无法受理" in answer.content.decode()
    assert not Complaint.objects.exists()
    assert RefusedAction.objects.latest("pk").code == "no_regulation"


def test_a_form_from_elsewhere_is_refused(desk: Stage, visit: Any) -> None:
    visitor = complaining(desk, visit)
    visitor.client.handler.enforce_csrf_checks = True
    assert visitor.post("status_complain", **SENT).status_code == 403
    assert not Complaint.objects.exists()


# --- The list on the page of the case -------------------------------------------------------------------


def test_the_page_lists_his_complaints_after_a_code_only(desk: Stage, visit: Any) -> None:
    visitor, complaint = complained(desk, visit)
    page = visitor.text()
    assert complaint.number in page and "最迟 2026-02-24 作出决定" in page and "账户关闭因此暂停" in page
    stranger = visit(visitor.ticket)
    page = stranger.text()
    assert complaint.number not in page and "验证后可以查看" in page
    assert stranger.url("status_complain") in page
    stranger.enters_code("details")
    assert complaint.number in stranger.text(), "any code of his lets him read"


def test_another_cases_complaints_show_nowhere(desk: Stage, visit: Any) -> None:
    _other, theirs = complained(desk, visit)
    visitor = complaining(desk, visit)
    assert theirs.number not in visitor.text()
    for answer in (
        visitor.get("status_complaint", theirs.number),
        visitor.post("status_complaint", theirs.number, do="withdraw"),
        visitor.post("status_complaint", theirs.number, do="review", text="x"),
        visitor.get("status_complaint", "CP0"),
        visitor.get("status_complaint", "💥"),
    ):
        assert answer.status_code == 404
    assert cases.fresh(theirs).state == "RECEIVED"


def test_without_a_code_no_complaint_is_shown_and_none_can_be_told_from_no_complaint(
    desk: Stage, visit: Any
) -> None:
    visitor, complaint = complained(desk, visit)
    stranger = visit(visitor.ticket)
    for number in (complaint.number, "CP0"):
        answer = stranger.get("status_complaint", number)
        assert answer["Location"] == f"{stranger.url('status_code', 'complain')}?complaint={number}"
        posted = stranger.post("status_complaint", number, do="review", text="我写的")
        assert posted.status_code == 403 and "我写的" in posted.content.decode()
        assert TOPIC not in posted.content.decode() and "请核实" not in posted.content.decode()


def test_the_code_leads_back_to_the_complaint_that_wanted_it(desk: Stage, visit: Any) -> None:
    visitor, complaint = complained(desk, visit)
    later = visit(visitor.ticket)
    desk.clock.skip(timedelta(minutes=2))
    later.post("status_code", "complain", send="1")
    for number, place in (("/../evil", later.url("status_complain")), (complaint.number, None)):
        address = f"{later.url('status_code', 'complain')}?complaint={number}"
        if place is None:
            answer = _at(desk, later, address, code=later.digits())
            assert answer["Location"] == later.url("status_complaint", complaint.number)
        else:
            assert _at(desk, later, address, code="000").status_code == 422


def _at(desk: Stage, visitor: Visitor, address: str, **body: str) -> Any:
    import time_machine  # noqa: PLC0415

    with time_machine.travel(desk.now, tick=False):
        return visitor.client.post(address, body)


# --- What he may still do -------------------------------------------------------------------------------


def test_he_withdraws_it_and_the_closing_goes_on(desk: Stage, visit: Any) -> None:
    visitor, complaint = complained(desk, visit)
    assert visitor.post("status_complaint", complaint.number, do="withdraw").status_code == 302
    complaint = cases.fresh(complaint)
    assert (complaint.state, complaint.hold.state) == ("WITHDRAWN", "LIFTED")
    assert "您已撤回这项投诉" in own_page(visitor, complaint)
    answer = visitor.post("status_complaint", complaint.number, do="withdraw")
    assert answer.status_code == 409 and "现在已无法办理这项操作" in answer.content.decode()


def test_a_code_to_look_withdraws_nothing(desk: Stage, visit: Any) -> None:
    visitor, complaint = complained(desk, visit)
    looker = visit(visitor.ticket)
    looker.enters_code("details")
    page = looker.text("status_complaint", complaint.number)
    assert "请核实" in page and 'value="withdraw"' not in page
    assert looker.post("status_complaint", complaint.number, do="withdraw").status_code == 403
    assert cases.fresh(complaint).state == "RECEIVED"


@pytest.mark.parametrize("do", ["", "nonsense", "decide"])
def test_any_other_deed_is_none(desk: Stage, visit: Any, do: str) -> None:
    visitor, complaint = complained(desk, visit)
    assert visitor.post("status_complaint", complaint.number, do=do, text="x").status_code == 422
    assert cases.fresh(complaint).state == "RECEIVED"


def answered(desk: Stage, visit: Any, **given: Any) -> tuple[Visitor, Complaint]:
    visitor, complaint = complained(desk, visit)
    cases.act(desk, complaint, "accept")
    cases.act(desk, complaint, "investigate")
    cases.act(desk, complaint, "note", text="内部备注不外传")
    cases.decided(desk, cases.fresh(complaint), text="内部理由不外传", **given)
    return visitor, cases.fresh(complaint)


def test_outcome_and_answer_show_once_he_was_answered_and_our_own_notes_never(
    desk: Stage, visit: Any
) -> None:
    visitor, complaint = answered(desk, visit)
    page = own_page(visitor, complaint)
    assert "您的投诉已作出决定" in page and "不成立" not in page and "不外传" not in page
    cases.act(desk, complaint, "reply", text="经核查，答复如下。")
    page = own_page(visitor, complaint)
    assert "不成立" in page and "经核查，答复如下。" in page and "不外传" not in page
    assert "申请核查" in page and "不成立" in visitor.text()


def test_he_asks_for_a_review_once(desk: Stage, visit: Any) -> None:
    visitor, complaint = answered(desk, visit)
    assert visitor.post("status_complaint", complaint.number, do="review", text="为时过早").status_code == 409
    cases.act(desk, complaint, "reply", text="经核查，答复如下。")
    empty = visitor.post("status_complaint", complaint.number, do="review", text="  ")
    assert empty.status_code == 422 and "请填写事情经过" in empty.content.decode()
    assert (
        visitor.post("status_complaint", complaint.number, do="review", text="未查通话记录").status_code
        == 302
    )
    complaint = cases.fresh(complaint)
    assert complaint.state == "REVIEW_REQUESTED"
    assert cases.texts(complaint, "REVIEW_REQUEST") == ["未查通话记录"]
    page = own_page(visitor, complaint)
    assert (
        "您的投诉正在核查" in page and str(complaint.review_due_on) in page and 'value="review"' not in page
    )
    assert visitor.post("status_complaint", complaint.number, do="review", text="再来").status_code == 409


def test_after_its_time_no_review_is_offered(desk: Stage, visit: Any) -> None:
    visitor, complaint = answered(desk, visit)
    cases.act(desk, complaint, "reply", text="经核查，答复如下。")
    cases.on(desk, "2026-03-25")
    visitor.enters_code("complain")
    assert 'value="review"' not in own_page(visitor, complaint)
    assert visitor.post("status_complaint", complaint.number, do="review", text="迟了").status_code == 409


def test_what_is_refused_at_the_gate_says_why(desk: Stage, visit: Any) -> None:
    visitor, complaint = complained(desk, visit)
    cases.act(
        desk, complaint, "declare_out_of_scope", scope_reason="NOT_OUR_PRODUCT", ground="内部理由不外传"
    )
    page = own_page(visitor, complaint)
    assert "不属于我们的受理范围" in page and "不外传" not in page and "12378" in page


# --- Size, words, headers -------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_page_is_small_cheap_and_in_one_language(
    desk: Stage, visit: Any, language: str, django_assert_max_num_queries: Any
) -> None:
    visitor = complaining(desk, visit, language=language)
    for n in range(12):
        visitor.post("status_complain", topic="FEES", text=f"{'long ' * 390}{n}")
    complaint = Complaint.objects.latest("pk")
    for state in ("RECEIVED", "REPLIED"):
        if state == "REPLIED":
            cases.act(desk, complaint, "accept")
            cases.act(desk, complaint, "investigate")
            cases.replied(desk, cases.fresh(complaint))
        for place in (("status",), ("status_complain",), ("status_complaint", complaint.number)):
            with django_assert_max_num_queries(QUERIES):
                answer = visitor.get(*place)
            page = answer.content.decode()
            assert answer.status_code == 200 and len(answer.content) <= LARGEST
            assert "%(" not in page and "{{" not in page and "None" not in page and page.count("<h1") == 1
            words = re.sub(r"<[^>]+>", " ", page.split("<main")[1].split("<footer")[0])
            words = words.replace("经核查，答复如下。", "")
            assert language == "zh-hans" or not re.search(r"[一-鿿]{5,}", words)
            assert "no-store" in answer["Cache-Control"] and answer["Referrer-Policy"] == "same-origin"
