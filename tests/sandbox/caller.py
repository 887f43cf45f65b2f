"""A bare v1 caller for the tests: it sends what a test says and reads as little as it can.

It is written from the protocol sheet and must not share a line with the client of the package.
"""

from __future__ import annotations

import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import urlsplit

import requests

from django_ctct.sandbox import RunningSandbox

ATOM = "{http://www.w3.org/2005/Atom}"
CTCT = "{http://ws.constantcontact.com/ns/1.0/}"
HOST = "http://api.constantcontact.com"
CUSTOMER, CONTACT = "ACTION_BY_CUSTOMER", "ACTION_BY_CONTACT"
ATOM_TYPE = {"Content-Type": "application/atom+xml"}


def entry(payload: str, atom_id: str = "data:,none", leave_out: str = "") -> str:
    atom = {
        "title": '<title type="text"> </title>',
        "updated": "<updated>2010-01-01T00:00:00.000Z</updated>",
        "author": "<author></author>",
        "id": f"<id>{atom_id}</id>",
    }
    head = "".join(text for name, text in atom.items() if name != leave_out)
    return (
        f'<entry xmlns="http://www.w3.org/2005/Atom">{head}'
        f'<content type="application/vnd.ctct+xml">{payload}</content></entry>'
    )


def contact(
    address: str | None = "ada@example.com",
    lists: Iterable[int | str] | None = (1,),
    source: str | None = CUSTOMER,
    **fields: str,
) -> str:
    parts = [f"<{name}>{escape(text)}</{name}>" for name, text in fields.items()]
    if address is not None:
        parts.append(f"<EmailAddress>{escape(address)}</EmailAddress>")
    if source is not None:
        parts.append(f"<OptInSource>{source}</OptInSource>")
    if lists is not None:
        uris = [each if isinstance(each, str) else list_uri(each) for each in lists]
        inner = "".join(f'<ContactList id="{escape(uri)}"></ContactList>' for uri in uris)
        parts.append(f"<ContactLists>{inner}</ContactLists>")
    return f'<Contact xmlns="http://ws.constantcontact.com/ns/1.0/">{"".join(parts)}</Contact>'


def list_uri(number: int | str, user: str = "acme") -> str:
    return f"{HOST}/ws/customers/{user}/lists/{number}"


def a_list(name: str | None = "News", **fields: str) -> str:
    given = {**({} if name is None else {"Name": name}), **fields}
    inner = "".join(f"<{key}>{escape(text)}</{key}>" for key, text in given.items())
    return f'<ContactList xmlns="http://ws.constantcontact.com/ns/1.0/">{inner}</ContactList>'


@dataclass
class Caller:
    running: RunningSandbox
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.auth = ("sandbox-key%acme", "sandbox-password")

    @property
    def base(self) -> str:
        return f"{self.running.url}/ws/customers/acme/"

    # The API

    def send(self, method: str, path: str, body: str | bytes | None = None, **given: Any) -> requests.Response:
        if body is not None:
            given.setdefault("headers", ATOM_TYPE)
        data = body.encode() if isinstance(body, str) else body
        given = {"timeout": 10, "allow_redirects": False, **given}
        return self.session.request(method, self.base + path, data=data, **given)

    def get(self, path: str, **given: Any) -> requests.Response:
        return self.send("GET", path, **given)

    def post(self, **given: Any) -> requests.Response:
        return self.send("POST", "contacts", entry(contact(**given)))

    def put(self, number: int, **given: Any) -> requests.Response:
        return self.send("PUT", f"contacts/{number}", entry(contact(**given)))

    def delete(self, number: int) -> requests.Response:
        return self.send("DELETE", f"contacts/{number}")

    def addresses(self, path: str) -> list[str]:
        return [each.text or "" for each in self.tree(path).iter(f"{CTCT}EmailAddress")]

    def tree(self, path: str) -> ET.Element:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return ET.fromstring(answer.content)

    # The controls

    def control(self, name: str, given: object = None, method: str = "POST") -> Any:
        answer = requests.request(method, f"{self.running.url}/_sandbox/{name}", json=given, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self) -> Any:
        return self.control("state", method="GET")

    def person(self, address: str = "ada@example.com") -> Any:
        return next(each for each in self.state()["contacts"] if each["email"] == address)

    def requests(self) -> Any:
        return self.control("requests", method="GET")["requests"]

    def switch(self, **positions: object) -> None:
        self.control("switches", positions)

    def fault(self, **given: object) -> None:
        self.control("faults", given)

    def raw(self, data: bytes, timeout: float = 5) -> bytes:
        """Send bytes and return all that comes until the server closes."""
        address = urlsplit(self.running.url)
        assert address.port is not None
        with socket.create_connection(("127.0.0.1", address.port), timeout) as line:
            line.sendall(data)
            received = b""
            while piece := line.recv(65536):
                received += piece
            return received


def names(element: ET.Element) -> list[str]:
    """Return the names of the children without their namespaces."""
    return [child.tag.partition("}")[2] for child in element]
