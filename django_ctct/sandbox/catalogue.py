"""The custom fields and the tags of an account: definitions with ids and unique names.

It exists apart from the contacts, which only point here. ``custom_field_1`` to ``custom_field_15`` are the
fifteen fields of v1: who defines one of these names reads and writes what v1 calls ``CustomField1`` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.values import Contact

_SLOTS: Mapping[str, str] = {f"custom_field_{number}": f"CustomField{number}" for number in range(1, 16)}


class NameTaken(Exception):
    """Refuse a label or a tag that exists already."""


@dataclass(frozen=True, slots=True)
class CustomField:
    """Define one custom field; ``element`` is its name on v1, empty for the others."""

    uuid: str
    label: str
    kind: str
    created: datetime
    updated: datetime

    @property
    def name(self) -> str:
        """Return the name that imports use (v3 sheet §5)."""
        return self.label.replace(" ", "_").lower()

    @property
    def element(self) -> str:
        """Return the element of v1 that holds the value, or an empty text."""
        return _SLOTS.get(self.name, "")


@dataclass(frozen=True, slots=True)
class Tag:
    """Define one tag."""

    uuid: str
    name: str
    source: str
    created: datetime
    updated: datetime


class Catalogue:
    """Keep the definitions of one account; ask under the account's lock."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._clear()
        account.at_reset(self._clear)

    def _clear(self) -> None:
        self._fields: dict[str, CustomField] = {}
        self._tags: dict[str, Tag] = {}

    # Custom fields

    def fields(self) -> list[CustomField]:
        """Return every definition, oldest first, those that v1 has written to included."""
        for contact in self._account.contacts():
            self.slots_of(contact)
        return list(self._fields.values())

    def field(self, uuid: str) -> CustomField | None:
        """Return one definition."""
        return self._fields.get(uuid)

    def field_named(self, name: str) -> CustomField | None:
        """Return the definition with this name (not the label)."""
        return next((each for each in self._fields.values() if each.name == name), None)

    def define(self, label: str, kind: str) -> CustomField:
        """Add a definition, or raise ``NameTaken``."""
        self._refuse_taken(label)
        now = self._account.clock.now()
        return self._keep(CustomField(str(uuid4()), label, kind, now, now))

    def relabel(self, old: CustomField, label: str) -> CustomField:
        """Change the label, or raise ``NameTaken``; values of v1 stay with their element."""
        if label != old.label:
            self._refuse_taken(label)
        return self._keep(replace(old, label=label, updated=self._account.clock.now()))

    def undefine(self, old: CustomField) -> None:
        """Drop a definition and every value of it."""
        del self._fields[old.uuid]
        for contact in self._account.contacts():
            if old.element and contact.fields.get(old.element):
                self._account.put(replace(contact, fields={**contact.fields, old.element: ""}))
            elif old.uuid in contact.profile.custom:
                rest = {uuid: value for uuid, value in contact.profile.custom.items() if uuid != old.uuid}
                self._account.put(replace(contact, profile=replace(contact.profile, custom=rest)))

    def slots_of(self, contact: Contact) -> dict[str, str]:
        """Return the values that v1 keeps, by definition; define on the way what v1 has written to."""
        return {
            self._slot(name).uuid: contact.fields[element]
            for name, element in _SLOTS.items()
            if contact.fields.get(element)
        }

    def _slot(self, name: str) -> CustomField:
        return self.field_named(name) or self.define(name.replace("_", " ").title(), "string")

    def _keep(self, field: CustomField) -> CustomField:
        self._fields[field.uuid] = field
        return field

    def _refuse_taken(self, label: str) -> None:
        name = label.replace(" ", "_").lower()
        if any(name == each.name for each in self._fields.values()):
            raise NameTaken

    # Tags

    def tags(self) -> list[Tag]:
        """Return every tag, oldest first."""
        return list(self._tags.values())

    def tag(self, uuid: str) -> Tag | None:
        """Return one tag."""
        return self._tags.get(uuid)

    def add_tag(self, name: str, source: str) -> Tag:
        """Add a tag, or raise ``NameTaken``."""
        if any(name == each.name for each in self._tags.values()):
            raise NameTaken
        now = self._account.clock.now()
        tag = Tag(str(uuid4()), name, source, now, now)
        self._tags[tag.uuid] = tag
        return tag
