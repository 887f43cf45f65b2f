"""What the v1 door says: Atom feeds and entries, in the element order of the captures.

It exists apart from the door because fragile clients count elements: the order here is the sheet's (§3.1,
§3.5, §3.6, §4) and must not be tidied. It reads values only and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from django_ctct.sandbox.fields import LIMITS
from django_ctct.sandbox.switches import Switches
from django_ctct.sandbox.values import Contact, ContactList, Group

HOST = "http://api.constantcontact.com"
"""All ids carry this literal host and scheme, though only https may be called (§7)."""

_DECLARATION = "<?xml version='1.0' encoding='UTF-8'?>\n"
_ATOM = "http://www.w3.org/2005/Atom"
_CTCT = "http://ws.constantcontact.com/ns/1.0/"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# EmailType stands before the derived Name, the others after it (§3.5).
_DETAILS = tuple(name for name in LIMITS if name != "EmailType")
GROUP_NAMES = {Group.ACTIVE: "Active", Group.DO_NOT_MAIL: "Do Not Mail", Group.REMOVED: "Removed"}


def stamp(moment: datetime) -> str:
    """Write a time as the service does: UTC, always three decimals (§7)."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _node(name: str, inner: str = "", **attributes: str) -> str:
    return f"<{name}{_attributes(attributes)}>{inner}</{name}>"


def _leaf(name: str, text: str = "", **attributes: str) -> str:
    clean = escape(_FORBIDDEN.sub("\ufffd", text), quote=False).replace("\r", "&#13;")
    return _node(name, clean, **attributes)


def _link(href: str, rel: str = "", **attributes: str) -> str:
    given = {**attributes, "href": href, **({"rel": rel} if rel else {})}
    return f"<link{_attributes(given)} />"


def _attributes(given: dict[str, str]) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in given.items())


@dataclass(frozen=True, slots=True)
class Page:
    """Say what surrounds the entries of a feed; the hrefs are complete, ``next_href`` is empty on the last."""

    collection: str
    title: str
    own_links: str
    next_href: str
    first_href: str
    current_href: str


