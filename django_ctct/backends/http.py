"""The manners of a client, once for both wires: one session, one deadline, one table from mishap to error.

A wire says what to ask (a ``Call`` and an address) and reads the ``Answer``. Everything that can go wrong in
between is told apart here by what the caller can do next. Nothing here retries a request of which a byte may
have left, follows a redirect, reads the environment, keeps a cookie, or puts an address, a user name, a token
or a body into a text or a log line.
"""

from __future__ import annotations

import difflib
import http.client
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
from urllib3 import exceptions as lib

from ..exceptions import (
    AmbiguousWrite,
    AuthenticationFailed,
    ConfigurationError,
    MalformedResponse,
    QuotaExhausted,
    RateLimited,
    RemoteConflict,
    RemoteError,
    RemoteUnavailable,
    RequestRejected,
)
from .base import Gate
from .http_session import CONNECT_SECONDS, READ_SECONDS, Authorize, Exchange, discretion, new_session

__all__ = ["ENTRY_CAP", "FEED_CAP", "Answer", "Authorize", "Call", "Transport", "check_base_url", "check_options"]

#: The whole request, from the first connect to the last byte of the body.
TOTAL_SECONDS = 20.0
ENTRY_CAP = 2 * 1024 * 1024
FEED_CAP = 8 * 1024 * 1024
#: No more of an error's body is worth reading: its status decides.
REFUSAL_CAP = 64 * 1024
CHUNK = 64 * 1024

Failure = TypeVar("Failure", bound=RemoteError)


# What is asked and what comes back


@dataclass(frozen=True, slots=True)
class Call:
    """A method and a path *template* (``/contacts/{id}``): all that a text about a request may say."""

    method: str
    template: str

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    def error(self, kind: type[Failure], reason: str, *, code: str, **more: Any) -> Failure:
        """Make an error that says where it happened. ``more`` goes to the error's class."""
        return kind(reason, code=code, method=self.method, path=self.template, **more)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer whose status the wire has to judge: any 2xx, or one that it allowed.

    ``flaw`` is the code of what is wrong with the body of a write that succeeded (``truncated``, ``encoded``,
    ``too_large``, …); then ``body`` is empty. A read with a flaw never gets this far.
    """

    call: Call
    url: str = field(repr=False)
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    flaw: str = ""

    @property
    def text(self) -> str:
        """Give the first 4 KiB of the body as text: only for telling refusals apart, never for showing."""
        return self.body[:4096].decode("utf-8", errors="replace")

    @property
    def date(self) -> datetime | None:
        """Give the server's own time of answering, in whole seconds (RFC 9110 §6.6.1); None where it says none."""
        try:
            return parsedate_to_datetime(self.headers.get("Date", "")).astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            return None

    @property
    def request_id(self) -> str:
        """Give the id under which the server knows this request, if it is one and not something else."""
        named = self.headers.get("X-Mashery-Message-ID") or self.headers.get("X-Request-Id") or ""
        return named if re.fullmatch(r"[A-Za-z0-9-]{1,64}", named) else ""

    def error(self, kind: type[Failure], reason: str, *, code: str, **more: Any) -> Failure:
        """Make an error about this answer."""
        return self.call.error(kind, reason, code=code, status=self.status, request_id=self.request_id, **more)


# Settings that both wires check alike


def check_options(options: Mapping[str, object], known: Iterable[str]) -> None:
    """Refuse an option that the wire does not have, and name the nearest one that it has."""
    for name in options:
        if name not in (names := sorted(known)):
            near = difflib.get_close_matches(str(name), names, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(names)}."
            raise ConfigurationError(f"OPTIONS has an unknown option {name!r}: {advice}")


