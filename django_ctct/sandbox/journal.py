"""The log of API requests: what a client sent, when, and what it was told.

It exists so that a test can count calls, measure their spacing, and hold the traffic of v3 against the rules
that the vendor published. It never keeps the Authorization header nor a token, code or secret from a query, a
body or an answer. It holds the last 20,000 requests and about 64 MB each of bodies and of answers at most.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from django_ctct.sandbox.wire import Answer, Request

LENGTH = 20_000
BODY_KEPT = 64 * 1024
"""Characters of one body that are kept."""
ANSWER_KEPT = 1024 * 1024
"""Characters of one answer that are kept; a longer one is left out whole."""
BODIES_KEPT = 64 * 1024 * 1024
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
_NAMES = "access_token|refresh_token|client_secret|code|code_verifier|device_code|user_code|token|request"
_SECRET_PARTS = re.compile(rf"((?:^|[?&])(?:{_NAMES})=)[^&\s]*")
_SECRET_MEMBERS = re.compile(rf'("(?:{_NAMES})":\s*")[^"]*')
_SECRET_LINK = re.compile(r"(user_code=)[A-Z0-9-]*")
_ANSWERED_PATHS = ("/v3/", "/oauth2/")


@dataclass(slots=True)
class Logged:
    """Hold one request; the outcome is filled in when it is known.

    ``status`` is what the client was sent (``None``: nothing), ``applied`` what the account answered
    (``None``: it was not asked), ``fault`` the kind of fault that was played. ``answer`` is the body that the
    account answered with and ``media`` its type, on v3 only.
    """

    time: float
    at: datetime
    method: str
    path: str
    body: str
    headers: dict[str, str]
    status: int | None = None
    applied: int | None = None
    fault: str | None = None
    answer: str | None = None
    media: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what the controls show; ``time`` is monotonic seconds, ``at`` UTC."""
        return {
            "time": self.time,
            "at": self.at.isoformat(timespec="milliseconds"),
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "body": self.body,
            "headers": self.headers,
            "applied": self.applied,
            "fault": self.fault,
        }

    @property
    def is_of_v3(self) -> bool:
        """Tell whether the request was for the API of v3 or its OAuth server."""
        return self.path.startswith(_ANSWERED_PATHS)

    def as_exchange(self) -> dict[str, Any]:
        """Return the request with its answer."""
        return {**self.as_dict(), "answer": self.answer, "media": self.media}


class Journal:
    """Keep the last requests; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: deque[Logged] = deque()
        self._size = 0
        self._answered: deque[Logged] = deque()
        self._answers_size = 0

    def note(self, request: Request) -> Logged:
        """Write down a request at its arrival."""
        body = request.body.decode("utf-8", "replace")
        entry = Logged(
            time=time.monotonic(),
            at=datetime.now(UTC),
            method=request.method,
            path=_SECRET_PARTS.sub(r"\1...", request.target),
            body=_SECRET_PARTS.sub(r"\1...", body[:BODY_KEPT]),
            headers={name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS},
        )
        with self._lock:
            self._entries.append(entry)
            self._size += len(entry.body)
            while len(self._entries) > LENGTH or self._size > BODIES_KEPT:
                self._size -= len(self._entries.popleft().body)
        return entry

    def keep(self, entry: Logged, answer: Answer) -> None:
        """Write down what the account answered to a request of v3; the oldest answers make room."""
        if not entry.is_of_v3 or len(answer.body) > ANSWER_KEPT:
            return
        if answer.body and "json" not in answer.content_type:
            return
        text = _SECRET_LINK.sub(r"\1...", _SECRET_MEMBERS.sub(r"\1...", answer.body.decode("utf-8", "replace")))
        with self._lock:
            entry.answer, entry.media = text, answer.content_type
            self._answered.append(entry)
            self._answers_size += len(text)
            while self._answers_size > BODIES_KEPT or len(self._answered) > LENGTH:
                oldest = self._answered.popleft()
                self._answers_size -= len(oldest.answer or "")
                oldest.answer = None

    def entries(self, last: int | None = None) -> list[Logged]:
        """Return the requests, oldest first, or only the ``last`` ones."""
        with self._lock:
            kept = list(self._entries)
        return kept if last is None else kept[max(0, len(kept) - last) :]

    def clear(self) -> None:
        """Forget every request."""
        with self._lock:
            self._entries.clear()
            self._size = 0
            self._answered.clear()
            self._answers_size = 0
