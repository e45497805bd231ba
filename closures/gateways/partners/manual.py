"""A partner without an API: people end the agreement there and enter the evidence here."""

from __future__ import annotations

from typing import NoReturn

from closures.gateways.errors import Refused
from closures.gateways.partners.base import AgreementStatus, UnsignAnswer


class ManualPartner:
    """`has_api` is False: the service hands the task to a person instead of calling.

    A call made all the same is a definite no, so no task can be believed done.
    """

    has_api = False

    def __init__(self, *, code: str) -> None:
        self.code = code

    def unsign(self, *, agreement_no: str, account_no: str, key: str) -> UnsignAnswer:
        self._refuse()

    def status(self, *, agreement_no: str, account_no: str) -> AgreementStatus:
        self._refuse()

    def listed(self, *, account_no: str, agreement_no: str) -> AgreementStatus:
        self._refuse()

    def canary_found(self) -> bool:
        return False

    def knows(self, *, key: str) -> bool:
        self._refuse()

    def check_config(self) -> list[str]:
        return []

    def _refuse(self) -> NoReturn:
        raise Refused("NO_API", detail=f"{self.code} is reached by people only")
