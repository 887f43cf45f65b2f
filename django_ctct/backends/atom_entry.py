"""v1's contacts and lists as Atom entries: reading an entry, writing one, and the tables of both.

Element names, limits and the order on the wire are those of the v1 docs, Contacts Collection and Resource, and
Contact List Resource. Reading raises ``Breach`` where an entry is not one that those allow; what it accepts is
complete enough to be written back. Writing changes only what it is told to. No network here, and no policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from ..types import (
    ContactStatus,
    ContactSummary,
    OptInSource,
    Permit,
    RemoteContact,
    RemoteList,
    Sighting,
    Subscription,
)
from .atom_document import Breach, Element, Node
from .base import FieldLimit

__all__ = [
    "ATOM",
    "CTCT",
    "FIELDS",
    "HOST",
    "LIST_NAME_LENGTH",
    "LIST_TYPES",
    "AccountIds",
    "Source",
    "edited_contact",
    "new_contact",
    "new_list",
    "own_id",
    "read_contact",
    "read_list",
    "read_sighting",
    "read_summary",
    "renamed_list",
    "root",
]

HOST = "api.constantcontact.com"
ATOM = "http://www.w3.org/2005/Atom"
CTCT = "http://ws.constantcontact.com/ns/1.0/"


@dataclass(frozen=True, slots=True)
class Source:
    """What a contact was read from: the entry, and its tag where the server gave a strong one."""

    entry: Element
    etag: str = ""


@dataclass(frozen=True, slots=True)
class AccountIds:
    """Tells the ids of one account from all others.

    An id is a name and never an address to call: it begins with http and the vendor's host although only https
    may be called (v1 docs, Contacts Collection), so a stand-in server may use either host.
    """

    username: str
    hosts: frozenset[str]

    def below(self, path: str) -> tuple[str, ...] | None:
        """Split what follows ``/ws/customers/{username}/``; None when the path is not below it, or climbs."""
        segments = tuple(unquote(segment) for segment in path.split("/"))
        climbs = any(segment in {".", ".."} or "/" in segment or "\\" in segment for segment in segments)
        if climbs or segments[:3] != ("", "ws", "customers") or len(segments) < 5:
            return None
        return segments[4:] if segments[3].lower() == self.username else None

    def last(self, uri: str, collection: str) -> str:
        """Return the last part of an id in one collection of this account: digits, or a system list's name.

        Old documents break ids over two lines, so blanks are dropped.
        """
        try:
            parts = urlsplit("".join(uri.split()))
            known = parts.scheme in {"http", "https"} and parts.netloc.lower() in self.hosts
        except ValueError:
            known = False
        below = self.below(parts.path) if known else None
        if below is None or len(below) != 2 or below[0] != collection:
            raise Breach("foreign_id", "an id is not one of this account")
        return below[1]

    def number(self, uri: str, collection: str) -> str:
        """Return the number at the end of an id."""
        last = self.last(uri, collection)
        if not re.fullmatch(r"[0-9]{1,19}", last):
            raise Breach("foreign_id", "an id does not end in a number")
        return last

    def list_uri(self, list_id: str) -> str:
        """Write a list's id as the server knows it: http and the vendor's host, wherever the calls go."""
        return f"http://{HOST}/ws/customers/{self.username}/lists/{list_id}"


# Reading


def root(entry: Element, local: str) -> Element:
    """Return the document if it is an Atom ``entry`` or ``feed``."""
    if entry.is_called(ATOM, local):
        return entry
    code = "wrong_namespace" if entry.local == local else f"no_{local}"
    raise Breach(code, f"the document is not an Atom {local}")


def read_contact(document: Element, ids: AccountIds, etag: str = "") -> RemoteContact:
    """Read a whole contact: one of everything that decides something, or ``Breach``."""
    entry = root(document, "entry")
    contact = _payload(entry, "Contact")
    status = _status(contact)
    updated_at = _moment(_text(contact, "LastUpdateTime"))
    return RemoteContact(
        remote_id=_same_id(own_id(entry, ids), contact, ids),
        email=_address(contact),
        status=status,
        lists=_subscriptions(contact, status, ids),
        fields=_fields(contact),
        opted_out_at=_moment(_text(contact, "OptOutTime")),
        opted_out_source=_SOURCES.get(_text(contact, "OptOutSource")),
        updated_at=updated_at,
        stamp=updated_at,
        document=Source(entry, etag),
    )


def read_summary(entry: Element, ids: AccountIds) -> ContactSummary:
    """Read a feed's entry, of contacts or of a list's members; members have no status."""
    payload = _told(entry)
    status = _STATUSES.get(_text(payload, "Status"))
    return ContactSummary(own_id(entry, ids), _address(payload), status, _text(payload, "Name").strip())


def read_sighting(entry: Element, ids: AccountIds, on_list: str = "") -> Sighting | None:
    """Read a feed's entry, of contacts or of the members of ``on_list``; None for a contact without an address."""
    if "@" not in _only(_told(entry), CTCT, "EmailAddress").text:
        return None
    one = read_summary(entry, ids)
    return Sighting(one.remote_id, one.email, one.status, None, on_list, name=one.name)


