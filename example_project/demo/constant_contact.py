"""The other side, looked at from outside: over the v1 wire as any client would, and by the sandbox's controls.

It shares no code with the package, so that what it reads back is a second opinion.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import requests
from defusedxml.ElementTree import fromstring

__all__ = ["Asked", "Holding", "Reader", "pretty"]

TIMEOUT = 5.0
_OURS = "ctct-demo"
_CTCT = "{http://ws.constantcontact.com/ns/1.0/}"
_ATOM = "{http://www.w3.org/2005/Atom}"


@dataclass(frozen=True, slots=True)
class Holding:
    """What the account holds of one address. ``version`` counts the writes to it."""

    id: int
    status: str
    lists: frozenset[str]
    version: int
    fields: dict[str, str]

    def __str__(self) -> str:
        return f"{self.status}, on {', '.join(sorted(self.lists)) or 'no list'}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that the package sent."""

    method: str
    path: str
    status: int | None
    body: str

    @property
    def is_write(self) -> bool:
        return self.method != "GET"

    def __str__(self) -> str:
        return f"{self.method:<6} {self.path} → {self.status}"


class Reader:
    """Read one sandbox."""

    def __init__(self, url: str, username: str, api_key: str, password: str) -> None:
        self._url = url
        self._account = f"{url}/ws/customers/{username}"
        credentials = base64.b64encode(f"{api_key}%{username}:{password}".encode()).decode()
        self._session = requests.Session()
        self._session.trust_env = False  # never by way of a proxy: it is on this machine
        self._session.headers.update({"User-Agent": _OURS, "Authorization": f"Basic {credentials}"})

    def is_up(self) -> bool:
        try:
            return self._session.get(f"{self._url}/_sandbox/clock", timeout=TIMEOUT).ok
        except requests.ConnectionError:
            return False

    def holding(self, email: str) -> Holding | None:
        """Return what the account holds of an address, by the sandbox's controls: no call of the API is spent."""
        for each in self._json("state")["contacts"]:
            if each["email"] == email:
                return Holding(
                    each["id"], each["status"], frozenset(each["lists"]), each["version"], dict(each["fields"])
                )
        return None

    def path(self, contact_id: int) -> str:
        """Return the path of a contact in the v1 API."""
        return urlsplit(f"{self._account}/contacts/{contact_id}").path

    def contact_lists(self, contact_id: int) -> str:
        """Read a contact over the v1 wire and return its ``<ContactLists>`` element."""
        answer = self._session.get(f"{self._account}/contacts/{contact_id}", timeout=TIMEOUT)
        answer.raise_for_status()
        return pretty(answer.content, {str(one["id"]): one["name"] for one in self._json("state")["lists"]})

    def count_asked(self) -> int:
        return len(self._json("requests")["requests"])

    def asked(self, since: int = 0) -> list[Asked]:
        """Return the requests after the first ``since``, without those of this reader."""
        entries = self._json("requests")["requests"][since:]
        return [
            Asked(one["method"], one["path"], one["status"], one["body"])
            for one in entries
            if {name.lower(): value for name, value in one["headers"].items()}.get("user-agent") != _OURS
        ]

    def act(self, **given: str) -> None:
        """Let somebody act in the web pages of Constant Contact."""
        answer = self._session.post(f"{self._url}/_sandbox/act", json=given, timeout=TIMEOUT)
        answer.raise_for_status()

    def _json(self, name: str) -> Any:
        answer = self._session.get(f"{self._url}/_sandbox/{name}", timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json()


def pretty(document: bytes | str, names: dict[str, str] | None = None) -> str:
    """Return the ``<ContactLists>`` of a document, indented, each list with its name and without its Atom link."""
    found = fromstring(document).find(f".//{_CTCT}ContactLists")
    if found is None:
        return "(there is no <ContactLists> in it)"
    for each in found:
        name = (names or {}).get(each.get("id", "").rpartition("/")[2], "")
        each[:] = [ElementTree.Comment(f" {name} "), *(child for child in each if not child.tag.startswith(_ATOM))]
    for each in found.iter():
        if isinstance(each.tag, str):  # a comment's tag is a function
            each.tag = each.tag.rpartition("}")[2]
    ElementTree.indent(found)
    found.tail = None
    return ElementTree.tostring(found, encoding="unicode", short_empty_elements=True)
