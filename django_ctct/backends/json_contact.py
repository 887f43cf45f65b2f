"""v3's contacts and lists as JSON: reading a contact, writing one, and the tables of both.

Names, limits and what may be written are those of the protocol sheet (v3-json.md, the § in the comments). Reading
raises ``Breach`` where an answer decides something in a way that v3 does not have; what it accepts is kept whole,
so that it can be written back. Writing changes only what it is told to. No network here, and no policy, but one
rule that holds for each document that leaves: nobody's permission is raised but by her own act.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from ..types import (
    ContactStatus,
    ContactSummary,
    OptInSource,
    Permit,
    RemoteContact,
    RemoteList,
    Sighting,
    Subscription,
    Verb,
    normalise_address,
    storable,
)
from .json_document import Breach, shaped
from .json_fields import CustomFields, fields_of, with_fields
from .json_payload import (
    ContactPage,
    ContactPayload,
    EmailAddress,
    ListPayload,
    References,
    Text,
    many,
    text_of,
)

__all__ = [
    "INCLUDE",
    "LIST_NAME_LENGTH",
    "UNSUBSCRIBED",
    "Source",
    "edited_contact",
    "is_on",
    "is_since",
    "new_contact",
    "new_ids_of",
    "opted_out_contact",
    "read_contact",
    "read_created",
    "read_list",
    "read_sighting",
    "read_summary",
    "renamed_list",
    "rows_of",
]

#: All the parts of a contact that an answer leaves out unless it is asked for them (§2.1).
INCLUDE = "custom_fields,list_memberships,phone_numbers,street_addresses,taggings,notes"


@dataclass(frozen=True, slots=True)
class Source:
    """What a contact was read from. Nobody changes it; an edit is a new document."""

    document: Mapping[str, Any] = field(repr=False)
    permission: str
    deleted: bool
    lists: tuple[str, ...]


# Reading


def read_contact(
    document: object, custom: Callable[..., CustomFields], answered: datetime | None = None
) -> RemoteContact | None:
    """Read a whole contact, asked for with ``INCLUDE``; None for one without an address (SMS only, §2.1).

    ``custom`` is called only where a contact has a value in a field of the account's own. ``answered`` is when, by
    the server's own clock.
    """
    contact = shaped(document, ContactPayload)
    email = _email(contact)
    if email is None:
        return None
    status = _status(contact, email)
    on_lists = _memberships(contact) if status in _ON_LISTS else frozenset()
    return RemoteContact(
        remote_id=contact.contact_id.lower(),
        email=_address(email),
        status=status,
        lists=MappingProxyType({one: Subscription() for one in sorted(on_lists)}),  # v3 says neither how nor since when
        fields=MappingProxyType(dict(fields_of(contact, custom))),
        opted_out_at=moment_of(email.opt_out_date),
        opted_out_source=_SOURCES.get(text_of(email.opt_out_source)),
        # Whether a list that she left moves updated_at is not known (§7): it is no time for what has happened.
        updated_at=None,
        stamp=_stamp(contact, answered),
        document=_source(document, contact, email),
    )


def _stamp(contact: ContactPayload, answered: datetime | None) -> datetime | None:
    """Return the time of the last change where any later one must have another: v3 counts in whole seconds."""
    updated = moment_of(contact.updated_at)
    over = updated is not None and answered is not None and answered - updated >= _A_SECOND_IS_OVER
    return updated if over else None


def read_summary(contact: ContactPayload) -> ContactSummary | None:
    """Read a row of a feed; None for a contact without an address. Its status is None where v3 gives a new word."""
    email = _email(contact)
    if email is None:
        return None
    known = email.permission_to_send in _PERMISSIONS
    status = _status(contact, email) if known else None
    return ContactSummary(contact.contact_id.lower(), _address(email), status, _name(contact))


def _name(contact: ContactPayload) -> str:
    names = (text_of(contact.last_name).strip(), text_of(contact.first_name).strip())
    return storable(", ".join(name for name in names if name))


def read_sighting(contact: ContactPayload) -> Sighting | None:
    """Read a row of a feed that names the lists; None for a contact without an address, or with one that is none.

    Of who has a permission that nobody knows nothing is certain: neither her status nor the lists.
    """
    email = _email(contact)
    if email is None or "@" not in text_of(email.address):
        return None
    status = _status(contact, email) if email.permission_to_send in _PERMISSIONS else None
    lists = None if status is None else _memberships(contact) if status in _ON_LISTS else frozenset()
    return Sighting(
        contact.contact_id.lower(),
        _address(email),
        status,
        lists,
        opted_out_at=moment_of(email.opt_out_date),
        name=_name(contact),
        updated_at=moment_of(contact.updated_at),
    )


def read_created(document: object, permit: Permit) -> RemoteContact:
    """Read the answer to a create, which was not asked to hold everything: it is no document to write back."""
    made = shaped(document, ContactPayload)
    email = _email(made)
    if email is None:
        raise Breach("no_email_address", "the contact that was made has no address")
    pending = email.permission_to_send == _PENDING  # with Confirmed Opt-in (§2.4)
    status = ContactStatus.UNCONFIRMED if pending else ContactStatus.ACTIVE
    lists = {one: Subscription() for one in sorted(permit.lists)}
    return RemoteContact(made.contact_id.lower(), _address(email), status, lists, dict(permit.fields))


def rows_of(document: object, address: str) -> Iterator[dict[str, Any]]:
    """Yield a page's contacts with exactly that address, each as it was read."""
    page = shaped(document, ContactPage)
    assert isinstance(document, dict)  # noqa: S101  # what has the shape of a struct is one
    for row, contact in zip(document["contacts"], page.contacts, strict=True):
        email = _email(contact)
        if email is not None and _address(email) == address:
            yield row


