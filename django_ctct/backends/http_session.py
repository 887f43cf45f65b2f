"""A session of requests with a deadline, and with discretion.

Apart from ``http`` because it is about sockets: a timeout of requests is for each read, so a server that sends a
byte now and then, even within the headers, keeps a worker for as long as it likes. It knows nothing of Constant
Contact.
"""

from __future__ import annotations

import http.client
import io
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

__all__ = ["CONNECT_SECONDS", "READ_SECONDS", "Authorize", "Exchange", "discretion", "new_session"]

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0

#: Sets a header on a request and returns it.
Authorize = Callable[[requests.PreparedRequest], requests.PreparedRequest]


# The session, and a deadline that even a header sent byte by byte cannot stretch


class Exchange:
    """The request under way: when it must be over, and whether a byte of it may have left.

    ``connecting`` and not ``sent`` is proof that nothing left; neither of them proves nothing.
    """

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.connecting = False
        self.sent = False
        self.opened: http.client.HTTPResponse | None = None

    def left(self) -> float:
        return self.ends - time.monotonic()

    def drop(self) -> None:
        """Close an answer that never reached us: urllib3 leaves it open when it does not like its headers."""
        if self.opened is not None:
            self.opened.close()


class _TimedStream(io.RawIOBase):
    """The bytes of an answer, read with ever shorter patience.

    A timeout of requests is per read, so that one byte every few seconds keeps it waiting for ever.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: Exchange) -> None:
        super().__init__()
        self._raw, self._sock, self._exchange = raw, sock, exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._exchange.left()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(min(READ_SECONDS, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, exchange: Exchange, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        exchange.opened = self
        self.fp = io.BufferedReader(_TimedStream(self.fp.detach(), sock, exchange))


class _TimedConnection:
    """Mixed into urllib3's connections: connects within the deadline, and notes when the first byte goes out."""

    exchange: Exchange
    sock: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.response_class = partial(_TimedResponse, self.exchange)

    def connect(self) -> None:
        self.timeout = min(CONNECT_SECONDS, max(self.exchange.left(), 0.001))
        self.exchange.connecting = True
        super().connect()  # type: ignore[misc]  # a connection of urllib3, see _timed

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.exchange.sent = True
        super().send(data)  # type: ignore[misc]


def _timed(pool: type, connection: type, exchange: Exchange) -> type:
    """Derive a pool of urllib3 whose connections keep the deadline of ``exchange``."""
    timed = type("Timed" + connection.__name__, (_TimedConnection, connection), {"exchange": exchange})
    return type("Timed" + pool.__name__, (pool,), {"ConnectionCls": timed})


class _TimedAdapter(HTTPAdapter):
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        # Durable retries live in the contact's row. Here only a connection that was never made is tried again.
        retry = urllib3.Retry(total=None, connect=2, read=False, status=False, other=False, redirect=0)
        super().__init__(max_retries=retry)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _timed(urllib3.HTTPConnectionPool, urllib3.connection.HTTPConnection, self._exchange),
            "https": _timed(urllib3.HTTPSConnectionPool, urllib3.connection.HTTPSConnection, self._exchange),
        }


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """See no redirect: even with ``allow_redirects=False`` requests would read that body whole and unpack it."""
        return None


def new_session(authorize: Authorize, exchange: Exchange) -> requests.Session:
    """Make a session that keeps no cookie, reads no environment and tries again only where nothing was sent."""
    _silence_libraries()
    session = _Session()
    session.trust_env = False  # the shell's proxy would see our Authorization, its certificates would vouch for anybody
    session.auth = authorize
    session.verify = True
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": "django-ctct-sync"})
    for prefix in ("https://", "http://"):
        session.mount(prefix, _TimedAdapter(exchange))
    return session


# Discretion: urllib3 writes whole addresses, ?email=… included, to its log, some of them as warnings

_talking: ContextVar[bool] = ContextVar("django_ctct_talking", default=False)


@contextmanager
def discretion() -> Iterator[None]:
    token = _talking.set(True)
    try:
        yield
    finally:
        _talking.reset(token)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _talking.get()


def _silence_libraries() -> None:
    """Drop urllib3's log records of our own requests; those of the rest of the site stay."""
    for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_is_not_ours)
