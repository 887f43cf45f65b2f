"""The v1 wire: Constant Contact's Atom/XML web services.

Read from top to bottom: the backend's verbs (which requests, in which order), reading a document, writing a
document, tables. An update sends back the document that was just read, with nothing changed but what the permit
says, because the server replaces the whole contact (v1 docs, Updating a Contact). It decides nothing: what a
write may say is in the permit.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from ..exceptions import (
    AmbiguousWrite,
    ConfigurationError,
    MalformedResponse,
    RemoteConflict,
    RemoteUnavailable,
    RequestRejected,
)
from ..types import (
    ContactStatus,
    ContactSummary,
    Page,
    Permit,
    RemoteContact,
    RemoteList,
    Subscription,
    Verb,
)
from .atom_document import Breach, Element, Unreadable, parse, serialize
from .atom_entry import (
    ATOM,
    FIELDS,
    HOST,
    LIST_NAME_LENGTH,
    LIST_TYPES,
    AccountIds,
    Source,
    edited_contact,
    new_contact,
    new_list,
    own_id,
    read_contact,
    read_list,
    read_sighting,
    read_summary,
    renamed_list,
    root,
)
from .base import BaseBackend, Gate, Tokens
from .cursors import Cursors, Place, is_query, resumed
from .http import FEED_CAP, Answer, Authorize, Call, Transport, check_base_url, check_options
from .judging import judged

__all__ = ["AtomBackend"]

_READ = {"Accept": "application/atom+xml"}
_SEARCH = Call("GET", "/contacts?email={email}")
_CONTACTS = Call("GET", "/contacts")
_CHANGES = Call("GET", "/contacts?updatedsince={moment}")


class AtomBackend(BaseBackend):
    """Speaks v1 for one account.

    ``OPTIONS``: ``username`` (the account owner's), ``api_key`` and ``password``, or ``access_token``;
    ``base_url`` if it is not Constant Contact's own.
    """

    fields = FIELDS
    email_max_length = 80
    options = ("username", "api_key", "password", "access_token", "base_url")
    #: 1,000,000 contacts at 50 a page (v1 docs, Contacts Collection): more is a feed without an end.
    max_pages = 20_000

    def __init__(self, options: Mapping[str, Any], *, gate: Gate | None = None, tokens: Tokens | None = None) -> None:
        super().__init__(options, gate=gate, tokens=tokens)
        check_options(options, self.options)
        self.username = _username(options.get("username"))
        base_url = check_base_url(options.get("base_url", f"https://{HOST}"))
        if urlsplit(base_url).path:
            raise ConfigurationError("base_url must not have a path: v1's begins with /ws/customers/.")
        self._ids = AccountIds(self.username, frozenset({HOST, urlsplit(base_url).netloc}))
        self._http = Transport(base_url, authorize=_authorize(self.username, options), gate=self.gate)
        self._cursors = Cursors("v1", base_url, self.username)
        #: Addresses whose last search was answered 500, which may mean "none".
        self._doubted: set[str] = set()

    # Contacts

    def find(self, email: str) -> RemoteContact | None:
        wanted = email.strip().lower()  # addresses are stored in lower case, and the match knows no other
        first = self._search(wanted)
        if first is None:
            return None
        found = {one.remote_id for one in self._summaries(_SEARCH, first) if one.email == wanted}
        if len(found) > 1:
            raise _SEARCH.error(MalformedResponse, "two contacts have the same address", code="duplicate")
        contact = self.get(found.pop()) if found else None
        if contact is not None and contact.email != wanted:
            raise _SEARCH.error(RemoteConflict, "the contact found has another address by now", code="other_address")
        return contact

    def _search(self, wanted: str) -> Answer | None:
        """Ask for an address. A 500 is how v1 may say "none" (v1 docs, Searching by Email Address); ask twice.

        When it was a fault and the contact exists, the create that follows is answered 409: nothing is lost.
        """
        url = self._url("contacts", query=[("email", wanted)])
        for _ in range(2):
            answer = self._http.send(_SEARCH, url, headers=_READ, cap=FEED_CAP, allow=frozenset({500}))
            if answer.status != 500:
                self._doubted.discard(wanted)
                return answer
        self._doubted.add(wanted)
        return None

    def assure_absent(self, email: str) -> None:
        """Ask once more, together with a contact that surely exists: unknown addresses are left out of the answer.

        Only an account without any contact has no such one; in that account nobody is.
        """
        wanted = email.strip().lower()
        if wanted not in self._doubted:
            return
        page, _ = next(self._sighted(_CONTACTS, self._url("contacts")))
        known = next((one.email for one in page.sightings), "")
        if known:
            url = self._url("contacts", query=[("email", wanted), ("email", known)])
            found = {one.email for one in self._summaries(_SEARCH, url)}
            if wanted in found:
                raise _SEARCH.error(RemoteConflict, "the contact is there after all", code="stale")
            if known not in found:
                raise _SEARCH.error(RemoteUnavailable, "the search finds nobody, whoever is asked for", code="search")
        self._doubted.discard(wanted)

    def get(self, remote_id: str) -> RemoteContact | None:
        call = Call("GET", "/contacts/{id}")
        answer = self._get(call, "contacts", remote_id)
        if answer is None:
            return None
        with judged(answer):
            contact = read_contact(parse(answer.body), self._ids, _etag(answer))
            if contact.remote_id != remote_id:
                raise Breach("other_contact", "the answer is about another contact")
        return contact

    def create(self, permit: Permit) -> RemoteContact:
        call = Call("POST", "/contacts")
        entry = new_contact(self._sendable(call, permit, Verb.CREATE), self._ids)
        answer = self._write(call, self._url("contacts"), entry, allow=frozenset({400}))
        if answer.status == 400:
            raise _refused_create(answer)
        return self._created(answer, permit)

    def _created(self, answer: Answer, permit: Permit) -> RemoteContact:
        """Read what a create made. It *was* made, so nothing here may call it failed.

        Without a body that can be read there is no document: read the contact before the next update.
        """
        try:
            contact = read_contact(parse(answer.body), self._ids, _etag(answer))
        except (Breach, Unreadable):
            remote_id = self._located(answer, "contacts")
            lists = {one: Subscription(permit.source) for one in permit.lists}
            return RemoteContact(remote_id, permit.email, ContactStatus.ACTIVE, lists, dict(permit.fields))
        if contact.email != permit.email.lower():
            raise answer.error(AmbiguousWrite, "the answer is about another address", code="other_address")
        return contact

    def update(self, existing: RemoteContact, permit: Permit) -> None:
        call = Call("PUT", "/contacts/{id}")
        permit = self._sendable(call, permit, Verb.UPDATE)
        if not isinstance(existing.document, Source):
            raise call.error(RemoteConflict, "the contact has to be read before it is written", code="not_read")
        entry = edited_contact(existing, existing.document, permit, self._ids)
        answer = self._write(
            call,
            self._url("contacts", _number(call, existing.remote_id)),
            entry,
            etag=existing.document.etag,
            allow=frozenset({403, 404}),
        )
        if answer.status == 403:  # v1 refuses a Do Not Mail contact that the site puts on a list like this
            raise answer.error(RequestRejected, "the contact has opted out", code="do_not_mail")
        self._applied(answer, existing.remote_id)

    def opt_out(self, existing: RemoteContact, permit: Permit) -> None:
        call = Call("DELETE", "/contacts/{id}")  # not a deletion: it opts the contact out (v1 docs, Opting out)
        self.sendable(permit, Verb.OPT_OUT)
        url = self._url("contacts", _number(call, existing.remote_id))
        self._applied(self._http.send(call, url, headers=_READ, allow=frozenset({404})), existing.remote_id)

    def _applied(self, answer: Answer, remote_id: str) -> None:
        """Accept a 2xx without a body, or with the entry itself; any other page may not be v1's own answer."""
        if answer.status == 404:
            raise answer.error(RemoteConflict, "it is not there any more", code="gone")
        if answer.flaw or (answer.body.strip() and not self._is_entry(answer.body, remote_id)):
            code = answer.flaw or "surprising_body"
            raise answer.error(AmbiguousWrite, "success, with a body that is not v1's", code=code)

    def _is_entry(self, body: bytes, remote_id: str) -> bool:
        try:
            entry = parse(body)
            return entry.is_called(ATOM, "entry") and own_id(entry, self._ids) == remote_id
        except (Breach, Unreadable):
            return False

    def changed_since(
        self, moment: datetime, *, status: ContactStatus | None = None, list_id: str | None = None
    ) -> Iterator[ContactSummary]:
        """Ask for what changed; v1 takes exactly one of status and list, and knows no list type 'unconfirmed'."""
        if (status is None) == (list_id is None) or moment.tzinfo is None:
            raise ValueError("Ask with an aware moment, and with exactly one of status and list_id.")
        if status is ContactStatus.UNCONFIRMED:
            raise _CHANGES.error(RequestRejected, "v1 has no list type for unconfirmed contacts", code="no_list_type")
        which = ("listtype", LIST_TYPES[status]) if status else ("listid", _number(_CHANGES, list_id or ""))
        return self._summaries(_CHANGES, self._url("contacts", query=[_updated_since(moment), which]))

    def contacts(self) -> Iterator[ContactSummary]:
        return self._summaries(_CONTACTS, self._url("contacts"))

    # Feeds for the pull

    walks_lists = True

    def changes(self, since: datetime) -> Iterator[Page]:
        """Ask once for each list type that v1 has; unconfirmed contacts are among the active ones (§3.3).

        Whether the limit is inside is in doubt there, so a millisecond more is asked for.
        """
        moment = _updated_since(since - timedelta(milliseconds=1))
        for kind in LIST_TYPES.values():
            asked = self._sighted(_CHANGES, self._url("contacts", query=[moment, ("listtype", kind)]))
            yield from (page for page, _ in asked)

    def walk(self, lists: Sequence[str], cursor: str = "") -> Iterator[Page]:
        """Walk the contacts, whose entries name no lists (§3.1), then the members of each list."""
        wanted = [_number(Call("GET", "/lists/{id}/members"), one) for one in lists]
        place = self._cursors.read_place(cursor) if cursor else Place()
        here = place.still(wanted)
        pages = self._walk(here, wanted)
        return resumed(pages) if here is not None and here.page else pages

    def _walk(self, place: Place | None, lists: Sequence[str]) -> Iterator[Page]:
        """Walk one feed after the other. A cursor leads to the next page, or to the beginning of the next feed."""
        while place is not None:
            here, ahead = place, place.ahead(lists)
            for page, following in self._sighted(*self._feed(here), on_list=here.list_id):
                yield replace(page, cursor=self._cursors.write(here.on_page(following) if following else ahead))
            place = ahead

    def _feed(self, place: Place) -> tuple[Call, str]:
        if place.list_id:
            call, url = Call("GET", "/lists/{id}/members"), self._url("lists", place.list_id, "members")
        else:
            call, url = _CONTACTS, self._url("contacts")
        return call, f"{url}?{place.page}" if place.page else url

    def _sighted(self, call: Call, url: str, *, on_list: str = "") -> Iterator[tuple[Page, str]]:
        """Yield the pages of a feed as sightings, each with the query of the next one."""
        for answer, feed, following in self._pages(call, url):
            with judged(answer):
                found = [read_sighting(entry, self._ids, on_list) for entry in feed.find(ATOM, "entry")]
                query = self._same_feed(answer.url, following)
            yield Page(tuple(one for one in found if one is not None), at=answer.date), query

    def _same_feed(self, url: str, following: str) -> str:
        """Return the query that leads on: all that a link within one feed has to say."""
        parts = urlsplit(following)
        same = self._ids.below(parts.path) == self._ids.below(urlsplit(url).path)
        if following and not (same and is_query(parts.query)):
            raise Breach("foreign_link", "the link to the next page leads out of the feed")
        return parts.query

    # Lists

    def lists(self) -> Iterator[RemoteList]:
        for answer, entry in self._entries(Call("GET", "/lists"), self._url("lists")):
            with judged(answer):
                one = read_list(entry, self._ids)
            if one is not None:
                yield one

    def get_list(self, list_id: str) -> RemoteList | None:
        answer = self._get(Call("GET", "/lists/{id}"), "lists", list_id)
        if answer is None:
            return None
        with judged(answer):
            return self._same_list(parse(answer.body), list_id)

    def _same_list(self, entry: Element, list_id: str) -> RemoteList:
        one = read_list(entry, self._ids)
        if one is None or one.remote_id != list_id:
            raise Breach("other_list", "the answer is about another list")
        return one

    def create_list(self, name: str) -> RemoteList:
        call = Call("POST", "/lists")
        answer = self._write(call, self._url("lists"), new_list(_list_name(call, name)))
        try:
            one = read_list(parse(answer.body), self._ids)
        except (Breach, Unreadable):
            one = None
        return one or RemoteList(self._located(answer, "lists"), name)

    def rename_list(self, list_id: str, name: str) -> None:
        """Read the list and send it back with another name (v1 docs, Updating a List)."""
        read = self._get(Call("GET", "/lists/{id}"), "lists", list_id)
        call = Call("PUT", "/lists/{id}")
        if read is None:
            raise call.error(RemoteConflict, "the list is not there any more", code="gone")
        with judged(read):
            entry = parse(read.body)
            self._same_list(entry, list_id)
            renamed = renamed_list(entry, _list_name(call, name))
        url = self._url("lists", list_id)
        self._applied(self._write(call, url, renamed, etag=_etag(read), allow=frozenset({404})), list_id)

    def delete_list(self, list_id: str) -> None:
        """Delete a list; one that is gone already is as wished."""
        call = Call("DELETE", "/lists/{id}")
        url = self._url("lists", _number(call, list_id))
        answer = self._http.send(call, url, headers=_READ, allow=frozenset({404}))
        if answer.status != 404:
            self._applied(answer, list_id)

    def members(self, list_id: str) -> Iterator[ContactSummary]:
        call = Call("GET", "/lists/{id}/members")
        return self._summaries(call, self._url("lists", _number(call, list_id), "members"))

    def close(self) -> None:
        self._http.close()

    # Requests

    def _url(self, *segments: str, query: Iterable[tuple[str, str]] = ()) -> str:
        return self._http.url("ws", "customers", self.username, *segments, query=query)

    def _get(self, call: Call, collection: str, remote_id: str) -> Answer | None:
        url = self._url(collection, _number(call, remote_id))
        answer = self._http.send(call, url, headers=_READ, allow=frozenset({404}))
        return None if answer.status == 404 else answer

    def _write(
        self, call: Call, url: str, entry: Element, *, etag: str = "", allow: frozenset[int] = frozenset()
    ) -> Answer:
        headers = {**_READ, "Content-Type": "application/atom+xml"} | ({"If-Match": etag} if etag else {})
        return self._http.send(call, url, body=serialize(entry), headers=headers, allow=allow)

    def _sendable(self, call: Call, permit: Permit, verb: Verb) -> Permit:
        for list_id in permit.lists:
            _number(call, list_id)
        return self.sendable(permit, verb)

    def _located(self, answer: Answer, collection: str) -> str:
        """Take the new id from ``Location``: it, not an address to follow."""
        try:
            return self._ids.number(urljoin(answer.url, answer.headers.get("Location", "")), collection)
        except Breach:
            raise answer.error(AmbiguousWrite, "success, without saying which id", code="no_location") from None

    # Feeds

    def _summaries(self, call: Call, first: str | Answer) -> Iterator[ContactSummary]:
        for answer, entry in self._entries(call, first):
            with judged(answer):
                summary = read_summary(entry, self._ids)
            yield summary

    def _entries(self, call: Call, first: str | Answer) -> Iterator[tuple[Answer, Element]]:
        """Yield every entry of a feed, page after page, each with the answer that it came in."""
        for answer, feed, _ in self._pages(call, first):
            for entry in feed.find(ATOM, "entry"):
                yield answer, entry

    def _pages(self, call: Call, first: str | Answer) -> Iterator[tuple[Answer, Element, str]]:
        """Yield every page of a feed with its answer and the address of the next one."""
        seen: set[str] = set()
        ask: str | Answer = first
        while ask:
            answer = self._http.send(call, ask, headers=_READ, cap=FEED_CAP) if isinstance(ask, str) else ask
            with judged(answer):
                feed = root(parse(answer.body), "feed")
                ask = self._next(answer, feed, seen)
            yield answer, feed, ask

    def _next(self, answer: Answer, feed: Element, seen: set[str]) -> str:
        """Resolve the link to the next page, which must stay in this account and lead on; empty on the last."""
        links = [link.get("href") for link in feed.find(ATOM, "link") if link.get("rel") == "next"]
        if not links:
            return ""
        url = urljoin(answer.url, links[0])
        if not self._is_own(url):
            raise Breach("foreign_link", "the link to the next page leads out of the account")
        if url in seen or len(seen) >= self.max_pages:
            raise Breach("feed_loop", "the feed has no end")
        seen.add(url)
        return url

    def _is_own(self, url: str) -> bool:
        ours = urlsplit(self._http.base_url)
        try:
            parts = urlsplit(url)
            same = (parts.scheme, parts.hostname, parts.port) == (ours.scheme, ours.hostname, ours.port)
        except ValueError:
            return False
        return same and "@" not in parts.netloc and self._ids.below(parts.path) is not None


# Settings


def _username(value: object) -> str:
    """Return the user name in lower case, as the address needs it (v1 docs, service document).

    The pattern leaves no way out of the path: no slash, no dot segment, no query, no line break.
    """
    name = value.lower() if isinstance(value, str) else ""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._@+-]{0,79}", name):
        raise ConfigurationError("username must be the user name of a Constant Contact account.")
    return name


