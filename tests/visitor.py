"""A customer before his page: his browser, his phone, on the stage's clock."""

from __future__ import annotations

import re
from typing import Any

import time_machine
from django.test import Client
from django.urls import reverse

from closures.models import ClosureTicket, IdentityCode
from closures.selectors import status_links
from closures.services import identity_codes
from tests.stage import Stage


class Visitor:
    """A customer with a phone and a browser, on the stage's clock."""

    def __init__(
        self, stage: Stage, ticket: ClosureTicket, *, language: str = "zh-hans", **client: Any
    ) -> None:
        self.stage, self.ticket = stage, ticket
        self.client = Client(**client)
        self.client.cookies["django_language"] = language
        self.token = status_links.token(stage.fresh(ticket), now=stage.now)

    def url(self, name: str = "status", *rest: str) -> str:
        return reverse(name, args=[self.token, *rest])

    def get(self, name: str = "status", *rest: str, **more: Any) -> Any:
        with time_machine.travel(self.stage.now, tick=False):
            return self.client.get(self.url(name, *rest), **more)

    def post(self, name: str, *rest: str, **body: Any) -> Any:
        with time_machine.travel(self.stage.now, tick=False):
            return self.client.post(self.url(name, *rest), body)

    def text(self, name: str = "status", *rest: str) -> str:
        answer = self.get(name, *rest)
        assert answer.status_code == 200, answer
        return str(answer.content.decode())

    def digits(self) -> str:
        """The newest message on his phone."""
        identity_codes.deliver(clock=self.stage.clock)
        code = IdentityCode.objects.filter(ticket=self.ticket).latest("pk")
        (message,) = self.stage.simulator.messages(code.key)
        return re.search(r"\d{6}", message["text"])[0]  # type: ignore[index]

    def enters_code(self, what: str) -> Any:
        assert self.post("status_code", what, send="1").status_code == 200
        return self.post("status_code", what, code=self.digits())
