"""A browser without a window: it loads pages, fills in their forms, presses their buttons, and goes where it is sent.

It knows nothing of the site but what the pages say. Of an address it keeps the path only: a query may hold a code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

from .constant_contact import OURS

__all__ = ["Browser", "Lost", "Visit"]

_LONGEST_WAY = 5
#: Signing in is slow on purpose, and slower on a busy machine (seconds).
_PATIENCE = 30.0


class Lost(Exception):
    """The page has no such button, nobody answers, or the way does not end."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of the browser, without its query."""

    method: str
    path: str
    status: int

    def __str__(self) -> str:
        return f"{self.method:<6} {self.path} → {self.status}"


@dataclass(slots=True)
class _Form:
    """A form of a page: where it goes, what it holds already, and its buttons by what is written on them."""

    action: str = ""
    held: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class Browser:
    """One window: ``text`` and ``url`` are of the page that it shows, ``visits`` is the way it came."""

    def __init__(self) -> None:
        self.text = self.url = ""
        self.visits: list[Visit] = []
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["User-Agent"] = OURS

    def open(self, url: str) -> None:
        """Load a page."""
        self._go("GET", url, {})

    def press(self, button: str, **typed: str) -> None:
        """Fill in the form that has this button, and send it."""
        for form in _forms(self.text):
            if button in form.buttons:
                name, value = form.buttons[button]
                pressed = {name: value} if name else {}
                return self._go("POST", urljoin(self.url, form.action), {**form.held, **typed, **pressed})
        raise Lost(f"no button “{button}” on {urlsplit(self.url).path}")

    def _go(self, method: str, url: str, fields: dict[str, str]) -> None:
        for _ in range(_LONGEST_WAY):
            answer = self._ask(method, url, fields)
            self.visits.append(Visit(method, urlsplit(url).path, answer.status_code))
            if not answer.is_redirect:
                self.url, self.text = url, answer.text
                return
            method, url, fields = "GET", urljoin(url, answer.headers["Location"]), {}
        raise Lost(f"sent on and on from {urlsplit(url).path}")

    def _ask(self, method: str, url: str, fields: dict[str, str]) -> requests.Response:
        headers = {}
        if method == "POST":
            parts = urlsplit(self.url)
            headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
        try:
            return self._session.request(
                method, url, data=fields or None, headers=headers, timeout=_PATIENCE, allow_redirects=False
            )
        except requests.RequestException:  # its text would hold the whole address
            raise Lost(f"no answer to {method} {urlsplit(url).path}") from None


def _forms(text: str) -> list[_Form]:
    found = _Forms()
    found.feed(text)
    return found.forms


class _Forms(HTMLParser):
    """Gather the forms of a page. They are taken to be sent by POST, as every button of the story is."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self._open: _Form | None = None
        self._button: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = _Form(given.get("action", ""))
            self.forms.append(self._open)
        elif self._open is not None and tag in ("input", "button"):
            self._take(self._open, tag, given)

    def _take(self, form: _Form, tag: str, given: dict[str, str]) -> None:
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "button":
            self._button = (name, value)
        elif given.get("type") == "submit":
            form.buttons[value] = (name, value)
        elif name:
            form.held[name] = value

    def handle_data(self, data: str) -> None:
        if self._button is not None and self._open is not None and data.strip():
            self._open.buttons[data.strip()] = self._button

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._button = None
        elif tag == "form":
            self._open = None
