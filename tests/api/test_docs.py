"""The worked example of docs/api.md is true: it runs, gives what it says, and we believe it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from closures.gateways.signing import credentials, verify_request
from closures.models import Webhook
from closures.models.api import AppRequest
from tests.guards.sources import ROOT

DOCS = (ROOT / "docs/api.md").read_text()


def example() -> dict[str, Any]:
    found = re.search(r"```python\n(.*?)```", DOCS, re.S)
    assert found
    names: dict[str, Any] = {}
    exec(found[1], names)
    return names


def test_the_example_gives_the_signature_that_stands_below_it() -> None:
    assert f"signature = {example()['signature']}" in DOCS


def test_and_the_product_believes_it() -> None:
    shown = example()
    headers = {
        "X-Key-Id": "app_1",
        "X-Timestamp": shown["timestamp"],
        "X-Nonce": shown["nonce"],
        "X-Signature": shown["signature"],
    }
    verify_request(
        credentials(headers),
        method=shown["method"],
        target=shown["target"],
        body=shown["body"],
        secrets=[shown["secret"].encode()],
        now=datetime.fromtimestamp(int(shown["timestamp"]), UTC),
    )


def test_every_kind_and_every_assertion_is_named() -> None:
    for kind in Webhook.Kind.values:
        assert kind.partition(".")[2] in DOCS
    for assertion in AppRequest.Assertion.values:
        assert assertion in DOCS
