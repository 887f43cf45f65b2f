"""v3's manners on top of ``http``: the token of each request, what a refusal is called, and page after page.

It knows no verb and no contact, only where v3's collections are and how its answers are built
(protocol/v3-json.md §2.2, §6).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from msgspec import UnsetType

from ..exceptions import AuthenticationFailed, RemoteUnavailable, RequestRejected
from .base import Gate, Tokens
from .cursors import is_query
from .http import ENTRY_CAP, FEED_CAP, Answer, Call, Transport
from .json_document import Breach, decode, encode, shaped
from .json_payload import Link, Links
from .judging import judged

__all__ = ["Query", "Requests", "refused"]

Query = Iterable[tuple[str, str]]

_READ = {"Accept": "application/json"}
_WRITE = {**_READ, "Content-Type": "application/json"}  # another one is a 415 (§0)


class Collection(Protocol):
    """A page of a collection, of whatever things."""

    links: Links | UnsetType | None


Page = TypeVar("Page", bound=Collection)


class Requests:
    """Sends the requests of one account, one after another. ``fixed`` is a token that the settings name."""

    #: 1,000,000 contacts at 50 a page, should it not give 500: more is a collection without an end.
    max_pages = 20_000

    def __init__(self, base_url: str, *, gate: Gate, tokens: Tokens | None, fixed: str = "") -> None:
        self._fixed = fixed
        self._tokens = None if fixed else tokens
        self._bearer = _Bearer()
        self._http = Transport(base_url, authorize=self._bearer, gate=gate)

    def url(self, *segments: str, query: Query = ()) -> str:
        """Build an address below /v3. Every segment and value is quoted whole."""
        return self._http.url("v3", *segments, query=query)

    def read(self, call: Call, url: str, *, cap: int = ENTRY_CAP, allow: frozenset[int] = frozenset()) -> Answer:
        """Ask for something that has to be there at once."""
        answer = self.send(call, url, cap=cap, allow=allow)
        if answer.status == 202:  # a query that is still at work (§2.2)
            raise answer.error(RemoteUnavailable, "the answer is not ready yet", code="http_202")
        return answer

    def send(
        self,
        call: Call,
        url: str,
        *,
        body: object = None,
        cap: int = ENTRY_CAP,
        allow: frozenset[int] = frozenset(),
    ) -> Answer:
        """Make a request, once more with another token when its token was refused: a 401 was not applied."""
        payload = None if body is None else encode(body)
        self._bearer.token = self._token(call)
        answer = self._once(call, url, payload, cap, allow | ({401} if self._tokens else set()))
        if answer.status == 401 and self._tokens is not None:
            self._bearer.token = self._tokens.instead_of(self._bearer.token)
            answer = self._once(call, url, payload, cap, allow)
        if answer.status == 400 and 400 not in allow:
            raise refused(answer)
        return answer

    def _once(self, call: Call, url: str, payload: bytes | None, cap: int, allow: frozenset[int]) -> Answer:
        headers = _READ if payload is None else _WRITE
        return self._http.send(call, url, body=payload, headers=headers, cap=cap, allow=allow | {400})

    def _token(self, call: Call) -> str:
        if self._fixed:
            return self._fixed
        if self._tokens is None:
            raise call.error(AuthenticationFailed, "nobody has connected the account yet", code="not_connected")
        return self._tokens.current()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # Collections

    def pages(self, call: Call, collection: str, query: Query, shape: type[Page]) -> Iterator[tuple[Answer, Page]]:
        """Yield every page of a collection with the answer that it came in."""
        yield from ((answer, page) for answer, page, _ in self.walk(call, collection, query, shape))

    def walk(
        self, call: Call, collection: str, query: str | Query, shape: type[Page]
    ) -> Iterator[tuple[Answer, Page, str]]:
        """Yield every page from the one with this query on, each with the query of the next; empty on the last."""
        seen: set[str] = set()
        first = f"{self.url(collection)}?{query}" if isinstance(query, str) else self.url(collection, query=query)
        ask: str | None = urlsplit(first).query
        while ask is not None:
            answer = self.read(call, f"{self.url(collection)}?{ask}", cap=FEED_CAP)
            with judged(answer):
                page = shaped(decode(answer.body), shape)
                ask = self._next(page.links, collection, seen)
            yield answer, page, ask or ""

    def _next(self, links: Links | UnsetType | None, collection: str, seen: set[str]) -> str | None:
        """Read the link to the next page, a path that has /v3 already (§2.2). It must stay here, and lead on."""
        link = links.next if isinstance(links, Links) else None
        if not isinstance(link, Link):
            return None
        query = self._own_query(link.href, collection)
        if query in seen or len(seen) >= self.max_pages:
            raise Breach("feed_loop", "the collection has no end")
        seen.add(query)
        return query

    def _own_query(self, href: str, collection: str) -> str:
        """Take from a link its query alone, and only from one to this collection of this host."""
        ours = urlsplit(self.url(collection))
        try:
            parts = urlsplit(urljoin(ours.geturl(), href))
        except ValueError:
            parts = urlsplit("")
        same = (parts.scheme, parts.netloc, parts.path) == (ours.scheme, ours.netloc, ours.path)
        if not same or not is_query(parts.query):
            raise Breach("foreign_link", "the link to the next page leads out of the collection")
        return parts.query


class _Bearer:
    """Puts the token of the moment into a header; it is never part of an address, and shows in no text."""

    token = ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def refused(answer: Answer) -> RequestRejected:
    """Name the server's ``error_key`` (§6), whatever shape it comes in, and never its words: they hold addresses."""
    found = re.search(r'"error_key"\s*:\s*"([a-z_]{1,20}(?:\.[a-z_]{1,20}){1,4})"', answer.text)
    code = found.group(1)[:40] if found else "http_400"
    return answer.error(RequestRejected, "the server refused the request", code=code)
