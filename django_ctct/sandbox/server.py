"""The sandbox as a running server: one port, all doors, the controls and the page.

It exists to put the parts together: it logs API requests, plays faults, and sends each path to its door. A
further wire is one more entry in ``_doors``. It listens on this machine only, unless told otherwise.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from django_ctct.sandbox import atom, controls
from django_ctct.sandbox.account import Account
from django_ctct.sandbox.connection import Connection
from django_ctct.sandbox.fault_play import Line, Scene, play
from django_ctct.sandbox.faults import Fault, Faults
from django_ctct.sandbox.journal import Journal, Logged
from django_ctct.sandbox.json_api import JsonApi
from django_ctct.sandbox.json_door import gateway_forbidden
from django_ctct.sandbox.page import FrontPage
from django_ctct.sandbox.switches import Switches
from django_ctct.sandbox.values import Credentials
from django_ctct.sandbox.wire import Answer, Door, Request, text_answer

logger = logging.getLogger(__name__)

_MOST_LANDING = 1000
"""Late requests that may be on their way at once; more of them are lost, as on a real network."""


class Sandbox:
    """Hold the parts of one sandbox and answer requests."""

    def __init__(self, account: Account, host: str, seed: int = 0) -> None:
        self.account = account
        self.journal = Journal()
        self.faults = Faults(seed)
        self.closing = threading.Event()
        self._host = host
        self._timers: set[threading.Timer] = set()
        self._lock = threading.Lock()
        self.api = JsonApi(account)
        self._doors: tuple[tuple[str, Door], ...] = ((atom.PREFIX, atom.AtomDoor(account)), *self.api.doors())
        self._controls = controls.Controls(account, self.journal, self.faults, self.landing, self.api)
        self._page = FrontPage(account, self.journal)

    def answer(self, request: Request, line: Line) -> None:
        """Answer one request on its line, or let a fault do so."""
        self.api.activities.settle()
        own = self._own(request)
        if own is not None:
            line.send(self._kept(own, request))
            return
        entry = self.journal.note(request)
        fault = self.faults.strike(request)
        if fault is not None:
            play(self._scene(fault, request, line, entry))
            return
        answer = self._respond(request, entry)
        entry.status = answer.status
        line.send(answer)

    def respond(self, request: Request) -> Answer:
        """Answer one API request without a socket: it is logged, and no fault strikes it."""
        return self._respond(request, self.journal.note(request))

    # The sandbox's own pages

    def _own(self, request: Request) -> Door | None:
        if request.path.startswith(controls.PREFIX):
            return self._controls
        return self._page if request.path in ("/", "/act") else None

    def _kept(self, door: Door, request: Request) -> Answer:
        """Ask one of our own doors, unless the request came by way of a foreign page or name."""
        if not self._known_name(request.host):
            return text_answer(403, "This sandbox is not called by that name.")
        origin = request.headers.get("origin")
        if origin is not None and origin != f"http://{request.host}":
            return text_answer(403, "Another site may not use this sandbox.")
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return text_answer(403, "Another site may not use this sandbox.")
        return self._guarded(door, request)

    def _known_name(self, host: str) -> bool:
        """Tell whether a Host header is ours: a name of somebody else's may be a rebound one."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in ("localhost", self._host) or _is_address(name)

    # The doors

    def _respond(self, request: Request, entry: Logged) -> Answer:
        answer = self._guarded(self._door(request.path), request).at(self.account.clock.now())
        entry.applied = answer.status
        self.journal.keep(entry, answer)
        return answer

    def _door(self, path: str) -> Door:
        for prefix, door in self._doors:
            if path.startswith(prefix):
                return door
        return _elsewhere

    def _guarded(self, door: Door, request: Request) -> Answer:
        try:
            return door(request)
        except Exception:
            # A fault of ours must look like a server's to the client, and be seen by us.
            logger.exception("a door of the sandbox failed")
            return text_answer(500, "Error 500: Server Error")

    def _scene(self, fault: Fault, request: Request, line: Line, entry: Logged) -> Scene:
        respond = partial(self._respond, request, entry)
        return Scene(fault, request, line, entry, respond, partial(self._land_later, respond), self.closing)

    # Late landings

    def _land_later(self, respond: Callable[[], Answer], seconds: float) -> None:
        generation = self.account.generation

        def land() -> None:
            # A reset in between is another account: nothing of the old one may land there.
            try:
                with self.account.lock:
                    if self.account.generation == generation and not self.closing.is_set():
                        respond()
            finally:
                with self._lock:
                    self._timers.discard(timer)

        timer = threading.Timer(seconds, land)
        timer.daemon = True
        with self._lock:
            if len(self._timers) >= _MOST_LANDING:
                return
            self._timers.add(timer)
        timer.start()

    def landing(self) -> int:
        """Return how many late requests are still on their way."""
        with self._lock:
            return len(self._timers)

    def stop(self) -> None:
        """Wake what waits and call off what is on its way."""
        self.closing.set()
        with self._lock:
            timers, self._timers = self._timers, set()
        for timer in timers:
            timer.cancel()


def _elsewhere(request: Request) -> Answer:
    """Answer for a path of no wire: v3's gateway speaks to who comes with a token (v3 sheet §0)."""
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        return gateway_forbidden(request)
    return text_answer(404, "Error 404: There is nothing here")


class _Server(ThreadingHTTPServer):
    """Listen, and remember the open connections so that closing leaves none behind."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], host: Sandbox) -> None:
        self.host = host
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Connection)

    def server_bind(self) -> None:
        """Bind without the look-up of a host name that the base class makes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up_all(self) -> None:
        """End every open connection."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log without the address of anybody."""
        logger.exception("a connection to the sandbox failed")


@dataclass(slots=True)
class RunningSandbox:
    """Be a sandbox that listens; close it, or use it as a context manager."""

    url: str
    account: Account
    sandbox: Sandbox
    _server: _Server
    _thread: threading.Thread

    @property
    def credentials(self) -> Credentials:
        """Return what a client must show."""
        return self.account.credentials

    def close(self) -> None:
        """Stop listening, end every connection, and wait for the listening thread; may be called twice."""
        self.sandbox.stop()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up_all()
        self._thread.join(5)

    def __enter__(self) -> RunningSandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(
    port: int = 0,
    host: str = "127.0.0.1",
    account: Account | None = None,
    *,
    credentials: Credentials | None = None,
    switches: Switches | None = None,
    seed: int = 0,
    allow_remote: bool = False,
) -> RunningSandbox:
    """Start a sandbox in a daemon thread; port 0 takes a free one.

    Raise ``ValueError`` for a host that is not this machine, unless ``allow_remote``: the controls need no
    password, so a sandbox in the open belongs to everybody.
    """
    if not allow_remote and not _is_loopback(host):
        raise ValueError("The sandbox listens on a loopback address only, unless remote clients are allowed.")
    account = account or Account(credentials, switches)
    sandbox = Sandbox(account, host, seed)
    server = _Server((host, port), sandbox)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="ctct-sandbox", daemon=True)
    thread.start()
    shown = f"[{host}]" if ":" in host else host
    return RunningSandbox(f"http://{shown}:{server.server_port}", account, sandbox, server, thread)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
