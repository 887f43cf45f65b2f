"""The values that travel between rooms, and the closed sets they draw from.

Everything here is frozen and free of Django, the database and the network, so that the planner can be pure
and the two wires can be compared. It may import nothing of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from uuid import UUID

__all__ = [
    "EMPTY",
    "Collection",
    "ConsentKind",
    "ContactStatus",
    "ContactSummary",
    "DesiredContact",
    "OptInSource",
    "OptOutSource",
    "Outcome",
    "Page",
    "Permit",
    "Priority",
    "RemoteAddition",
    "RemoteContact",
    "RemoteList",
    "RemoteRemoval",
    "Sighting",
    "Subscription",
    "Verb",
    "normalise_address",
    "storable",
]


def normalise_address(raw: object) -> str:
    """Return an address as Constant Contact stores it: without blanks around it, in lower case (v1 §3.4)."""
    return storable(raw).strip().lower()


def storable(raw: object) -> str:
    """Return text that every database can keep: without NUL and lone surrogates."""
    return str(raw or "").replace("\x00", "").encode("utf-8", "ignore").decode()


EMPTY: Mapping[str, str] = MappingProxyType({})


class ContactStatus(StrEnum):
    """The four states of a contact at Constant Contact (v1: Contact Data Format, ``Status``)."""

    ACTIVE = "active"  # on at least one list
    UNCONFIRMED = "unconfirmed"  # asked to join, has not clicked the confirmation yet
    REMOVED = "removed"  # on no list, has not opted out, may return
    DO_NOT_MAIL = "do_not_mail"  # opted out; only the person's own act brings her back

    @property
    def label(self) -> str:
        return {"active": "Active", "unconfirmed": "Unconfirmed", "removed": "Removed", "do_not_mail": "Do Not Mail"}[
            self
        ]


class OptInSource(StrEnum):
    """Whose act puts a contact on a list. ``CONTACT`` sends welcome mail and may undo an opt-out."""

    SITE = "site"  # v1 ACTION_BY_CUSTOMER, v3 Account
    CONTACT = "contact"  # v1 ACTION_BY_CONTACT, v3 Contact: only for the person's own act


class OptOutSource(StrEnum):
    """Where an opt-out was made."""

    SITE = "site"  # by the person, on the site
    REMOTE = "remote"  # seen at Constant Contact
    OWNER = "owner"  # by the site's staff, who own the account; off a list only, they may lift it


class ConsentKind(StrEnum):
    """How sure it is that the person herself asked to be on a list."""

    CONTACT_ACTION = "contact_action"  # her own act under an address that is proved to be hers; undoes an opt-out
    REQUEST = "request"  # an address typed into a form, by whomever: kept as evidence, undoes nothing


class RemoteRemoval(StrEnum):
    """What to do when a contact has left a managed list at Constant Contact."""

    RESPECT = "respect"  # an opt-out of that list: she stays off
    RESTORE = "restore"  # the site's rule wins


class RemoteAddition(StrEnum):
    """What to do when a contact is on a managed list that the site does not want her on."""

    REMOVE = "remove"
    KEEP = "keep"


class Priority(IntEnum):
    """The order in which due contacts are taken; the lower goes first."""

    OPT_OUT = 0
    REMOVAL = 1
    ADD = 5
    RESYNC = 9


class Collection(StrEnum):
    """What has ids at Constant Contact."""

    CONTACTS = "contacts"
    LISTS = "lists"


class Verb(StrEnum):
    """The writes that exist."""

    CREATE = "create"
    UPDATE = "update"
    OPT_OUT = "opt_out"


class Outcome(StrEnum):
    """How a write ended, as far as we know."""

    OPEN = "open"  # permitted, no answer recorded (yet, or ever: the worker may have died)
    OK = "ok"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    AMBIGUOUS = "ambiguous"  # it may have been applied, and may still be
    VERIFIED = "verified"  # nobody knows how it ended; the contact was read again after it could still land


@dataclass(frozen=True, slots=True)
class DesiredContact:
    """What the site wants for one member: an address on lists (by key), and the fields it owns.

    ``email`` is normalised (stripped, lower case). A field without a value is not in ``fields``.
    """

    email: str
    lists: frozenset[str] = frozenset()
    fields: Mapping[str, str] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Subscription:
    """How a contact came onto one list. Either value is None where the wire does not say."""

    source: OptInSource | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RemoteContact:
    """One contact as Constant Contact has it, complete enough to be written back.

    ``lists`` maps remote list ids to how she came onto them. ``fields`` holds the non-empty text fields under
    the package's names (see ``backends.base``). ``document`` belongs to the backend that read it: it is what an
    update edits and sends back, so that nothing unknown is lost.

    ``updated_at`` is when it last changed, lists included; None where the wire does not say so for certain.
    ``stamp`` is weaker: a later reading with the same one shows that no write of ours was applied in between.
    """

    remote_id: str
    email: str
    status: ContactStatus
    lists: Mapping[str, Subscription]
    fields: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    opted_out_at: datetime | None = None
    opted_out_source: OptInSource | None = None
    updated_at: datetime | None = None
    stamp: datetime | None = None
    document: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ContactSummary:
    """One line of a feed. It has no lists, so it can never be written back (v1: feeds omit ContactLists)."""

    remote_id: str
    email: str
    status: ContactStatus | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One contact as a feed tells of it: enough to see that something is new, never enough to be written back.

    ``lists`` is her whole membership, None where the feed does not tell (v1). ``on_list`` is the list whose members
    the feed was asked for, empty where it was not. ``status`` is None where the wire gives a word that nobody knows.
    ``updated_at`` is when anything about her changed, by the server's clock.
    """

    remote_id: str
    email: str
    status: ContactStatus | None
    lists: frozenset[str] | None = None
    on_list: str = ""
    opted_out_at: datetime | None = None
    name: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a feed. ``cursor`` is where to go on after it, empty after the last.

    ``at`` is when it was given by the server's own clock, None where it does not say.
    """

    sightings: tuple[Sighting, ...]
    cursor: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RemoteList:
    """One contact list at Constant Contact. ``members`` is None where the wire does not count."""

    remote_id: str
    name: str
    members: int | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to make one write, and exactly what it may say. Only ``services`` issues one.

    ``attempt`` is the journal row that was committed before. ``email`` is the address after the write; for an update
    it may be a new one. ``lists`` is the complete membership after the write; ``fields`` are the text fields to set;
    every other part of the contact goes back as it was read.
    """

    attempt: UUID
    verb: Verb
    email: str
    lists: frozenset[str] = frozenset()
    fields: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    source: OptInSource = OptInSource.SITE