def _told(entry: Element) -> Element:
    content = _only(entry, ATOM, "content")
    kind = "ContactListMember" if any(content.find(CTCT, "ContactListMember")) else "Contact"
    return _only(content, CTCT, kind)


def read_list(document: Element, ids: AccountIds) -> RemoteList | None:
    """Read a list; None for one of the three system lists, whose ids are words (v1 docs, Contact List Resource)."""
    entry = root(document, "entry")
    payload = _payload(entry, "ContactList")
    last = ids.last(_only(entry, ATOM, "id").text, "lists")
    if not re.fullmatch(r"[0-9]{1,19}", last):
        return None
    count = _text(payload, "ContactCount").strip()
    members = int(count) if re.fullmatch(r"[0-9]{1,18}", count) else None
    return RemoteList(last, _only(payload, CTCT, "Name").text.strip(), members)


def own_id(entry: Element, ids: AccountIds) -> str:
    """Return the number of the contact that an entry is about."""
    return ids.number(_only(entry, ATOM, "id").text, "contacts")


def _same_id(remote_id: str, contact: Element, ids: AccountIds) -> str:
    inner = contact.get("id")
    if inner and ids.number(inner, "contacts") != remote_id:
        raise Breach("two_ids", "the entry and the contact inside have different ids")
    return remote_id


def _payload(entry: Element, local: str) -> Element:
    return _only(_only(entry, ATOM, "content"), CTCT, local)


def _only(parent: Element, uri: str, local: str) -> Element:
    """Return the one child of that name: none and two are both breaches, each with a code of its own."""
    found = list(parent.find(uri, local))
    if len(found) == 1:
        return found[0]
    name = _snake(local)
    if found:
        raise Breach(f"two_{name}", f"there are {len(found)} {local} where one belongs")
    if any(isinstance(child, Element) and child.local == local for child in parent.children):
        raise Breach("wrong_namespace", f"{local} is not in the protocol's namespace")
    raise Breach(f"no_{name}", f"there is no {local}")


