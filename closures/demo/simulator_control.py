"""Driving the simulator's control plane, for the demo and the tests. Nothing in the product uses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

TIMEOUT = 60  # seconds; loading an extract takes longer than a call


class SimulatorControl:
    """One simulator's control plane. Every method raises httpx.HTTPStatusError when it is refused."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        # Plain HTTP on this machine: certificates would be loaded for nothing, and that takes a while.
        self._client = httpx.Client(base_url=self.base_url, timeout=TIMEOUT, trust_env=False, verify=False)

    def __enter__(self) -> SimulatorControl:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    # Scene

    def reset(self) -> None:
        """As on the first start: the canaries, nothing else; no fault, the machine's clock."""
        self._call("POST", "/control/reset")

    def load(
        self, *, accounts: Path | str | None = None, agreements: Path | str | None = None
    ) -> dict[str, int]:
        """The extracts' rows are there (CSV or CSV.gz). Returns how many of each."""
        files = {"accounts": accounts, "agreements": agreements}
        body = {name: str(path) for name, path in files.items() if path is not None}
        return dict(self._call("POST", "/control/load", body))

    def put_accounts(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Accounts are in the ledger: `account_no`, and any field of it; money as "12.00"."""
        self._call("POST", "/control/accounts", [dict(row) for row in rows])

    def put_agreements(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Agreements are bound: `partner`, `agreement_no`, `account_no`."""
        self._call("POST", "/control/agreements", [dict(row) for row in rows])

    def patch_account(self, account_no: str, **fields: Any) -> dict[str, Any]:
        return dict(self._call("PATCH", f"/control/accounts/{quote(account_no, safe='')}", fields))

    def tune(self, **settings: Any) -> None:
        """`settle_delay`, `receipt_delay` (seconds), `callback_url`, `seed` of the faults' dice."""
        self._call("POST", "/control/settings", settings)

    def clock(self, at: datetime) -> None:
        """The simulator's clock shows `at` and runs on: for tests that travel in time."""
        self.tune(clock=at.isoformat())

    def latency(self, seconds: float) -> None:
        self._call("POST", "/control/latency", {"seconds": seconds})

    # Faults

    def fault(self, **spec: Any) -> int:
        """A fault is in force (system=, kind=, and path, method, subject, times, seconds, rate, code,
        latency_s, hold_s, effect). Returns its id."""
        return int(self._call("POST", "/control/faults", spec)["id"])

    def clear_faults(self) -> None:
        self._call("DELETE", "/control/faults")

    # What the customer does

    def repay(self, account_no: str, amount: str | None = None) -> dict[str, Any]:
        """Everything is repaid, or `amount` ("12.00") of it."""
        return self._account(account_no, "repay", {} if amount is None else {"amount": amount})

    def spend(self, account_no: str, amount: str) -> dict[str, Any]:
        return self._account(account_no, "spend", {"amount": amount})

    def credit(self, account_no: str, amount: str) -> dict[str, Any]:
        return self._account(account_no, "credit", {"amount": amount})

    def later_money(self, account_no: str, **posting: Any) -> dict[str, Any]:
        """Money is posted to a closed account: `kind`, `ref`, `amount`, and perhaps `direction`,
        `takes_back`, `quietly`. Returns whether it was `sent`, else the signed event (`body`, `headers`)."""
        return self._account(account_no, "later", posting)

    def end_agreement(self, partner: str, agreement_no: str) -> dict[str, Any]:
        """The customer ended the agreement himself."""
        return dict(
            self._call("POST", f"/control/agreements/{partner}/{quote(agreement_no, safe='')}/end", {})
        )

    # The judge

    def effects(self, **filters: str) -> list[dict[str, Any]]:
        """What really happened, in order; filters: system, subject, kind, key."""
        return list(self._call("GET", "/control/effects", params=filters)["effects"])

    def duplicates(self) -> list[dict[str, Any]]:
        """What happened more than once though it may happen only once. Empty is right."""
        return list(self._call("GET", "/control/effects/duplicates")["duplicates"])

    def tally(self) -> dict[tuple[str, str], int]:
        """How many effects of each (system, kind)."""
        rows = self._call("GET", "/control/effects/tally")["tally"]
        return {(row["system"], row["kind"]): row["count"] for row in rows}

    def calls(self, **filters: str) -> list[dict[str, Any]]:
        """The newest signed calls that came in, answered or not; filters: system, method, contains."""
        return list(self._call("GET", "/control/calls", params=filters)["calls"])

    def messages(self, key: str) -> list[dict[str, Any]]:
        """The SMS sent under this key: recipient and text."""
        return list(self._call("GET", "/control/messages", params={"key": key})["messages"])

    # Wire

    def _account(self, account_no: str, act: str, body: dict[str, Any]) -> dict[str, Any]:
        return dict(self._call("POST", f"/control/accounts/{quote(account_no, safe='')}/{act}", body))

    def _call(self, method: str, path: str, body: Any = None, params: Mapping[str, str] | None = None) -> Any:
        response = self._client.request(method, path, json=body, params=params)
        response.raise_for_status()
        return response.json()
