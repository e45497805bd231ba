"""A customer's phone: opens the status page over HTTP, fills its forms, and reads his text messages."""

from __future__ import annotations

import html
import re

import httpx

from closures.demo.simulator_control import SimulatorControl
from closures.models import IdentityCode

TIMEOUT = 30  # seconds
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
TAGS = re.compile(r"<[^>]+>")


class Browser:
    """One customer's browser. `transport` None: the running web process; tests hand in the application."""

    def __init__(self, simulator: SimulatorControl, *, transport: httpx.BaseTransport | None = None) -> None:
        self._simulator = simulator
        self._client = httpx.Client(
            transport=transport, timeout=TIMEOUT, follow_redirects=True, trust_env=False
        )
        self._page = ""
        self.url = ""

    def open(self, url: str) -> str:
        """The page's words. Raises httpx.HTTPStatusError."""
        return self._seen(self._client.get(url))

    def post(self, url: str, **fields: str) -> str:
        """The form of the page that was seen last is sent; returns the words of what comes."""
        token = CSRF.search(self._page)
        body = {"csrfmiddlewaretoken": token[1] if token else "", **fields}
        return self._seen(self._client.post(url, data=body, headers={"Referer": url}))

    def digits(self, code: IdentityCode) -> str:
        """What the message on the phone says; empty while none has come."""
        for message in self._simulator.messages(code.key):
            return re.findall(r"\d{6}", message["text"])[0]
        return ""

    def close(self) -> None:
        self._client.close()

    def _seen(self, response: httpx.Response) -> str:
        response.raise_for_status()
        self._page, self.url = response.text, str(response.url)
        return html.unescape(" ".join(TAGS.sub(" ", self._page).split()))