def _authorize(username: str, options: Mapping[str, Any]) -> Authorize:
    """Return what puts the credentials into a header: Basic with ``{key}%{username}``, or Bearer."""
    token, key, password = (_secret(options, name) for name in ("access_token", "api_key", "password"))
    if bool(token) == bool(key and password) or bool(key) != bool(password):
        raise ConfigurationError("v1 needs either access_token, or api_key and password.")
    basic = base64.b64encode(f"{key}%{username}:{password}".encode()).decode("ascii")
    header = f"Bearer {token}" if token else f"Basic {basic}"

    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = header
        return request

    return authorize


def _secret(options: Mapping[str, Any], name: str) -> str:
    value = options.get(name) or ""
    # A password may hold anything. The other two have an alphabet, and a colon would end the user name of Basic.
    if not isinstance(value, str) or (name != "password" and not re.fullmatch(r"[!-9;-~]*", value)):
        raise ConfigurationError(f"{name} holds a character that it cannot have.")
    return value


def _updated_since(moment: datetime) -> tuple[str, str]:
    if moment.tzinfo is None:
        raise ValueError("Ask with an aware moment.")
    return "updatedsince", moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(call: Call, remote_id: str) -> str:
    if not re.fullmatch(r"[0-9]{1,19}", remote_id):
        raise call.error(RequestRejected, "an id of v1 is a number", code="bad_id")
    return remote_id


def _list_name(call: Call, name: str) -> str:
    if not 0 < len(name.strip()) <= LIST_NAME_LENGTH:
        raise call.error(RequestRejected, f"a list's name has 1 to {LIST_NAME_LENGTH} characters", code="bad_name")
    return name


def _etag(answer: Answer) -> str:
    """Return the tag for If-Match, which takes strong ones only (RFC 9110 §13.1.1): a weak one never matches."""
    tag = answer.headers.get("ETag", "")
    return tag if re.fullmatch(r'"[!#-~]{0,200}"', tag) else ""


def _refused_create(answer: Answer) -> RequestRejected:
    """Understand v1's own words, misspelt as they are: "must contain at least on valid ContactList" (seed 0)."""
    if re.search(r"at least one? valid ContactList", answer.text):
        return answer.error(RequestRejected, "no list that it names exists", code="no_valid_list")
    return answer.error(RequestRejected, "the server refused the request", code="http_400")