def check_base_url(url: object, *, option: str = "base_url") -> str:
    """Return the address without a slash at its end: https, or http on this machine only.

    The texts do not repeat the address, which may hold a password by mistake.
    """
    text = url if isinstance(url, str) else ""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or port == 0 or re.search(r"[\s\x00-\x1f\x7f\\]", text):
        raise ConfigurationError(f"{option} is not an address: write https://host, or http://127.0.0.1:port.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ConfigurationError(f"{option} must begin with https:// (http:// is for this machine's own addresses).")
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise ConfigurationError(f"{option} must hold no user name, password, query or fragment.")
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# One request


class Transport:
    """Sends requests one after another to one server. One thread at a time may use it; ``close`` it at the end.

    ``authorize`` sets a header on each request and returns it: credentials are never part of an address.
    """

    def __init__(
        self, base_url: str, *, authorize: Authorize, gate: Gate, total_seconds: float = TOTAL_SECONDS
    ) -> None:
        self.base_url = check_base_url(base_url)
        self._gate = gate
        self._total = total_seconds
        self._exchange = Exchange()
        self._session = new_session(authorize, self._exchange)

    def url(self, *segments: str, query: Iterable[tuple[str, str]] = ()) -> str:
        """Build an address below the base. Every segment and value is quoted whole: none can leave its place."""
        if any(segment in {"", ".", ".."} for segment in segments):
            raise ValueError("A path segment must have a name.")
        path = "".join("/" + quote(segment, safe="") for segment in segments)
        asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
        return f"{self.base_url}{path}{'?' if asked else ''}{asked}"

    def send(
        self,
        call: Call,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        cap: int = ENTRY_CAP,
        allow: frozenset[int] = frozenset(),
    ) -> Answer:
        """Make one request and return its answer when it is a 2xx, or has a status that the wire allows.

        ``cap`` is the most bytes that the body of a 2xx may have. Raise what the tables below say otherwise;
        whatever the gate raises passes through.
        """
        self._gate.acquire()
        self._exchange.begin(self._total)
        with discretion():
            try:
                response = self._request(call, url, body, headers)
            except _LIBRARY_ERRORS as error:
                self._exchange.drop()
                raise self._failure(call, error) from None
            with closing(response):
                answer = self._answer(call, response, cap)
        return _judge(answer, allow)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _request(
        self, call: Call, url: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> requests.Response:
        return self._session.request(
            call.method,
            url,
            data=body,
            headers=dict(headers or {}),
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            stream=True,
        )

    def _answer(self, call: Call, response: requests.Response, cap: int) -> Answer:
        good = 200 <= response.status_code < 300
        body, flaw = self._body(response, cap if good else REFUSAL_CAP)
        answer = Answer(call, response.url, response.status_code, response.headers, body, flaw)
        if flaw and good and not call.writes:
            raise answer.error(RemoteUnavailable, _FLAWS.get(flaw, "the answer broke off"), code=flaw)
        return answer

    def _body(self, response: requests.Response, cap: int) -> tuple[bytes, str]:
        """Read the body as it came over the wire, and say what is wrong with it."""
        if response.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
            return b"", "encoded"  # we asked for identity: this is a mistake, or a bomb
        declared = response.headers.get("Content-Length", "")
        length = int(declared) if re.fullmatch(r"[0-9]{1,18}", declared) else None
        if length is not None and length > cap:
            return b"", "too_large"
        try:
            body = _read(response, cap)
        except _LIBRARY_ERRORS as error:
            return b"", self._cause(error)
        if len(body) > cap:
            return b"", "too_large"
        # urllib3 1.26 does not compare by itself, urllib3 2 does.
        return (b"", "truncated") if length is not None and len(body) < length else (body, "")

    def _failure(self, call: Call, error: Exception) -> RemoteError:
        """Say what became of a request without an answer. A write is 'not applied' only where that is certain."""
        cause = self._cause(error)
        reason = _FLAWS.get(cause) or next(reason for _, code, reason in _CAUSES if code == cause)
        nothing_sent = not self._exchange.sent and (self._exchange.connecting or cause in _BEFORE_SENDING)
        if cause == "unsendable" and nothing_sent:
            return call.error(RequestRejected, reason, code=cause)
        if call.writes and not nothing_sent:
            return call.error(AmbiguousWrite, reason, code=cause)
        return call.error(RemoteUnavailable, reason, code=cause)

    def _cause(self, error: Exception) -> str:
        known = list(_chain(error))
        code = next(code for kinds, code, _ in _CAUSES if any(isinstance(one, kinds) for one in known))
        return "deadline" if code == "timeout" and self._exchange.left() <= 0 else code


def _read(response: requests.Response, cap: int) -> bytes:
    """Read at most one chunk more than ``cap`` allows; the deadline is kept by the stream below."""
    parts: list[bytes] = []
    size = 0
    while size <= cap and (part := response.raw.read(CHUNK, decode_content=False)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


# The table from what the libraries raise to a code and a reason. The first row that fits wins.

_LIBRARY_ERRORS = (requests.RequestException, lib.HTTPError, http.client.HTTPException, OSError, ValueError)

_CAUSES: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
    ((ssl.SSLCertVerificationError,), "certificate", "the server's certificate is not valid"),
    ((requests.exceptions.SSLError, lib.SSLError, ssl.SSLError), "tls", "no secure connection could be made"),
    ((lib.NameResolutionError, socket.gaierror), "dns", "the server's name could not be looked up"),
    ((lib.NewConnectionError,), "unreachable", "the server did not take the connection"),
    ((requests.ConnectTimeout, lib.ConnectTimeoutError), "connect_timeout", "the server did not take the call in time"),
    ((requests.ReadTimeout, lib.ReadTimeoutError, TimeoutError), "timeout", "the server did not answer in time"),
    ((http.client.IncompleteRead, requests.exceptions.ChunkedEncodingError), "truncated", "the answer broke off"),
    ((ValueError,), "unsendable", "the request could not be put together"),
    ((Exception,), "reset", "the connection broke"),
)

_FLAWS = {
    "encoded": "the body is compressed, which was not asked for",
    "too_large": "the body is larger than any that the protocol needs",
    "deadline": "the server did not answer within the time that a request may take",
}

#: Causes that come up before the request is sent. TLS can also fail later: ``Exchange.sent`` tells.
_BEFORE_SENDING = frozenset({"certificate", "tls", "dns", "unreachable", "connect_timeout", "unsendable"})


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that the libraries packed into it."""
    yield error
    for inner in (*error.args, getattr(error, "reason", None)):
        if isinstance(inner, BaseException):
            yield from _chain(inner)


# The table from a status to an error

# Mashery's gateway, in front of v1, answers 403 for too many calls, like a refusal: "Developer Over Qps" for a
# second's, "Developer Over Rate" for the day's, or v2's "mashery.not.authorized.over.qps" (protocol sheet §8).
_OVER_DAY = re.compile(r"over[ ._]rate", re.IGNORECASE)
_OVER_SECOND = re.compile(r"over[ ._]qps", re.IGNORECASE)
_GATEWAY = re.compile(r"mashery", re.IGNORECASE)

# v3 answers 429 for three things: too many calls in a second ("throttled"), the day's calls ("quota_exceeded", or
# "Limit Exceeded" in older words), and too many activities that wait (v3 sheet §6, without its words).
_DAY_IS_OVER = re.compile(r'"quota_exceeded"|"limit exceeded"', re.IGNORECASE)
_QUEUE_IS_FULL = re.compile(r"queue", re.IGNORECASE)


def _judge(answer: Answer, allow: frozenset[int]) -> Answer:
    if 200 <= answer.status < 300:
        return answer
    _check_limits(answer)
    if answer.status in allow:
        return answer
    raise _refusal(answer)


def _check_limits(answer: Answer) -> None:
    if answer.status == 429:
        if _DAY_IS_OVER.search(answer.text):
            raise _day_is_over(answer)
        if _QUEUE_IS_FULL.search(answer.text):  # about this one request, so the account need not rest
            raise answer.error(RemoteUnavailable, "too many activities wait already", code="queue_full")
        raise _too_fast(answer)
    if answer.status != 403:
        return
    told = answer.headers.get("X-Mashery-Error-Code", "") + " " + answer.text
    if _OVER_DAY.search(told):
        raise _day_is_over(answer)
    if _OVER_SECOND.search(told):
        raise _too_fast(answer)
    if _GATEWAY.search(told) or "X-Mashery-Error-Code" in answer.headers:
        raise answer.error(AuthenticationFailed, "the gateway does not accept the API key", code="forbidden")


def _day_is_over(answer: Answer) -> QuotaExhausted:
    return answer.error(QuotaExhausted, "the day's calls are used up", code="quota", until=_next_midnight())


def _too_fast(answer: Answer) -> RateLimited:
    seconds = _retry_after(answer.headers.get("Retry-After", ""))
    return answer.error(RateLimited, "too many calls in a moment", code="rate_limited", retry_after=seconds)


def _refusal(answer: Answer) -> RemoteError:
    status, code = answer.status, f"http_{answer.status}"
    if status in _STATUSES:
        kind, code, reason = _STATUSES[status]
        return answer.error(kind, reason, code=code)
    if 300 <= status < 400:
        return answer.error(MalformedResponse, "a redirect, which the protocol does not have", code="redirect")
    if 400 <= status < 500:
        return answer.error(RequestRejected, "the server refused the request", code=code)
    if answer.call.writes:  # it may have failed after it wrote
        return answer.error(AmbiguousWrite, "the server failed while it wrote", code=code)
    if 500 <= status < 600:
        return answer.error(RemoteUnavailable, "the server cannot answer now", code=code)
    return answer.error(MalformedResponse, "a status that does not exist", code=code)


_STATUSES: dict[int, tuple[type[RemoteError], str, str]] = {
    401: (AuthenticationFailed, "unauthorized", "the account's credentials are not accepted"),
    403: (AuthenticationFailed, "forbidden", "the account's credentials do not reach this"),
    408: (RemoteUnavailable, "http_408", "the server did not get the whole request in time"),
    409: (RemoteConflict, "http_409", "it exists already, or is not as it was last seen"),
    412: (RemoteConflict, "http_412", "it is not as it was last seen"),
}


def _retry_after(value: str) -> float:
    """Read seconds or a date (RFC 9110 §10.2.3), clamped to an hour; one second where it says nothing usable."""
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        seconds = float(value)
    else:
        try:
            seconds = (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            seconds = 1.0
    return min(max(seconds, 1.0), 3600.0)


def _next_midnight() -> datetime:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return tomorrow.replace(hour=0, minute=0, second=0, microsecond=0)
