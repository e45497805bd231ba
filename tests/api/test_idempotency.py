"""Three ways of one key: new, again, still at work; and what another request under it meets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from closures.demo.app import App
from closures.models import ApiCall, ClosureTicket
from closures.services import api_calls
from tests.api.conftest import KEY, a_request, client_of, named
from tests.stage import Stage


def test_the_first_answer_comes_again_word_for_word(app: App, stage: Stage) -> None:
    account = stage.account()
    body = a_request(account, stage)
    first, again = app.post("/closures", body, key=KEY), app.post("/closures", body, key=KEY)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.text == again.text
    assert again.headers["Idempotent-Replay"] == "true" and "Idempotent-Replay" not in first.headers
    assert ClosureTicket.objects.count() == 1
    rows = ApiCall.objects.order_by("pk")
    assert [(row.idempotency_key, row.replayed) for row in rows] == [(KEY, False), (None, True)]


def test_it_comes_again_even_when_the_case_has_gone_on(app: App, stage: Stage) -> None:
    body = a_request(stage.account(), stage)
    first = app.post("/closures", body, key=KEY)
    stage.until(ClosureTicket.objects.get(), "IN_REVIEW")
    assert app.post("/closures", body, key=KEY).text == first.text


def test_a_refusal_under_a_key_is_given_again_too(app: App, stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    body = a_request(ticket.account, stage)
    first, again = app.post("/closures", body, key=KEY), app.post("/closures", body, key=KEY)
    assert (first.status_code, again.status_code) == (409, 409)
    assert first.text == again.text and again.headers["Idempotent-Replay"] == "true"
    assert again.headers["Content-Type"] == "application/problem+json"


def test_another_request_under_the_same_key_is_refused(app: App, stage: Stage) -> None:
    app.post("/closures", a_request(stage.account(), stage), key=KEY)
    other = app.post("/closures", a_request(stage.account(), stage), key=KEY)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert ClosureTicket.objects.count() == 1


def test_blanks_and_order_make_no_other_request(app: App, stage: Stage) -> None:
    import json  # noqa: PLC0415

    body = a_request(stage.account(), stage)
    app.post("/closures", body, key=KEY)
    raw = json.dumps(dict(reversed(body.items())), indent=3).encode()
    answer = app.call("POST", "/api/v1/closures", raw, **{"Idempotency-Key": KEY})
    assert answer.status_code == 200


def test_while_the_first_is_at_work_a_repeat_is_told_to_come_back(app: App, stage: Stage) -> None:
    body = a_request(stage.account(), stage)
    app.post("/closures", body, key=KEY)
    ApiCall.objects.filter(idempotency_key=KEY).update(state="IN_FLIGHT")
    answer = app.post("/closures", body, key=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "in_flight")
    assert int(answer.headers["Retry-After"]) >= 1
    assert ApiCall.objects.get(idempotency_key=KEY).state == "IN_FLIGHT", "the lock is the first call's"


def test_a_first_call_that_died_is_taken_over_and_nothing_happens_twice(
    app: App, stage: Stage, hour: Any, settings: Any
) -> None:
    """It had made the ticket and not answered: the service below has the key too."""
    body = a_request(stage.account(), stage)
    first = app.post("/closures", body, key=KEY)
    ApiCall.objects.filter(idempotency_key=KEY).update(state="IN_FLIGHT", response_sealed="", status=None)
    hour.move_to(stage.now + settings.API_LOCK + timedelta(seconds=1))
    again = app.post("/closures", body, key=KEY)
    assert (again.status_code, again.headers["Idempotent-Replay"]) == (200, "true")
    assert again.json()["number"] == first.json()["number"]
    assert ClosureTicket.objects.count() == 1
    assert ApiCall.objects.filter(idempotency_key=KEY, state="DONE").count() == 1


def test_one_clients_key_is_not_anothers(make_app: Any, stage: Stage) -> None:
    one, other = make_app(), make_app()
    answers = [app.post("/closures", a_request(stage.account(), stage), key=KEY) for app in (one, other)]
    assert [answer.status_code for answer in answers] == [201, 201]


@pytest.mark.parametrize("key", ["", " ", "x" * 61, "a b"])
def test_a_key_must_be_one(app: App, stage: Stage, key: str) -> None:
    body = a_request(stage.account(), stage)
    import json  # noqa: PLC0415

    headers = {"Idempotency-Key": key} if key else {}
    answer = app.call("POST", "/api/v1/closures", json.dumps(body).encode(), **headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert not ClosureTicket.objects.exists()


def test_what_is_not_understood_takes_no_key(app: App, stage: Stage) -> None:
    account = stage.account()
    assert app.post("/closures", {**a_request(account, stage), "account_no": ""}, key=KEY).status_code == 422
    assert app.post("/closures", a_request(account, stage), key=KEY).status_code == 201


def test_a_defect_gives_the_key_back(app: App, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from closures.services import intake  # noqa: PLC0415

    def broken(**given: Any) -> None:
        raise RuntimeError("金额 100.00")

    body = a_request(stage.account(), stage)
    with monkeypatch.context() as patched:
        patched.setattr(intake, "request_closure", broken)
        answer = app.post("/closures", body, key=KEY)
    assert (answer.status_code, answer.json()["code"]) == (500, "defect")
    assert "100.00" not in answer.text
    assert app.post("/closures", body, key=KEY).status_code == 201


def test_a_withdrawal_may_carry_a_key(app: App, stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    path = f"/closures/{ticket.number}/withdraw"
    first, again = (app.post(path, named(ticket.account), key=KEY) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.text == again.text


def test_kept_answers_are_sealed(app: App, stage: Stage) -> None:
    account = stage.account()
    answer = app.post("/closures", a_request(account, stage), key=KEY)
    kept = ApiCall.objects.get(idempotency_key=KEY).response_sealed
    assert answer.json()["number"] not in kept and kept
    again = api_calls.begin(
        call=ApiCall.objects.create(
            client=client_of(app), nonce="n" * 16, received_at=stage.now, expires_at=stage.now
        ),
        key=KEY,
        digest=ApiCall.objects.get(idempotency_key=KEY).request_digest,
        now=stage.now,
    )
    assert again and again.body == answer.text
