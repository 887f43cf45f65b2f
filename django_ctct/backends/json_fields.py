"""The package's contact fields and where v3 keeps them: core properties, telephones, her home's address, own fields.

Both ways, from a contact and into a document. v3 has no place for v1's email type, middle name, codes of states and
countries, and sub postal code, and its notes are a journal that staff keep: no field of a site's is written there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ..types import storable
from .base import FieldLimit
from .json_payload import ContactPayload, FieldPayload, StreetAddress, Text, many, text_of

__all__ = ["FIELDS", "CustomFields", "custom_limit", "fields_of", "with_fields"]


class CustomFields:
    """An account's own fields: v3 names them by id in a contact, the package by ``custom:<name>``.

    For digits, ``custom:3`` is the field called ``custom_field_3``, as v1's was, or else the one called ``3``.
    """

    def __init__(self, definitions: Iterable[FieldPayload] = ()) -> None:
        self._ids: dict[str, str] = {}
        self._writable: set[str] = set()
        for one in definitions:
            self._ids.setdefault(one.name, one.custom_field_id)
            if one.type not in _CHOICES:
                self._writable.add(one.custom_field_id)

    def id_of(self, name: str) -> str | None:
        """Return the id of a field that takes text; None when the account has no such field."""
        found = self._id(name.removeprefix(_CUSTOM))
        return found if found in self._writable else None

    def has(self, one: str) -> bool:
        """Say whether a field of that name (``custom:<name>``), or of that id, is known, whatever it takes."""
        return one in self._ids.values() or self._id(one.removeprefix(_CUSTOM)) is not None

    def _id(self, name: str) -> str | None:
        old = self._ids.get(f"custom_field_{name}") if name.isdigit() else None
        return old or self._ids.get(name)

    def names(self, field_id: str) -> Iterator[str]:
        """Yield the package's names of a field."""
        for name in self._ids:
            for alias in (name, name.removeprefix("custom_field_")):
                if self._id(alias) == field_id:
                    yield _CUSTOM + alias


# Reading


def fields_of(contact: ContactPayload, custom: Callable[..., CustomFields]) -> Iterator[tuple[str, str]]:
    """Yield the fields that have a value, by the package's names.

    ``custom`` is called where it matters only, with the ids that have a value.
    """
    for name, value in (*_own_fields(contact), *_street_fields(many(contact.street_addresses))):
        if text := storable(text_of(value)).strip():
            yield name, text
    values = [one for one in many(contact.custom_fields) if isinstance(one.value, str) and one.value.strip()]
    known = custom(*(one.custom_field_id for one in values)) if values else CustomFields()
    for one in values:
        for name in known.names(one.custom_field_id):
            yield name, storable(one.value).strip()


def _own_fields(contact: ContactPayload) -> Iterator[tuple[str, Text]]:
    for name in _CORE:
        yield name, getattr(contact, name)
    for name, kind in _PHONES.items():
        yield name, next((one.phone_number for one in many(contact.phone_numbers) if one.kind == kind), None)


def _street_fields(streets: Iterable[StreetAddress]) -> Iterator[tuple[str, Text]]:
    home = next((one for one in streets if one.kind == _HOME), StreetAddress())
    yield from zip(_LINES, _lines(home.street), strict=False)
    for name, local in _PLACES.items():
        yield name, getattr(home, local)


def _lines(street: Text) -> list[str]:
    """Split a street into at most three lines: what v1 kept in three elements, v3 keeps in one text."""
    return text_of(street).replace("\r\n", "\n").split("\n", len(_LINES) - 1)


# Writing


def with_fields(document: Mapping[str, Any], fields: Mapping[str, str], custom: CustomFields) -> dict[str, Any]:
    """Return a document with these fields set, all else as it was."""
    document = {**document} | {name: fields[name] for name in _CORE if name in fields}
    for name, kind in _PHONES.items():
        if name in fields:
            _set_entry(document, "phone_numbers", "kind", kind, {"phone_number": fields[name]})
    if place := _place(document, fields):
        _set_entry(document, "street_addresses", "kind", _HOME, place)
    for name, value in fields.items():
        if name.startswith(_CUSTOM) and (field_id := custom.id_of(name)):
            _set_entry(document, "custom_fields", "custom_field_id", field_id, {"value": value}, every=True)
    return document


def _set_entry(
    document: dict[str, Any], array: str, key: str, wanted: str, changes: Mapping[str, str], *, every: bool = False
) -> None:
    """Change the first entry of that kind, or ``every`` one, or add one; the others stay as and where they are."""
    entries = list(document.get(array) or [])
    places = [place for place, one in enumerate(entries) if one.get(key) == wanted]
    for place in places if every else places[:1]:
        entries[place] = {**entries[place], **changes}
    document[array] = entries if places else [*entries, {key: wanted, **changes}]


def _place(document: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, str]:
    """Return what is to be set of her home's address."""
    place = {local: fields[name] for name, local in _PLACES.items() if name in fields}
    if any(name in fields for name in _LINES):
        homes = [one for one in document.get("street_addresses") or [] if one.get("kind") == _HOME]
        before = dict(zip(_LINES, _lines(homes[0].get("street") if homes else None), strict=False))
        lines = [fields.get(name, before.get(name, "")) for name in _LINES]
        place["street"] = "\n".join(lines).rstrip()[:_STREET_LENGTH]
    return place


# Tables

_CUSTOM = "custom:"
#: Types whose values are choices from a table and not text (§5).
_CHOICES = frozenset({"single_select", "multi_select"})

_CORE = ("first_name", "last_name", "job_title", "company_name")
_PHONES = {"home_phone": "home", "work_phone": "work"}
_HOME = "home"
_LINES = ("addr1", "addr2", "addr3")
_STREET_LENGTH = 255
_PLACES = {"city": "city", "state_name": "state", "postal_code": "postal_code", "country_name": "country"}

#: The writable text fields by the package's names, with their limits (§2.1). ``custom:<name>`` comes on top.
#: Three lines with the breaks between them fit in a street: 84 + 1 + 84 + 1 + 84 = 254.
FIELDS: Mapping[str, FieldLimit] = MappingProxyType(
    {name: FieldLimit(50) for name in _CORE}
    | {name: FieldLimit(25) for name in _PHONES}
    | {name: FieldLimit((_STREET_LENGTH - 2) // 3) for name in _LINES}
    | {name: FieldLimit(50) for name in _PLACES}
)


def custom_limit(name: str) -> FieldLimit | None:
    """Return what ``custom:<name>`` takes: any name that a field of the account can have, blanks made ``_`` (§5)."""
    return FieldLimit(255) if re.fullmatch(r"custom:\S{1,50}", name) else None
