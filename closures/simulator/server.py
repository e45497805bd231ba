"""HTTP: reads one request strictly, hands it to the right door, writes one answer. No behaviour."""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote

from closures.simulator import control, play
from closures.simulator.wire import Refusal, Reply, Request, Silence
from closures.simulator.world import World

BODY_LIMIT = 64 * 1024  # bytes
CONTROL_LIMIT = 10 * 1024 * 1024  # bytes
IDLE_TIMEOUT = 120  # seconds a kept-alive connection may be silent
QUERY_FIELDS_LIMIT = 20


class Server(ThreadingHTTPServer):
    """One thread per connection; ends with the process, whatever its connections do."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], world: World) -> None:
        self.world = world
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without asking DNS for our own name, as HTTPServer would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc(file=sys.stderr)


class Handler(BaseHTTPRequestHandler):
    """Many requests on one connection. The answer leaves in one write, or Nagle would delay it."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_TIMEOUT
    server_version = "simulator"
    sys_version = ""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the effects are the log, and addresses hold account numbers."""

    def do_GET(self) -> None:
        self.serve()

    do_POST = do_PATCH = do_DELETE = do_GET

    def serve(self) -> None:
        try:
            result = self.answer()
        except Refusal as refusal:
            payload = {"code": refusal.code} | ({"field": refusal.field} if refusal.field else {})
            result = Reply(status=refusal.status, payload=payload)
        except OSError:  # the caller is gone in mid-sentence: killed, most likely
            self.close_connection = True
            return
        except Exception:
            if self.server.world.stopping.is_set():
                self.close_connection = True
                return
            traceback.print_exc(file=sys.stderr)
            result = Reply(status=500, payload={"code": "INTERNAL"})
        if isinstance(result, Silence):
            self.server.world.wait(result.hold)
            self.hang_up()
        else:
            self.write(result)

    def answer(self) -> Reply | Silence:
        """Route by the first word of the address."""
        path, _, query = self.path.partition("?")
        segments = tuple(unquote(part) for part in path.strip("/").split("/"))
        controls = segments[0] == "control"
        body = self.read_body(CONTROL_LIMIT if controls else BODY_LIMIT)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(
            method=self.command,
            target=self.path,
            segments=segments,
            query=read_query(query),
            headers=headers,
            body=body,
        )
        if segments == ("health",):
            return Reply(payload={"status": "ok"})
        if controls:
            control.guard(client=str(self.client_address[0]), headers=headers)
            return control.answer(self.server.world, request)
        return play.answer(self.server.world, request)

    def read_body(self, limit: int) -> bytes:
        """The whole body. Raises `Refusal`; the connection then closes, for the rest is not read."""
        length = self.headers.get("Content-Length", "0")
        try:
            if "Transfer-Encoding" in self.headers or not re.fullmatch(r"\d{1,9}", length, re.ASCII):
                raise Refusal(411, "LENGTH_REQUIRED")
            if int(length) > limit:
                raise Refusal(413, "TOO_LARGE")
        except Refusal:
            self.close_connection = True
            raise
        return self.rfile.read(int(length))

    def write(self, reply: Reply) -> None:
        body = reply.encoded()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json" if reply.body is None else "text/html")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self._headers_buffer.append(b"\r\n" + body)  # type: ignore[attr-defined]
        self.flush_headers()

    def hang_up(self) -> None:
        """Close without a word."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def read_query(query: str) -> dict[str, str]:
    """The query's fields; none twice. Raises `Refusal`."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_LIMIT)
    except ValueError as error:
        raise Refusal(400, "BAD_QUERY") from error
    if len(dict(pairs)) != len(pairs):
        raise Refusal(400, "BAD_QUERY")
    return dict(pairs)
