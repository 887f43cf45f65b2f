"""What v3's answers look like, as far as we read them: structs that msgspec checks.

A member may be absent (UNSET), null, or there. What is not named here is not lost: the document is kept beside
(``json_contact.Source``). The § are those of the protocol sheet.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, field

__all__ = [
    "UUID",
    "Activity",
    "ContactPage",
    "ContactPayload",
    "CustomValue",
    "EmailAddress",
    "FieldPage",
    "FieldPayload",
    "Identity",
    "Link",
    "Links",
    "ListPage",
    "ListPayload",
    "PhoneNumber",
    "Reference",
    "References",
    "StreetAddress",
    "Text",
    "many",
    "text_of",
]

UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
Id = Annotated[str, Meta(pattern=rf"\A{UUID}\Z")]
Text = str | None | UnsetType
Entry = TypeVar("Entry")


class EmailAddress(Struct):
    address: Text = UNSET
    permission_to_send: Text = UNSET
    opt_out_source: Text = UNSET
    opt_out_date: Text = UNSET


class PhoneNumber(Struct):
    phone_number: Text = UNSET
    kind: Text = UNSET


class StreetAddress(Struct):
    kind: Text = UNSET
    street: Text = UNSET
    city: Text = UNSET
    state: Text = UNSET
    postal_code: Text = UNSET
    country: Text = UNSET


class CustomValue(Struct):
    custom_field_id: str
    value: Any = UNSET


class ContactPayload(Struct):
    contact_id: Id
    email_address: EmailAddress | UnsetType | None = UNSET
    first_name: Text = UNSET
    last_name: Text = UNSET
    job_title: Text = UNSET
    company_name: Text = UNSET
    updated_at: Text = UNSET
    deleted_at: Text = UNSET
    list_memberships: list[Id] | UnsetType | None = UNSET
    custom_fields: list[CustomValue] | UnsetType | None = UNSET
    phone_numbers: list[PhoneNumber] | UnsetType | None = UNSET
    street_addresses: list[StreetAddress] | UnsetType | None = UNSET


class ListPayload(Struct):
    list_id: Id
    name: str
    deleted_at: Text = UNSET
    membership_count: Any = UNSET


class FieldPayload(Struct):
    custom_field_id: str
    name: str
    type: Text = UNSET


class Activity(Struct):
    activity_id: Id
    state: str
    activity_errors: list[Any] | UnsetType | None = UNSET


class Reference(Struct):
    """A number of an older API, and the id that it has in v3 (§2.9)."""

    sequence_id: str | int
    contact_id: Id | UnsetType = UNSET
    list_id: Id | UnsetType = UNSET


class References(Struct):
    xrefs: list[Reference]


class Identity(Struct):
    """As much of an answer to a write as tells whom it is about."""

    contact_id: Id | UnsetType = UNSET
    list_id: Id | UnsetType = UNSET


class Link(Struct):
    href: str


class Links(Struct):
    next: Link | UnsetType | None = UNSET


class ContactPage(Struct):
    contacts: list[ContactPayload]
    links: Links | UnsetType | None = field(name="_links", default=UNSET)


class ListPage(Struct):
    lists: list[ListPayload]
    links: Links | UnsetType | None = field(name="_links", default=UNSET)


class FieldPage(Struct):
    custom_fields: list[FieldPayload]
    links: Links | UnsetType | None = field(name="_links", default=UNSET)


def text_of(text: Text) -> str:
    """Return a text; an absent one and null are empty."""
    return text if isinstance(text, str) else ""


def many(entries: list[Entry] | UnsetType | None) -> list[Entry]:
    return entries if isinstance(entries, list) else []
