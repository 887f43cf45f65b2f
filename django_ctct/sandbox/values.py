"""The nouns of the sandbox: contacts, lists, memberships, opt-outs, refusals and the clock.

They exist apart from the rules so that every door can read them. They know no wire: no XML, no JSON, no
HTTP status. All but the clock are immutable, so what a door has read cannot change while it is written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum

from django_ctct.sandbox.profile import Invitation, Permission, Profile


class Source(StrEnum):
    """Name who asked for an opt-in or an opt-out."""

    CONTACT = "ACTION_BY_CONTACT"
    CUSTOMER = "ACTION_BY_CUSTOMER"


class Status(StrEnum):
    """Name the four states of a contact; always derived, never stored."""

    ACTIVE = "Active"
    UNCONFIRMED = "Unconfirmed"
    REMOVED = "Removed"
    DO_NOT_MAIL = "Do Not Mail"


class Group(StrEnum):
    """Name the three system lists, which are views on the status (v1 sheet §3.3, §4.1)."""

    ACTIVE = "active"
    DO_NOT_MAIL = "do-not-mail"
    REMOVED = "removed"


class Refusal(Enum):
    """Say why the account refused; each door maps these to its own statuses."""

    UNKNOWN_CONTACT = "There is no such contact."
    UNKNOWN_LIST = "There is no such list."
    SYSTEM_LIST = "A system list cannot be changed."
    ADDRESS_TAKEN = "The address belongs to a contact already, whatever its status."
    NAME_TAKEN = "A list of that name exists already."
    # The spelling "at least on" is the service's own (v1 sheet §3.4).
    NO_VALID_LIST = "The new contact must contain at least on valid ContactList"
    NO_KNOWN_LIST = "None of the lists exists."
    STRANGE_LIST = "One of the lists does not exist."
    OPTED_OUT = "The contact has opted out: only an act of the contact can bring it back."
    EMPTIED_BY_CONTACT = "An act of the contact cannot leave it on no list."
    EMPTY_LISTS = "The lists may not be empty."
    CHANGED_MEANWHILE = "The contact was changed since it was read."
    NOBODY = "The contact needs a name, an address or a number."
    ADDRESS_MISSING = "The address may not be left out."
    WRONG_PERMISSION = "That permission cannot be given by a write."
    NO_REVIVAL = "A deleted contact comes back by the account alone, and onto a list."
    NOT_OPTED_OUT = "The contact has not opted out."
    INVITED_ALREADY = "The contact was asked to come back before; that is done once."
    TOO_MANY_LISTS = "There may not be more lists."


class Refused(Exception):
    """Carry one refusal out of the account; ``about`` is the uuid of the contact that stands in the way."""

    def __init__(self, refusal: Refusal, about: str = "") -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.about = about


@dataclass(frozen=True, slots=True)
class Credentials:
    """Hold what a client must show: on v1 Basic ``key%user:password``, on v3 the client's id and secret.

    The access token is good on both wires, never expires and has every scope: for tests that do not care.
    """

    username: str = "acme"
    api_key: str = "sandbox-key"
    password: str = "sandbox-password"  # noqa: S105 -- made up, guards nothing
    access_token: str = "sandbox-token"  # noqa: S105 -- made up, guards nothing
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 -- made up, guards nothing


@dataclass(frozen=True, slots=True)
class OptIn:
    """Record by whom and when a membership, or the contact itself, was opted in."""

    source: Source
    at: datetime


@dataclass(frozen=True, slots=True)
class OptOut:
    """Record by whom, when and why a contact left for good."""

    source: Source
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Hold one contact; ``memberships`` maps list ids to their opt-in, ``version`` counts the writes.

    ``address`` is in lower case and empty for a contact that is only texted; ``spelling`` is as it was sent.
    ``permission`` is what holds while the contact has neither opted out nor to confirm anything.
    """

    id: int
    uuid: str
    address: str
    fields: Mapping[str, str]
    memberships: Mapping[int, OptIn]
    opt_in: OptIn
    inserted: datetime
    updated: datetime
    opt_out: OptOut | None = None
    awaiting: bool = False
    confirmed: bool = False
    version: int = 1
    spelling: str = ""
    permission: Permission = Permission.IMPLICIT
    deleted: datetime | None = None
    created_by: Source = Source.CUSTOMER
    updated_by: Source = Source.CUSTOMER
    profile: Profile = field(default_factory=Profile)
    invitation: Invitation | None = None

    @property
    def status(self) -> Status:
        """Derive the status (v1 sheet §6: states)."""
        if self.opt_out is not None:
            return Status.DO_NOT_MAIL
        if not self.memberships:
            return Status.REMOVED
        return Status.UNCONFIRMED if self.awaiting else Status.ACTIVE

    @property
    def permission_to_send(self) -> Permission:
        """Derive the permission as v3 tells it (v3 sheet §2.10)."""
        if self.opt_out is not None:
            return Permission.UNSUBSCRIBED
        return Permission.PENDING if self.awaiting else self.permission

    @property
    def group(self) -> Group:
        """Name the system list the contact is on; an Unconfirmed one is on a list, thus active (§3.3)."""
        if self.opt_out is not None:
            return Group.DO_NOT_MAIL
        return Group.ACTIVE if self.memberships else Group.REMOVED


@dataclass(frozen=True, slots=True)
class ContactList:
    """Hold one ordinary list."""

    id: int
    uuid: str
    name: str
    updated: datetime
    sort_order: int = -1
    opt_in_default: bool = False
    created: datetime | None = None
    deleted: datetime | None = None
    description: str = ""
    favorite: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """Say what a write wants a contact to be.

    ``fields`` are laid over the stored ones; ``lists`` is the complete membership, ``None`` keeps what is
    there; an id that no list has may be in it, and the account decides what becomes of it.
    """

    address: str
    fields: Mapping[str, str] = field(default_factory=dict)
    lists: frozenset[int] | None = frozenset()
    source: Source = Source.CUSTOMER


@dataclass(frozen=True, slots=True)
class ListDraft:
    """Say what a write wants a list to be; ``None`` keeps what is there."""

    name: str
    sort_order: int | None = None
    opt_in_default: bool | None = None
    description: str | None = None
    favorite: bool | None = None


class Clock:
    """Tell the account's time, which tests may push forward; never backwards."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> datetime:
        """Return UTC with whole milliseconds, the finest the wire can say (v1 sheet §7)."""
        moment = datetime.now(UTC) + timedelta(seconds=self._ahead)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def seconds(self) -> float:
        """Return a reading that only grows, for windows of time."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Push the clock forward by ``seconds``."""
        if not 0 <= seconds <= 366 * 86400 * 10:
            raise ValueError("The clock goes forward only, and by ten years at most.")
        self._ahead += seconds

    def rewind(self) -> None:
        """Return to the real time, for a fresh account."""
        self._ahead = 0.0
