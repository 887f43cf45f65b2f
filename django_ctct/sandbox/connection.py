"""One client's connection: reads requests off the socket, writes answers onto it.

It exists because faults need the raw socket under HTTP/1.1 keep-alive. It knows no path and no rule: what to
answer is asked of the server's sandbox.
"""

from __future__ import annotations

import os
import socket
import struct
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol, cast

from django_ctct.sandbox.fault_play import Line
from django_ctct.sandbox.wire import BODY_LIMIT, Answer, Request, body_limit, text_answer

_DRAINED = 4 * BODY_LIMIT
"""Bytes of a refused body that are read and dropped, so that the client can read the refusal."""


class Host(Protocol):
    """Answer what a connection has read."""

    def answer(self, request: Request, line: Line) -> None:
        """Send something, or nothing, on the line."""


class Connection(BaseHTTPRequestHandler):
    """Serve one client until it leaves, is idle for a minute or is dropped."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            return
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, query, headers, body)
        cast(Any, self.server).host.answer(request, self)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _serve

    def _body(self) -> bytes | None:
        """Read the whole body, so that the next request starts where it should; ``None`` if it is refused."""
        length = self._announced()
        if length is None:
            return None
        limit = body_limit(self.path)
        if length > limit:
            self._drain(length)
            self._refuse(413, f"Content Too Large: at most {limit} bytes")
            return None
        body = self.rfile.read(length)
        if len(body) == length:
            return body
        self.hang_up()
        return None

    def _announced(self) -> int | None:
        """Return the length of the body in bytes; refuse what does not say it plainly."""
        lengths = self.headers.get_all("content-length", ["0"])
        if "transfer-encoding" in self.headers:
            self._refuse(411, "Length Required: send a Content-Length")
        elif len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            self._refuse(400, "Bad Request: Content-Length is a number")
        else:
            return int(lengths[0])
        return None

    def _refuse(self, status: int, text: str) -> None:
        self.hang_up()
        self.send(text_answer(status, f"Error {status}: {text}"))

    def _drain(self, length: int) -> None:
        left = min(length, _DRAINED)
        while left and (piece := self.rfile.read(min(left, 65536))):
            left -= len(piece)

    # What a line can do

    def send(self, answer: Answer) -> None:
        """Send a proper answer and keep the connection unless it is to end."""
        self.write(answer.encode(close=self.close_connection, bare=self.command == "HEAD"))

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.wfile.write(data)

    def hang_up(self) -> None:
        """End the connection in order after this answer."""
        self.close_connection = True

    def reset(self) -> None:
        """Drop the connection so that the client sees a reset: no lingering, no farewell."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Closing the socket object would wait for the files made of it; the descriptor goes at once.
        os.close(self.connection.detach())

    # What the base class would print

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the journal keeps the requests, and addresses stay out of logs."""

    def handle_one_request(self) -> None:
        """Serve one request; a client that left is no error."""
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def finish(self) -> None:
        """Close the files; a dropped connection has nothing left to flush."""
        try:
            super().finish()
        except OSError:
            self.close_connection = True
