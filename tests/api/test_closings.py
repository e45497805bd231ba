"""A closing by API: asked for, looked at, withdrawn; whose it is, and what is told when it is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import CreditAccount, RefusedAction
from accounts.tracking import save_as
from closures.demo.app import App
from closures.models import AppRequest, ClosureTicket, Hold
from closures.services import holds, intake
from tests.api.conftest import KEY, a_request, client_of, named
from tests.factories import SHIPPED
from tests.stage import Stage, written

ALIPAY = ("ALIPAY", "AUTO_REPAY", True)
WEALTH = ("ALIPAY", "WEALTH_LINK", False)


def everything() -> list[Any]:
    rows = (ClosureTicket, AppRequest, CreditAccount, Hold)
    return [list(model.objects.order_by("pk").values()) for model in rows] + [ClosureTicket.history.count()]


# --- Before -------------------------------------------------------------------------------------------


def test_products_say_what_closing_means_and_what_is_to_be_accepted(app: App) -> None:
    listed = {product["code"]: product for product in app.get("/products").json()["products"]}
    assert set(listed) >= {"HUABEI", "JIEBEI", "WANGSHANGDAI", "BAITIAO"}
    one = listed["HUABEI"]
    assert one["effects"] and one["closing_path"] and one["softer_alternative"]
    assert one["cooling_off_seconds"] == 3600
    product = CreditAccount._meta.get_field("product").related_model.objects.get(code="HUABEI")
    assert one["disclosure_version"] == intake.disclosure_version(product)
    assert one["agreement_version"] == product.agreement_version


def test_a_draft_is_nobodys_product_yet(app: App, stage: Stage) -> None:
    product = stage.account(product="BAITIAO").product
    type(product).objects.filter(pk=product.pk).update(state="DRAFT")
    assert "BAITIAO" not in [row["code"] for row in app.get("/products").json()["products"]]


def test_eligibility_lists_everything_at_once_and_writes_nothing(app: App, stage: Stage) -> None:
    account = stage.account(
        ALIPAY, WEALTH, principal="1200.00", interest="3.50", unbilled="80.00", pending_orders=1,
        credit_balance="5.00",
    )  # fmt: skip
    stage.account(product="BAITIAO", customer=account.customer)
    before = everything()
    answer = app.post("/eligibility", named(account)).json()
    assert everything() == before
    found = {item["code"]: item for item in answer["blockers"]}
    assert set(found) == {
        "OUTSTANDING_PRINCIPAL", "OUTSTANDING_INTEREST_FEES", "UNBILLED", "PENDING_ORDER", "CREDIT_BALANCE",
        "OTHER_LENDER_LINE",
    }  # fmt: skip
    assert found["OUTSTANDING_PRINCIPAL"]["amount"] == "1200.00"
    assert found["PENDING_ORDER"]["count"] == 1
    assert all(item["cure"] for item in answer["blockers"])
    assert [(row["severity"], row["ends"]) for row in answer["linked"]] == [("UNBIND", True), ("WARN", False)]
    assert len(answer["stays"]) == 2
    assert (answer["may_request"], answer["ready"]) == (True, False)
    assert answer["account_tail"] == account.account_no[-4:]
    assert account.account_no not in str(answer)


def test_an_account_that_is_being_closed_says_so(app: App, stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    answer = app.post("/eligibility", named(ticket.account)).json()
    assert (answer["open_ticket"], answer["may_request"], answer["ready"]) == (ticket.number, False, True)


def test_a_silent_hold_shows_nowhere(app: App, stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    for kind in ("LEGAL", "AML"):
        holds.place(ticket_id=ticket.pk, kind=kind, ground="g", actor=stage.staff("reviewer"), now=stage.now)
    stage.assess()
    seen = app.post("/eligibility", named(ticket.account)).json()
    assert [item["code"] for item in seen["blockers"]] == ["OPEN_HOLD"], "the loud one alone"
    shown = app.get(f"/closures/{ticket.number}", **named(ticket.account)).json()
    assert len(shown["obstacles"]) == 1


# --- The request --------------------------------------------------------------------------------------


def test_a_request_is_a_ticket_like_any_other(app: App, stage: Stage) -> None:
    account = stage.account(ALIPAY)
    answer = app.post("/closures", a_request(account, stage), key=KEY)
    assert answer.status_code == 201
    ticket = ClosureTicket.objects.get(number=answer.json()["number"])
    assert (ticket.state, ticket.channel, ticket.identity_level) == ("SUBMITTED", "API", "ASSERTED")
    assert (ticket.requested_by, ticket.reason) == (None, "CUSTOMER_REQUEST")
    assert ticket.disclosure_accepted_at == stage.now and ticket.answer_due_on
    assert written(ticket)[0] == f"customer:{account.customer.customer_no}"
    asked = ticket.app_request
    assert (asked.client, asked.assertion, asked.asserted_at) == (client_of(app), "TWO_FACTORS", stage.now)
    assert answer.json()["answer_due_on"] == ticket.answer_due_on.isoformat()


def test_one_factor_proves_nobody_and_the_ticket_waits_for_a_proof(app: App, stage: Stage) -> None:
    identity = {"level": "ONE_FACTOR", "asserted_at": stage.now.isoformat()}
    number = app.post("/closures", a_request(stage.account(), stage, identity=identity), key=KEY).json()
    assert ClosureTicket.objects.get(number=number["number"]).identity_level == "NONE"


@pytest.mark.parametrize("age", [timedelta(minutes=16), timedelta(days=3650), -timedelta(minutes=2)])
def test_an_old_assertion_proves_nothing(app: App, stage: Stage, age: timedelta) -> None:
    identity = {"level": "TWO_FACTORS", "asserted_at": (stage.now - age).isoformat()}
    before = everything()[0]
    account = stage.account()
    answer = app.post("/closures", a_request(account, stage, identity=identity), key=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "assertion_stale")
    assert everything()[0] == before
    assert RefusedAction.objects.latest("pk").code == "assertion_stale"


def test_the_present_effects_must_have_been_accepted(app: App, stage: Stage) -> None:
    account = stage.account()
    body = a_request(account, stage, accepted_disclosure="HUABEI/0/old")
    answer = app.post("/closures", body, key=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "effects_not_accepted")
    assert answer.json()["disclosure_version"] == intake.disclosure_version(account.product)


def test_a_second_request_names_the_open_ticket(app: App, stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    answer = app.post("/closures", a_request(ticket.account, stage), key=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_requested")
    assert answer.json()["open_ticket"] == ticket.number


def test_a_closed_account_says_so(app: App, stage: Stage) -> None:
    account = stage.account(product="BAITIAO")
    account.closed_at = stage.now
    save_as(account, actor=SHIPPED, reason="test")
    CreditAccount.objects.filter(pk=account.pk).update(line_state="CLOSED")
    answer = app.post("/closures", a_request(account, stage), key=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_closed")
    seen = app.post("/eligibility", named(account)).json()
    assert (seen["line"], seen["may_request"], seen["ready"]) == ("CLOSED", False, False)


# --- Looking, withdrawing -----------------------------------------------------------------------------


def test_the_status_is_the_customers_and_nothing_internal(app: App, stage: Stage) -> None:
    ticket = stage.ticket("BLOCKED", ALIPAY)
    shown = app.get(f"/closures/{ticket.number}", **named(ticket.account)).json()
    assert [item["code"] for item in shown["obstacles"]] == ["OUTSTANDING_PRINCIPAL"]
    assert (shown["owed"], shown["may_withdraw"], shown["certificate_no"]) == ("100.00", True, "")
    assert shown["steps"][0]["standing"] == "done"
    staff = str(ticket.requested_by.staff_no)
    assert staff not in str(shown) and ticket.account.account_no not in str(shown)


def test_the_list_is_the_accounts_newest_first(app: App, stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    intake.withdraw(ticket_id=ticket.pk, actor=stage.staff("agent"), now=stage.now)
    again = stage.request(stage.fresh(ticket).account)
    listed = app.get("/closures", **named(ticket.account)).json()["closures"]
    assert [row["number"] for row in listed] == [again.number, ticket.number]


@pytest.mark.parametrize("state", ["SUBMITTED", "BLOCKED", "IN_REVIEW", "NOTICE_PERIOD"])
def test_the_customer_may_withdraw_while_nothing_has_begun(app: App, stage: Stage, state: str) -> None:
    ticket = stage.ticket(state)
    answer = app.post(f"/closures/{ticket.number}/withdraw", named(ticket.account))
    assert (answer.status_code, answer.json()["state"]) == (200, "WITHDRAWN")
    assert written(ticket)[0] == f"customer:{ticket.account.customer.customer_no}"


@pytest.mark.parametrize("state", ["UNBINDING", "CLOSED"])
def test_and_not_afterwards(app: App, stage: Stage, state: str) -> None:
    ticket = stage.ticket(state, ("ALIPAY", "PASSWORD_FREE", False))
    answer = app.post(f"/closures/{ticket.number}/withdraw", named(ticket.account))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_possible")
    assert stage.fresh(ticket).state == state


def test_a_lenders_closing_is_not_the_customers_to_withdraw(app: App, stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW", reason="RISK_CONTROL")
    answer = app.post(f"/closures/{ticket.number}/withdraw", named(ticket.account))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_possible")
    assert "依据" not in answer.text


# --- Whose it is --------------------------------------------------------------------------------------


def test_unknown_and_foreign_are_answered_alike(app: App, stage: Stage) -> None:
    """Every pair that does not belong together, on every operation: the same 404, word for word."""
    mine, other = stage.ticket("IN_REVIEW"), stage.ticket("IN_REVIEW")
    pairs = [
        {"customer_no": named(mine.account)["customer_no"], "account_no": other.account.account_no},
        {"customer_no": named(other.account)["customer_no"], "account_no": mine.account.account_no},
        {"customer_no": "NOBODY", "account_no": mine.account.account_no},
        {"customer_no": named(mine.account)["customer_no"], "account_no": "NOTHING"},
    ]
    answers = []
    for pair in pairs:
        answers += [
            app.post("/eligibility", pair),
            app.get("/closures", **pair),
            app.get(f"/closures/{mine.number}", **pair),
            app.post(f"/closures/{mine.number}/withdraw", pair),
            app.post("/closures", {**a_request(mine.account, stage), **pair}, key=f"stranger-{len(answers)}"),
        ]
    answers.append(app.get(f"/closures/{other.number}", **named(mine.account)))
    answers.append(app.get("/closures/CT000", **named(mine.account)))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert stage.fresh(mine).state == "IN_REVIEW"


def test_another_app_of_the_institution_serves_the_same_customer(
    make_app: Callable[..., App], stage: Stage
) -> None:
    one, other = make_app(), make_app()
    account = stage.account()
    number = one.post("/closures", a_request(account, stage), key=KEY).json()["number"]
    assert other.get(f"/closures/{number}", **named(account)).json()["number"] == number


def test_reading_costs_a_bounded_number_of_queries(
    app: App, stage: Stage, django_assert_max_num_queries: Any
) -> None:
    ticket = stage.ticket("UNBINDING", *[("ALIPAY", "PASSWORD_FREE", False)], WEALTH)
    app.get("/products")
    with django_assert_max_num_queries(14):
        assert app.get(f"/closures/{ticket.number}", **named(ticket.account)).status_code == 200
    with django_assert_max_num_queries(16):
        assert app.post("/eligibility", named(ticket.account)).status_code == 200
