"""What the v1 door understands: Atom entries sent by a client, as drafts.

It exists apart from the door because parsing what a stranger sent needs care of its own: no DTD, a cap on
depth, and one error type. It decides nothing about the account. Rules: v1 sheet §3.4, §3.5, §3.7 and §4.3.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from django_ctct.sandbox.fields import ADDRESS_LIMIT, COUNTRIES, LIMITS, LIST_NAME_LIMIT, STATES
from django_ctct.sandbox.values import ListDraft, Source

ATOM = "{http://www.w3.org/2005/Atom}"
CTCT = "{http://ws.constantcontact.com/ns/1.0/}"
DEPTH_LIMIT = 64
_REQUIRED = ("id", "title", "author", "updated")


class Unacceptable(Exception):
    """Say with which status and words the door answers a document that it cannot take."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class SentContact:
    """Hold a contact as sent: only the fields that were there; ``None`` for what was left out."""

    address: str
    fields: Mapping[str, str]
    source: Source | None
    list_uris: tuple[str, ...] | None


def read_contact(body: bytes) -> SentContact:
    """Read an entry with a Contact, in the order of checks of §12.2; raise ``Unacceptable``."""
    contact = _payload(_entry(body), "Contact")
    address = _address(contact)
    fields = {name: text for name in LIMITS if (text := _text(contact, name)) is not None}
    _check_fields(fields)
    return SentContact(address, fields, _source(contact), _list_uris(contact))


def read_list(body: bytes) -> tuple[ListDraft, str]:
    """Read an entry with a ContactList, and the Atom id it carries; raise ``Unacceptable``."""
    entry = _entry(body)
    payload = _payload(entry, "ContactList")
    name = (_text(payload, "Name") or "").strip()
    if not name or len(name) > LIST_NAME_LIMIT:
        raise Unacceptable(400, f"Name is required and has at most {LIST_NAME_LIMIT} characters")
    draft = ListDraft(name, _sort_order(payload), _opt_in_default(payload))
    return draft, (entry.findtext(f"{ATOM}id") or "").strip()


def read_time(text: str) -> datetime | None:
    """Read a date or date-time, any offset, lower case allowed (§7: all were seen); ``None`` if it is none."""
    try:
        moment = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _parse(body: bytes) -> Element:
    depth = 0
    root: Element | None = None
    for event, element in iterparse(io.BytesIO(body), ("start", "end"), forbid_dtd=True):
        depth += 1 if event == "start" else -1
        root = element if root is None else root
        if depth > DEPTH_LIMIT:
            raise Unacceptable(400, "The document is nested too deeply")
    if root is None:
        raise Unacceptable(400, "The document is empty")
    return root


def _entry(body: bytes) -> Element:
    try:
        entry = _parse(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise Unacceptable(400, "The document is not well-formed XML, or has a DTD") from error
    if entry.tag != f"{ATOM}entry":
        raise Unacceptable(400, "The document is not an Atom entry")
    for name in _REQUIRED:
        if entry.find(ATOM + name) is None:
            raise Unacceptable(400, f"The Atom element {name} is missing")
    _check_atom(entry)
    return entry


def _check_atom(entry: Element) -> None:
    # <id>2</id> was one cause of a 400: it is no URI (§3.4).
    if not re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]*:\S", entry.findtext(f"{ATOM}id") or ""):
        raise Unacceptable(400, "The Atom id is not a URI")
    if read_time(entry.findtext(f"{ATOM}updated") or "") is None:
        raise Unacceptable(400, "The Atom element updated is not a date")


def _payload(entry: Element, name: str) -> Element:
    payload = entry.find(f"{ATOM}content/{CTCT}{name}")
    if payload is None:
        raise Unacceptable(400, f"The content has no {name}")
    return payload


def _text(parent: Element, name: str) -> str | None:
    element = parent.find(CTCT + name)
    return None if element is None else element.text or ""


def _address(contact: Element) -> str:
    address = (_text(contact, "EmailAddress") or "").strip()
    if not address:
        raise Unacceptable(400, "EmailAddress is required")
    if len(address) > ADDRESS_LIMIT or not re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;.]+", address):
        raise Unacceptable(400, "EmailAddress is not a valid address")
    return address


def _check_fields(fields: Mapping[str, str]) -> None:
    for name, text in fields.items():
        if len(text) > LIMITS[name]:
            raise Unacceptable(400, f"{name} has more than {LIMITS[name]} characters")
    if fields.get("EmailType", "") not in ("", "HTML", "Text"):
        raise Unacceptable(400, "EmailType is HTML or Text")
    _check_place(fields.get("CountryCode", ""), fields.get("StateCode", ""))


def _check_place(country: str, state: str) -> None:
    if country and not re.fullmatch("[a-z]{2}", country):
        raise Unacceptable(400, "CountryCode has two lower case letters")
    known = STATES.get(country, {}) if country else {**STATES["us"], **STATES["ca"]}
    if state and state not in known:
        raise Unacceptable(400, "StateCode is not a state of the country")


def _source(contact: Element) -> Source | None:
    word = (_text(contact, "OptInSource") or "").strip()
    if not word:
        return None
    try:
        return Source(word)
    except ValueError as error:
        # A wrong or mis-cased constant is answered as if the server had failed (§3.7).
        raise Unacceptable(500, "Server Error") from error


def _list_uris(contact: Element) -> tuple[str, ...] | None:
    lists = contact.find(f"{CTCT}ContactLists")
    if lists is None:
        return None
    return tuple(each.get("id", "").strip() for each in lists.findall(f"{CTCT}ContactList"))


def _sort_order(payload: Element) -> int:
    text = (_text(payload, "SortOrder") or "").strip()
    if not text:
        return -1  # not sent on create, it reads back -1 (§4.2)
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise Unacceptable(400, "SortOrder is a number")
    return int(text)


def _opt_in_default(payload: Element) -> bool:
    text = (_text(payload, "OptInDefault") or "").strip()
    if text not in ("", "true", "false"):
        raise Unacceptable(400, "OptInDefault is true or false")
    return text == "true"


def fill_places(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields with the names that the server derives from the codes (§3.5)."""
    filled = dict(fields)
    country, state = fields.get("CountryCode", ""), fields.get("StateCode", "")
    if country in COUNTRIES:
        filled["CountryName"] = COUNTRIES[country]
    states = STATES.get(country, {}) if country else {**STATES["us"], **STATES["ca"]}
    if state in states:
        filled["StateName"] = states[state]
    return filled
