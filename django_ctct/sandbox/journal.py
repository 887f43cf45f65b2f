"""The log of API requests: what a client sent, when, and what it was told.

It exists so that a test can count calls and measure their spacing. It never keeps the Authorization header
nor a token in a query, and holds the last 20,000 requests and about 64 MB of bodies at most.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from django_ctct.sandbox.wire import Request

LENGTH = 20_000
BODY_KEPT = 64 * 1024
"""Characters of one body that are kept."""
BODIES_KEPT = 64 * 1024 * 1024
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
_SECRET_PARTS = re.compile(r"((?:^|[?&])(?:access_token|refresh_token|client_secret|code)=)[^&\s]*")


@dataclass(slots=True)
class Logged:
    """Hold one request; the outcome is filled in when it is known.

    ``status`` is what the client was sent (``None``: nothing), ``applied`` what the account answered
    (``None``: it was not asked), ``fault`` the kind of fault that was played.
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


class Journal:
    """Keep the last requests; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: deque[Logged] = deque()
        self._size = 0

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
