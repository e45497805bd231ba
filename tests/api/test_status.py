"""The customer's page: what it shows with a link, what only with a code, and what never."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import RefusedAction
from closures.models import ClosureTicket, IdentityCode
from closures.selectors import status_links
from closures.services import holds, intake, notices, review
from closures.services import status_links as links
from tests.factories import an_identity
from tests.stage import Stage

ALIPAY = ("ALIPAY", "AUTO_REPAY", True)
WEALTH = ("ALIPAY", "WEALTH_LINK", False)
STATES = ("SUBMITTED", "BLOCKED", "IN_REVIEW", "NOTICE_PERIOD", "SETTLING", "UNBINDING", "CLOSING", "CLOSED")
LARGEST, QUERIES = 60_000, 10
CANARY = "内部暗语不得外传"


# --- The link -----------------------------------------------------------------------------------------


def test_the_link_in_the_notice_opens_the_page(stage: Stage, visit: Any) -> None:
    ticket = stage.ticket("SUBMITTED")
    notices.deliver(clock=stage.clock)
    sms = ticket.notices.get(channel="SMS", kind="RECEIVED") if ticket.notices.filter(channel="SMS") else None
    link = (sms or ticket.notices.first()).values["status_link"]
    assert link.startswith("http://127.0.0.1:8000/s/") and len(link) < 60
    visitor = visit(ticket)
    assert link.endswith(visitor.url())
    page = visitor.text()
    assert ticket.number in page and '<html lang="zh-Hans"' in page


def test_a_link_holds_nothing_but_two_numbers_and_a_day(stage: Stage) -> None:
    ticket = stage.fresh(stage.ticket("SUBMITTED"))
    token = status_links.token(ticket, now=stage.now)
    parts = token.split(".")
    assert [int(part, 36) for part in parts[:3]] == [ticket.pk, 1, stage.now.date().toordinal()]
    assert len(parts[3]) == status_links.SIGNATURE and len(token) <= 32


def test_a_guessed_forged_or_torn_link_is_not_found_and_reads_no_ticket(
    stage: Stage, visit: Any, django_assert_num_queries: Any
) -> None:
    visitor = visit(stage.ticket("SUBMITTED"))
    good = visitor.token
    head, mac = good.rsplit(".", 1)
    forged = [
        "x", "1", "1.1.1", good[:-1], good + "x", good.swapcase(), f"{head}.{mac[::-1]}", f"{head}.",
        f"2{good}", good.replace(".1.", ".2.", 1), "a" * 4000, "∞.1.1.x", "1.1.1.\x00", "..." + mac, "%00",
        f"{int('zzzz', 36)}.1.1.{mac}",
    ]  # fmt: skip
    for token in forged:
        visitor.token = token
        with django_assert_num_queries(0):
            answer = visitor.get()
        assert answer.status_code == 404 and "页面不存在" in answer.content.decode(), token


def test_a_link_whose_last_slash_is_lost_still_leads_here(stage: Stage, visit: Any) -> None:
    visitor = visit(stage.ticket("SUBMITTED"))
    with time_machine.travel(stage.now, tick=False):
        answer = visitor.client.get(visitor.url()[:-1], follow=True)
        assert answer.status_code == 200 and answer.redirect_chain == [(visitor.url(), 302)]
        assert visitor.client.get(f"{visitor.url()}nowhere/at/all/").status_code == 404


def test_no_address_of_ours_gets_into_the_log(
    stage: Stage, visit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = visit(stage.ticket("SUBMITTED"))
    visitor.post("status_code", "details", code="x")
    visitor.get("status_code", "nonsense")
    with time_machine.travel(stage.now, tick=False):
        visitor.client.get(f"{visitor.url()}nowhere/")
    assert visitor.token not in caplog.text


def test_a_link_expires_and_says_so(stage: Stage, visit: Any) -> None:
    visitor = visit(stage.ticket("SUBMITTED"))
    stage.clock.skip(timedelta(days=180))
    assert visitor.get().status_code == 200
    stage.clock.skip(timedelta(days=1))
    answer = visitor.get()
    assert answer.status_code == 410 and "链接已过期" in answer.content.decode()


def test_a_renewed_link_ends_every_older_one(stage: Stage, visit: Any) -> None:
    ticket = stage.ticket("SUBMITTED")
    old = visit(ticket)
    new = links.renew(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    assert old.get().status_code == 404
    assert visit(ticket).get().status_code == 200 and visit(ticket).url() in new


def test_who_guesses_on_and_on_is_slowed_and_good_links_are_spared(
    stage: Stage, visit: Any, settings: Any
) -> None:
    settings.STATUS_GUESSES_PER_HOUR = 3
    good, bad = visit(stage.ticket("SUBMITTED")), visit(stage.ticket("SUBMITTED"))
    bad.token = "1.1.1.AAAAAAAAAAAAAAAA"
    assert [bad.get().status_code for _ in range(5)] == [404, 404, 404, 429, 429]
    assert bad.get()["Retry-After"] and good.get().status_code == 200
    elsewhere = visit(stage.ticket("SUBMITTED"), REMOTE_ADDR="203.0.113.9")
    elsewhere.token = bad.token
    assert elsewhere.get().status_code == 404


# --- What it shows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("state", STATES)
def test_every_state_has_its_page_small_and_cheap(
    stage: Stage, visit: Any, django_assert_max_num_queries: Any, state: str, language: str
) -> None:
    balances = {"principal": "100.00", "unbilled": "20.00"} if state == "BLOCKED" else {}
    visitor = visit(stage.ticket(state, ALIPAY, WEALTH, **balances), language=language)
    for opened in (False, True):
        if opened:
            assert visitor.enters_code("details").status_code == 302
        with django_assert_max_num_queries(QUERIES):
            answer = visitor.get()
        assert answer.status_code == 200 and len(answer.content) <= LARGEST
        page = answer.content.decode()
        assert "%(" not in page and "{{" not in page and "None" not in page
        assert page.count("<h1") == 1
        words = re.sub(r"<[^>]+>", " ", page.split("<main")[1].split("<footer")[0])
        assert language == "zh-hans" or not re.search(r"[一-鿿]{5,}", words), re.findall(
            r"[一-鿿]{5,}", words
        )


def test_amounts_agreements_and_the_certificate_are_shown_after_a_code_only(stage: Stage, visit: Any) -> None:
    ticket = stage.ticket("BLOCKED", ALIPAY, principal="1234.56")
    tail = ticket.account.agreements.get().agreement_no[-4:]
    visitor = visit(ticket)
    page = visitor.text()
    assert "本金" in page and "1,234.56" not in page and tail not in page
    visitor.enters_code("details")
    page = visitor.text()
    assert page.count("1,234.56") == 2 and tail in page
    assert ticket.account.agreements.get().agreement_no not in page
    stage.clock.skip(timedelta(minutes=15))
    assert "1,234.56" not in visitor.text(), "what a code opens does not stay open"


def test_a_code_for_one_ticket_opens_no_other(stage: Stage, visit: Any) -> None:
    one, two = visit(stage.ticket("BLOCKED")), visit(stage.ticket("BLOCKED", principal="777.77"))
    one.enters_code("details")
    two.client = one.client
    assert "777.77" not in two.text()


def test_once_the_identity_has_changed_nothing_stays_open(stage: Stage, visit: Any) -> None:
    visitor = visit(stage.ticket("BLOCKED", principal="777.77"))
    visitor.enters_code("details")
    assert "777.77" in visitor.text()
    an_identity(visitor.ticket.account.customer)
    assert "777.77" not in visitor.text()


@pytest.mark.parametrize("forged", ["", "1", "x:y:z", "1:1:1", "\x00"])
def test_a_forged_cookie_opens_nothing(stage: Stage, visit: Any, settings: Any, forged: str) -> None:
    visitor = visit(stage.ticket("BLOCKED", principal="777.77"))
    visitor.client.cookies[settings.STATUS_COOKIE_NAME] = forged
    assert "777.77" not in visitor.text()


def test_nothing_internal_shows_on_any_page(stage: Stage, visit: Any) -> None:
    """Grounds, staff, a silent hold, a partner's own words: none of them is the customer's business."""
    names = [stage.staff(name).user for name in ("agent", "reviewer", "lead", "risk")]
    for n, user in enumerate(names):
        type(user).objects.filter(pk=user.pk).update(name=f"{CANARY}{n}")
    own = stage.ticket("IN_REVIEW", ALIPAY)
    for kind in ("AML", "LEGAL"):
        holds.place(ticket_id=own.pk, kind=kind, ground=CANARY, actor=stage.staff("reviewer"), now=stage.now)
    stage.assess()
    adverse = stage.request(stage.account(), reason="RISK_CONTROL", ground=CANARY)
    stage.assess()
    review.reject(ticket_id=adverse.pk, ground=CANARY, actor=stage.staff("lead"), now=stage.now)
    stage.simulator.fault(system="ALIPAY", kind="refuse", code=f"X_{'INNERCODE'}", method="POST")
    stuck = stage.ticket("UNBINDING", ("ALIPAY", "PAY_AFTER_USE", False))
    for _ in range(3):
        stage.work()
        stage.clock.skip()
    assert stuck.tasks.get().state == "DEAD"
    staff_numbers = [user.staff_no for user in names]
    for ticket in (own, adverse, stuck):
        visitor = visit(ticket)
        pages = [visitor.text()]
        visitor.enters_code("details")
        pages += [visitor.text(), visitor.text("status_code", "details")]
        pages.append(visitor.get("status_withdraw").content.decode())
        for page in pages:
            for secret in (CANARY, "INNERCODE", "AML", "反洗钱", "洗钱", *staff_numbers):
                assert secret not in page, secret


def test_the_number_of_obstacles_does_not_betray_a_silent_hold(stage: Stage, visit: Any) -> None:
    ticket = stage.ticket("IN_REVIEW")
    holds.place(ticket_id=ticket.pk, kind="AML", ground="线索", actor=stage.staff("reviewer"), now=stage.now)
    stage.assess()
    page = visit(ticket).text()
    assert "需要先处理的事项" not in page and "暂挂" not in page


# --- Headers ------------------------------------------------------------------------------------------


def test_every_answer_is_private_unframed_and_unindexed(stage: Stage, visit: Any) -> None:
    visitor = visit(stage.ticket("NOTICE_PERIOD"))
    stranger = visit(stage.ticket("SUBMITTED"))
    stranger.token = "x"
    answers = [
        visitor.get(),
        visitor.get("status_code", "details"),
        visitor.get("status_code", "nonsense"),
        visitor.get("status_withdraw"),
        stranger.get(),
        visitor.post("status", a="b"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 302, 404, 405]
    for answer in answers:
        assert "no-store" in answer["Cache-Control"], answer
        assert answer["Referrer-Policy"] == "same-origin" and answer["X-Robots-Tag"] == "noindex, nofollow"
        policy = answer["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy and "script-src 'none'" in policy and "unsafe" not in policy
        assert answer["X-Frame-Options"] == "DENY"


def test_the_cookie_is_short_signed_and_out_of_reach_of_scripts(
    stage: Stage, visit: Any, settings: Any
) -> None:
    settings.SESSION_COOKIE_SECURE, settings.STATUS_COOKIE_NAME = True, "__Host-status"
    visitor = visit(stage.ticket("SUBMITTED"))
    cookie = visitor.enters_code("details").cookies["__Host-status"]
    assert (cookie["httponly"], cookie["secure"], cookie["path"], cookie["domain"]) == (True, True, "/", "")
    assert cookie["max-age"] == 900 and cookie["samesite"] == "Lax"


# --- Codes on the page --------------------------------------------------------------------------------


def test_the_customer_proves_his_request_on_the_page_and_it_goes_on(stage: Stage, visit: Any) -> None:
    ticket = stage.request(stage.account(), identity_level="NONE")
    visitor = visit(ticket)
    assert "这是您本人的申请吗" in visitor.text()
    answer = visitor.enters_code("request")
    assert (answer.status_code, answer["Location"]) == (302, visitor.url())
    assert stage.fresh(ticket).identity_level == "CODE"
    assert "这是您本人的申请吗" not in visitor.text()
    stage.assess()
    assert stage.fresh(ticket).state == "IN_REVIEW"


@pytest.mark.parametrize(("language", "words"), [("zh-hans", "还可以尝试 4 次"), ("en", "Tries left: 4")])
def test_a_wrong_code_is_said_in_his_language_and_counted(
    stage: Stage, visit: Any, language: str, words: str
) -> None:
    visitor = visit(stage.ticket("SUBMITTED"), language=language)
    visitor.post("status_code", "details", send="1")
    wrong = f"{(int(visitor.digits()) + 1) % 1_000_000:06d}"
    answer = visitor.post("status_code", "details", code=wrong)
    assert answer.status_code == 422 and words in answer.content.decode()
    assert IdentityCode.objects.get().tries == 1 and wrong not in answer.content.decode()
    assert RefusedAction.objects.latest("pk").code == "wrong_code"


def test_a_second_code_at_once_is_429_and_the_first_stays_good(stage: Stage, visit: Any) -> None:
    visitor = visit(stage.ticket("SUBMITTED"))
    visitor.post("status_code", "details", send="1")
    assert visitor.post("status_code", "details", send="1").status_code == 429
    assert visitor.post("status_code", "details", code=visitor.digits()).status_code == 302


# --- Withdrawing --------------------------------------------------------------------------------------


def test_he_withdraws_in_cooling_off_after_a_code_and_a_confirmation(stage: Stage, visit: Any) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", ALIPAY)
    visitor = visit(ticket)
    asked = visitor.get("status_withdraw")
    assert asked["Location"] == visitor.url("status_code", "withdraw")
    assert visitor.enters_code("withdraw")["Location"] == visitor.url("status_withdraw")
    assert "确定撤回申请吗" in visitor.text("status_withdraw")
    assert stage.fresh(ticket).state == "NOTICE_PERIOD", "looking changes nothing"

    assert visitor.post("status_withdraw")["Location"] == visitor.url()

    ticket = stage.fresh(ticket)
    newest = ticket.history.latest("history_id")
    assert (ticket.state, newest.history_actor) == ("WITHDRAWN", f"customer:{ticket.account.customer}")
    assert ticket.account.line_state == "ACTIVE"
    assert "申请已撤回" in visitor.text()
    assert visitor.post("status_withdraw").status_code == 409, "once is enough"


def test_without_a_code_for_it_nothing_is_withdrawn(stage: Stage, visit: Any) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    visitor = visit(ticket)
    assert visitor.post("status_withdraw").status_code == 302
    visitor.enters_code("details")
    assert visitor.post("status_withdraw").status_code == 302, "a code to look is no code to withdraw"
    assert stage.fresh(ticket).state == "NOTICE_PERIOD"


def test_what_has_begun_cannot_be_withdrawn_and_the_page_says_so(stage: Stage, visit: Any) -> None:
    ticket = stage.ticket("NOTICE_PERIOD", ALIPAY)
    visitor = visit(ticket)
    visitor.enters_code("withdraw")
    stage.end_period(ticket)
    assert stage.fresh(ticket).state == "UNBINDING"
    answer = visitor.post("status_withdraw")
    assert answer.status_code == 409 and "已无法撤回" in answer.content.decode()


def test_the_lenders_closing_offers_no_withdrawal(stage: Stage, visit: Any) -> None:
    visitor = visit(stage.ticket("NOTICE_PERIOD", reason="RISK_CONTROL"))
    page = visitor.text()
    assert visitor.url("status_withdraw") not in page and "12378" in page
    assert visitor.post("status_code", "withdraw", send="1").status_code == 422
    assert visitor.get("status_withdraw").status_code == 409


# --- The certificate ----------------------------------------------------------------------------------


def test_the_certificate_needs_a_code_and_is_checked_again(stage: Stage, visit: Any) -> None:
    ticket = stage.fresh(stage.ticket("CLOSED", ALIPAY, WEALTH))
    visitor = visit(ticket)
    assert visitor.get("status_certificate")["Location"] == visitor.url("status_code", "details")
    visitor.enters_code("details")
    page = visitor.text("status_certificate")
    assert ticket.certificate_no in page and ticket.certificate_hash in page
    ClosureTicket.objects.filter(pk=ticket.pk).update(certificate={**ticket.certificate, "owed": "1.00"})
    answer = visitor.get("status_certificate")
    assert answer.status_code == 409 and ticket.certificate_hash not in answer.content.decode()


def test_before_the_end_there_is_no_certificate(stage: Stage, visit: Any) -> None:
    visitor = visit(stage.ticket("IN_REVIEW"))
    assert visitor.get("status_certificate")["Location"] == visitor.url()


# --- Bad forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "words"), [("zh-hans", "无法读取您提交的内容"), ("en", "could not be read")]
)
def test_a_form_from_elsewhere_is_refused_in_his_language(
    stage: Stage, visit: Any, language: str, words: str
) -> None:
    ticket = stage.ticket("NOTICE_PERIOD")
    visitor = visit(ticket, language=language, enforce_csrf_checks=True)
    for name, rest in (("status_withdraw", ()), ("status_code", ("withdraw",))):
        answer = visitor.post(name, *rest, send="1")
        assert answer.status_code == 403 and words in answer.content.decode()
    assert not IdentityCode.objects.exists() and stage.fresh(ticket).state == "NOTICE_PERIOD"


def test_a_form_too_large_or_torn_is_a_400_page(stage: Stage, visit: Any, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 10
    visitor = visit(stage.ticket("SUBMITTED"))
    answer = visitor.post("status_code", "details", **{f"f{n}": "x" for n in range(20)})
    assert answer.status_code == 400 and "无法读取您提交的内容" in answer.content.decode()
    with time_machine.travel(stage.now, tick=False):
        torn = visitor.client.post(
            visitor.url("status_code", "details"), b"--x\r\n", content_type="multipart/form-data; boundary="
        )
    assert torn.status_code == 400


def test_the_language_switch_stays_on_the_page(stage: Stage, visit: Any) -> None:
    visitor = visit(stage.ticket("SUBMITTED"))
    with time_machine.travel(stage.now, tick=False):
        answer = visitor.client.post("/i18n/setlang/", {"next": visitor.url(), "language": "en"})
    assert answer["Location"] == visitor.url()
    assert "Step by step" in visitor.text()


def test_a_withdrawal_elsewhere_is_seen_here(stage: Stage, visit: Any) -> None:
    ticket = stage.ticket("IN_REVIEW")
    visitor = visit(ticket, language="en")
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    page = visitor.text()
    assert "The request was withdrawn" in page and visitor.url("status_withdraw") not in page
