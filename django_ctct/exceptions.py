"""The errors of the package, one leaf for each thing a caller can do next.

::

    CtctError
    ├── RemoteError                  a call to Constant Contact failed
    │   ├── TransientError           try again later
    │   │   ├── RemoteUnavailable    not reached, or it answered 5xx
    │   │   ├── RateLimited          too many calls: wait ``retry_after`` seconds
    │   │   ├── QuotaExhausted       the day's calls are used up: wait until ``until``
    │   │   └── RemoteConflict       it changed under us: read again
    │   ├── AmbiguousWrite           the write may have been applied: verify before repeating
    │   └── PermanentError           repeating cannot help: record it, show it
    │       ├── AuthenticationFailed holds the whole account
    │       ├── RequestRejected      the server refused this request
    │       └── MalformedResponse    the answer is not one that the protocol allows
    ├── ListNotBound                 a key has no list at Constant Contact yet
    └── CopyDetected                 the database was connected in another place: nothing is sent
    ConfigurationError               the settings are wrong (an ``ImproperlyConfigured``)

Texts are for staff and logs: they name a method, a path *template*, a status and a reason, and never an
address, a name, a token or a body. This module may import nothing of the package.
"""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ImproperlyConfigured

__all__ = [
    "AmbiguousWrite",
    "AuthenticationFailed",
    "ConfigurationError",
    "CopyDetected",
    "CtctError",
    "ListNotBound",
    "MalformedResponse",
    "PermanentError",
    "QuotaExhausted",
    "RateLimited",
    "RemoteConflict",
    "RemoteError",
    "RemoteUnavailable",
    "RequestRejected",
    "TransientError",
]


class CtctError(Exception):
    """Something between the site and Constant Contact went wrong."""


class RemoteError(CtctError):
    """A call to Constant Contact failed.

    ``code`` is a short machine name for the admin's filters (``timeout``, ``http_503``, ``no_status``);
    ``reason`` is one sentence for people. Neither holds anything personal or secret.
    """

    def __init__(
        self,
        reason: str,
        *,
        code: str,
        method: str = "",
        path: str = "",
        status: int | None = None,
        request_id: str = "",
    ) -> None:
        self.reason = reason
        self.code = code
        self.method = method
        self.path = path
        self.status = status
        self.request_id = request_id
        super().__init__(self._text())

    def _text(self) -> str:
        where = f"{self.method} {self.path}".strip()
        answer = f" answered {self.status}" if self.status is not None else ""
        trace = f" [request {self.request_id}]" if self.request_id else ""
        return f"{where}{answer}: {self.reason}{trace}" if where else f"{self.reason}{trace}"


class TransientError(RemoteError):
    """Trying again later can succeed; nothing was applied."""


class RemoteUnavailable(TransientError):
    """Constant Contact could not be reached, or answered that it cannot serve now."""


class RateLimited(TransientError):
    """Too many calls in a moment. ``retry_after`` is in seconds, already clamped."""

    def __init__(self, reason: str, *, retry_after: float, code: str = "rate_limited", **where: object) -> None:
        self.retry_after = retry_after
        super().__init__(reason, code=code, **where)  # type: ignore[arg-type]  # passed through as given


class QuotaExhausted(TransientError):
    """The calls of this UTC day are used up; ``until`` (aware, UTC) is when they return."""

    def __init__(self, reason: str, *, until: datetime, code: str = "quota", **where: object) -> None:
        self.until = until
        super().__init__(reason, code=code, **where)  # type: ignore[arg-type]  # passed through as given


class RemoteConflict(TransientError):
    """The contact is not as we last saw it (409, 412, or gone): read it again.

    ``remote_id`` is who has the address already, where the server says so; no text holds it.
    """

    def __init__(self, reason: str, *, remote_id: str = "", **where: object) -> None:
        self.remote_id = remote_id
        super().__init__(reason, **where)  # type: ignore[arg-type]  # passed through as given


class AmbiguousWrite(RemoteError):
    """A write was sent and no trustworthy answer came: it may have been applied, now or later."""


class PermanentError(RemoteError):
    """Repeating the same call cannot succeed."""


class AuthenticationFailed(PermanentError):
    """Constant Contact does not accept the account's credentials: a person has to act."""


class RequestRejected(PermanentError):
    """Constant Contact understood the request and refused it."""


class MalformedResponse(PermanentError):
    """The answer breaks the protocol; nothing may be concluded from it, so nothing is written."""


class ListNotBound(CtctError):
    """A key that the site uses is not bound to a list at Constant Contact. ``keys`` names them."""

    def __init__(self, keys: frozenset[str]) -> None:
        self.keys = keys
        names = ", ".join(sorted(keys))
        super().__init__(f"No list at Constant Contact is bound to: {names}. Bind it with ctct_lists or in the admin.")


class CopyDetected(CtctError):
    """The database looks like a copy of the live one. Nothing is read, written or renewed until a person confirms."""

    def __init__(self, alias: str) -> None:
        super().__init__(
            f"The account {alias!r} was connected in another place: this database looks like a copy of the live one, "
            "so nothing is sent. If this is the live site now, confirm it on the account's page in the admin or with "
            "ctct_connect --adopt."
        )


class ConfigurationError(ImproperlyConfigured):
    """``settings.CTCT`` or an adapter cannot be used as written; the text says what to change."""
