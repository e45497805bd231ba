"""A certificate states ids, codes, dates and zeros; anyone with its facts can compute its hash again."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from closures.services import evidence
from tests.stage import Stage


def test_the_certificate_says_what_was_ended_and_how(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED", ("ALIPAY", "PASSWORD_FREE", False), ("WECHAT", "WITHHOLDING", True))
    facts = ticket.certificate
    assert [(row["partner"], row["result"]) for row in facts["agreements"]] == [
        ("ALIPAY", "UNBOUND"),
        ("WECHAT", "UNBOUND"),
    ]
    assert (facts["owed"], facts["credit_balance"], facts["paid_out"]) == ("0.00", "0.00", False)
    assert facts["lender"] == ticket.account.product.lender.legal_name
    assert datetime.fromisoformat(facts["closed_at"]) == ticket.ended_at


def test_the_hash_is_that_of_the_canonical_json(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED")
    text = json.dumps(ticket.certificate, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert ticket.certificate_hash == hashlib.sha256(text.encode()).hexdigest()
    forged = {**ticket.certificate, "closed_at": "2020-01-01T00:00:00+08:00"}
    assert evidence.fingerprint(forged) != ticket.certificate_hash


def test_a_certificate_number_cannot_be_guessed_from_another(stage: Stage) -> None:
    first, second = stage.ticket("CLOSED"), stage.ticket("CLOSED")
    assert first.certificate_no != second.certificate_no
    assert first.certificate_no[:-8] == second.certificate_no[:-8], "only the random letters differ"