def is_on(contact: ContactPayload, summary: ContactSummary, list_id: str) -> bool:
    """Say whether a row of a feed is on a list for us (see ``_ON_LISTS``)."""
    lists = many(contact.list_memberships)
    return summary.status in _ON_LISTS and list_id.lower() in {one.lower() for one in lists}


def is_since(contact: ContactPayload, moment: datetime) -> bool:
    """Say whether a row of a feed may have changed since then."""
    updated = moment_of(contact.updated_at)
    return updated is None or updated >= moment


def read_list(one: ListPayload) -> RemoteList | None:
    """Read a list; None for a deleted one, which can still be read for a while (§3)."""
    count = one.membership_count
    members = count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
    return None if text_of(one.deleted_at) else RemoteList(one.list_id.lower(), storable(one.name).strip(), members)


def new_ids_of(references: References) -> dict[int, str]:
    """Read a cross-reference. Its numbers come with zeros in front (§2.9)."""
    found = ((str(one.sequence_id), one.contact_id or one.list_id) for one in references.xrefs)
    return {int(old): new.lower() for old, new in found if old.isdigit() and isinstance(new, str)}


def _source(document: object, contact: ContactPayload, email: EmailAddress) -> Source:
    assert isinstance(document, dict)  # noqa: S101  # what has the shape of a struct is one
    lists = tuple(many(contact.list_memberships))
    return Source(document, text_of(email.permission_to_send), bool(text_of(contact.deleted_at)), lists)


def _email(contact: ContactPayload) -> EmailAddress | None:
    email = contact.email_address
    return email if isinstance(email, EmailAddress) and text_of(email.address) else None


def _address(email: EmailAddress) -> str:
    address = normalise_address(text_of(email.address))
    if "@" not in address:
        raise Breach("no_email_address", "there is no address in email_address")
    return address


def _status(contact: ContactPayload, email: EmailAddress) -> ContactStatus:
    """Say which of the four it is (§2.10). v3 has no status of its own; an opt-out outweighs all else."""
    permission = email.permission_to_send
    if permission not in _PERMISSIONS:
        raise Breach("unknown_permission", "the permission to send is none of those that exist")
    if permission == UNSUBSCRIBED:
        return ContactStatus.DO_NOT_MAIL
    if text_of(contact.deleted_at) or not _told_lists(contact):
        return ContactStatus.REMOVED
    return ContactStatus.UNCONFIRMED if permission == _PENDING else ContactStatus.ACTIVE


def _memberships(contact: ContactPayload) -> frozenset[str]:
    return frozenset([one.lower() for one in _told_lists(contact)])


def _told_lists(contact: ContactPayload) -> list[str]:
    """Return the lists. Without the array nothing is known of them, and "on none" would read as having left all."""
    if not isinstance(contact.list_memberships, list):
        raise Breach("no_list_memberships", "there are no list_memberships, which were asked for")
    return contact.list_memberships