@dataclass(frozen=True, slots=True)
class Writer:
    """Write the documents of one account."""

    user: str
    switches: Switches
    now: datetime

    def path(self, tail: str) -> str:
        """Return a host-relative path below the account's base."""
        return f"/ws/customers/{self.user}/{tail}"

    def uri(self, tail: str) -> str:
        """Return an id."""
        return HOST + self.path(tail)

    # Feeds

    def contacts_feed(self, page: Page, contacts: Sequence[Contact], *, search: bool) -> str:
        """Write summaries; ``Confirmed`` and ``InsertTime`` in e-mail search results only (§3.1)."""
        return self._feed(page, [self._summary(contact, search) for contact in contacts])

    def members_feed(self, page: Page, contacts: Sequence[Contact]) -> str:
        """Write the members of a list: address and name only (§4.3)."""
        return self._feed(page, [self._member(page.collection, contact) for contact in contacts])

    def lists_feed(
        self, page: Page, groups: Sequence[Group], lists: Sequence[ContactList], count: Callable[[int], int]
    ) -> str:
        """Write the system lists, then the ordinary ones."""
        entries = [self._list_parts(self._group_body(each)) for each in groups]
        entries += [self._list_parts(self._list_body(each, count(each.id))) for each in lists]
        return self._feed(page, [_node("entry", each) for each in entries])

    def _feed(self, page: Page, entries: Sequence[str]) -> str:
        following = [_link(page.next_href, "next")] if page.next_href else []
        parts = [
            _leaf("id", self.uri(page.collection)),
            _leaf("title", page.title, type="text"),
            _link(page.own_links),
            _link(page.own_links, "self"),
            _node("author", _leaf("name", self.user)),
            _leaf("updated", stamp(self.now)),
            *following,
            _link(page.first_href, "first"),
            _link(page.current_href, "current"),
            *entries,
        ]
        return _DECLARATION + _node("feed", "\n".join(["", *parts, ""]), xmlns=_ATOM)

    def _head(self, edit: str, uri: str, title: str, updated: datetime) -> str:
        return (
            _link(edit, "edit")
            + _leaf("id", uri)
            + _leaf("title", title, type="text")
            + _leaf("updated", stamp(updated))
            + _node("author", _leaf("name", "Constant Contact"))
        )

    def _content(self, payload: str) -> str:
        return _node("content", payload, type="application/vnd.ctct+xml")

    def _source(self, collection: str, title: str, own_links: str) -> str:
        return _node(
            "source",
            _leaf("id", self.uri(collection))
            + _leaf("title", title, type="text")
            + _link(own_links)
            + _link(own_links, "self")
            + _node("author", _leaf("name", self.user))
            + _leaf("updated", stamp(self.now)),
        )

    # Contacts

    def contact_entry(self, contact: Contact) -> str:
        """Write one whole contact (§3.6)."""
        tail = f"contacts/{contact.id}"
        head = self._head(self.path(tail), self.uri(tail), f"Contact: {contact.address}", contact.updated)
        payload = _node("Contact", self._contact_body(contact), xmlns=_CTCT, id=self.uri(tail))
        source = self._source("contacts", f"Contacts for Customer: {self.user}", "contacts")
        return _DECLARATION + _node("entry", head + self._content(payload) + source, xmlns=_ATOM)

    def _contact_body(self, contact: Contact) -> str:
        fields = contact.fields
        return "".join(
            [
                _leaf("Status", contact.status.value),
                _leaf("EmailAddress", contact.address),
                _leaf("EmailType", fields.get("EmailType") or "HTML"),
                _leaf("Name", " ".join(_names(contact))),
                *(_leaf(name, fields.get(name, "")) for name in _DETAILS),
                _node("ContactLists", "".join(self._membership(contact, each) for each in contact.memberships)),
                self._opt_out(contact),
                _leaf("Confirmed", str(contact.confirmed).lower()),
                _leaf("InsertTime", stamp(contact.inserted)),
                _leaf("LastUpdateTime", stamp(contact.updated)),
            ]
        )

    def _membership(self, contact: Contact, list_id: int) -> str:
        # Here the source stands before the time; in feeds it is the other way round (§3.6).
        opt_in = contact.memberships[list_id]
        inner = (
            _link(self.path(f"lists/{list_id}"), "self", xmlns=_ATOM)
            + _leaf("OptInSource", opt_in.source.value)
            + _leaf("OptInTime", stamp(opt_in.at))
        )
        return _node("ContactList", inner, id=self.uri(f"lists/{list_id}"))

    def _opt_out(self, contact: Contact) -> str:
        gone = contact.opt_out
        if gone is None or not self.switches.opt_out_shown:
            return ""
        return (
            _leaf("OptOutTime", stamp(gone.at))
            + _leaf("OptOutSource", gone.source.value)
            + _leaf("OptOutReason", gone.reason)
        )

    def _summary(self, contact: Contact, search: bool) -> str:
        tail = f"contacts/{contact.id}"
        inner = (
            _leaf("Status", contact.status.value)
            + _leaf("EmailAddress", contact.address)
            + _leaf("EmailType", contact.fields.get("EmailType") or "HTML")
            + _leaf("Name", self._sorting_name(contact))
            + _leaf("OptInTime", stamp(contact.opt_in.at))
            + _leaf("OptInSource", contact.opt_in.source.value)
        )
        if search:
            inner += _leaf("Confirmed", str(contact.confirmed).lower())
            inner += _leaf("InsertTime", stamp(contact.inserted))
        # A feed's entry is stamped with the time of the answer: useless for syncing (§3.1).
        head = self._head(self.path(tail), self.uri(tail), f"Contact: {contact.address}", self.now)
        payload = _node("Contact", inner, xmlns=_CTCT, id=self.uri(tail))
        return _node("entry", head + self._content(payload))

    def _member(self, collection: str, contact: Contact) -> str:
        uri = self.uri(f"contacts/{contact.id}")
        edit = self.path(f"{collection}/{contact.id}")
        inner = _leaf("EmailAddress", contact.address) + _leaf("Name", self._sorting_name(contact))
        payload = _node("ContactListMember", inner, xmlns=_CTCT, id=uri)
        head = self._head(edit, uri, f"Contact: {contact.address}", self.now)
        return _node("entry", head + self._content(payload))

    def _sorting_name(self, contact: Contact) -> str:
        last, first = contact.fields.get("LastName", ""), contact.fields.get("FirstName", "")
        both = bool(last and first) or (bool(last or first) and self.switches.lone_name == "comma")
        return f"{last}, {first}" if both else last or first

    # Lists

    def list_entry(self, contact_list: ContactList, count: int) -> str:
        """Write one ordinary list."""
        return self._sourced(self._list_parts(self._list_body(contact_list, count)))

    def group_entry(self, group: Group) -> str:
        """Write one system list: Name and ShortName only (§4.1)."""
        return self._sourced(self._list_parts(self._group_body(group)))

    def created_list(self, contact_list: ContactList) -> str:
        """Write the 201 of a new list as captured: ShortName and the edit link last, no declaration (§4.3)."""
        tail = f"lists/{contact_list.id}"
        inner = (
            _leaf("OptInDefault", str(contact_list.opt_in_default).lower())
            + _leaf("Name", contact_list.name)
            + _leaf("SortOrder", str(contact_list.sort_order))
            + _leaf("ShortName", contact_list.name)
        )
        parts = (
            _leaf("id", self.uri(tail))
            + _leaf("title", contact_list.name, type="text")
            + "<author />"
            + _leaf("updated", stamp(contact_list.updated))
            + self._content(_node("ContactList", inner, xmlns=_CTCT, id=self.uri(tail)))
            + _link(self.path(tail), "edit")
        )
        return _node("entry", parts, xmlns=_ATOM)

    def _sourced(self, parts: str) -> str:
        source = self._source("lists", f"Contact Lists for Customer: {self.user}", self.uri("lists"))
        return _DECLARATION + _node("entry", parts + source, xmlns=_ATOM)

    def _list_parts(self, body: tuple[str, str, datetime, str]) -> str:
        tail, title, updated, inner = body
        head = self._head(self.path(tail), self.uri(tail), title, updated)
        return head + self._content(_node("ContactList", inner, xmlns=_CTCT, id=self.uri(tail)))

    def _group_body(self, group: Group) -> tuple[str, str, datetime, str]:
        name = GROUP_NAMES[group]
        return f"lists/{group.value}", name, self.now, _leaf("Name", name) + _leaf("ShortName", name)

    def _list_body(self, each: ContactList, count: int) -> tuple[str, str, datetime, str]:
        inner = (
            _leaf("OptInDefault", str(each.opt_in_default).lower())
            + _leaf("Name", each.name)
            + _leaf("ShortName", each.name)
            + _leaf("DisplayOnSignup", "No")
            + _leaf("SortOrder", str(each.sort_order))
            + _node("Members", id=self.uri(f"lists/{each.id}/members"))
        )
        if self.switches.contact_count:
            inner += _leaf("ContactCount", str(count))
        return f"lists/{each.id}", each.name, each.updated, inner

    # The rest

    def service_document(self) -> str:
        """Write the service document, which names lists and activities but not contacts (§2)."""
        return _DECLARATION + (
            f'<service xmlns="http://www.w3.org/2007/app" xmlns:atom="{_ATOM}"><workspace>'
            + _leaf("atom:title", "Constant Contact Web Services Customer Workspace")
            + _node(
                "collection",
                _leaf("atom:title", "Contact Lists") + _leaf("accept", "application/atom+xml; type=entry"),
                href=self.path("lists"),
            )
            + _node(
                "collection",
                _leaf("atom:title", "Bulk Activity")
                + _leaf("accept", "application/x-www-form-urlencoded")
                + _leaf("accept", "multipart/form-data"),
                href=self.path("activities"),
            )
            + "</workspace></service>"
        )


def _names(contact: Contact) -> list[str]:
    both = (contact.fields.get("FirstName", ""), contact.fields.get("LastName", ""))
    return [name for name in both if name]
