"""The process and its doors: signatures, limits, loading, speed of the wire, a clean end."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest

from closures.demo.simulator_control import SimulatorControl
from tests.simulator.conftest import Call
from tests.simulator_process import SimulatorProcess, start, stop

ACCOUNT = "/ledger/accounts/A1"
ACCOUNTS_CSV = (
    "customer_no,name,account_no,product_code,credit_limit,principal,interest,fees,unbilled,"
    "instalments_remaining,pending_orders,refunds_in_flight,disputed,credit_balance,days_past_due,"
    "arrears_months,ledger_as_of\r\n"
    "C1,𠮷,A1,JIEBEI,20000.00,3913.00,117.39,0.00,0.00,6,0,0.00,0.00,0.00,60,2|2|0,2026-11-20T18:00:00+08:00\r\n"
)
AGREEMENTS_CSV = (
    "account_no,partner,kind,agreement_no,signed_on,repayment_depends\r\n"
    "A1,ALIPAY,WITHHOLDING,AL1,2021-11-03,1\r\nA1,JD,AUTO_REPAY,JD1,2021-07-21,1\r\n"
)


def test_a_wrong_secret_is_refused(scene: SimulatorControl, call: Call) -> None:
    answer = call("GET", ACCOUNT, secret="another")
    assert (answer.status_code, answer.json()) == (401, {"code": "BAD_SIGNATURE"})


@pytest.mark.parametrize("shift", [-400, 400])
def test_an_old_or_future_signature_is_refused(scene: SimulatorControl, call: Call, shift: int) -> None:
    answer = call("GET", ACCOUNT, at=time.time() + shift)
    assert (answer.status_code, answer.json()) == (401, {"code": "CLOCK_SKEW"})


def test_an_unsigned_request_is_refused(scene: SimulatorControl, simulator: SimulatorProcess) -> None:
    with httpx.Client(base_url=simulator.url, trust_env=False) as client:
        assert client.get(ACCOUNT).json() == {"code": "UNSIGNED"}
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/elsewhere").status_code == 404


def test_the_simulators_clock_can_travel(scene: SimulatorControl, call: Call) -> None:
    then = datetime(2030, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=8)))
    scene.clock(then)
    assert call("GET", ACCOUNT).status_code == 401
    shown = call("GET", ACCOUNT, at=then.timestamp()).json()
    assert timedelta(0) <= datetime.fromisoformat(shown["as_of"]) - then < timedelta(seconds=30)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{", b'{"key": NaN}', b"\xff{}", b'{"key":"a","key":"b"}', b"[" * 30_000, b"1" * 6000],
)
def test_a_body_that_is_not_one_json_object_is_refused(
    scene: SimulatorControl, call: Call, raw: bytes
) -> None:
    assert call("POST", f"{ACCOUNT}/commands", raw=raw).status_code == 400
    assert scene.effects() == []


def test_a_body_over_the_limit_is_refused(scene: SimulatorControl, call: Call) -> None:
    answer = call("POST", f"{ACCOUNT}/commands", raw=b" " * (64 * 1024 + 1))
    assert (answer.status_code, answer.json()) == (413, {"code": "TOO_LARGE"})


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "99999999999"])
def test_a_length_that_is_no_length_is_refused(simulator: SimulatorProcess, length: str) -> None:
    url = httpx.URL(simulator.url)
    with socket.create_connection((url.host, url.port or 80), timeout=5) as connection:
        connection.sendall(
            f"POST /sms/messages HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 411 ")


def test_a_browser_page_cannot_command(control: SimulatorControl, simulator: SimulatorProcess) -> None:
    with httpx.Client(base_url=simulator.url, trust_env=False) as client:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            assert client.post("/control/reset", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "row",
    [
        {"account_no": ""},
        {"account_no": "A1", "principal": "-1.00"},
        {"account_no": "A1", "principal": "1"},
        {"account_no": "A1", "principal": "1.234"},
        {"account_no": "A1", "principal": "٣.00"},
        {"account_no": "A1", "pending_orders": -1},
        {"account_no": "A1", "state": "GONE"},
    ],
)
def test_a_bad_row_loads_none_of_them(control: SimulatorControl, call: Call, row: dict) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        control.put_accounts([{"account_no": "A0"}, row])
    assert call("GET", "/ledger/accounts/A0").status_code == 404


def test_the_extracts_are_loaded_plain_or_compressed(
    control: SimulatorControl, call: Call, tmp_path: Path
) -> None:
    accounts, agreements = tmp_path / "accounts.csv", tmp_path / "agreements.csv.gz"
    accounts.write_bytes(ACCOUNTS_CSV.encode())
    agreements.write_bytes(gzip.compress(AGREEMENTS_CSV.encode()))
    assert control.load(accounts=accounts, agreements=agreements) == {"accounts": 1, "agreements": 2}
    shown = call("GET", ACCOUNT).json()
    assert (shown["principal"], shown["instalments_remaining"], shown["arrears_months"]) == (
        "3913.00",
        6,
        "2|2|0",
    )
    assert call("GET", "/partners/JD/agreements/JD1").json()["status"] == "BOUND"
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        control.load(accounts=tmp_path / "absent.csv")


def test_many_callers_at_once_make_one_effect_per_key(scene: SimulatorControl, call: Call) -> None:
    def unsign(number: int) -> int:
        body = {"key": f"k{number % 2}", "account_no": "A1"}
        return call("POST", "/partners/ALIPAY/agreements/AL1/unsign", body).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(unsign, range(80)))
    assert (statuses.count(200), statuses.count(409)) == (40, 40)
    assert len(scene.effects(kind="UNSIGN")) == 1


def test_effects_cannot_be_changed_or_deleted(
    scene: SimulatorControl, simulator: SimulatorProcess, call: Call
) -> None:
    call("POST", f"{ACCOUNT}/commands", {"key": "k1", "verb": "CLOSE"})
    connection = sqlite3.connect(simulator.ledger, timeout=5)
    try:
        for sql in ("UPDATE effects SET kind = 'X'", "DELETE FROM effects"):
            with pytest.raises(sqlite3.DatabaseError, match="append-only"):
                connection.execute(sql)
    finally:
        connection.rollback()
        connection.close()
    assert scene.tally() == {("LEDGER", "CLOSE"): 1}


def test_the_calls_are_remembered_answered_or_not(scene: SimulatorControl, call: Call) -> None:
    scene.fault(system="LEDGER", kind="http_500", times=1)
    call("GET", ACCOUNT)
    call("GET", ACCOUNT)
    assert [(c["method"], c["fault"]) for c in scene.calls(system="LEDGER", contains="A1")] == [
        ("GET", "http_500"),
        ("GET", ""),
    ]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, None])
def test_it_ends_cleanly_and_its_effects_outlive_it(tmp_path: Path, how: signal.Signals | None) -> None:
    ledger, errors = tmp_path / "ledger.sqlite3", tmp_path / "errors"
    running = start(ledger=ledger, errors=errors)
    with SimulatorControl(running.url) as control:
        control.put_accounts([{"account_no": "A1"}])
        control.credit("A1", "1.00")
    if how is None:
        assert running.process.stdin is not None
        running.process.stdin.close()
        running.process.wait(timeout=10)
    else:
        running.process.send_signal(how)
        running.process.wait(timeout=10)
    assert (stop(running), errors.read_text()) == (0, "")

    again = start(ledger=ledger, errors=errors)
    with SimulatorControl(again.url) as control:
        assert [effect["kind"] for effect in control.effects()] == ["CREDIT"]
    assert stop(again) == 0

    fresh = start("--fresh", ledger=ledger, errors=errors)
    with SimulatorControl(fresh.url) as control:
        assert control.effects() == []
    assert stop(fresh) == 0


def test_one_connection_serves_many_requests(scene: SimulatorControl, simulator: SimulatorProcess) -> None:
    url = httpx.URL(simulator.url)
    with socket.create_connection((url.host, url.port or 80), timeout=5) as connection:
        for _ in range(3):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = connection.recv(4000)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"status": "ok"}
