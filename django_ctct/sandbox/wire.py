"""Requests and answers as values, and the few HTTP facts that all doors share.

It exists so that a door is a function from ``Request`` to ``Answer`` that never sees a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime, formatdate
from http import HTTPStatus
from typing import TypeAlias

BODY_LIMIT = 2 * 1024 * 1024
"""The most bytes of a request body that are read; a longer one is a 413."""


@dataclass(frozen=True, slots=True)
class Request:
    """Hold one request; ``path`` and ``query`` are as sent, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """Return the path with its query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def host(self) -> str:
        """Return the Host header."""
        return self.headers.get("host", "")

    @property
    def media_type(self) -> str:
        """Return the Content-Type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold one answer; Content-Length and Date are added when it is encoded."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def at(self, moment: datetime) -> Answer:
        """Return this answer with the account's own time as its Date, which a test may have pushed forward."""
        return replace(self, headers=(*self.headers, ("Date", format_datetime(moment, usegmt=True))))

    def encode(self, *, close: bool = False, length: int | None = None, bare: bool = False) -> bytes:
        """Return the bytes for the socket; ``length`` may lie, ``bare`` leaves the body out (HEAD)."""
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        if "Date" not in dict(self.headers):
            lines.append(f"Date: {formatdate(usegmt=True)}")
        if self.content_type:
            lines.append(f"Content-Type: {self.content_type}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        # RFC 9110 §8.6: no Content-Length in 1xx and 204.
        if length is not None or self.status not in (204, 304):
            lines.append(f"Content-Length: {len(self.body) if length is None else length}")
        if close:
            lines.append("Connection: close")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("latin-1", "replace") + (b"" if bare else self.body)

    def with_headers(self, *extra: tuple[str, str]) -> Answer:
        """Return the answer with more headers."""
        return replace(self, headers=self.headers + extra)


Door: TypeAlias = Callable[[Request], Answer]


def body_limit(path: str) -> int:
    """Return the most bytes that a body may have; imports of v3 are cut at 4 MB later, not refused."""
    return 3 * BODY_LIMIT if path.startswith("/v3/activities/") else BODY_LIMIT


def text_answer(status: int, text: str) -> Answer:
    """Return a plain text answer."""
    return Answer(status, text.encode(), "text/plain;charset=UTF-8")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
