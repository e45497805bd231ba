"""A real SMTP server as a real process, and its fixture.

The recipient's name says what the server does: refused@ and busy@ at RCPT, spam@ and full@ at DATA,
dropped@ closes the connection after the whole message was received. Everything else is kept as files.
"""

from __future__ import annotations

import asyncio
import email
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

AT_RCPT = {"refused": "550 5.1.1 no such mailbox", "busy": "450 4.2.0 greylisted"}
AT_DATA = {"spam": "554 5.7.1 refused", "full": "452 4.3.1 try later"}


class Mailroom:
    """Keeps what it is given, refuses who it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if (answer := AT_RCPT.get(address.partition("@")[0])) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        name = envelope.rcpt_tos[0].partition("@")[0]
        if name in AT_DATA:
            return AT_DATA[name]
        self.number += 1
        (self.folder / f"{self.number:04}.eml").write_bytes(envelope.content)
        if name == "dropped":
            server.transport.abort()
        return "250 taken"


async def serve(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    mailroom = Mailroom(folder)
    server = await loop.create_server(lambda: SMTP(mailroom, hostname="mail.test"), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@dataclass(frozen=True)
class MailServer:
    """Where the server listens, and the mails it took."""

    port: int
    folder: Path

    def mails(self) -> list[Message]:
        return [email.message_from_bytes(file.read_bytes()) for file in sorted(self.folder.glob("*.eml"))]


@pytest.fixture(scope="session")
def mail_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    folder = tmp_path_factory.mktemp("mails")
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    yield MailServer(port=int(process.stdout.readline()), folder=folder)
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()


@pytest.fixture
def mail_server(mail_process: MailServer, settings: Any) -> MailServer:
    """Django sends its mail to the server, which holds none yet."""
    for file in mail_process.folder.glob("*.eml"):
        file.unlink()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail_process.port
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    return mail_process


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
