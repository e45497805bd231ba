"""A caller who signs by the protocol's text, sharing no code with either side."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from closures.demo.simulator_control import SimulatorControl
from tests.simulator_process import SECRET, SimulatorProcess

Call = Callable[..., httpx.Response]


@pytest.fixture
def call(simulator: SimulatorProcess, control: SimulatorControl) -> Iterator[Call]:
    """call(method, path, body) sends one signed request and gives the response."""
    with httpx.Client(base_url=simulator.url, timeout=5, trust_env=False) as client:

        def send(
            method: str,
            path: str,
            body: Any = None,
            *,
            secret: str = SECRET,
            at: float | None = None,
            raw: bytes | None = None,
        ) -> httpx.Response:
            content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
            timestamp = int(time.time() if at is None else at)
            signed = f"{timestamp}.{method}.{path}.".encode() + content
            headers = {
                "X-Key-Id": "local",
                "X-Timestamp": str(timestamp),
                "X-Signature": hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(),
            }
            return client.request(method, path, content=content, headers=headers)

        yield send


@pytest.fixture
def scene(control: SimulatorControl) -> SimulatorControl:
    """One account that owes, one that does not, and an agreement of each with Alipay."""
    control.put_accounts(
        [
            {"account_no": "A1", "customer_no": "C1", "credit_limit": "5000.00"},
            {
                "account_no": "A2",
                "customer_no": "C2",
                "principal": "100.00",
                "interest": "2.50",
                "instalments_remaining": 3,
                "days_past_due": 30,
                "arrears_months": "1|0|0|0|0|0",
            },
        ]
    )
    control.put_agreements(
        [
            {"partner": "ALIPAY", "agreement_no": "AL1", "account_no": "A1"},
            {"partner": "ALIPAY", "agreement_no": "AL2", "account_no": "A2"},
            {"partner": "JD", "agreement_no": "JD1", "account_no": "A1"},
        ]
    )
    return control
