"""The wires of the simulator: the in-memory door, and v1 and v3 with all their documents but without a socket.

A wire's requests go to the doors of the sandbox in the same thread, so that a run stays one thread, one clock and
one seed. Status codes, headers and bytes are the sandbox's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.base import BaseBackend
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.backends.memory import MemoryBackend
from django_ctct.sandbox.account import Account
from django_ctct.sandbox.server import Sandbox
from django_ctct.sandbox.values import ContactList
from django_ctct.sandbox.wire import Request
from tests.sandbox.v3_rules import breaches

from .network import Weather
from .watch import Violation

__all__ = ["WIRES", "list_id"]

ORIGIN = "https://sandbox.example.com"


class Doors(BaseAdapter):
    """Carries a request of ``requests`` to the doors of a sandbox, as its server does.

    What is said over v3 is held to the published rules: a breach ends the run.
    """

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._box = Sandbox(account, "sandbox.example.com")

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        asked = Request(str(request.method), parts.path, parts.query, headers, bytes(body))
        answer = self._box.respond(asked)
        broken = breaches(one.as_exchange() for one in self._box.journal.entries(last=1))
        if broken:
            raise Violation(broken[0])
        told = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), **dict(answer.headers)}
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, request.url or "", request
        response.headers.update(told)
        response.raw = HTTPResponse(BytesIO(answer.body), told, answer.status, preload_content=False)
        return response

    def close(self) -> None:
        return None


class MemoryWire(Weather, MemoryBackend):
    """The in-memory backend in simulated weather."""

    def __init__(self, options: Mapping[str, Any], **handed: Any) -> None:
        super().__init__({"account": self.world.account})


class AtomWire(Weather, AtomBackend):
    """v1 in simulated weather."""

    def __init__(self, options: Mapping[str, Any], **handed: Any) -> None:
        super().__init__({"username": "acme", "access_token": "sandbox-token", "base_url": ORIGIN})
        self._http._session.mount(ORIGIN, Doors(self.world.account))


class JSONWire(Weather, JSONBackend):
    """v3 in simulated weather."""

    uses_tokens = False

    def __init__(self, options: Mapping[str, Any], **handed: Any) -> None:
        super().__init__({"access_token": "sandbox-token", "base_url": ORIGIN})
        self._wire._http._session.mount(ORIGIN, Doors(self.world.account))


def number(one: ContactList) -> str:
    return str(one.id)


def uuid(one: ContactList) -> str:
    return one.uuid


#: name → the backend, and how it calls a list.
WIRES: dict[str, tuple[type[BaseBackend], Callable[[ContactList], str]]] = {
    "memory": (MemoryWire, number),
    "v1": (AtomWire, number),
    "v3": (JSONWire, uuid),
}


def list_id(wire: str, one: ContactList) -> str:
    """Return the id by which a wire calls a list."""
    return WIRES[wire][1](one)