def _snake(local: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", local).lower()


def _text(parent: Element, local: str) -> str:
    return next((child.text for child in parent.find(CTCT, local)), "")


def _status(contact: Element) -> ContactStatus:
    status = _STATUSES.get(_only(contact, CTCT, "Status").text)
    if status is None:
        raise Breach("unknown_status", "the status is none of the four that exist")
    return status


def _address(payload: Element) -> str:
    address = _only(payload, CTCT, "EmailAddress").text.strip().lower()
    if "@" not in address:
        raise Breach("no_email_address", "there is no address in EmailAddress")
    return address


def _fields(contact: Element) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    for name, local in ELEMENTS.items():
        if any(contact.find(CTCT, local)) and (text := _only(contact, CTCT, local).text).strip():
            fields[name] = text
    return MappingProxyType(fields)


def _subscriptions(contact: Element, status: ContactStatus, ids: AccountIds) -> Mapping[str, Subscription]:
    """Read the memberships. Who is Active or Unconfirmed has some, so there the element may not be missing."""
    on_no_list = status in {ContactStatus.REMOVED, ContactStatus.DO_NOT_MAIL}
    if on_no_list and not any(child for child in contact.children if _is_local(child, "ContactLists")):
        return MappingProxyType({})
    lists = _only(contact, CTCT, "ContactLists").find(CTCT, "ContactList")
    found = {ids.last(one.get("id"), "lists"): one for one in lists}
    return MappingProxyType(
        {ids.number(one.get("id"), "lists"): _subscription(one) for name, one in found.items() if name not in _SYSTEM}
    )


def _is_local(node: Node, local: str) -> bool:
    return isinstance(node, Element) and node.local == local


def _subscription(one: Element) -> Subscription:
    return Subscription(_SOURCES.get(_text(one, "OptInSource")), _moment(_text(one, "OptInTime")))


def _moment(text: str) -> datetime | None:
    """Read a time: UTC with milliseconds as v1 writes it, and what else ISO 8601 allows."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


# Writing


def edited_contact(existing: RemoteContact, source: Source, permit: Permit, ids: AccountIds) -> Element:
    """Return the entry that was read with the permit's fields, address, source and lists, and all else as it was."""

    def edit(contact: Element) -> Element:
        for name, value in permit.fields.items():
            contact = _with_text(contact, ELEMENTS[name], value)
        if permit.email != existing.email:
            contact = _with_text(contact, "EmailAddress", permit.email)
        # Always there and always a constant: without it an empty ContactLists is a 400 (seed 0), and another
        # spelling is a 500 (v1 docs). The entry read has none at this level.
        contact = _with_text(contact, "OptInSource", _CONSTANTS[permit.source])
        return _with_lists(contact, permit.lists, ids)

    return _in_payload(source.entry, "Contact", edit)


def renamed_list(entry: Element, name: str) -> Element:
    """Return a list's entry with another name."""
    return _in_payload(entry, "ContactList", lambda one: _with_text(one, "Name", name))


def new_contact(permit: Permit, ids: AccountIds) -> Element:
    """Return the entry that makes a contact (v1 docs, Creating a Contact)."""
    fields = [_leaf(ELEMENTS[name], permit.fields[name]) for name in ELEMENTS if name in permit.fields]
    lists = Element(CTCT, "ContactLists", children=tuple(_list_element(one, "", ids) for one in _sorted(permit.lists)))
    source = _leaf("OptInSource", _CONSTANTS[permit.source])
    return _new_entry("Contact", (_leaf("EmailAddress", permit.email), *fields, source, lists))


def new_list(name: str) -> Element:
    """Return the entry that makes a list."""
    return _new_entry("ContactList", (_leaf("OptInDefault", "false"), _leaf("Name", name)))


def _new_entry(local: str, children: tuple[Element, ...]) -> Element:
    """Wrap a payload. The server replaces id, title, author and updated; they only have to be there."""
    payload = Element(CTCT, local, declared=(("", CTCT),), children=children)
    return Element(
        ATOM,
        "entry",
        declared=(("", ATOM),),
        children=(
            Element(ATOM, "title", attributes=(("type", "text"),), children=(" ",)),
            Element(ATOM, "updated", children=("2010-01-01T00:00:00.000Z",)),
            Element(ATOM, "author"),
            Element(ATOM, "id", children=("data:,none",)),
            Element(ATOM, "summary", attributes=(("type", "text"),), children=(local,)),
            Element(ATOM, "content", attributes=(("type", "application/vnd.ctct+xml"),), children=(payload,)),
        ),
    )


def _in_payload(entry: Element, local: str, edit: Callable[[Element], Element]) -> Element:
    content = _only(entry, ATOM, "content")
    payload = _only(content, CTCT, local)
    return _swap(entry, content, _swap(content, payload, edit(payload)))


def _swap(parent: Element, old: Element, new: Element) -> Element:
    return replace(parent, children=tuple(new if child is old else child for child in parent.children))


def _with_text(parent: Element, local: str, text: str) -> Element:
    """Set a child's text. One that says it already stays as it was read, and so does what else is in it."""
    found = list(parent.find(CTCT, local))
    if not found:
        return _insert(parent, _leaf(local, text, parent.prefix))
    for one in found:
        if one.text != text:
            others = (child for child in one.children if not isinstance(child, str))
            parent = _swap(parent, one, replace(one, children=(text, *others)))
    return parent


def _with_lists(contact: Element, wanted: Collection[str], ids: AccountIds) -> Element:
    """Make ContactLists the complete membership: what is no list or stays as it was read, what is new at the end."""
    found = next(contact.find(CTCT, "ContactLists"), None)
    if found is None:
        contact = _insert(contact, found := Element(CTCT, "ContactLists", contact.prefix))
    held = {ids.last(one.get("id"), "lists") for one in found.find(CTCT, "ContactList")}
    kept = [child for child in found.children if _stays(child, wanted, ids)]
    new = [_list_element(one, found.prefix, ids) for one in _sorted(set(wanted) - held)]
    return _swap(contact, found, replace(found, children=_without_mere_blanks((*kept, *new))))


def _stays(child: Node, wanted: Collection[str], ids: AccountIds) -> bool:
    if not isinstance(child, Element) or not child.is_called(CTCT, "ContactList"):
        return True
    return ids.last(child.get("id"), "lists") in wanted


def _without_mere_blanks(children: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return nothing for line breaks alone: who leaves her last list sends the empty element (seed 0)."""
    return () if all(isinstance(child, str) and not child.strip() for child in children) else children


def _insert(parent: Element, new: Element) -> Element:
    """Put a new child where the wire's order has it: before the first child that comes later there."""
    later = _ORDER[_ORDER.index(new.local) + 1 :]
    children = parent.children
    places = (i for i, child in enumerate(children) if isinstance(child, Element) and child.local in later)
    place = next(places, len(children))
    return replace(parent, children=(*children[:place], new, *children[place:]))


def _leaf(local: str, text: str, prefix: str = "") -> Element:
    return Element(CTCT, local, prefix, children=(text,))


def _list_element(list_id: str, prefix: str, ids: AccountIds) -> Element:
    return Element(CTCT, "ContactList", prefix, attributes=(("id", ids.list_uri(list_id)),))


def _sorted(list_ids: Collection[str]) -> list[str]:
    return sorted(list_ids, key=int)


# Tables

_STATUSES = {status.label: status for status in ContactStatus}

_CONSTANTS = {OptInSource.SITE: "ACTION_BY_CUSTOMER", OptInSource.CONTACT: "ACTION_BY_CONTACT"}
_SOURCES = {constant: source for source, constant in _CONSTANTS.items()}

#: The system lists, by the last part of their ids. They show a status and cannot be joined.
_SYSTEM = frozenset({"active", "do-not-mail", "removed"})

#: What ``listtype`` takes (v1 docs, Searching by Last Updated Date).
LIST_TYPES = {
    ContactStatus.ACTIVE: "active",
    ContactStatus.REMOVED: "removed",
    ContactStatus.DO_NOT_MAIL: "do-not-mail",
}

LIST_NAME_LENGTH = 255

_SPEC: tuple[tuple[str, str, FieldLimit], ...] = (
    ("email_type", "EmailType", FieldLimit(4, re.compile("HTML|Text"))),
    ("first_name", "FirstName", FieldLimit(50)),
    ("middle_name", "MiddleName", FieldLimit(50)),
    ("last_name", "LastName", FieldLimit(50)),
    ("job_title", "JobTitle", FieldLimit(50)),
    ("company_name", "CompanyName", FieldLimit(50)),
    ("home_phone", "HomePhone", FieldLimit(50)),
    ("work_phone", "WorkPhone", FieldLimit(50)),
    ("addr1", "Addr1", FieldLimit(50)),
    ("addr2", "Addr2", FieldLimit(50)),
    ("addr3", "Addr3", FieldLimit(50)),
    ("city", "City", FieldLimit(50)),
    ("state_code", "StateCode", FieldLimit(2, re.compile("[A-Z]{2}"))),
    ("state_name", "StateName", FieldLimit(50)),
    ("country_code", "CountryCode", FieldLimit(2, re.compile("[a-z]{2}"))),
    ("country_name", "CountryName", FieldLimit(50)),
    ("postal_code", "PostalCode", FieldLimit(25)),
    ("sub_postal_code", "SubPostalCode", FieldLimit(25)),
    ("note", "Note", FieldLimit(500)),
    *((f"custom:{n}", f"CustomField{n}", FieldLimit(50)) for n in range(1, 16)),
)

#: The writable text fields by the package's names, with their limits, in the order of the wire.
FIELDS: Mapping[str, FieldLimit] = MappingProxyType({name: limit for name, _, limit in _SPEC})

#: The same names, with the elements that carry them.
ELEMENTS: Mapping[str, str] = MappingProxyType({name: local for name, local, _ in _SPEC})

#: Where a child belongs inside Contact. The server takes any order; clients of it are used to this one.
_ORDER = (
    "Status",
    "EmailAddress",
    *ELEMENTS.values(),
    "OptInTime",
    "OptInSource",
    "ContactLists",
    "OptOutTime",
    "OptOutSource",
    "OptOutReason",
    "Confirmed",
    "InsertTime",
    "LastUpdateTime",
)
