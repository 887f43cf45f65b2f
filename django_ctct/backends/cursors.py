"""Where a walk goes on after a page, as text that outlives the process: a cursor.

It holds what the server gave for going on, and no secret. It is marked with the wire, the server and the account
that it belongs to, so that one from elsewhere, an older account's or a made-up one is refused before anything is
sent. It knows no request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..exceptions import RequestRejected
from ..types import Page

__all__ = ["CONTACTS", "Cursors", "Place", "is_query", "resumed"]

CONTACTS = "contacts"


class Cursors:
    """Writes and reads the cursors of one account. ``whose`` tells it from all others: server, user."""

    def __init__(self, wire: str, *whose: str) -> None:
        self._mark = f"{wire}:{hashlib.sha256(repr(whose).encode()).hexdigest()[:16]}:"

    def write(self, place: object) -> str:
        """Return the cursor of a place; behind the last page there is none, and so no cursor."""
        return f"{self._mark}{place}" if place else ""

    def read(self, cursor: str) -> str:
        """Return the place of a cursor. Raise ``RequestRejected`` (code ``cursor``) for one of another account."""
        if not cursor.startswith(self._mark):
            raise _no_place()
        return cursor.removeprefix(self._mark)

    def read_query(self, cursor: str) -> str:
        """Return a place that is the query of an address, and nothing more than that."""
        query = self.read(cursor)
        if not is_query(query):
            raise _no_place()
        return query

    def read_place(self, cursor: str) -> Place:
        """Return a place in a walk through several feeds."""
        found = re.fullmatch(rf"({CONTACTS}(?:/[0-9]{{1,19}})*)(?:\?(.+))?", self.read(cursor))
        page = (found.group(2) or "") if found else ""
        if found is None or (page and not is_query(page)):
            raise _no_place()
        *done, feed = found.group(1).split("/")
        return Place(tuple(done), feed, page)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a walk through the contacts and then the members of lists, as v1 needs it.

    ``done`` are the feeds behind it and ``feed`` is the one it is in: ``contacts``, or a list's number. ``page`` is
    the server's word for the page, empty for the first.
    """

    done: tuple[str, ...] = ()
    feed: str = CONTACTS
    page: str = ""

    def __str__(self) -> str:
        return "/".join((*self.done, self.feed)) + (f"?{self.page}" if self.page else "")

    @property
    def list_id(self) -> str:
        """Name the list whose members are walked; empty among the contacts."""
        return "" if self.feed == CONTACTS else self.feed

    def ahead(self, lists: Sequence[str]) -> Place | None:
        """Return the beginning of the next feed: a list that is asked about and was not walked yet, in any order."""
        done = (*self.done, self.feed)
        return next((Place(done, one) for one in lists if one not in done), None)

    def still(self, lists: Sequence[str]) -> Place | None:
        """Return this place, or the next one where its list is not asked about any more."""
        return self if self.feed in (CONTACTS, *lists) else self.ahead(lists)

    def on_page(self, page: str) -> Place:
        return replace(self, page=page)


def is_query(text: str) -> bool:
    """Say whether a text can be the query of an address, and nothing more than that."""
    return re.fullmatch(r"[!$-;=?-~%]{1,8000}", text) is not None


def resumed(pages: Iterator[Page]) -> Iterator[Page]:
    """Yield the pages of a walk that goes on. A refusal of the first one means that its cursor is not known any more.

    How long a server knows one is in doubt on both wires (v1 sheet §3.2, v3 sheet §2.2). Each answer is a page.
    """
    try:
        first = next(pages)
    except RequestRejected as refused:
        if refused.status in (400, 404):
            raise _no_place(method=refused.method, path=refused.path, status=refused.status) from None
        raise
    yield first
    yield from pages


def _no_place(**where: object) -> RequestRejected:
    reason = "this is no place in a walk through this account, or none any more: walk from the beginning"
    return RequestRejected(reason, code="cursor", **where)  # type: ignore[arg-type]  # passed through as given