def moment_of(text: Text) -> datetime | None:
    """Read a time leniently: real answers have Z, offsets, milliseconds or a date alone (§0)."""
    if not text_of(text):
        return None
    try:
        found = datetime.fromisoformat(text_of(text).strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


# Writing


def new_contact(permit: Permit, custom: CustomFields) -> dict[str, Any]:
    """Return the body of a create (§2.4). With Confirmed Opt-in the server makes it pending by itself."""
    return {
        "email_address": {"address": permit.email, "permission_to_send": _NEW[permit.source]},
        **with_fields({}, permit.fields, custom),
        "list_memberships": sorted(permit.lists),
        "create_source": _WORDS[permit.source],
    }


def edited_contact(source: Source, permit: Permit, custom: CustomFields) -> dict[str, Any]:
    """Return the document that was read with the permit's fields, address, source and lists, and all else as it was.

    A PUT nulls each core property that it leaves out, and whether it nulls arrays too is in doubt (§2.5): so all goes
    back. An array of lists that was empty and stays so is left out, because the server may refuse it.
    """
    document = with_fields(_writable(source.document), permit.fields, custom)
    email = document["email_address"]
    if permit.email != normalise_address(email["address"]):
        email["address"] = permit.email
    email["permission_to_send"] = _permission(source, permit)
    if email["permission_to_send"] != UNSUBSCRIBED:
        email.pop("opt_out_reason", None)
    document["update_source"] = _update_source(source, permit)
    return _with_lists(document, {one.lower() for one in permit.lists})


def opted_out_contact(source: Source, permit: Permit) -> dict[str, Any]:
    """Return the document that was read, unsubscribed (§2.8), with its lists as they were."""
    document = _writable(source.document)
    document["email_address"]["permission_to_send"] = UNSUBSCRIBED
    document["update_source"] = _WORDS[permit.source]
    return document if document.get("list_memberships") else _without(document, {"list_memberships"})


def renamed_list(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a list with another name; what is left out would be overwritten (§3)."""
    return _without(document, _LIST_READ_ONLY) | {"name": name}


def _permission(source: Source, permit: Permit) -> str:
    """Say what may be sent from now on: what could be before, but for an opted-out contact's own return (§2.8)."""
    now = source.permission
    returns = permit.verb is Verb.UPDATE and permit.source is OptInSource.CONTACT and permit.lists
    return "explicit" if now == UNSUBSCRIBED and returns else now


def _update_source(source: Source, permit: Permit) -> str:
    """Say whose act it is. A deleted contact is revived in the account's name only (§2.5).

    Not so one who had opted out as well: that the account brought her back must never be said, let the server refuse.
    """
    revives = source.deleted and source.permission != UNSUBSCRIBED
    return _WORDS[OptInSource.SITE if revives else permit.source]


def _writable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a document without what the server alone writes (§2.1, §2.5): it may refuse to be told."""
    copy = _without(document, _READ_ONLY)
    copy["email_address"] = _without(document["email_address"], _EMAIL_READ_ONLY)
    for name, read_only in _ENTRY_READ_ONLY.items():
        if isinstance(entries := document.get(name), list):
            copy[name] = [_without(one, read_only) if isinstance(one, dict) else one for one in entries]
    # A core property, so it would be nulled (§2.1), but written in another form than it is read in (§10).
    if isinstance(channel := document.get("sms_channel"), dict):
        copy["sms_channel"] = _writable_channel(channel)
    return copy


def _writable_channel(channel: Mapping[str, Any]) -> Mapping[str, Any]:
    """Turn a read ``sms_channel`` into the form for writing, consents as they are; as read where that is not certain.

    The number goes with its dial code in front. Where it may have that already, a guess could call a stranger.
    """
    number, code = (str(channel.get(name) or "").removeprefix("+") for name in ("sms_address", "dial_code"))
    consents = channel.get("sms_channel_consents")
    certain = re.fullmatch(r"[0-9]{1,4}", code) and re.fullmatch(r"[0-9]{4,20}", number)
    if not certain or number.startswith(code) or not isinstance(consents, list):
        return channel
    written = [_without(one, _CONSENT_READ_ONLY) if isinstance(one, dict) else one for one in consents]
    return _without(channel, _CHANNEL_READ_ONLY) | {
        "full_sms_address": code + number,
        "sms_channel_consents": written,
    }


def _without(document: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def _with_lists(document: dict[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    read = document.get("list_memberships") or []
    if not read and not wanted:
        return _without(document, {"list_memberships"})
    kept = [one for one in read if one.lower() in wanted]
    new = sorted(set(wanted) - {one.lower() for one in kept})
    return {**document, "list_memberships": [*kept, *new]}


# Tables

UNSUBSCRIBED, _PENDING = "unsubscribed", "pending_confirmation"
_PERMISSIONS = frozenset({"explicit", "implicit", "not_set", _PENDING, "temp_hold", UNSUBSCRIBED})

#: An opt-out and a deletion take her off all lists for us, whether or not v3 still names some (§2.8, in doubt).
_A_SECOND_IS_OVER = timedelta(seconds=2)
_ON_LISTS = frozenset({ContactStatus.ACTIVE, ContactStatus.UNCONFIRMED})

_WORDS = {OptInSource.SITE: "Account", OptInSource.CONTACT: "Contact"}
_SOURCES = {word: source for source, word in _WORDS.items()}
_NEW = {OptInSource.SITE: "implicit", OptInSource.CONTACT: "explicit"}

_READ_ONLY = frozenset({"contact_id", "created_at", "updated_at", "deleted_at", "create_source"})
_STAMPS = frozenset({"created_at", "updated_at", "create_source", "update_source"})
_EMAIL_READ_ONLY = frozenset({"created_at", "updated_at", "opt_in_source", "opt_in_date", "opt_out_source"}) | {
    "opt_out_date",
    "confirm_status",
}
_ENTRY_READ_ONLY = {
    "phone_numbers": _STAMPS | {"phone_number_id"},
    "street_addresses": _STAMPS | {"street_address_id"},
    "notes": _STAMPS | {"note_id"},
}
_CHANNEL_READ_ONLY = _STAMPS | {"sms_channel_id", "sms_address", "dial_code", "country_code"}
_CONSENT_READ_ONLY = _STAMPS | {"opt_in_date", "opt_out_date"}
_LIST_READ_ONLY = _STAMPS | {"list_id", "deleted_at", "membership_count", "sms_membership_count"}

LIST_NAME_LENGTH = 255
