"""The other side, looked at from outside: by the sandbox's controls, and over a wire as any client would.

What is the same on every wire is here; ``atom_reader`` and ``json_reader`` each know one. None shares code with
the package, so that what is read back is a second opinion.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import requests

__all__ = ["OURS", "TIMEOUT", "Asked", "Holding", "ReadBack", "Reader", "Words"]

TIMEOUT = 5.0
#: How the demo itself is called, so that its requests can be told from the package's.
OURS = "ctct-demo"


@dataclass(frozen=True, slots=True)
class Holding:
    """What the account holds of one address. ``version`` counts the writes to it."""

    id: int
    uuid: str
    email: str
    status: str
    lists: frozenset[str]
    version: int
    fields: dict[str, str]

    def __str__(self) -> str:
        return f"{self.status}, on {', '.join(sorted(self.lists)) or 'no list'}"


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What a wire tells of one contact: where it was asked, and what it says of her consent and her lists.

    ``status`` is empty on a wire that has none; the document tells the permission then.
    """

    path: str
    document: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """How a wire says what the story is about. ``no_lists`` is the document of one who is on none."""

    no_lists: str
    empty: str
    site_acts: str
    contact_acts: str
    removed: str
    opted_out: str


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
        path, asks, _ = self.path.partition("?")
        return f"{self.method:<6} {path}{asks and '?…'} → {self.status}"


class Reader(ABC):
    """Read one sandbox."""

    words: ClassVar[Words]

    def __init__(self, url: str, authorization: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # never by way of a proxy: it is on this machine
        self._session.headers.update({"User-Agent": OURS, "Authorization": authorization})

    @abstractmethod
    def read_back(self, holding: Holding) -> ReadBack:
        """Read a contact over the wire."""

    @abstractmethod
    def lists_in(self, body: str) -> str:
        """Return what a request's body says of lists, in the form of ``ReadBack.document``."""

    @abstractmethod
    def act_in(self, body: str) -> str:
        """Return what a request's body says of whose act it is."""

    def is_up(self) -> bool:
        try:
            return self._session.get(f"{self._url}/_sandbox/clock", timeout=TIMEOUT).ok
        except requests.ConnectionError:
            return False

    def holding(self, email: str) -> Holding | None:
        """Return what the account holds of an address, by the sandbox's controls: no call of the API is spent."""
        for each in self._control("state")["contacts"]:
            if each["email"] == email:
                return Holding(
                    id=each["id"],
                    uuid=each["uuid"],
                    email=email,
                    status=each["status"],
                    lists=frozenset(each["lists"]),
                    version=each["version"],
                    fields=dict(each["fields"]),
                )
        return None

    def count_asked(self) -> int:
        return len(self._control("requests")["requests"])

    def asked(self, since: int = 0) -> list[Asked]:
        """Return the requests after the first ``since``, without those of the demo itself."""
        entries = self._control("requests")["requests"][since:]
        return [
            Asked(one["method"], one["path"], one["status"], one["body"])
            for one in entries
            if {name.lower(): value for name, value in one["headers"].items()}.get("user-agent") != OURS
        ]

    def act(self, **given: str) -> None:
        """Let somebody act in the web pages of Constant Contact."""
        answer = self._session.post(f"{self._url}/_sandbox/act", json=given, timeout=TIMEOUT)
        answer.raise_for_status()

    def list_names(self, *, by: str) -> dict[str, str]:
        """Return the names of the lists by their ``id`` (v1) or ``uuid`` (v3)."""
        return {str(one[by]): one["name"] for one in self._control("state")["lists"]}

    def _control(self, name: str) -> Any:
        return self._get(f"{self._url}/_sandbox/{name}").json()

    def _get(self, url: str) -> requests.Response:
        answer = self._session.get(url, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer
