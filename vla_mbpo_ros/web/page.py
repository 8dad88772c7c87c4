"""The page as one object: `Page(source, settings)`, `start`, `stop`, `url`.

    page = Page(source, cfg.page, say)      say("The page is at http://127.0.0.1:8765/")
    page.start()
    …
    page.stop()                             the port is free, nobody is answered any more

Each connection has a thread of its own, a few dozen at most. The source is asked on those threads.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs

from vla_mbpo_ros.config import PageConfig
from vla_mbpo_ros.errors import ConfigError, VlaMbpoError
from vla_mbpo_ros.web.answer import SAFE_HEADERS, Answer, Refused, as_refusal
from vla_mbpo_ros.web.asking import check_body, length
from vla_mbpo_ros.web.guard import Guard, resolve
from vla_mbpo_ros.web.routes import Routes
from vla_mbpo_ros.web.source import PageSource

MOST_CONNECTIONS = 64  # a browser opens six
SILENCE_S = 10.0  # a connection that says nothing for so long is closed
_POLL_S = 0.05  # how soon the server sees that it shall end
_REPEAT_S = 10.0  # the same failure is told again after this long
_MOST_READ = 1 << 20  # bytes of a body


class Page:
    """Call `start` and `stop` on one thread; the rest of it runs on its own."""

    def __init__(self, source: PageSource, settings: PageConfig, say: Callable[[str], None] = print) -> None:
        """`say` is told the address and failures, on any thread."""
        self._settings, self._say = settings, say
        self._guard, self._routes = Guard(settings), Routes(source)
        self._server: _Server | None = None
        self._told = ("", 0.0)  # the last failure, and when

    @property
    def port(self) -> int:
        return self._settings.port if self._server is None else int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Whole, with the token if there is one: to be told only to who may look."""
        host = self._settings.host
        if host in ("0.0.0.0", "::"):
            host = socket.gethostname()
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/" + (f"?token={self._guard.token}" if self._guard.token else "")

    def start(self) -> None:
        """ConfigError if the port cannot be had."""
        if self._server is None:
            self._server = _Server(self._settings.host, self._settings.port, self)
            Thread(target=self._server.serve_forever, args=(_POLL_S,), name="page", daemon=True).start()
            self._say(f"The page is at {self.url}")

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    # -- on the threads of connections -----------------------------------------------------------------------------

    def answer(self, asked: _Handler, body: bytes = b"") -> Answer:
        """One request, whatever comes of it."""
        try:
            return self._granted(asked, body)
        except VlaMbpoError as error:
            return as_refusal(error)
        except Exception as error:  # of the source: the page lives on
            cause = f"What stands behind the page failed: {type(error).__name__}: {error}."
            self.tell(f"{asked.path.partition('?')[0]}: {cause}")
            cure = "This is a defect; the log of its node has more."
            return as_refusal(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, cause, cure))

    def _granted(self, asked: _Handler, body: bytes) -> Answer:
        path, _, query = asked.path.partition("?")
        given = (parse_qs(query).get("token") or [""])[0]
        cookie = f"vla_mbpo_page_{asked.server.server_port}"  # browsers share cookies between the ports of a machine
        self._guard.check_address(asked.headers)
        self._guard.check_token(asked.headers, given, cookie)
        if asked.command == "POST":
            check_body(asked.headers, body)
            return self._routes.post(path, body)
        answer = self._routes.get(path)
        if not self._guard.is_token(given):
            return answer
        kept = f"{cookie}={given}; Path=/; HttpOnly; SameSite=Strict"
        return replace(answer, headers={**answer.headers, "Set-Cookie": kept})

    def tell(self, text: str) -> None:
        """A failure; browsers ask again and again, people need not be told each time."""
        last, when_s = self._told
        if text != last or time.monotonic() - when_s > _REPEAT_S:
            self._told = text, time.monotonic()
            self._say(text)


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False
    request_queue_size = MOST_CONNECTIONS  # who comes while we are busy is not made to try again after a second

    def __init__(self, host: str, port: int, page: Page) -> None:
        self.page = page
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        self.address_family, address = resolve(host, port)[0]
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            cause = f"The page cannot listen on port {port} of {host}: {error.strerror}."
            raise ConfigError(cause, "Set `page.port` to another; 0 takes a free one.") from error

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # without HTTPServer's question to the name server, which may take long
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            has_room = len(self._open) < MOST_CONNECTIONS
            if has_room:
                self._open.add(request)
        if has_room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every connection; their threads see it and end."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.page.tell(f"The page failed: {type(error).__name__}: {error}.")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version, server_version, sys_version = "HTTP/1.1", "vla_mbpo", ""
    timeout = SILENCE_S
    wbufsize = -1  # head and body in one packet

    def do_GET(self) -> None:
        self._send(self.server.page.answer(self))

    def do_POST(self) -> None:
        """The body is read even if it will be refused: an answer is lost when its question lies unread."""
        body = self.rfile.read(min(length(self.headers) or 0, _MOST_READ))
        answer = self.server.page.answer(self, body)
        self.close_connection = self.close_connection or answer.status != HTTPStatus.OK  # something may lie there still
        self._send(answer)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses: lines that are no HTTP, and methods that we do not have."""
        self.close_connection = True
        status = HTTPStatus(code)
        self._send(as_refusal(Refused(status, f"{message or status.phrase}.", "Send a GET or a POST of HTTP/1.1.")))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nobody wants a line for every picture."""

    def _send(self, answer: Answer) -> None:
        has_it = answer.status == HTTPStatus.OK and getattr(self, "headers", {}).get("If-None-Match") == answer.tag
        self.send_response(HTTPStatus.NOT_MODIFIED if has_it else answer.status)
        sent = {"ETag": answer.tag, "Cache-Control": answer.caching, **SAFE_HEADERS, **answer.headers}
        if self.close_connection:
            sent["Connection"] = "close"
        if not has_it:
            sent |= {"Content-Type": answer.kind, "Content-Length": str(len(answer.body))}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if not has_it:
            self.wfile.write(answer.body)
