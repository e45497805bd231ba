"""A partner reached by our own protocol: signed JSON over HTTP, with idempotency keys."""

from __future__ import annotations

from closures.gateways import http
from closures.gateways.errors import Refused, Unclear
from closures.gateways.partners.base import CANARY, AgreementStatus, UnsignAnswer
from closures.gateways.wire import Fields

LIST_LIMIT = 1000  # agreements of one account


class GenericPartner:
    """See `Partner` for what every method promises. Holds no connection; safe to share."""

    has_api = True

    def __init__(self, *, code: str, endpoint: http.Endpoint) -> None:
        self.code = code
        self._endpoint = endpoint

    def unsign(self, *, agreement_no: str, account_no: str, key: str) -> UnsignAnswer:
        answer = http.post(
            self._endpoint,
            "agreements",
            agreement_no,
            "unsign",
            body={"key": key, "account_no": account_no},
        )
        if answer.not_found():
            return UnsignAnswer.NOT_FOUND
        if answer.status == 409 and answer.code == UnsignAnswer.ALREADY_ENDED:
            return UnsignAnswer.ALREADY_ENDED
        fields = answer.success()
        fields.equal("status", UnsignAnswer.ACCEPTED)
        return UnsignAnswer.ACCEPTED

    def status(self, *, agreement_no: str, account_no: str) -> AgreementStatus:
        answer = http.get(self._endpoint, "agreements", agreement_no)
        if answer.not_found():
            return AgreementStatus.NOT_FOUND
        fields = _told(answer)
        fields.equal("agreement_no", agreement_no)
        return _status(fields, account_no)

    def listed(self, *, account_no: str, agreement_no: str) -> AgreementStatus:
        # A list is never "not found": an account without agreements has an empty one. So a 404 here is
        # a wrong route, and stays Unclear (Note [A partner's answer is a claim]).
        fields = _told(http.get(self._endpoint, "agreements", query={"account_no": account_no}))
        rows = fields.objects("agreements", limit=LIST_LIMIT)
        found = {row.text("agreement_no"): _status(row, account_no) for row in rows}
        if len(found) != len(rows):
            raise fields.unclear("agreements")
        return found.get(agreement_no, AgreementStatus.NOT_FOUND)

    def canary_found(self) -> bool:
        by_number = self.status(agreement_no=CANARY, account_no=CANARY)
        if by_number is not AgreementStatus.BOUND:
            return False
        return self.listed(account_no=CANARY, agreement_no=CANARY) is AgreementStatus.BOUND

    def knows(self, *, key: str) -> bool:
        answer = http.get(self._endpoint, "operations", key)
        if answer.not_found():
            return False
        fields = _told(answer)
        fields.equal("key", key)
        fields.equal("state", "DONE")
        return True

    def check_config(self) -> list[str]:
        return self._endpoint.problems()


def _told(answer: http.Answer) -> Fields:
    """The fields of an answer to a question; a question cannot be refused, only left unanswered."""
    try:
        return answer.success()
    except Refused as refused:
        raise Unclear("a question was refused", raw=refused.raw) from refused


def _status(fields: Fields, account_no: str) -> AgreementStatus:
    """BOUND without an end, or ENDED with one; anything between is `Unclear`."""
    fields.equal("account_no", account_no)
    status = fields.choice("status", AgreementStatus)
    if status is AgreementStatus.ENDED:
        fields.moment("ended_at")
    elif status is not AgreementStatus.BOUND or fields.values.get("ended_at") is not None:
        raise fields.unclear("status")
    return status
